/*
 * Contexts: waiting in them, driving them, several on one database, and on whose behalf they are
 * called.
 */
#include <poll.h>

#include "engine_env.h"

static json_t *wait_arguments(const char *op, int seconds)
{
	return json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", seconds);
}

static const char *waited(const json_t *answer)
{
	return ccp_json_str(json_object_get(answer, "waited"), "reason");
}

/* Woken by the end of the operation, not by a look every second. */
START_TEST(test_wait_ends_with_the_operation)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL;
	int64_t went;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nawait go\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	env_ask(cp, "codex_wait", wait_arguments(op, 30), &answer);
	for (int i = 0; i < 5; i++)
		env_step(&e);
	ck_assert_int_eq(answer.answers, 0);
	ck_assert_int_ge(answer.told, 1);
	ck_assert_int_eq(codexcp_calls_pending(cp), 1);
	env_go(&e, "go");
	went = env_now_ms();
	ck_assert_str_eq(waited(env_answered(&e, &answer)), "terminal");
	env_is(answer.payload, "status", "completed");
	ck_assert_int_lt(env_now_ms() - went, 800);
	ck_assert_int_eq(codexcp_calls_pending(cp), 0);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

START_TEST(test_wait_ends_by_itself)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer, cancelled;
	struct codexcp_call *call;
	_cleanup_free_ char *op = NULL;
	json_auto_t *timeout = NULL, *status = NULL;
	int64_t began;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	call = env_ask(cp, "codex_wait", wait_arguments(op, 1), &cancelled);
	env_step(&e);
	codexcp_cancel(call);
	began = env_now_ms();
	timeout = env_call(cp, "codex_wait", wait_arguments(op, 1));
	ck_assert_str_eq(waited(timeout), "timeout");
	env_is(timeout, "status", "running");
	ck_assert_int_ge(env_now_ms() - began, 990);
	/* Whoever leaves gets the present state. */
	env_ask(cp, "codex_wait", wait_arguments(op, 60), &answer);
	env_step(&e);
	ck_assert_int_eq(answer.answers, 0);
	codexcp_finish_waiting(cp);
	ck_assert_int_eq(answer.answers, 1);
	ck_assert_str_eq(waited(answer.payload), "timeout");
	/* The cancelled call was not answered, and the operation is untouched. */
	ck_assert_int_eq(cancelled.answers, 0);
	status = env_status(cp, op);
	env_is(status, "status", "running");
	ck_assert_ptr_null(json_object_get(status, "interruptRequestedAt"));
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* Two wait; the answer of the first makes its owner cancel the second. */
static struct codexcp_call *other_call;

static void cancel_other(json_t *payload, bool ok, void *data)
{
	int *answers = data;

	(*answers)++;
	if (other_call)
		codexcp_cancel(TAKE_PTR(other_call));
}

START_TEST(test_cancel_from_a_callback)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *arguments = NULL;
	int answers = 0;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	arguments = wait_arguments(op, 60);
	ck_assert_int_eq(
		codexcp_call(cp, "codex_wait", arguments, NULL, cancel_other, &answers, NULL, NULL),
		0);
	ck_assert_int_eq(codexcp_call(cp, "codex_wait", arguments, NULL, cancel_other, &answers,
				      &other_call, NULL),
			 0);
	env_step(&e);
	codexcp_finish_waiting(cp);
	ck_assert_int_eq(answers, 1);
	ck_assert_int_eq(codexcp_calls_pending(cp), 0);
	env_teardown(&e);
}
END_TEST

/* What is unanswered when the context closes is dropped, whatever it waits for. */
START_TEST(test_close_with_open_calls)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answers[4];
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	env_ask(cp, "codex_wait", wait_arguments(op, 60), &answers[0]);
	env_step(&e);
	env_ask(cp, "codex_wait", wait_arguments(op, 60), &answers[1]);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answers[2]);
	codexcp_cancel(env_ask(cp, "codex_health_summary", NULL, &answers[3]));
	ck_assert_int_eq(codexcp_calls_pending(cp), 3);
	env_close(&e, cp);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(answers); i++)
		ck_assert_int_eq(answers[i].answers, 0);
	env_teardown(&e);
}
END_TEST

