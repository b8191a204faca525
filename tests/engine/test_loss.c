/*
 * What is lost on the way: an app-server that dies at every step, an answer that comes late or
 * never, a context that closes in the middle, a machine that was started again. However it goes,
 * the operation ends, and a turn of which there is evidence is never sent again.
 */
#include "engine_env.h"
#include "runtime/process.h"

struct death {
	const char *variable, *method, *drop;
	const char *status, *reason;
	int asked; /* turn/start */
};

static const struct death deaths[] = {
	/* nothing has run: it is sent again */
	{ "CCP_FAKE_DIE_BEFORE", "initialize", NULL, "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_AFTER", "initialize", NULL, "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_BEFORE", "thread/start", NULL, "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_AFTER", "thread/start", NULL, "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_BEFORE", "turn/start", NULL, "completed", NULL, 2 },
	/* it has run and was cut */
	{ "CCP_FAKE_DIE_AFTER", "turn/start", NULL, "interrupted", "app_server_exit", 1 },
	{ "CCP_FAKE_DIE_AFTER", "turn/start", "turn/start", "interrupted", "app_server_exit", 1 },
	{ "CCP_FAKE_DIE_BEFORE", "turn/started", NULL, "interrupted", "app_server_exit", 1 },
	{ "CCP_FAKE_DIE_AFTER", "item/agentMessage/delta", NULL, "interrupted", "app_server_exit",
	  1 },
	/* it had ended, whether we heard of it or not */
	{ "CCP_FAKE_DIE_BEFORE", "turn/completed", NULL, "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_BEFORE", "turn/completed", "turn/start", "completed", NULL, 1 },
	{ "CCP_FAKE_DIE_AFTER", "turn/completed", NULL, "completed", NULL, 1 },
};

static void check_death(struct engine_env *e, const struct death *death, const char *op)
{
	struct codexcp *cp = e->open[0];
	json_auto_t *status = env_status(cp, op);
	_cleanup_free_ char *text = json_dumps(status, JSON_INDENT(1));
	const json_t *report = json_object_get(status, "finalReport");

	ck_assert_msg(ccp_streq(ccp_json_str(status, "status"), death->status) &&
			      ccp_streq(ccp_json_str(status, "reason"), death->reason) &&
			      env_count(e, "turn/start") == death->asked &&
			      env_count(e, "running-turns") == 1,
		      "%s=%s: %d turn/start, %d turns, %s", death->variable, death->method,
		      env_count(e, "turn/start"), env_count(e, "running-turns"), text);
	if (ccp_streq(death->status, "completed"))
		ck_assert_msg(strstr(ccp_json_str(report, "text"), "fake report"), "%s", text);
}

