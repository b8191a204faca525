/*
 * Leaving in order: what runs on a socket is left to run, what would end with us gets its time, and
 * no app-server stays behind without a turn.
 */
#include <poll.h>
#include <signal.h>

#include "base/file.h"
#include "runtime/socket.h"
#include "worker_env.h"

/* Nothing that has to wait for a turn is that quick. */
#define AT_ONCE_MS 8000

static void set_up(struct engine_env *e, const char *transport, const char *turn_ms)
{
	env_setup(e);
	env_set(e, "CODEX_MCP_APP_SERVER_TRANSPORT", transport);
	env_set(e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	env_set(e, "CCP_FAKE_TURN_MS", turn_ms);
}

static void await_death(const struct ccp_process_id *id)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (!ccp_process_is_gone(id)) {
		ck_assert_int_lt(env_now_ms(), until);
		poll(NULL, 0, 5);
	}
}

/* Until the worker has logged this. */
static void await_log(const struct engine_env *e, const char *words)
{
	_cleanup_free_ char *path = env_path(e, "worker.log");
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	for (;;) {
		_cleanup_free_ char *text = NULL;

		if (ccp_file_read(path, 1 << 20, &text, NULL, NULL) == 1 && strstr(text, words))
			return;
		ck_assert_int_lt(env_now_ms(), until);
		poll(NULL, 0, 5);
	}
}

/* Whether anybody listens on the app-server's socket. */
static bool is_listening(const struct engine_env *e)
{
	_cleanup_free_ char *dir = env_run_dir(e);
	_cleanup_close_ int fd = ccp_socket_connect(dir, "app.sock", NULL);

	return fd >= 0;
}

/* A worker whose turn runs. */
static struct worker work(struct engine_env *e, char **ret_op)
{
	struct codexcp *cp = env_open(e, CODEXCP_MODE_CLIENT);
	struct worker w = worker_start(e);

	worker_await_ready(&w);
	*ret_op = env_submit(e, cp, NULL);
	env_reach(e, cp, *ret_op, "phase", "running");
	return w;
}

static struct codexcp *go_on_inline(struct engine_env *e)
{
	struct codexcp *cp;

