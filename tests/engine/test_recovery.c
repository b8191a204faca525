/*
 * What goes on after it was cut: a turn whose process died, when that was asked for. Each time one
 * turn more, in the same thread, and never two for one cut. And what a failure is told as.
 */
#include "engine_env.h"

#include "base/clock.h"
#include "base/file.h"

#define CONTINUE "on_interruption", "continue"

static void check_mark(const struct engine_env *e, int index, const char *op, int n)
{
	json_auto_t *start = env_logged(e, "turn/start", index);
	_cleanup_free_ char *mark = n ? ccp_asprintf("%s:%d", op, n) : strdup(op);

	env_is(start, "clientUserMessageId", mark);
}

static const char *sent_text(const json_t *start)
{
	return ccp_json_str(json_array_get(json_object_get(start, "input"), 0), "text");
}

static bool has_event(const json_t *status, const char *text)
{
	json_t *event;
	size_t i;

	json_array_foreach (json_object_get(status, "events"), i, event)
		if (ccp_streq(ccp_json_str(event, "text"), text))
			return true;
	return false;
}

static int64_t number(const json_t *status, const char *key)
{
	return json_integer_value(json_object_get(status, key));
}

/* Cut with its process. */

START_TEST(test_continued)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *first = NULL, *second = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_DIE_AFTER", "turn/started");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp,
			json_pack("{s:s, s:{s:s, s:{}, s:[], s:b}}", CONTINUE, "output_schema",
				  "type", "object", "properties", "required",
				  "additionalProperties", 0));
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	ck_assert_int_eq(env_count(&e, "thread/start"), 1);
	ck_assert_int_eq(env_count(&e, "running-turns"), 2);
	check_mark(&e, 0, op, 0);
	check_mark(&e, 1, op, 1);
	first = env_logged(&e, "turn/start", 0);
	second = env_logged(&e, "turn/start", 1);
	env_is(second, "threadId", ccp_json_str(first, "threadId"));
	/* The thread shows what was asked for; the form of the answer is told again. */
	ck_assert_ptr_nonnull(strstr(sent_text(second), "finish the task"));
	ck_assert_ptr_null(strstr(sent_text(second), sent_text(first)));
	ck_assert(json_equal(json_object_get(second, "outputSchema"),
			     json_object_get(first, "outputSchema")));
	ck_assert(json_equal(json_object_get(second, "collaborationMode"),
			     json_object_get(first, "collaborationMode")));
	ck_assert_int_eq(number(status, "continuations"), 1);
	ck_assert_int_eq(number(status, "maxContinuations"), 1);
	ck_assert_int_eq(number(status, "attemptCount"), 1);
	ck_assert_str_ne(ccp_json_str(status, "continuedTurnId"), ccp_json_str(status, "turnId"));
	ck_assert(has_event(status, "looking_up -> queued"));
	ck_assert_int_eq(env_number(&e, "SELECT baseline_count FROM operations"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM turns WHERE status = 'interrupted'"),
			 1);
	env_teardown(&e);
}
END_TEST

/* Killed before the thread had a word of it: what was asked for is said again. */
START_TEST(test_asked_again)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *first = NULL, *second = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nawait go\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s}", CONTINUE));
	env_wait_count(&e, "turn/start", 1);
	env_rewrite_script(&e, "expect thread/resume\ndefault\nexpect thread/resume threadId\n"
			       "reply {\"thread\":{\"id\":$threadId,\"status\":{\"type\":\"idle\"},"
			       "\"turns\":[]},\"model\":\"m\",\"approvalPolicy\":\"never\","
			       "\"sandbox\":{\"type\":\"readOnly\"}}\n"
			       "expect turn/start\ndefault\nfinish\n");
	env_go(&e, "go");
	env_ends(&e, cp, op, "completed", NULL);
	first = env_logged(&e, "turn/start", 0);
	second = env_logged(&e, "turn/start", 1);
	ck_assert_ptr_nonnull(strstr(sent_text(second), "finish the task"));
	ck_assert_ptr_nonnull(strstr(sent_text(second), sent_text(first)));
	env_teardown(&e);
}
END_TEST

/* A process that dies in every turn: so many more turns as were allowed. */
START_TEST(test_bounded)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\ndefault\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:i}", CONTINUE, "max_continuations", 2));
	status = env_end(&e, cp, op);
	env_is(status, "status", "interrupted");
	env_is(status, "reason", "app_server_exit");
	ck_assert_int_eq(number(status, "continuations"), 2);
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	check_mark(&e, 2, op, 2);
	env_teardown(&e);
}
END_TEST

/* The worker is lost on the way to the continuation: it is begun once, under one mark. */
struct way {
	const char *script, *method, *phase;
	int seen, asked; /* method before the end, turn/start in all */
};

static const struct way ways[] = {
	{ "expect thread/resume\ndefault\nexpect thread/resume\nawait never\n", "thread/resume",
	  "thread_start_sent", 2, 2 },
	{ "expect turn/start\nawait never\n", "turn/start", "turn_start_sent", 2, 3 },
};

