/*
 * While a connection is lost, and while one is left: what cannot be sent goes back and costs
 * nothing, nothing is begun any more, and no thread stays loaded for nobody.
 */
#include <signal.h>

#include "base/clock.h"
#include "worker_env.h"

/* It says that it has begun a turn, and does not do it. */
#define PRETEND                                                                                    \
	"expect turn/start threadId\n"                                                             \
	"reply {\"turn\":{\"id\":\"pretended\",\"items\":[],\"status\":\"inProgress\"}}\n"

static int64_t events(const struct engine_env *e, const char *event)
{
	_cleanup_free_ char *sql = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE data ->> 'event' = '%s'", event);

	return env_number(e, sql);
}

static void wait_event(struct engine_env *e, const char *event, int times)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (events(e, event) < times) {
		ck_assert_msg(env_now_ms() < until, "%s did not come %d times", event, times);
		env_step(e);
	}
}

static void interrupt_now(struct codexcp *cp, const char *op)
{
	json_decref(env_call(cp, "codex_interrupt_turn",
			     json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 1)));
}

/* What is to be sent stands in the database only after the connection has gone: nobody else writes
 * it down before. */

struct unsent {
	const char *script;
	const char *method; /* its answer is the last that comes */
	const char *event;  /* what not sending it came to, */
	int events;         /* beside the loss itself */
};

static const struct unsent unsents[] = {
	{ "once\nexpect initialize\nawait locked\ndefault\nexpect initialized\ndisconnect\n"
	  "expect initialize\nawait unlocked\ndefault\n",
	  "initialize", "app_server_unavailable", 1 },
	{ "once\nexpect thread/start\nawait locked\ndefault\ndisconnect\n"
	  "expect initialize\nawait unlocked\ndefault\n",
	  "thread/start", "connection_lost", 2 },
};

/* Until the connection is lost, with nothing of it in the database. Its operation. */
static char *lose_before_sending(struct engine_env *e, const struct unsent *unsent,
				 sqlite3 **ret_lock)
{
	int before = ccp_streq(unsent->method, "initialize") ? 0 : 1;
	struct codexcp *cp;
	char *op;

	env_setup_unix(e, unsent->script);
	env_set(e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	env_wait_count(e, unsent->method, 1);
	*ret_lock = db_lock(e->state_db);
	env_go(e, "locked");
	while (env_count(e, "initialize") < 2)
		env_step(e);
	ck_assert_int_eq(env_count(e, "thread/start"), before);
	return op;
}

START_TEST(test_not_sent)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(unsents); i++) {
		struct engine_env e;
		sqlite3 *lock;
		_cleanup_free_ char *op = lose_before_sending(&e, &unsents[i], &lock);

		db_unlock(lock);
		wait_event(&e, unsents[i].event, unsents[i].events);
		ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
		env_go(&e, "unlocked");
		env_ends(&e, e.open[0], op, "completed", NULL);
		ck_assert_int_eq(env_count(&e, "turn/start"), 1);
		ck_assert_int_eq(env_number(&e, "SELECT attempt FROM operations"), 1);
		env_teardown(&e);
	}
}
END_TEST

/* It may not be sent either, and that comes to be known when the connection is being looked after
 * already: this is no verdict of the look. */
START_TEST(test_refused_while_lost)
{
	struct engine_env e;
	sqlite3 *lock;
	_cleanup_free_ char *op = lose_before_sending(&e, &unsents[1], &lock);

	ck_assert_int_eq(rmdir(e.project), 0);
	db_unlock(lock);
	env_reach(&e, e.open[0], op, "phase", "looking_up");
	env_go(&e, "unlocked");
	env_ends(&e, e.open[0], op, "failed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 0);
	env_teardown(&e);
}
END_TEST

/* One app-server that cannot be started puts back what waited for it, not what is claimed after
 * that. */
START_TEST(test_put_back_once)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[3];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL", "1");
	env_set(&e, "CCP_FAKE_DIE_BEFORE", "initialize");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp, NULL);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++) {
		env_ends(&e, cp, ops[i], "completed", NULL);
		free(ops[i]);
	}
	ck_assert_int_eq(events(&e, "app_server_unavailable"), 1);
	env_teardown(&e);
}
END_TEST

/* The model has begun to answer the first that tries after the limit, and that is enough. */
START_TEST(test_answer_begins)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL, *script = NULL;

	env_setup(&e);
	script = ccp_asprintf(
		"expect turn/start\ndefault\nnotify {\"method\":\"account/rateLimits/updated\","
		"\"params\":{\"rateLimits\":{\"limitId\":\"codex\",\"primary\":{\"usedPercent\":"
		"100,\"windowDurationMins\":300,\"resetsAt\":%lld},\"secondary\":null}}}\n"
		"fail {\"message\":\"Limit.\",\"codexErrorInfo\":\"usageLimitExceeded\","
		"\"additionalDetails\":null}\n" PRETEND
		"notify {\"method\":\"item/started\",\"params\":{\"threadId\":$threadId,"
		"\"turnId\":\"pretended\",\"startedAtMs\":1,"
		"\"item\":{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[],\"content\":[]}}}\n",
		(long long)(ccp_clock_wall(ccp_clock_system()) / 1000 + 2));
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	env_reach(&e, cp, first, "phase", "waiting_for_quota");
	second = env_submit(&e, cp, NULL);
	env_ends(&e, cp, second, "completed", NULL);
	ck_assert_int_eq(events(&e, "quota_passed"), 1);
	env_reach(&e, cp, first, "phase", "running");
	env_teardown(&e);
}
END_TEST

static void wait_stalled(struct engine_env *e, int times)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (events(e, "stalled") < times ||
	       !env_number(e, "SELECT stalled_at FROM operations")) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
}

