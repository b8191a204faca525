/*
 * A state that cannot be used as it should: a disk that fills, a file that is locked, damaged,
 * older or newer, a network file system. Callers hear why and what to do; nothing is lost or
 * half-written; what can be read is read.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <vfs_shim.h>

#include "engine_env.h"
#include "runtime/process.h"

#define NFS 0x6969

/* The library's calls end here: where a test says so, every directory is on NFS. */
static bool everything_is_nfs;

int statfs(const char *path, struct statfs *fs)
{
	*fs = (struct statfs){ .f_type = everything_is_nfs ? NFS : 0 };
	return 0;
}

static void check_refusal(const struct engine_env *e, const json_t *answer, const char *reason,
			  const char *way_out)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = ccp_json_str(error, "message");

	env_is(json_object_get(error, "details"), "reason", reason);
	ck_assert_ptr_nonnull(ccp_json_str(json_object_get(error, "details"), "path"));
	ck_assert_msg(strstr(message, way_out), "%s", message);
}

static void submit_refused(struct engine_env *e, struct codexcp *cp, const char *reason,
			   const char *way_out)
{
	json_auto_t *answer = env_call_fails(cp, "codex_submit_task", env_submit_arguments(e, NULL),
					     "CODEX_STATE_UNAVAILABLE");

	check_refusal(e, answer, reason, way_out);
}

static void status_refused(struct engine_env *e, struct codexcp *cp, const char *reason,
			   const char *way_out)
{
	json_auto_t *answer = env_call_fails(cp, "codex_get_operation_status",
					     json_pack("{s:s}", "operation_id", "op"),
					     "CODEX_STATE_UNAVAILABLE");

	check_refusal(e, answer, reason, way_out);
}

/* What the summary says keeps the worker from working, an allocation or NULL. */
static char *problem_of(struct codexcp *cp)
{
	json_auto_t *health = env_call(cp, "codex_health_summary", NULL);
	const char *problem = ccp_json_str(json_object_get(health, "worker"), "problem");

	return problem ? strdup(problem) : NULL;
}

static void await_problem(struct engine_env *e, struct codexcp *cp, const char *text)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	for (;;) {
		_cleanup_free_ char *problem = problem_of(cp);

		if (text ? problem && strstr(problem, text) : !problem)
			return;
		ck_assert_msg(env_now_ms() < until, "%s", problem ? problem : "no problem");
		env_step(e);
	}
}

/* The disk fills while a turn runs: the turn is not lost, and the record goes on when there is
 * space again. */
START_TEST(test_disk_fills)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *other = NULL;
	json_auto_t *status = NULL;

	shim_install();
	env_setup(&e);
	env_set(&e, "CCP_FAKE_STREAM_BYTES", "20000");
	env_script(&e, "expect turn/start\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);

	shim_fail(SHIM_FULL, 1, SHIM_ALWAYS);
	env_go(&e, "go");
	await_problem(&e, cp, "free space");
	submit_refused(&e, cp, "full", "free space");
	status = env_status(cp, op);
	env_is(status, "status", "starting_turn");
	ck_assert_ptr_nonnull(
		strstr(ccp_json_str(json_object_get(status, "workerState"), "problem"), "space"));

	shim_fail(SHIM_NONE, 0, SHIM_ONCE);
	env_ends(&e, cp, op, "completed", NULL);
	await_problem(&e, cp, NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 1);
	other = env_submit(&e, cp, NULL);
	env_ends(&e, cp, other, "completed", NULL);
	env_teardown(&e);
	shim_remove();
}
END_TEST

/* The worker is another process: its front ends hear from it. The database stays locked by a third
 * one. */
