/*
 * The worker as it is seen and controlled from outside: described, ended, started, and one that
 * stays.
 */
#include <codexcp/worker.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/file.h"
#include "engine_env.h"
#include "runtime/process.h"

static json_t *describe(struct codexcp *cp, int running)
{
	json_t *description = NULL;

	ck_assert_int_eq(codexcp_worker_describe(cp, &description, NULL), running);
	ck_assert(json_is_true(json_object_get(description, "running")) == running);
	return description;
}

static void start(struct codexcp *cp)
{
	struct codexcp_error err = { 0 };
	int r = codexcp_worker_start(cp, 0, &err);

	ck_assert_msg(r == 0, "%s", err.message);
}

/* Ends it; the pid it had, 0: none ran. */
static int64_t stop(struct codexcp *cp)
{
	struct codexcp_error err = { 0 };
	json_auto_t *stopped = NULL;
	int r = codexcp_worker_stop(cp, 0, &stopped, &err);

	ck_assert_msg(r >= 0, "%s", err.message);
	ck_assert(r == (stopped != NULL));
	return ccp_json_int(stopped, "pid", 0);
}

static void stop_fails(struct codexcp *cp, int timeout_ms, int code, const char *why)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *stopped = NULL;

	ck_assert_int_eq(codexcp_worker_stop(cp, timeout_ms, &stopped, &err), code);
	ck_assert_msg(strstr(err.message, why), "%s", err.message);
	ck_assert_ptr_null(stopped);
}

static void sql(const struct engine_env *e, const char *text)
{
	free(db_query(e->state_db, text));
}

START_TEST(test_nothing_there)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *none = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	none = describe(cp, 0);
	env_is(none, "stateDb", e.state_db);
	ck_assert_ptr_null(json_object_get(none, "worker"));
	ck_assert_int_eq(stop(cp), 0);
	/* Looking has made nothing. */
	ck_assert_int_eq(access(e.state_db, F_OK), -1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_start_and_stop)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *running = NULL, *ended = NULL;
	const json_t *worker;
	int64_t pid;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start(cp);
	running = describe(cp, 1);
	worker = json_object_get(running, "worker");
	env_is(worker, "processState", "alive");
	env_is(worker, "effectiveStatus", "running");
	pid = ccp_json_int(worker, "pid", 0);
	ck_assert_int_gt(pid, 0);
	/* Once more is the same one. */
	start(cp);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	ck_assert_int_eq(stop(cp), pid);
	ended = describe(cp, 0);
	env_is(json_object_get(ended, "worker"), "processState", "gone");
	env_is(json_object_get(ended, "worker"), "status", "stopped");
	ck_assert_int_eq(stop(cp), 0);
	start(cp);
	ck_assert_int_ne(stop(cp), pid);
	ck_assert_int_eq(env_number(&e, "SELECT max(epoch) FROM workers"), 2);
	env_teardown(&e);
}
END_TEST

/* A row that an older program has written does not say in which namespace its pid counts. */
START_TEST(test_older_row)
{
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start(cp);
	sql(&e, "UPDATE workers SET details = NULL");
	ck_assert_int_gt(stop(cp), 0);
	env_teardown(&e);
}
END_TEST

/* An idle worker on a database of an older schema makes room when somebody wants to use the state;
 * to be looked at does not end it. */
START_TEST(test_older_schema)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *seen = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;
	_cleanup_free_ char *op = NULL;
	struct env_answer answer;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	env_close(&e, cp);
	sql(&e, "UPDATE workers SET details = NULL");
	sql(&e, "PRAGMA user_version = 1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	seen = describe(cp, 1);
	ck_assert_int_gt(ccp_json_int(json_object_get(seen, "worker"), "pid", 0), 0);
	json_decref(describe(cp, 1));
	json_decref(env_call(cp, "codex_health_summary", NULL));
	/* Who wants to write needs it to leave. */
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	while (codexcp_worker_running(cp, NULL) == 1) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	(void)env_answered(&e, &answer);
	env_answer_done(&answer);
	sql(&e, "PRAGMA user_version = 2");
	env_teardown(&e);
}
END_TEST