START_TEST(test_call_wait)
{
	struct engine_env e;
	struct codexcp *cp;
	struct codexcp_error err = { 0 };
	json_auto_t *answer = NULL, *arguments = json_pack("{s:s}", "operation_id", "none");

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_call_wait(cp, "codex_health_sumary", NULL, &answer, &err),
			 CODEXCP_E_INVALID_ARGUMENT);
	env_is(err.details, "didYouMean", "codex_health_summary");
	ck_assert_ptr_null(answer);
	codexcp_error_done(&err);
	ck_assert_int_eq(
		codexcp_call_wait(cp, "codex_get_operation_status", arguments, &answer, &err),
		CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(err.code, CODEXCP_E_INVALID_ARGUMENT);
	env_is(err.details, "argument", "operation_id");
	ck_assert(json_is_false(json_object_get(answer, "ok")));
	codexcp_error_done(&err);
	env_teardown(&e);
}
END_TEST

/* A loop of one's own: nothing is due all the time, so that polling rests. */
static int rounds_in(struct codexcp *cp, int64_t ms)
{
	int64_t until = env_now_ms() + ms;
	int rounds = 0;

	while (env_now_ms() < until) {
		struct pollfd fd = { .fd = codexcp_fd(cp), .events = POLLIN };
		int timeout = codexcp_timeout(cp), left = (int)(until - env_now_ms());

		poll(&fd, 1, timeout < 0 || timeout > left ? CCP_MAX(left, 0) : timeout);
		codexcp_dispatch(cp);
		rounds++;
	}
	return rounds;
}

START_TEST(test_polling_rests)
{
	static const enum codexcp_mode modes[] = { CODEXCP_MODE_CLIENT, CODEXCP_MODE_INLINE };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(modes); i++) {
		struct engine_env e;
		struct codexcp *cp;

		env_setup(&e);
		cp = env_open(&e, modes[i]);
		ck_assert_int_lt(rounds_in(cp, 300), 20);
		json_decref(env_call(cp, "codex_health_summary", NULL));
		ck_assert_int_lt(rounds_in(cp, 300), 20);
		if (modes[i] == CODEXCP_MODE_INLINE) {
			_cleanup_free_ char *op = env_submit(&e, cp, NULL);

			env_ends(&e, cp, op, "completed", NULL);
			ck_assert_int_lt(rounds_in(cp, 300), 40);
		}
		env_teardown(&e);
	}
}
END_TEST

/* Two on one database: one executes, and when it closes the other does. */
START_TEST(test_two_contexts)
{
	struct engine_env e;
	struct codexcp *first, *second;
	_cleanup_free_ char *one = NULL, *two = NULL, *three = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(
		&e,
		"once\nexpect turn/start\ndefault\nexpect turn/start\ndefault\nawait go\nfinish\n");
	first = env_open(&e, CODEXCP_MODE_INLINE);
	second = env_open(&e, CODEXCP_MODE_INLINE);
	one = env_submit(&e, first, NULL);
	env_reach(&e, first, one, "phase", "running");
	two = env_submit(&e, second, NULL);
	env_reach(&e, second, two, "phase", "running");
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	env_go(&e, "go");
	env_ends(&e, second, one, "completed", NULL);
	env_ends(&e, first, two, "completed", NULL);
	three = env_submit(&e, second, NULL);
	env_reach(&e, second, three, "phase", "running");
	env_close(&e, first);
	env_ends(&e, second, three, "interrupted", "app_server_exit");
	ck_assert_int_eq(env_number(&e, "SELECT max(epoch) FROM workers"), 2);
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	env_teardown(&e);
}
END_TEST