START_TEST(test_worker_tells)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	sqlite3 *holder = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);
	ck_assert_int_eq(sqlite3_open(e.state_db, &holder), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	env_go(&e, "go");
	await_problem(&e, cp, "locked");
	sqlite3_close(holder);
	await_problem(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* A program that keeps the whole file for itself. */
START_TEST(test_locked_for_ever)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	json_auto_t *health = NULL;
	sqlite3 *holder = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	env_close(&e, cp);
	ck_assert_int_eq(sqlite3_open(e.state_db, &holder), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(holder,
				      "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	status_refused(&e, cp, "locked", "fuser");
	health = env_call(cp, "codex_health_summary", NULL);
	env_is(health, "overallStatus", "broken");
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	env_is(json_object_get(env_answered(&e, &answer), "error"), "code",
	       "CODEX_STATE_UNAVAILABLE");
	check_refusal(&e, answer.payload, "locked", e.state_db);
	sqlite3_close(holder);
	free(env_submit(&e, cp, NULL));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 2);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

static void write_garbage(const char *path)
{
	FILE *out = fopen(path, "we");

	ck_assert_ptr_nonnull(out);
	for (int i = 0; i < 500; i++)
		fputs("no database at all\n", out);
	fclose(out);
}

START_TEST(test_damaged)
{
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	write_garbage(e.state_db);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	submit_refused(&e, cp, "corrupt", "codex-control-plane-mcp-admin db check");
	status_refused(&e, cp, "corrupt", e.state_db);
	unlink(e.state_db);
	free(env_submit(&e, cp, NULL));
	env_teardown(&e);
}
END_TEST

START_TEST(test_newer)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	env_close(&e, cp);
	db_exec(e.state_db, "PRAGMA user_version = 99;"
			    "UPDATE meta SET value = '99' WHERE key = 'min_writer';"
			    "UPDATE meta SET value = '7.0.0' WHERE key = 'program'");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	submit_refused(&e, cp, "newer_schema", "upgrade to 7.0.0");
	status = env_status(cp, op);
	env_is(status, "status", "queued");
	env_close(&e, cp);
	db_exec(e.state_db, "UPDATE meta SET value = '99' WHERE key = 'min_reader'");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	status_refused(&e, cp, "newer_schema", "upgrade to 7.0.0");
	env_teardown(&e);
}
END_TEST

START_TEST(test_network_file_system)
{
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	everything_is_nfs = true;
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	submit_refused(&e, cp, "network_fs", "CODEX_MCP_NETWORK_FILE_SYSTEM");
	status_refused(&e, cp, "network_fs", "NFS");
	ck_assert_int_ne(access(e.state_db, F_OK), 0);
	env_set(&e, "CODEX_MCP_NETWORK_FILE_SYSTEM", "allow");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	everything_is_nfs = false;
	env_teardown(&e);
}
END_TEST

/* Something that is no directory stands where the state should. */
START_TEST(test_place_is_taken)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *file = NULL, *database = NULL;

	env_setup(&e);
	file = env_path(&e, "file");
	database = env_path(&e, "file/state.sqlite3");
	write_garbage(file);
	env_set(&e, "CODEX_MCP_STATE_DB", database);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	submit_refused(&e, cp, "cannot_open", "CODEX_MCP_STATE_DB");
	env_teardown(&e);
}
END_TEST

/* Older versions */

static void make_older(const struct engine_env *e)
{
	char *text = NULL;
	size_t size = 0;
	FILE *in = fopen(SCHEMA_DIR "/schema_1.sql", "re");

	ck_assert_ptr_nonnull(in);
	ck_assert_int_ge(getdelim(&text, &size, '\0', in), 0);
	fclose(in);
	db_exec(e->state_db, text);
	ck_assert_int_eq(chmod(e->state_db, 0600), 0);
	free(text);
}

/* It has a doorbell, and answers nobody. */
static void listen_at(const struct engine_env *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_free_ char *run = env_run_dir(e);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (mkdir(run, 0700) < 0)
		_exit(2);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/doorbell.sock", run);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 8) < 0)
		_exit(3);
}

/* A process that holds the worker lock and ends at SIGTERM, as every version does. */
static pid_t older_worker(const struct engine_env *e)
{
	_cleanup_free_ char *lock = ccp_asprintf("%s.worker.lock", e->state_db), *sql = NULL;
	struct ccp_process_id id;
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		/* The test's frame has a handler that ends the test. */
		signal(SIGTERM, SIG_DFL);
		listen_at(e);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), 0);
	sql = ccp_asprintf("INSERT INTO workers(id, epoch, role, status, pid, start_time, boot_id, "
			   "version, started_at, heartbeat_at, stopped_at) VALUES('old', 5, "
			   "'worker', 'running', %d, %lld, '%s', '0.0.9', 1, 1, 0)",
			   (int)pid, (long long)id.start_time, id.boot);
	db_exec(e->state_db, sql);
	return pid;
}