START_TEST(test_worker_lost_on_the_way)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ways); i++) {
		const struct way *way = &ways[i];
		struct engine_env e;
		struct codexcp *cp;
		_cleanup_free_ char *op = NULL;
		json_auto_t *status = NULL;

		env_setup(&e);
		env_set(&e, "CCP_FAKE_TURN_MS", "-1");
		env_script(&e, "expect turn/start\ndefault\nawait go\ndie SIGKILL\n");
		cp = env_open(&e, CODEXCP_MODE_INLINE);
		op = env_submit(&e, cp, json_pack("{s:s}", CONTINUE));
		env_wait_count(&e, "turn/start", 1);
		env_rewrite_script(&e, way->script);
		env_go(&e, "go");
		env_wait_count(&e, way->method, way->seen);
		env_reach(&e, cp, op, "phase", way->phase);
		env_close(&e, cp);
		env_rewrite_script(&e, "expect turn/start\ndefault\nfinish\n");
		cp = env_open(&e, CODEXCP_MODE_INLINE);
		codexcp_look_for_work(cp);
		status = env_end(&e, cp, op);
		env_is(status, "status", "completed");
		ck_assert_int_eq(number(status, "continuations"), 1);
		ck_assert_int_eq(env_count(&e, "turn/start"), way->asked);
		ck_assert_int_eq(env_count(&e, "running-turns"), 2);
		check_mark(&e, way->asked - 1, op, 1);
		env_teardown(&e);
	}
}
END_TEST

START_TEST(test_interrupt_wins)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *answer = NULL, *running = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/interrupt\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:i}", CONTINUE, "max_continuations", 10));
	running = env_wait(&e, cp, op, "phase", "running");
	answer = env_call(cp, "codex_interrupt_turn",
			  json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 1));
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* What decides about continuing is part of what a request id stands for. */
START_TEST(test_request_id)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *ack = NULL, *refused = NULL, *more = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ack = env_call(cp, "codex_submit_task",
		       json_pack("{s:s, s:s, s:s, s:s, s:s}", "operation_type", "start_chat", "cwd",
				 e.project, "message", "m", "client_request_id", "r", CONTINUE));
	ck_assert(json_is_true(json_object_get(ack, "ok")));
	refused = env_call_fails(cp, "codex_submit_task",
				 json_pack("{s:s, s:s, s:s, s:s}", "operation_type", "start_chat",
					   "cwd", e.project, "message", "m", "client_request_id",
					   "r"),
				 "CODEX_IDEMPOTENCY_CONFLICT");
	more = env_call_fails(cp, "codex_submit_task",
			      json_pack("{s:s, s:s, s:s, s:i}", "operation_type", "start_chat",
					"cwd", e.project, "message", "n", "max_continuations", 11),
			      "INVALID_ARGUMENT");
	env_teardown(&e);
}
END_TEST

/* Failures say of which kind they are. */

static void fails(const char *script, const char *code, const char *class, bool retryable)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	const json_t *error;

	env_setup(&e);
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	error = json_object_get(status, "error");
	env_is(error, "code", code);
	env_is(error, "class", class);
	ck_assert_int_eq(json_is_true(json_object_get(error, "retryable")), retryable);
	ck_assert_int_eq(number(status, "attemptCount"), 1);
	ck_assert_int_le(env_count(&e, "turn/start"), 1);
	if (ccp_streq(code, "CODEX_LOGIN_REQUIRED"))
		ck_assert_ptr_nonnull(strstr(ccp_json_str(error, "message"), "`codex login`"));
	env_teardown(&e);
}

START_TEST(test_classes)
{
	fails("expect thread/start\nerror -32600 codex account authentication required\n",
	      "CODEX_LOGIN_REQUIRED", "unauthorized", false);
	fails("expect turn/start\nerror -32600 unexpected status 401 Unauthorized\n",
	      "CODEX_LOGIN_REQUIRED", "unauthorized", false);
	fails("expect turn/start\ndefault\nfail {\"message\":\"unexpected status 401 Unauthorized\","
	      "\"codexErrorInfo\":{\"httpConnectionFailed\":{\"httpStatusCode\":401}}}\n",
	      "CODEX_LOGIN_REQUIRED", "httpConnectionFailed", false);
	fails("expect turn/start\nerror -32600 thread not found: 1\n", "CODEX_THREAD_NOT_FOUND",
	      "threadNotFound", false);
	fails("expect turn/start\nerror -32600 Invalid request: missing field `input`\n",
	      "CODEX_SEND_FAILED", "invalidRequest", false);
	/* It ran, so it is not run again: the caller decides. */
	fails("expect turn/start\ndefault\nfail {\"message\":\"m\",\"codexErrorInfo\":"
	      "\"serverOverloaded\"}\n",
	      "CODEX_SEND_FAILED", "serverOverloaded", true);
	fails("expect turn/start\ndefault\nfail {\"message\":\"m\",\"codexErrorInfo\":"
	      "\"cyberPolicy\"}\n",
	      "CODEX_SEND_FAILED", "cyberPolicy", false);
}
END_TEST

/* Nobody knows whether it ran: what to do about it is said. */
START_TEST(test_unknown)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	const json_t *error;

	env_setup(&e);
	env_script(&e, "expect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:s}", "sandbox", "workspace-write", CONTINUE));
	env_wait_count(&e, "turn/start", 1);
	env_close(&e, cp);
	db_exec(e.state_db, "UPDATE app_servers SET boot_id = 'an earlier one'");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	status = env_end(&e, cp, op);
	env_is(status, "status", "unknown_after_app_server_exit");
	env_is(status, "nextRecommendedAction", "inspect_diagnostics");
	error = json_object_get(status, "error");
	ck_assert_ptr_nonnull(strstr(ccp_json_str(error, "message"), "no trace of the turn"));
	ck_assert(json_is_false(json_object_get(error, "retryable")));
	ck_assert_ptr_nonnull(
		strstr(ccp_json_str(status, "advice"), ccp_json_str(status, "threadId")));
	ck_assert_ptr_nonnull(strstr(ccp_json_str(status, "advice"), "client_request_id"));
	ck_assert_ptr_null(json_object_get(status, "finalReport"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("recovery", test_continued, test_asked_again, test_bounded,
	      test_worker_lost_on_the_way, test_interrupt_wins, test_request_id, test_classes,
	      test_unknown)