/* Running work: whatever becomes of the turn, the operation is not lost and has one end. */
START_TEST(test_stop_with_work)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *now = NULL, *status = NULL;
	_cleanup_free_ char *op = NULL, *queued = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "300");
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL", "1");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	queued = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	now = describe(cp, 1);
	ck_assert_int_eq(
		ccp_json_int(json_object_get(now, "operations"), "activeOperationCount", 0), 2);
	ck_assert(json_is_true(json_object_get(json_object_get(now, "appServer"), "running")));
	ck_assert_int_gt(stop(cp), 0);
	start(cp);
	status = env_end(&e, cp, op);
	ck_assert(ccp_streq(ccp_json_str(status, "status"), "completed") ||
		  ccp_streq(ccp_json_str(status, "reason"), "app_server_exit"));
	env_ends(&e, cp, queued, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* It does not end in time: said, and true; it ends when it can. */
START_TEST(test_stop_in_vain)
{
	struct engine_env e;
	struct codexcp *cp;
	pid_t pid;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start(cp);
	pid = (pid_t)env_number(&e, "SELECT pid FROM workers");
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	stop_fails(cp, 100, CODEXCP_E_TIMEOUT, "has not ended in time");
	json_decref(describe(cp, 1));
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	stop(cp);
	json_decref(describe(cp, 0));
	env_teardown(&e);
}
END_TEST

START_TEST(test_inline_is_not_ended)
{
	struct engine_env e;
	struct codexcp *in, *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	in = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, in, NULL);
	env_ends(&e, in, op, "completed", NULL);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	stop_fails(cp, 0, CODEXCP_E_BUSY, "inline");
	env_teardown(&e);
}
END_TEST

/* The database cannot be read, so that nobody is ended; but it is said how. */
START_TEST(test_stop_without_database)
{
	static const char junk[8192] = "junk";
	_cleanup_free_ char *kill_it = NULL, *log = NULL;
	struct ccp_process_id id;
	struct engine_env e;
	struct codexcp *cp;
	int fd;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start(cp);
	OK(ccp_process_identify(env_number(&e, "SELECT pid FROM workers"), &id, &db_err));
	sql(&e, "PRAGMA wal_checkpoint(TRUNCATE)");
	fd = open(e.state_db, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
	close(fd);
	kill_it = ccp_asprintf("end it with kill %d", (int)id.pid);
	log = env_path(&e, "state/log/worker.log");
	stop_fails(cp, 0, CODEXCP_E_STATE_UNAVAILABLE, kill_it);
	stop_fails(cp, 0, CODEXCP_E_STATE_UNAVAILABLE, log);
	stop_fails(cp, 0, CODEXCP_E_STATE_UNAVAILABLE, "damaged");
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_ALIVE);
	ccp_process_kill(&id);
	while (!ccp_process_is_gone(&id))
		poll(NULL, 0, 1);
	/* The teardown asks it what there is to end: nothing. */
	ck_assert_int_eq(unlink(e.state_db), 0);
	env_teardown(&e);
}
END_TEST

/* The pid of the row is that of a process which began at another time: nothing is done to it. */
START_TEST(test_reused_pid)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *lock = NULL, *update = NULL;
	int fd = -1;
	pid_t innocent;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start(cp);
	ck_assert_int_gt(stop(cp), 0);
	innocent = fork();
	if (innocent == 0) {
		pause();
		_exit(0);
	}
	update = ccp_asprintf("UPDATE workers SET status = 'running', pid = %d", (int)innocent);
	sql(&e, update);
	lock = ccp_asprintf("%s.worker.lock", e.state_db);
	ck_assert_int_eq(ccp_lock_try(lock, &fd, NULL), 1);
	stop_fails(cp, 200, CODEXCP_E_TIMEOUT, "has not reported itself");
	close(fd);
	ck_assert_int_eq(waitpid(innocent, NULL, WNOHANG), 0);
	kill(innocent, SIGKILL);
	waitpid(innocent, NULL, 0);
	env_teardown(&e);
}
END_TEST