/* All side by side, as each of them spends its time waiting. */
START_TEST(test_death_of_app_server)
{
	struct engine_env e[CCP_ARRAY_SIZE(deaths)];
	char *ops[CCP_ARRAY_SIZE(deaths)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(deaths); i++) {
		env_setup(&e[i]);
		env_set(&e[i], "CCP_FAKE_TURN_MS", "50");
		env_set(&e[i], deaths[i].variable, deaths[i].method);
		env_set(&e[i], "CCP_FAKE_DROP", deaths[i].drop);
		ops[i] = env_submit(&e[i], env_open(&e[i], CODEXCP_MODE_INLINE), NULL);
	}
	env_end_all(e, CCP_ARRAY_SIZE(deaths));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(deaths); i++) {
		check_death(&e[i], &deaths[i], ops[i]);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

/* The answer to turn/start never comes: what runs is found, and not sent again. */
struct late {
	const char *drop, *turn_ms, *script;
};

static const struct late lates[] = {
	/* still running when it is looked for */
	{ "turn/start", "1500", "" },
	/* it ended meanwhile, and that was not heard either */
	{ "turn/start", "100", "garble turn/completed\n" },
	/* not there at the first look */
	{ NULL, "100", "expect turn/start\ndelay 1500\ndefault\n" },
};

START_TEST(test_late_answer)
{
	struct engine_env e[CCP_ARRAY_SIZE(lates)];
	char *ops[CCP_ARRAY_SIZE(lates)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(lates); i++) {
		env_setup(&e[i]);
		env_set(&e[i], "CCP_FAKE_DROP", lates[i].drop);
		env_set(&e[i], "CCP_FAKE_TURN_MS", lates[i].turn_ms);
		env_script(&e[i], lates[i].script);
		ops[i] = env_submit(&e[i], env_open(&e[i], CODEXCP_MODE_INLINE),
				    json_pack("{s:i}", "timeout_seconds", 1));
	}
	env_end_all(e, CCP_ARRAY_SIZE(lates));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(lates); i++) {
		env_ends(&e[i], e[i].open[0], ops[i], "completed", NULL);
		ck_assert_int_eq(env_count(&e[i], "turn/start"), 1);
		ck_assert_int_eq(env_count(&e[i], "running-turns"), 1);
		ck_assert_int_eq(env_count(&e[i], "initialize"), 1);
		ck_assert_int_ge(env_count(&e[i], "thread/resume"), 1);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

/* Neither answered nor done, by a process that lives on: it may still be done, so it is only looked
 * for. */
START_TEST(test_never_answered)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	env_wait_count(&e, "thread/resume", 4);
	status = env_status(cp, op);
	env_is(status, "phase", "looking_up");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "attemptCount")), 1);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	env_teardown(&e);
}
END_TEST

/* thread/start is not answered: after three attempts it is given up, with the reason. */
START_TEST(test_thread_never_answered)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_DROP", "thread/start");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	env_is(json_object_get(status, "error"), "code", "CODEX_TIMEOUT");
	ck_assert_int_eq(env_count(&e, "thread/start"), 3);
	ck_assert_int_eq(env_count(&e, "turn/start"), 0);
	env_teardown(&e);
}
END_TEST

/* The context is closed at a step; the next one takes the operation over. */
struct closing {
	const char *script, *method, *phase, *status, *reason;
	int asked; /* turn/start */
};

static const struct closing closings[] = {
	{ "once\nexpect initialize\nawait never\n", "initialize", "claimed", "completed", NULL, 1 },
	{ "once\nexpect thread/start\nawait never\n", "thread/start", "thread_start_sent",
	  "completed", NULL, 1 },
	{ "once\nexpect turn/start\nawait never\n", "turn/start", "turn_start_sent", "completed",
	  NULL, 2 },
	{ "once\nexpect turn/start\ndefault\nawait never\n", "turn/start", "running", "interrupted",
	  "app_server_exit", 1 },
};

/* Both lives of one operation. */
static char *close_and_open(struct engine_env *e, const struct closing *closing)
{
	struct codexcp *cp;
	char *op;

	env_setup(e);
	env_script(e, closing->script);
	env_set(e, "CCP_FAKE_TURN_MS", closing->reason ? "-1" : NULL);
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	env_reach(e, cp, op, "phase", closing->phase);
	env_wait_count(e, closing->method, 1);
	env_close(e, cp);
	env_open(e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(e->open[0]);
	return op;
}

START_TEST(test_closed_in_the_middle)
{
	struct engine_env e[CCP_ARRAY_SIZE(closings)];
	char *ops[CCP_ARRAY_SIZE(closings)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(closings); i++)
		ops[i] = close_and_open(&e[i], &closings[i]);
	env_end_all(e, CCP_ARRAY_SIZE(closings));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(closings); i++) {
		const struct closing *closing = &closings[i];

		env_ends(&e[i], e[i].open[0], ops[i], closing->status, closing->reason);
		ck_assert_int_eq(env_count(&e[i], "turn/start"), closing->asked);
		ck_assert_int_eq(env_count(&e[i], "running-turns"), 1);
		ck_assert_int_eq(env_number(&e[i], "SELECT attempt FROM operations"), 1);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

static void restart_machine(const struct engine_env *e)
{
	db_exec(e->state_db, "UPDATE app_servers SET boot_id = 'an earlier one';"
			     "UPDATE operations SET boot_id = 'an earlier one'");
}

/* After a power loss the history itself may be gone: only what cannot write is sent again. */
static void lose_power(bool writes)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_script(&e, "once\nexpect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp,
			json_pack("{s:s}", "sandbox", writes ? "workspace-write" : "read-only"));
	env_wait_count(&e, "turn/start", 1);
	env_close(&e, cp);
	restart_machine(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	if (writes)
		env_ends(&e, cp, op, "unknown_after_app_server_exit", "power_loss");
	else
		env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), writes ? 1 : 2);
	env_teardown(&e);
}

