/*
 * Interrupting at every step: what has not begun ends at once, what runs is stopped in Codex, and
 * only the operation's own turn.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "engine_env.h"
#include "runtime/process.h"

static json_t *interrupt(struct codexcp *cp, const char *op)
{
	return env_call(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op));
}

/* Ended by the wish, and asking again changes nothing. */
static void check_interrupted(struct engine_env *e, struct codexcp *cp, const char *op)
{
	json_auto_t *again = interrupt(cp, op);

	ck_assert(json_is_true(json_object_get(again, "interrupted")));
	env_ends(e, cp, op, "interrupted", "interrupted_by_request");
}

START_TEST(test_queued)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *other = NULL;
	json_auto_t *answer = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	answer = interrupt(cp, op);
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	check_interrupted(&e, cp, op);
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	other = env_submit(&e, cp, NULL);
	env_ends(&e, cp, other, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* app-server is held at a step before the turn: it ends at once, and nothing of it is sent
 * afterwards. */
struct early {
	const char *script, *phase;
	int threads; /* thread/start in the end, of both operations */
};

static const struct early earlies[] = {
	{ "once\nexpect initialize\nawait go\ndefault\n", "claimed", 1 },
	{ "once\nexpect thread/start\nawait go\ndefault\n", "thread_start_sent", 2 },
};

START_TEST(test_starting)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(earlies); i++) {
		_cleanup_free_ char *op = NULL, *other = NULL;
		json_auto_t *answer = NULL, *start = NULL;
		struct engine_env e;
		struct codexcp *cp;

		env_setup(&e);
		env_script(&e, earlies[i].script);
		cp = env_open(&e, CODEXCP_MODE_INLINE);
		op = env_submit(&e, cp, NULL);
		env_reach(&e, cp, op, "phase", earlies[i].phase);
		answer = interrupt(cp, op);
		env_is(answer, "status", "interrupted");
		other = env_submit(&e, cp, NULL);
		env_go(&e, "go");
		env_ends(&e, cp, other, "completed", NULL);
		check_interrupted(&e, cp, op);
		start = env_logged(&e, "turn/start", 0);
		env_is(start, "clientUserMessageId", other);
		ck_assert_int_eq(env_count(&e, "turn/start"), 1);
		ck_assert_int_eq(env_count(&e, "thread/start"), earlies[i].threads);
		env_teardown(&e);
	}
}
END_TEST

/* The turn may be running: the wish is kept until Codex has said so, then the turn is stopped. */
START_TEST(test_turn_sent)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL;
	json_auto_t *waiting = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);
	env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op), &answer);
	waiting = env_wait(&e, cp, op, "phase", "turn_start_sent");
	while (env_number(&e, "SELECT interrupt_at FROM operations") == 0)
		env_step(&e);
	ck_assert_int_eq(answer.answers, 0);
	env_go(&e, "go");
	ck_assert(json_is_true(json_object_get(env_answered(&e, &answer), "interrupted")));
	check_interrupted(&e, cp, op);
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* Lost, being looked for, and unwanted: it is found, and stopped. */
START_TEST(test_looking_up)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_set(&e, "CCP_FAKE_DROP", "turn/start");
	env_script(&e, "expect thread/resume\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	env_reach(&e, cp, op, "phase", "looking_up");
	env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op), &answer);
	while (env_number(&e, "SELECT interrupt_at FROM operations") == 0)
		env_step(&e);
	env_go(&e, "go");
	ck_assert(json_is_true(json_object_get(env_answered(&e, &answer), "interrupted")));
	check_interrupted(&e, cp, op);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* Written by another context while the worker does nothing. */
static void ask_client(struct engine_env *e, const char *op, struct env_answer *answer)
{
	struct codexcp *client = env_open(e, CODEXCP_MODE_CLIENT);

	env_ask(client, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op), answer);
	while (env_number(e, "SELECT count(*) FROM commands") == 0) {
		struct pollfd fd = { .fd = codexcp_fd(client), .events = POLLIN };

		poll(&fd, 1, e->step_ms);
		codexcp_dispatch(client);
	}
}