/* The doorbell is a file that somebody has removed: the database alone must do. */
START_TEST(test_lost_ring)
{
	struct engine_env e;
	struct codexcp *worker, *client;
	_cleanup_free_ char *bell = NULL, *warm = NULL, *op = NULL;
	struct env_answer answer;

	env_setup(&e);
	worker = env_open(&e, CODEXCP_MODE_INLINE);
	warm = env_submit(&e, worker, NULL);
	env_ends(&e, worker, warm, "completed", NULL);
	bell = env_path(&e, "state/state.sqlite3.run/doorbell.sock");
	ck_assert_int_eq(unlink(bell), 0);
	client = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, client, NULL);
	env_ask(client, "codex_wait", wait_arguments(op, 30), &answer);
	ck_assert_str_eq(waited(env_answered(&e, &answer)), "terminal");
	env_is(answer.payload, "status", "completed");
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* A full status says who works on it and how old the news are; a compact one does not. */
START_TEST(test_freshness)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *before = NULL, *full = NULL, *compact = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	before = env_status(cp, op);
	ck_assert_ptr_null(json_object_get(before, "workerFreshness"));
	ck_assert_ptr_null(json_object_get(before, "turnFreshness"));
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	full = env_end(&e, cp, op);
	env_is(json_object_get(full, "workerState"), "status", "running");
	env_is(json_object_get(full, "workerState"), "role", "inline");
	env_is(full, "stalenessMeaning", "operation_row_age");
	ck_assert(json_equal(json_object_get(full, "operationRowAgeSeconds"),
			     json_object_get(full, "stalenessSeconds")));
	ck_assert_int_ge(
		ccp_json_int(json_object_get(full, "workerFreshness"), "heartbeatAgeSeconds", -1),
		0);
	ck_assert_int_ge(
		ccp_json_int(json_object_get(full, "turnFreshness"), "turnStatusAgeSeconds", -1),
		0);
	ck_assert_int_ge(
		ccp_json_int(json_object_get(full, "turnFreshness"), "lastProgressAgeSeconds", -1),
		0);
	compact = env_call(cp, "codex_get_operation_status",
			   json_pack("{s:s}", "operation_id", op));
	ck_assert_ptr_null(json_object_get(compact, "workerState"));
	ck_assert_ptr_null(json_object_get(compact, "operationRowAgeSeconds"));
	env_teardown(&e);
}
END_TEST

/* Called for a thread of an operation of ours: reading yes, changing no. */
START_TEST(test_recursion)
{
	struct engine_env e;
	struct codexcp *cp;
	struct codexcp_call_options caller = { 0 };
	struct env_answer answer = { 0 };
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *reading = NULL, *arguments = NULL;
	json_t *error;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	status = env_wait(&e, cp, op, "phase", "running");
	env_close(&e, cp);
	/* A program that Codex has started has it in its environment. */
	env_set(&e, "CODEX_THREAD_ID", ccp_json_str(status, "threadId"));
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	error = json_object_get(env_answered(&e, &answer), "error");
	env_is(error, "code", "CODEX_RECURSION_REFUSED");
	env_is(json_object_get(error, "details"), "operationId", op);
	env_answer_done(&answer);
	json_decref(env_call_fails(cp, "codex_interrupt_turn",
				   json_pack("{s:s}", "operation_id", op),
				   "CODEX_RECURSION_REFUSED"));
	reading = env_status(cp, op);
	ck_assert(json_is_true(json_object_get(reading, "ok")));
	env_close(&e, cp);
	/* Another thread may; one level deeper may when the configuration says so. */
	env_set(&e, "CODEX_THREAD_ID", "a thread of somebody else");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	/* What the call says counts more. */
	caller.caller_thread_id = ccp_json_str(status, "threadId");
	arguments = env_submit_arguments(&e, NULL);
	answer = (struct env_answer){ 0 };
	ck_assert_int_eq(codexcp_call(cp, "codex_submit_task", arguments, &caller, env_take_answer,
				      &answer, NULL, NULL),
			 0);
	error = json_object_get(env_answered(&e, &answer), "error");
	env_is(error, "code", "CODEX_RECURSION_REFUSED");
	env_answer_done(&answer);
	env_close(&e, cp);
	env_set(&e, "CODEX_THREAD_ID", ccp_json_str(status, "threadId"));
	env_set(&e, "CODEX_MCP_MAX_DEPTH", "1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	ck_assert_int_eq(env_number(&e, "SELECT depth FROM operations ORDER BY seq DESC LIMIT 1"),
			 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("contexts", test_wait_ends_with_the_operation, test_wait_ends_by_itself,
	      test_cancel_from_a_callback, test_close_with_open_calls, test_call_wait,
	      test_polling_rests, test_two_contexts, test_lost_ring, test_freshness, test_recursion)