static void add_older_operation(const struct engine_env *e)
{
	db_exec(e->state_db,
		"INSERT INTO operations(id, type, depth, project_path, cwd, allowed_root, "
		"priority, request_timeout_ms, prompt_guards, created_at, active, status, phase, "
		"attempt, crash_count, epoch, baseline_count, thread_is_new, not_before, "
		"interrupt_at, error_retryable, updated_at, started_at, completed_at, version) "
		"VALUES('theirs', 'start_chat', 0, '/p', '/p', '/', 1, 1000, 0, 1, 1, 'running', "
		"'running', 1, 0, 5, 0, 1, 0, 0, 0, 1, 1, 0, 1)");
}

/* Nobody works: the first that needs it, a reader too, gets it migrated. */
START_TEST(test_older_without_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	make_older(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "PRAGMA user_version"), 2);
	env_teardown(&e);
}
END_TEST

START_TEST(test_older_is_read)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;

	env_setup(&e);
	make_older(&e);
	db_exec(e.state_db, "INSERT INTO projects VALUES('/p', 'prj_p', 1)");
	add_older_operation(&e);
	db_exec(e.state_db, "UPDATE operations SET active = 0, status = 'completed', "
			    "phase = 'completed', completed_at = 1");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	env_ask(cp, "codex_get_operation_status", json_pack("{s:s}", "operation_id", "theirs"),
		&answer);

	env_is(env_answered(&e, &answer), "status", "completed");
	ck_assert_int_eq(env_number(&e, "PRAGMA user_version"), 1);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* An older worker with nothing to do is asked to leave, and the call that met it goes on. */
START_TEST(test_idle_older_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	int status;
	pid_t pid;

	env_setup(&e);
	make_older(&e);
	pid = older_worker(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
	while (waitpid(pid, &status, WNOHANG) == 0)
		env_step(&e);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	env_is(env_answered(&e, &answer), "status", "queued");
	ck_assert_int_eq(env_number(&e, "PRAGMA user_version"), 2);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* One that works is left in peace: the caller may come again. */
START_TEST(test_busy_older_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	json_auto_t *status = NULL;
	const json_t *error;
	pid_t pid;

	env_setup(&e);
	make_older(&e);
	add_older_operation(&e);
	pid = older_worker(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	status = env_call(cp, "codex_get_operation_status",
			  json_pack("{s:s}", "operation_id", "theirs"));
	ck_assert(json_is_true(json_object_get(status, "ok")));
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	error = json_object_get(env_answered(&e, &answer), "error");
	env_is(error, "code", "CODEX_STATE_BUSY");
	ck_assert(json_is_true(json_object_get(error, "retryable")));
	env_is(json_object_get(error, "details"), "reason", "older_worker");
	env_is(json_object_get(error, "details"), "workerVersion", "0.0.9");
	ck_assert_ptr_nonnull(strstr(ccp_json_str(error, "message"), "works on 1 operations"));
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(env_number(&e, "PRAGMA user_version"), 1);
	env_close(&e, cp);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* What the call is told that meets an older version. */
static void check_told(struct engine_env *e, const char *want)
{
	struct codexcp *cp = env_open(e, CODEXCP_MODE_CLIENT);
	struct env_answer answer;
	const json_t *error;

	env_ask(cp, "codex_submit_task", env_submit_arguments(e, NULL), &answer);
	error = json_object_get(env_answered(e, &answer), "error");
	env_is(error, "code", "CODEX_STATE_BUSY");
	ck_assert_msg(strstr(ccp_json_str(error, "message"), want), "%s",
		      ccp_json_str(error, "message"));
	env_answer_done(&answer);
	env_close(e, cp);
}

/* Another client that executes by itself is never ended: its user has to close it. One that was
 * asked to leave and takes its time is being replaced. */
START_TEST(test_older_that_stays)
{
	struct engine_env e;
	_cleanup_free_ char *closing = NULL;
	pid_t pid;

	env_setup(&e);
	make_older(&e);
	pid = older_worker(&e);
	db_exec(e.state_db, "UPDATE workers SET role = 'inline'");
	closing = ccp_asprintf("process %d executes by itself (execution mode inline): close that",
			       (int)pid);
	check_told(&e, closing);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	db_exec(e.state_db, "UPDATE workers SET role = 'worker'");
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	check_told(&e, "it is being replaced: try again");
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("state_trouble", test_disk_fills, test_worker_tells, test_locked_for_ever,
	      test_damaged, test_newer, test_network_file_system, test_place_is_taken,
	      test_older_without_worker, test_older_is_read, test_idle_older_worker,
	      test_busy_older_worker, test_older_that_stays)
