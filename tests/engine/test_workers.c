/*
 * Workers as processes: who is one, when it leaves, what its death leaves behind, and how front
 * ends come by one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "runtime/process.h"
#include "worker_env.h"

START_TEST(test_ready_then_idle)
{
	struct engine_env e;
	struct worker w;

	env_setup(&e);
	w = worker_start(&e);
	worker_await_ready(&w);
	ck_assert(env_has_worker(&e));
	ck_assert_int_eq(worker_await_exit(&w), 0);
	ck_assert(!env_has_worker(&e));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers WHERE status = 'stopped' "
					"AND stopped_at > 0"),
			 1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_second_leaves)
{
	struct engine_env e;
	struct worker first, second;
	char words[256];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	first = worker_start(&e);
	worker_await_ready(&first);
	second = worker_start(&e);
	worker_read(&second, words);
	ck_assert_str_eq(words, "");
	ck_assert_int_eq(worker_await_exit(&second), 0);
	ck_assert(env_has_worker(&e));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	ck_assert_int_eq(kill(first.pid, SIGTERM), 0);
	ck_assert_int_eq(worker_await_exit(&first), 0);
	ck_assert(!env_has_worker(&e));
	env_teardown(&e);
}
END_TEST

START_TEST(test_failed_says_why)
{
	struct engine_env e;
	struct worker w;
	_cleanup_free_ char *dir = NULL;
	char words[256];

	env_setup(&e);
	dir = env_path(&e, "state");
	ck_assert_int_eq(chmod(dir, 0755), 0);
	w = worker_start(&e);
	worker_read(&w, words);
	ck_assert_msg(strncmp(words, "failed ", 7) == 0 && strstr(words, dir), "%s", words);
	ck_assert_int_ne(worker_await_exit(&w), 0);
	env_teardown(&e);
}
END_TEST

/* app-server that hears nothing and ends by nothing. */
#define DEAF "once\nterm ignore\nexpect turn/start\ndefault\nhang\n"

/* The worker dies while its app-server lives on: the lock is free, the next one ends what lingers,
 * and the turn that it ran is not run again. */
START_TEST(test_killed)
{
	struct engine_env e;
	struct worker w;
	struct codexcp *cp;
	struct ccp_process_id server = { 0 };
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, DEAF);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	w = worker_start(&e);
	worker_await_ready(&w);
	env_reach(&e, cp, op, "phase", "running");
	ck_assert_int_eq(
		ccp_process_identify(env_number(&e, "SELECT pid FROM app_servers"), &server, NULL),
		0);
	worker_kill(&w);
	ck_assert(!env_has_worker(&e));
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_ends(&e, cp, op, "interrupted", "app_server_exit");
	env_await_dead(&e, &server);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* Nothing that its starter has open reaches a worker, and nothing of the worker's reaches
 * app-server. */
static void check_descriptors(int64_t pid, const char *const *forbidden)
{
	_cleanup_free_ char *path = ccp_asprintf("/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);
	const struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		_cleanup_free_ char *link = ccp_asprintf("%s/%s", path, entry->d_name);
		char target[4096] = "";

		(void)!readlink(link, target, sizeof(target) - 1);
		for (size_t i = 0; forbidden[i]; i++)
			ck_assert_msg(!strstr(target, forbidden[i]), "%s: %s", link, target);
	}
	closedir(dir);
}

START_TEST(test_descriptors)
{
	struct engine_env e;
	struct worker w;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *leak = NULL;
	int ends[2];
	struct stat st;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	ck_assert_int_eq(pipe2(ends, 0), 0);
	ck_assert_int_eq(fstat(ends[0], &st), 0);
	leak = ccp_asprintf("pipe:[%llu]", (unsigned long long)st.st_ino);
	w = worker_start(&e);
	worker_await_ready(&w);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	check_descriptors(w.pid, (const char *const[]){ leak, NULL });
	check_descriptors(env_number(&e, "SELECT pid FROM app_servers"),
			  (const char *const[]){ leak, "sqlite", "worker.lock", "socket:", NULL });
	close(ends[0]);
	close(ends[1]);
	worker_kill(&w);
	env_teardown(&e);
}
END_TEST