START_TEST(test_power_loss)
{
	lose_power(false);
	lose_power(true);
}
END_TEST

/* The thread is read-only, the turn was to write: what counts is what was sent. */
START_TEST(test_power_loss_of_a_message)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *op = NULL;
	json_auto_t *done = NULL;

	env_setup(&e);
	env_script(&e, "once\nexpect turn/start\ndefault\nexpect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, json_pack("{s:s}", "sandbox", "read-only"));
	done = env_end(&e, cp, first);
	op = env_submit(&e, cp,
			json_pack("{s:s, s:O, s:n, s:s}", "operation_type", "send_message",
				  "thread_id", json_object_get(done, "threadId"), "cwd", "sandbox",
				  "workspace-write"));
	env_wait_count(&e, "turn/start", 2);
	env_close(&e, cp);
	restart_machine(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_ends(&e, cp, op, "unknown_after_app_server_exit", "power_loss");
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* Codex killed between making the file of a thread and its first record: that file stays empty for
 * ever. */
#define EMPTY                                                                                      \
	"expect thread/resume\nerror -32603 failed to read thread: thread-store internal error: "  \
	"failed to read session metadata /r.jsonl: rollout at /r.jsonl is empty\n"

START_TEST(test_empty_rollout)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_script(&e, "once\nexpect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);
	env_close(&e, cp);
	env_script(&e, EMPTY EMPTY EMPTY EMPTY);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_le(env_count(&e, "thread/resume"), 3);
	ck_assert_int_eq(env_count(&e, "thread/start"), 2);
	ck_assert_int_eq(env_count(&e, "running-turns"), 1);
	env_teardown(&e);
}
END_TEST

/* The thread is open in another process of Codex. It waits, and uses up nothing. */
START_TEST(test_open_elsewhere)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL, *path = NULL;
	json_auto_t *done = NULL, *waiting = NULL;
	int lock = -1;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	done = env_end(&e, cp, first);
	env_close(&e, cp);
	path = ccp_asprintf("%s/%s.lock", e.threads, ccp_json_str(done, "threadId"));
	ck_assert_int_eq(ccp_lock_try(path, &lock, NULL), 1);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	second = env_submit(&e, cp,
			    json_pack("{s:s, s:O, s:n}", "operation_type", "send_message",
				      "thread_id", json_object_get(done, "threadId"), "cwd"));
	waiting = env_wait(&e, cp, second, "queuedReason", "thread_open_elsewhere");
	ck_assert_int_eq(json_integer_value(json_object_get(waiting, "attemptCount")), 0);
	/* It is tried again and again, more often than there are attempts. */
	env_wait_count(&e, "thread/resume", 4);
	close(lock);
	env_ends(&e, cp, second, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT max(attempt) FROM operations"), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("loss", test_death_of_app_server, test_late_answer, test_never_answered,
	      test_thread_never_answered, test_closed_in_the_middle, test_power_loss,
	      test_power_loss_of_a_message, test_empty_rollout, test_open_elsewhere)
