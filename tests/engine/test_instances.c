/*
 * Which app-server process is attached to, which is ended, and which is left alone.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "worker_env.h"

#define HOLD "once\nexpect turn/start\ndefault\n"

/* An app-server that lives and cannot be reached is ended after some tries, and its turn judged by
 * the evidence: it was cut. */
static void stop_server(const struct engine_env *e)
{
	ck_assert_int_eq(kill((pid_t)env_server(e).pid, SIGSTOP), 0);
}

static void take_socket(const struct engine_env *e)
{
	_cleanup_free_ char *path = env_path(e, "state/state.sqlite3.run/app.sock");

	ck_assert_int_eq(unlink(path), 0);
}

static const struct unreachable {
	const char *script;
	void (*make)(const struct engine_env *e);
} unreachables[] = {
	{ HOLD, stop_server },
	{ HOLD, take_socket },
	{ HOLD "expect thread/resume\ndisconnect\nexpect thread/resume\ndisconnect\n"
	       "expect thread/resume\ndisconnect\nexpect thread/resume\ndisconnect\n"
	       "expect thread/resume\ndisconnect\n",
	  NULL },
};

/* Longer than anything else may take: it is tried for fifteen seconds. */
#define UNREACHABLE_MS 28000

static void end_unreachables(struct engine_env *e)
{
	int64_t until = env_now_ms() + UNREACHABLE_MS, active = 1;

	while (active) {
		ck_assert_int_lt(env_now_ms(), until);
		active = 0;
		for (size_t i = 0; i < CCP_ARRAY_SIZE(unreachables); i++) {
			env_step(&e[i]);
			active += env_number(&e[i], "SELECT sum(active) FROM operations");
		}
	}
}

START_TEST(test_unreachable)
{
	struct engine_env e[CCP_ARRAY_SIZE(unreachables)];
	struct ccp_process_id servers[CCP_ARRAY_SIZE(unreachables)];
	char *ops[CCP_ARRAY_SIZE(unreachables)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(unreachables); i++) {
		ops[i] = env_leave_running(&e[i], unreachables[i].script);
		servers[i] = env_server(&e[i]);
		if (unreachables[i].make)
			unreachables[i].make(&e[i]);
		codexcp_look_for_work(env_open(&e[i], CODEXCP_MODE_INLINE));
	}
	end_unreachables(e);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(unreachables); i++) {
		env_ends(&e[i], e[i].open[0], ops[i], "interrupted", "app_server_exit");
		ck_assert_int_eq(ccp_process_check(&servers[i]), CCP_PROCESS_DEAD);
		ck_assert_int_eq(env_count(&e[i], "turn/start"), 1);
		ck_assert_int_eq(env_number(&e[i], "SELECT count(*) FROM app_servers"), 2);
		ck_assert_int_eq(env_number(&e[i], "SELECT crash_count FROM operations"), 1);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

/* Rows of processes that are not what they name. */

/* A process that is nobody's app-server. */
static struct ccp_process_id start_bystander(void)
{
	struct ccp_process_id id;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		for (;;)
			pause();
	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), 0);
	return id;
}

static void end_bystander(const struct ccp_process_id *id)
{
	kill((pid_t)id->pid, SIGKILL);
	ck_assert_int_eq(waitpid((pid_t)id->pid, NULL, 0), id->pid);
}

/* As the oldest. */
static void add_row(const struct engine_env *e, const char *name, const struct ccp_process_id *id)
{
	_cleanup_free_ char *sql = ccp_asprintf(
		"INSERT INTO app_servers(rowid, id, pid, start_time, boot_id, pid_namespace, epoch,"
		" started_at, ended_at, transport) VALUES((SELECT coalesce(min(rowid), 0) - 1 "
		"FROM app_servers), '%s', %lld, %lld, '%s', %lld, 1, 1, 0, 'unix')",
		name, (long long)id->pid, (long long)id->start_time, id->boot,
		(long long)id->pid_namespace);

	db_exec(e->state_db, sql);
}