/* An operation with which every worker dies does not go on for ever. */
struct poison {
	const char *script, *method, *status;
};

static const struct poison poisons[] = {
	{ "expect initialize\nawait never\n", "initialize", "failed" },
	{ "expect turn/start\nawait never\n", "turn/start", "unknown_after_app_server_exit" },
};

static void check_poison(const struct poison *poison)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_script(&e, poison->script);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	for (int i = 0; i < 3; i++) {
		struct worker w = worker_start(&e);

		worker_await_ready(&w);
		env_wait_count(&e, poison->method, i + 1);
		worker_kill(&w);
	}
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	status = env_end(&e, cp, op);
	env_is(status, "status", poison->status);
	env_is(json_object_get(status, "error"), "code", "CODEX_WORKER_CRASHED");
	env_teardown(&e);
}

START_TEST(test_poison)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(poisons); i++)
		check_poison(&poisons[i]);
}
END_TEST

/* A worker that was asked to end is no crash, however often. */
START_TEST(test_orderly_restarts)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	for (int i = 0; i < 3; i++) {
		struct worker w = worker_start(&e);

		worker_await_ready(&w);
		env_wait_count(&e, "turn/start", i + 1);
		ck_assert_int_eq(kill(w.pid, SIGTERM), 0);
		ck_assert_int_eq(worker_await_exit(&w), 0);
	}
	env_close(&e, cp);
	env_script(&e, "");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	ck_assert_int_eq(env_count(&e, "running-turns"), 1);
	env_teardown(&e);
}
END_TEST

/* A front end starts a worker, loses it, and starts another one. */
START_TEST(test_front_end)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *done = NULL, *op = NULL;
	int64_t pid;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	done = env_submit(&e, cp, NULL);
	env_ends(&e, cp, done, "completed", NULL);
	pid = env_number(&e, "SELECT pid FROM workers");
	ck_assert_int_ne(pid, getpid());
	op = env_submit(&e, cp, json_pack("{s:s}", "message", "second"));
	env_ends(&e, cp, op, "completed", NULL);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	free(op);
	op = strdup(ccp_json_str(env_answered(&e, &answer), "operationId"));
	kill((pid_t)pid, SIGKILL);
	env_answer_done(&answer);
	env_ask(cp, "codex_wait",
		json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 20), &answer);
	env_is(json_object_get(env_answered(&e, &answer), "waited"), "reason", "terminal");
	ck_assert_int_le(env_count(&e, "running-turns"), 3);
	ck_assert_int_eq(env_number(&e, "SELECT max(epoch) FROM workers"), 2);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* A worker that cannot be started: the task waits and says why; five tries a minute are enough. */
START_TEST(test_worker_that_dies)
{
	struct engine_env e;
	struct codexcp_options options = { .mode = CODEXCP_MODE_AUTO };
	_cleanup_free_ char *program = NULL, *starts = NULL, *text = NULL, *op = NULL;
	json_auto_t *status = NULL;
	struct stat st = { 0 };
	int64_t until;

	env_setup(&e);
	program = env_path(&e, "worker");
	starts = env_path(&e, "starts");
	text = ccp_asprintf("#!/bin/sh\nprintf x >>%s\nexit 3\n", starts);
	ck_assert_int_eq(ccp_file_replace(program, text, strlen(text), 0700, NULL), 0);
	options.worker_path = program;
	options.environment = (const char *const *)e.variables;
	ck_assert_int_eq(codexcp_open(&options, &e.open[0], NULL), 0);
	op = env_submit(&e, e.open[0], NULL);
	until = env_now_ms() + ENV_PATIENCE_MS;
	while (st.st_size < 5) {
		ck_assert_int_lt(env_now_ms(), until);
		json_decref(env_status(e.open[0], op));
		env_step(&e);
		(void)stat(starts, &st);
	}
	for (int i = 0; i < 30; i++) {
		json_decref(env_status(e.open[0], op));
		env_step(&e);
	}
	ck_assert_int_eq(stat(starts, &st), 0);
	ck_assert_int_eq(st.st_size, 5);
	status = env_status(e.open[0], op);
	env_is(status, "status", "queued");
	env_wait_problem(&e, e.open[0], op, "worker.log");
	env_teardown(&e);
}
END_TEST