/* Killed: the row says running, the process does not. */
START_TEST(test_stale)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *seen = NULL;
	_cleanup_free_ char *op = NULL;
	struct ccp_process_id id;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(ccp_process_identify(env_number(&e, "SELECT pid FROM workers"), &id, NULL),
			 0);
	ccp_process_kill(&id);
	while (!ccp_process_is_gone(&id))
		poll(NULL, 0, 1);
	seen = describe(cp, 0);
	env_is(json_object_get(seen, "worker"), "status", "running");
	env_is(json_object_get(seen, "worker"), "effectiveStatus", "stale");
	env_teardown(&e);
}
END_TEST

/* A worker that cannot be had: said at once, not when the time is over. */
START_TEST(test_start_in_vain)
{
	struct engine_env e;
	struct codexcp_options options = { .mode = CODEXCP_MODE_AUTO };
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *program = NULL;
	static const char text[] = "#!/bin/sh\nexit 3\n";
	int64_t began = env_now_ms();
	struct codexcp *cp;

	env_setup(&e);
	program = env_path(&e, "worker");
	ck_assert_int_eq(ccp_file_replace(program, text, strlen(text), 0700, NULL), 0);
	options.worker_path = program;
	options.environment = (const char *const *)e.variables;
	ck_assert_int_eq(codexcp_open(&options, &e.open[0], NULL), 0);
	ck_assert_int_eq(codexcp_worker_start(e.open[0], 60000, &err), CODEXCP_E_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "worker.log"));
	ck_assert_int_lt(env_now_ms() - began, 20000);
	codexcp_error_done(&err);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_worker_start(cp, 0, &err), CODEXCP_E_BUSY);
	ck_assert_ptr_nonnull(strstr(err.message, "may not start one"));
	env_teardown(&e);
}
END_TEST

/* A worker that stays */

struct staying {
	pid_t pid;
	int out;
};

static struct staying start_staying(struct engine_env *e)
{
	_cleanup_free_ char *log = env_path(e, "staying.log");
	struct staying s;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	s = (struct staying){ .pid = fork(), .out = ends[0] };
	ck_assert_int_ge(s.pid, 0);
	if (s.pid == 0) {
		char *const argv[] = { (char *)"server", (char *)"worker", (char *)"--stay", NULL };

		dup2(ends[1], STDOUT_FILENO);
		dup2(open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), STDERR_FILENO);
		execve(getenv("CCP_SERVER"), argv, e->variables);
		_exit(127);
	}
	close(ends[1]);
	return s;
}

static void await_ready(const struct staying *s)
{
	char words[16] = "";

	ck_assert_int_eq(read(s->out, words, sizeof(words) - 1), (int)strlen("ready\n"));
	ck_assert_str_eq(words, "ready\n");
}

static int await_exit(const struct staying *s)
{
	int status;

	ck_assert_int_eq(waitpid(s->pid, &status, 0), s->pid);
	close(s->out);
	return status;
}

/* It outlives its idle time; others wait for the lock, end when they are told to, and have it when
 * the first has died. */
START_TEST(test_stay)
{
	struct engine_env e;
	struct codexcp *cp;
	struct staying first, second, third;
	struct pollfd fd = { .events = POLLIN };

	env_setup(&e);
	first = start_staying(&e);
	await_ready(&first);
	second = start_staying(&e);
	third = start_staying(&e);
	fd.fd = second.out;
	/* Longer than the idle time of one second; an orderly silence is what is looked for. */
	ck_assert_int_eq(poll(&fd, 1, 2500), 0);
	ck_assert_int_eq(waitpid(first.pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(kill(third.pid, SIGTERM), 0);
	ck_assert_int_eq(await_exit(&third), 0);
	ck_assert_int_eq(kill(first.pid, SIGKILL), 0);
	ck_assert_int_eq(await_exit(&first), SIGKILL);
	await_ready(&second);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	/* A zombie until it is waited for counts as ended. */
	ck_assert_int_eq(stop(cp), second.pid);
	ck_assert_int_eq(await_exit(&second), 0);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 2);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("control", test_nothing_there, test_start_and_stop, test_older_row, test_older_schema,
	      test_stop_with_work, test_stop_in_vain, test_inline_is_not_ended,
	      test_stop_without_database, test_reused_pid, test_stale, test_start_in_vain,
	      test_stay)