START_TEST(test_rows_of_others)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id bystander = start_bystander(), id = bystander;
	_cleanup_free_ char *first = NULL, *op = NULL;

	env_setup_unix(&e, "");
	env_set(&e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	env_ends(&e, cp, first, "completed", NULL);
	env_close(&e, cp);
	id.start_time++;
	add_row(&e, "reused", &id);
	id = bystander;
	id.pid_namespace++;
	add_row(&e, "elsewhere", &id);
	id = bystander;
	snprintf(id.boot, sizeof(id.boot), "an earlier one");
	add_row(&e, "before", &id);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(ccp_process_check(&bystander), CCP_PROCESS_ALIVE);
	db_expect(e.state_db,
		  "SELECT id, ended_at > 0 FROM app_servers WHERE rowid < 1 ORDER BY id",
		  "before|1\nelsewhere|0\nreused|1\n");
	ck_assert_int_eq(env_count(&e, "initialize"), 2);
	end_bystander(&bystander);
	env_teardown(&e);
}
END_TEST

/* Of two that live the newer one is attached to, and the other one ended. */
START_TEST(test_two_instances)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id older = start_bystander(), server;
	_cleanup_free_ char *op = env_leave_running(&e,
						    HOLD "expect thread/resume\ndefault\nfinish\n");

	server = env_server(&e);
	add_row(&e, "older", &older);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	ck_assert_int_eq(ccp_process_check(&older), CCP_PROCESS_DEAD);
	db_expect(e.state_db, "SELECT ended_at > 0 FROM app_servers ORDER BY rowid", "1\n0\n");
	end_bystander(&older);
	env_teardown(&e);
}
END_TEST

/* One that was told to end gets nothing more to do. */
START_TEST(test_draining)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	_cleanup_free_ char *op = env_leave_running(&e, HOLD);

	server = env_server(&e);
	db_exec(e.state_db, "UPDATE app_servers SET draining = 1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_ends(&e, cp, op, "interrupted", "app_server_exit");
	env_await_dead(&e, &server);
	db_expect(e.state_db, "SELECT ended_at > 0 FROM app_servers ORDER BY rowid", "1\n0\n");
	env_teardown(&e);
}
END_TEST

/* Another transport is wanted from now on: what runs on a socket is not cut for that. */
START_TEST(test_transport_switched)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	_cleanup_free_ char *op = env_leave_running(&e,
						    HOLD "expect turn/start\ndefault\nfinish\n"),
			    *next = NULL;

	server = env_server(&e);
	env_set(&e, "CODEX_MCP_APP_SERVER_TRANSPORT", "stdio");
	env_set(&e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_wait_count(&e, "thread/resume", 1);
	next = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	env_ends(&e, cp, next, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "user-message"), 2);
	free(next);
	next = env_submit(&e, cp, NULL);
	env_ends(&e, cp, next, "completed", NULL);
	env_await_dead(&e, &server);
	db_expect(e.state_db, "SELECT transport, ended_at > 0 FROM app_servers ORDER BY rowid",
		  "unix|1\nstdio|0\n");
	env_teardown(&e);
}
END_TEST

/* The worker dies before its app-server has answered initialize: the next one goes on with that. */
START_TEST(test_not_initialized)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	struct worker w;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "once\nexpect initialize\nawait killed\n");
	env_set(&e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "initialize", 1);
	server = env_server(&e);
	worker_kill(&w);
	env_go(&e, "killed");
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	ck_assert_int_eq(env_count(&e, "initialize"), 2);
	env_teardown(&e);
}
END_TEST

/* It was killed before even the row was written, and there is nothing to do for an app-server: the
 * next worker ends what was left all the same, whether or not it can be found at the socket. */
START_TEST(test_no_row)
{
	struct engine_env e;
	struct ccp_process_id server;
	struct worker w;

	free(env_leave_running(&e, HOLD));
	server = env_server(&e);
	take_socket(&e);
	db_exec(e.state_db, "DELETE FROM app_servers; UPDATE operations SET active = 0");
	w = worker_start(&e);
	for (int64_t until = env_now_ms() + ENV_PATIENCE_MS; !ccp_process_is_gone(&server);) {
		ck_assert_int_lt(env_now_ms(), until);
		poll(NULL, 0, 5);
	}
	worker_await_ready(&w);
	worker_end(&w);
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("instances", test_unreachable, test_rows_of_others, test_two_instances, test_draining,
	      test_transport_switched, test_not_initialized, test_no_row)