/* Nobody asks in between: what cannot be started is tried again by itself. */
static void await_completed(struct engine_env *e)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (!env_number(e, "SELECT count(*) FROM operations WHERE status = 'completed'")) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
}

START_TEST(test_spawn_is_tried_again)
{
	struct engine_env e;
	struct codexcp_options options = { .mode = CODEXCP_MODE_AUTO };
	_cleanup_free_ char *program = NULL, *op = NULL;

	env_setup(&e);
	program = env_path(&e, "worker");
	options.worker_path = program;
	options.environment = (const char *const *)e.variables;
	ck_assert_int_eq(codexcp_open(&options, &e.open[0], NULL), 0);
	op = env_submit(&e, e.open[0], NULL);
	env_wait_problem(&e, e.open[0], op, "");
	ck_assert_int_eq(symlink(getenv("CCP_SERVER"), program), 0);
	await_completed(&e);
	env_teardown(&e);
}
END_TEST

/* In a process of its own: has the lock for a moment, again and again, as whoever looks. */
static pid_t start_prober(const struct engine_env *e)
{
	_cleanup_free_ char *lock = ccp_asprintf("%s.worker.lock", e->state_db);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	while (pid == 0) {
		int fd = -1;

		(void)ccp_lock_try(lock, &fd, NULL);
		for (volatile int i = 0; i < 3000; i++)
			;
		if (fd >= 0)
			close(fd);
		for (volatile int i = 0; i < 3000; i++)
			;
		if (getppid() == 1)
			_exit(0);
	}
	return pid;
}

START_TEST(test_inline_among_probers)
{
	struct engine_env e;
	pid_t prober;

	env_setup(&e);
	json_decref(env_call(env_open(&e, CODEXCP_MODE_CLIENT), "codex_health_summary", NULL));
	for (int i = 0; i < 12; i++) {
		struct codexcp *cp = env_open(&e, CODEXCP_MODE_INLINE);
		int64_t until = env_now_ms() + ENV_PATIENCE_MS;

		free(env_submit(&e, cp, NULL));
		prober = start_prober(&e);
		while (!env_number(&e, "SELECT NOT count(*) FROM operations WHERE active")) {
			ck_assert_int_lt(env_now_ms(), until);
			env_step(&e);
		}
		ck_assert_int_eq(kill(prober, SIGKILL), 0);
		ck_assert_int_eq(waitpid(prober, NULL, 0), prober);
		env_close(&e, cp);
	}
	env_teardown(&e);
}
END_TEST

/* Fifty front ends at the same instant: one worker, one app-server. */
#define FRONT_ENDS 50

static int be_front_end(struct engine_env *e, int gate)
{
	json_auto_t *answer = NULL, *arguments = NULL;
	struct codexcp *cp = env_open(e, CODEXCP_MODE_AUTO);
	_cleanup_free_ char *op = NULL;
	char byte;

	e->prompts = getpid();
	ck_assert_int_eq(read(gate, &byte, 1), 0);
	op = env_submit(e, cp, NULL);
	arguments = json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 25);
	if (codexcp_call_wait(cp, "codex_wait", arguments, &answer, NULL) < 0)
		return 1;
	codexcp_close(cp);
	return ccp_streq(ccp_json_str(answer, "status"), "completed") ? 0 : 2;
}

START_TEST(test_fifty_front_ends)
{
	struct engine_env e;
	pid_t pids[FRONT_ENDS];
	int gate[2];

	env_setup(&e);
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < FRONT_ENDS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			close(gate[1]);
			_exit(be_front_end(&e, gate[0]));
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < FRONT_ENDS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations "
					"WHERE status = 'completed'"),
			 FRONT_ENDS);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), FRONT_ENDS);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("workers", test_ready_then_idle, test_second_leaves, test_failed_says_why,
	      test_killed, test_descriptors, test_poison, test_orderly_restarts, test_front_end,
	      test_worker_that_dies, test_spawn_is_tried_again, test_inline_among_probers,
	      test_fifty_front_ends)