/* The turn ran when the wish was written; when the worker reads it app-server is no more. */
START_TEST(test_app_server_restarts)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	struct ccp_process_id server = { 0 };
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	ck_assert_int_eq(
		ccp_process_identify(env_number(&e, "SELECT pid FROM app_servers"), &server, NULL),
		0);
	ask_client(&e, op, &answer);
	ck_assert_int_eq(kill(server.pid, SIGKILL), 0);
	while (ccp_process_check(&server) == CCP_PROCESS_ALIVE)
		sched_yield();
	ck_assert(json_is_true(json_object_get(env_answered(&e, &answer), "interrupted")));
	check_interrupted(&e, cp, op);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* It dies of being asked. */
START_TEST(test_app_server_dies)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_set(&e, "CCP_FAKE_DIE_BEFORE", "turn/interrupt");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	check_interrupted(&e, cp, op);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* Codex never answers the first: the second does not wait for that. */
START_TEST(test_side_by_side)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answers[2];
	char *ops[2];

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/interrupt\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++) {
		ops[i] = env_submit(&e, cp, NULL);
		env_reach(&e, cp, ops[i], "phase", "running");
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", ops[i]),
			&answers[i]);
	ck_assert(json_is_true(json_object_get(env_answered(&e, &answers[1]), "interrupted")));
	ck_assert_int_eq(answers[0].answers, 0);
	check_interrupted(&e, cp, ops[1]);
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 2);
	env_answer_done(&answers[1]);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

START_TEST(test_running)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *other = NULL;
	json_auto_t *running = NULL, *answer = NULL, *sent = NULL, *neighbour = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	other = env_submit(&e, cp, NULL);
	running = env_wait(&e, cp, op, "phase", "running");
	env_reach(&e, cp, other, "phase", "running");
	/* By thread and turn. */
	answer = env_call(cp, "codex_interrupt_turn",
			  json_pack("{s:O, s:O}", "thread_id", json_object_get(running, "threadId"),
				    "turn_id", json_object_get(running, "turnId")));
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	env_is(answer, "operationId", op);
	check_interrupted(&e, cp, op);
	sent = env_logged(&e, "turn/interrupt", 0);
	ck_assert(json_equal(json_object_get(sent, "turnId"), json_object_get(running, "turnId")));
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 1);
	neighbour = env_status(cp, other);
	env_is(neighbour, "phase", "running");
	env_teardown(&e);
}
END_TEST

/* Twice at the same time: both are answered, with one end. */
START_TEST(test_twice)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answers[2];
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(answers); i++)
		env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op),
			&answers[i]);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(answers); i++) {
		json_t *answer = env_answered(&e, &answers[i]);

		ck_assert(json_is_true(json_object_get(answer, "interrupted")));
		env_answer_done(&answers[i]);
	}
	check_interrupted(&e, cp, op);
	env_teardown(&e);
}
END_TEST

/* Codex says that no turn runs: it has ended, and its end was lost on the way. */
START_TEST(test_end_was_lost)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *answer = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nexpect turn/interrupt\ngarble turn/completed\n"
		       "finish\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	answer = interrupt(cp, op);
	env_is(answer, "status", "completed");
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* Codex refuses: the caller hears why, the operation goes on. */
START_TEST(test_refused)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *answer = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/interrupt\nerror -32603 not today\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	answer = env_call_fails(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op),
				"CODEX_SEND_FAILED");
	ck_assert_ptr_nonnull(
		strstr(ccp_json_str(json_object_get(answer, "error"), "message"), "not today"));
	json_decref(interrupt(cp, op));
	check_interrupted(&e, cp, op);
	env_teardown(&e);
}
END_TEST

START_TEST(test_nothing_to_interrupt)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *answer = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	answer = interrupt(cp, op);
	ck_assert(json_is_false(json_object_get(answer, "interrupted")));
	env_is(answer, "status", "completed");
	json_decref(env_call_fails(cp, "codex_interrupt_turn", NULL, "INVALID_ARGUMENT"));
	json_decref(env_call_fails(cp, "codex_interrupt_turn",
				   json_pack("{s:s}", "operation_id", "none"), "INVALID_ARGUMENT"));
	json_decref(env_call_fails(cp, "codex_interrupt_turn",
				   json_pack("{s:s, s:s}", "thread_id", "t", "turn_id", "u"),
				   "CODEX_TURN_NOT_FOUND"));
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 0);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("interrupts", test_queued, test_starting, test_turn_sent, test_looking_up,
	      test_app_server_restarts, test_app_server_dies, test_side_by_side, test_running,
	      test_twice, test_end_was_lost, test_refused, test_nothing_to_interrupt)