/* Stalled, lost, found again, and stalled again: that is told again. */
START_TEST(test_stalled_again)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "once\nexpect turn/start\ndefault\nawait cut\ndisconnect\n"
			   "expect thread/resume\ndefault\nawait end\nfinish\n");
	env_set(&e, "CODEX_MCP_TURN_CHECK_SECONDS", "1");
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	wait_stalled(&e, 1);
	env_go(&e, "cut");
	wait_stalled(&e, 2);
	env_go(&e, "end");
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* Looking for work is none: an app-server that has nothing to do is stopped, however often others
 * write. */
START_TEST(test_idle_among_writers)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_APP_SERVER_IDLE_SECONDS", "2");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	while (!env_number(&e, "SELECT ended_at FROM app_servers")) {
		ck_assert_int_lt(env_now_ms(), until);
		db_exec(e.state_db, "UPDATE operations SET updated_at = updated_at + 1");
		env_step(&e);
	}
	env_teardown(&e);
}
END_TEST

/* Leaving */

static struct codexcp *go_on(struct engine_env *e)
{
	struct codexcp *cp = env_open(e, CODEXCP_MODE_INLINE);

	codexcp_look_for_work(cp);
	return cp;
}

/* What comes to be known after an inline context has left starts nothing: the turn that it has left
 * to its app-server runs on. */
START_TEST(test_left)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server;
	sqlite3 *lock;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "once\nexpect turn/start\ndefault\nawait drop\ndisconnect\n"
			   "await end\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	server = env_server(&e);
	lock = db_lock(e.state_db);
	env_go(&e, "drop");
	env_wait_count(&e, "initialized", 2);
	codexcp_drain(cp);
	for (int i = 0; i < 3; i++)
		env_step(&e);
	db_unlock(lock);
	env_reach(&e, cp, op, "phase", "looking_up");
	/* As many passes as it would take to start another in its place. */
	for (int i = 0; i < 10; i++)
		env_step(&e);
	ck_assert_int_eq(ccp_process_check(&server), CCP_PROCESS_ALIVE);
	ck_assert_int_eq(env_count(&e, "initialize"), 2);
	env_close(&e, cp);
	env_go(&e, "end");
	env_ends(&e, go_on(&e), op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	env_teardown(&e);
}
END_TEST

/* Told once to end: a second time would mean at once. */
START_TEST(test_stopped_once)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "term log\nexpect thread/start\nawait interrupted\ndefault\ndelay 300\n"
			   "die 0\n");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "thread/start", 1);
	ck_assert_int_eq(kill(w.pid, SIGTERM), 0);
	env_wait_count(&e, "SIGTERM", 1);
	interrupt_now(cp, op);
	env_reach(&e, cp, op, "status", "interrupted");
	env_go(&e, "interrupted");
	ck_assert_int_eq(worker_await_exit(&w), 0);
	ck_assert_int_eq(env_count(&e, "SIGTERM"), 1);
	env_teardown(&e);
}
END_TEST

/* Who waits for the account's limit has no turn: no app-server that is unwanted is kept for it. */
START_TEST(test_waiting_is_no_turn)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	struct ccp_process_id server;
	_cleanup_free_ char *op = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_setup_unix(&e, "expect turn/start\ndefault\nfail {\"message\":\"Limit.\","
			   "\"codexErrorInfo\":\"usageLimitExceeded\","
			   "\"additionalDetails\":null}\n");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	w = worker_start(&e);
	worker_await_ready(&w);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "waiting_for_quota");
	server = env_server(&e);
	worker_kill(&w);
	env_close(&e, cp);
	env_set(&e, "CODEX_MCP_APP_SERVER_TRANSPORT", "stdio");
	cp = go_on(&e);
	while (!env_number(&e, "SELECT ended_at FROM app_servers")) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	env_await_dead(&e, &server);
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	env_reach(&e, cp, op, "phase", "waiting_for_quota");
	env_teardown(&e);
}
END_TEST

/* Threads that came too late */

static void wait_let_go(struct engine_env *e, int count)
{
	env_wait_count(e, "thread/unsubscribe", count);
}

/* Interrupted while its thread is made. */
START_TEST(test_thread_of_interrupted)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *gone = NULL;

	env_setup(&e);
	env_script(&e, "expect thread/start\nawait interrupted\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "thread/start", 1);
	interrupt_now(cp, op);
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	env_go(&e, "interrupted");
	wait_let_go(&e, 1);
	gone = env_logged(&e, "thread/unsubscribe", 0);
	ck_assert_ptr_nonnull(ccp_json_str(gone, "threadId"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 0);
	env_teardown(&e);
}
END_TEST

/* Made so late that another was asked for: that one is used, and each let go of once. */
START_TEST(test_thread_of_late_answer)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *start = NULL, *used = NULL, *late = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect thread/start\nawait late\ndefault\nawait end\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	env_reach(&e, cp, op, "phase", "running");
	env_go(&e, "late");
	wait_let_go(&e, 1);
	env_go(&e, "end");
	env_ends(&e, cp, op, "completed", NULL);
	wait_let_go(&e, 2);
	start = env_logged(&e, "turn/start", 0);
	late = env_logged(&e, "thread/unsubscribe", 0);
	used = env_logged(&e, "thread/unsubscribe", 1);
	env_is(used, "threadId", ccp_json_str(start, "threadId"));
	ck_assert_str_ne(ccp_json_str(late, "threadId"), ccp_json_str(start, "threadId"));
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("lost", test_not_sent, test_refused_while_lost, test_put_back_once,
	      test_answer_begins, test_stalled_again, test_idle_among_writers, test_left,
	      test_stopped_once, test_waiting_is_no_turn, test_thread_of_interrupted,
	      test_thread_of_late_answer)