	env_close(e, e->open[0]);
	cp = env_open(e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	return cp;
}

START_TEST(test_turn_on_socket)
{
	struct engine_env e;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;
	int64_t begin;

	set_up(&e, "unix", "-1");
	env_set(&e, "CODEX_MCP_WORKER_DRAIN_SECONDS", "60");
	env_script(&e, "once\nexpect turn/start\ndefault\nexpect thread/resume\ndefault\nfinish\n");
	w = work(&e, &op);
	server = env_server(&e);
	begin = env_now_ms();
	worker_end(&w);
	ck_assert_int_lt(env_now_ms() - begin, AT_ONCE_MS);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	db_expect(e.state_db, "SELECT draining, ended_at FROM app_servers", "0|0\n");
	env_ends(&e, go_on_inline(&e), op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	env_teardown(&e);
}
END_TEST

/* On stdio the turn gets its time. */
START_TEST(test_drain)
{
	struct engine_env e;
	struct worker w;
	_cleanup_free_ char *op = NULL;

	set_up(&e, "stdio", "-1");
	env_set(&e, "CODEX_MCP_WORKER_DRAIN_SECONDS", "60");
	env_script(&e, "once\nexpect turn/start\ndefault\nawait end\nfinish\n");
	w = work(&e, &op);
	ck_assert_int_eq(kill(w.pid, SIGTERM), 0);
	env_go(&e, "end");
	env_ends(&e, e.open[0], op, "completed", NULL);
	ck_assert_int_eq(worker_await_exit(&w), 0);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers WHERE ended_at = 0"), 0);
	env_teardown(&e);
}
END_TEST

/* It does not end in time, or the worker is told twice: it is cut, and that is told. */
static void cut_turn(const char *drain, int signals)
{
	struct engine_env e;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;
	int64_t begin;

	set_up(&e, "stdio", "-1");
	env_set(&e, "CODEX_MCP_WORKER_DRAIN_SECONDS", drain);
	w = work(&e, &op);
	server = env_server(&e);
	begin = env_now_ms();
	for (int i = 0; i < signals; i++) {
		ck_assert_int_eq(kill(w.pid, SIGTERM), 0);
		/* Two that are pending at once are one. */
		await_log(&e, "leaving");
	}
	ck_assert_int_eq(worker_await_exit(&w), 0);
	ck_assert_int_lt(env_now_ms() - begin, AT_ONCE_MS);
	await_death(&server);
	env_ends(&e, go_on_inline(&e), op, "interrupted", "app_server_exit");
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	env_teardown(&e);
}

START_TEST(test_drain_too_short)
{
	cut_turn("1", 1);
}
END_TEST

START_TEST(test_told_twice)
{
	cut_turn("60", 2);
}
END_TEST

/* Nothing runs yet: nothing is waited for, and nothing stays. */
static void leave_at_start(const char *transport, const char *script, const char *method)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	_cleanup_free_ char *op = NULL;
	int64_t begin;

	set_up(&e, transport, "0");
	env_set(&e, "CODEX_MCP_WORKER_DRAIN_SECONDS", "60");
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, method, 1);
	begin = env_now_ms();
	worker_end(&w);
	ck_assert_int_lt(env_now_ms() - begin, AT_ONCE_MS);
	ck_assert(!is_listening(&e));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers WHERE ended_at = 0"), 0);
	env_ends(&e, go_on_inline(&e), op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}

START_TEST(test_app_server_starts)
{
	leave_at_start("unix", "once\nexpect initialize\nawait never\n", "initialize");
	leave_at_start("stdio", "once\nexpect initialize\nawait never\n", "initialize");
	leave_at_start("unix", "once\nexpect thread/start\nawait never\n", "thread/start");
	leave_at_start("stdio", "once\nexpect thread/start\nawait never\n", "thread/start");
}
END_TEST

/* Attached to, or only on the way to it: what runs there is not cut. */
START_TEST(test_told_while_attaching)
{
	struct engine_env e;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;

	set_up(&e, "unix", "-1");
	env_script(&e, "once\nexpect turn/start\ndefault\nexpect initialize\nawait told\ndefault\n"
		       "finish\n");
	w = work(&e, &op);
	server = env_server(&e);
	worker_kill(&w);
	w = worker_start(&e);
	worker_await_ready(&w);
	env_wait_count(&e, "initialize", 2);
	worker_end(&w);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	db_expect(e.state_db, "SELECT draining, ended_at FROM app_servers", "0|0\n");
	env_go(&e, "told");
	env_ends(&e, go_on_inline(&e), op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* The connection is lost, and nothing runs: it is ended without one. */
START_TEST(test_idle_and_unreachable)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL, *path = NULL;

	set_up(&e, "unix", "0");
	env_script(&e, "once\nexpect thread/unsubscribe\ndefault\nawait drop\ndisconnect\n");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	server = env_server(&e);
	path = env_path(&e, "state/state.sqlite3.run/app.sock");
	ck_assert_int_eq(unlink(path), 0);
	env_go(&e, "drop");
	await_log(&e, "cannot be reached");
	worker_end(&w);
	await_death(&server);
	env_teardown(&e);
}
END_TEST

/* An idle worker takes its app-server with it. */
START_TEST(test_idle)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;

	set_up(&e, "unix", "0");
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	server = env_server(&e);
	env_close(&e, cp);
	ck_assert_int_eq(worker_await_exit(&w), 0);
	env_await_dead(&e, &server);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers "
					"WHERE draining = 0 AND ended_at > 0"),
			 1);
	env_teardown(&e);
}
END_TEST

/* An app-server that is idle after its connection was lost and made again is stopped, too. */
START_TEST(test_idle_after_reconnect)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;

	set_up(&e, "unix", "0");
	env_set(&e, "CODEX_MCP_APP_SERVER_IDLE_SECONDS", "3");
	/* Later than the look at the database that follows a change of it. */
	env_script(&e, "once\nexpect thread/unsubscribe\ndefault\ndelay 1500\ndisconnect\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	server = env_server(&e);
	env_wait_count(&e, "initialized", 2);
	for (int64_t until = env_now_ms() + ENV_PATIENCE_MS; !ccp_process_is_gone(&server);) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	env_teardown(&e);
}
END_TEST

/* An inline context is closed: with a turn its app-server stays, without it does not. */
START_TEST(test_inline)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;

	set_up(&e, "unix", "-1");
	env_script(&e, "once\nexpect turn/start\ndefault\nexpect thread/resume\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	server = env_server(&e);
	cp = go_on_inline(&e);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_close(&e, cp);
	await_death(&server);
	db_expect(e.state_db, "SELECT draining FROM app_servers", "1\n");
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("leaving", test_turn_on_socket, test_drain, test_drain_too_short, test_told_twice,
	      test_app_server_starts, test_told_while_attaching, test_idle_and_unreachable,
	      test_idle, test_idle_after_reconnect, test_inline)
