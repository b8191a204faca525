/* What Codex says when something goes wrong, in the words that were heard. */
#include <ccp_check.h>

#include "appserver/methods.h"
#include "appserver/turn_error.h"
#include "base/json.h"

/* Answers to requests. */

static const struct {
	int rpc_code;
	const char *message;
	enum ccp_codex_problem problem;
	int code;
	const char *class;
} problems[] = {
	{ -32001, "Server overloaded; retry later.", CCP_PROBLEM_OVERLOADED, CODEXCP_E_BUSY,
	  "appServerOverloaded" },
	{ -32001, "later", CCP_PROBLEM_OVERLOADED, CODEXCP_E_BUSY, "appServerOverloaded" },
	{ -32600, "thread 01a1f85a-3c9e-7b12 already has an active writer", CCP_PROBLEM_ELSEWHERE,
	  CODEXCP_E_BUSY, "threadOpenElsewhere" },
	{ -32601, "list_turns is not supported yet", CCP_PROBLEM_NOT_READY, CODEXCP_E_BUSY,
	  "threadNotReady" },
	{ -32600, "failed to read session metadata /h/sessions/r.jsonl", CCP_PROBLEM_NOT_READY,
	  CODEXCP_E_BUSY, "threadNotReady" },
	{ -32600, "thread 1 is closing; retry thread/resume after the thread is closed",
	  CCP_PROBLEM_NOT_READY, CODEXCP_E_BUSY, "threadNotReady" },
	{ -32603,
	  "failed to read thread: thread-store internal error: failed to read session metadata "
	  "/h/sessions/r.jsonl: rollout at /h/sessions/r.jsonl is empty",
	  CCP_PROBLEM_EMPTY, CODEXCP_E_BUSY, "threadEmpty" },
	{ -32603, "rollout at /h/sessions/r.jsonl is empty", CCP_PROBLEM_EMPTY, CODEXCP_E_BUSY,
	  "threadEmpty" },
	{ -32600, "input is empty", CCP_PROBLEM_INVALID, CODEXCP_E_SEND_FAILED, "invalidRequest" },
	{ -32600, "no rollout found for thread id 01a1f85a-3c9e-7b12", CCP_PROBLEM_NO_THREAD,
	  CODEXCP_E_THREAD_NOT_FOUND, "threadNotFound" },
	{ -32600, "thread not loaded: 01a1f85a-3c9e-7b12", CCP_PROBLEM_NO_THREAD,
	  CODEXCP_E_THREAD_NOT_FOUND, "threadNotFound" },
	{ -32600, "thread not found: 01a1f85a-3c9e-7b12", CCP_PROBLEM_NO_THREAD,
	  CODEXCP_E_THREAD_NOT_FOUND, "threadNotFound" },
	{ -32600, "invalid session id: invalid character", CCP_PROBLEM_NO_THREAD,
	  CODEXCP_E_THREAD_NOT_FOUND, "threadNotFound" },
	{ -32600, "session 01a1 is archived. Run `codex unarchive 01a1`", CCP_PROBLEM_ARCHIVED,
	  CODEXCP_E_SEND_FAILED, "threadArchived" },
	{ -32600, "no active turn to interrupt", CCP_PROBLEM_NO_TURN, CODEXCP_E_TURN_NOT_FOUND,
	  "turnNotFound" },
	{ -32600, "expected active turn id `nope` but found `01a1`", CCP_PROBLEM_NO_TURN,
	  CODEXCP_E_TURN_NOT_FOUND, "turnNotFound" },
	{ -32600, "codex account authentication required to read rate limits", CCP_PROBLEM_LOGIN,
	  CODEXCP_E_LOGIN_REQUIRED, "unauthorized" },
	{ -32600, "unexpected status 401 Unauthorized", CCP_PROBLEM_LOGIN, CODEXCP_E_LOGIN_REQUIRED,
	  "unauthorized" },
	{ -32600, "Invalid request: unknown variant `x`, expected one of `a`", CCP_PROBLEM_INVALID,
	  CODEXCP_E_SEND_FAILED, "invalidRequest" },
};

START_TEST(test_problems)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(problems); i++) {
		_cleanup_error_ struct codexcp_error answer = { 0 }, meant = { 0 };

		ccp_fail(&answer, CODEXCP_E_SEND_FAILED, "%s", problems[i].message);
		ccp_error_add(&answer, "rpcCode", json_integer(problems[i].rpc_code));
		ck_assert_msg(ccp_codex_problem(&answer) == problems[i].problem, "%s",
			      problems[i].message);
		ck_assert_str_eq(ccp_codex_problem_class(problems[i].problem), problems[i].class);
		ck_assert_int_eq(ccp_codex_error(&meant, &answer), problems[i].code);
		ck_assert_int_eq(meant.code, problems[i].code);
		ck_assert_ptr_eq(strstr(meant.message, problems[i].message), meant.message);
		ck_assert_int_eq(strstr(meant.message, "`codex login`") != NULL,
				 problems[i].code == CODEXCP_E_LOGIN_REQUIRED);
		ck_assert(json_equal(meant.details, answer.details));
		ck_assert_int_eq(ccp_codex_problem(&meant), problems[i].problem);
	}
}
END_TEST

START_TEST(test_every_pattern_was_heard)
{
	bool heard[64] = { 0 };

	ck_assert_uint_le(ccp_codex_patterns(), CCP_ARRAY_SIZE(heard));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(problems); i++) {
		int at = ccp_codex_pattern(problems[i].message);

		if (at >= 0)
			heard[at] = true;
	}
	for (size_t i = 0; i < ccp_codex_patterns(); i++)
		ck_assert_msg(heard[i], "pattern %zu", i);
}
END_TEST

START_TEST(test_problems_without_answer)
{
	_cleanup_error_ struct codexcp_error timeout = { 0 }, gone = { 0 }, copy = { 0 };

	ccp_fail(&timeout, CODEXCP_E_TIMEOUT, "no active turn");
	ccp_fail(&gone, CODEXCP_E_APP_SERVER_UNAVAILABLE, "thread not found");
	ck_assert_int_eq(ccp_codex_problem(&timeout), CCP_PROBLEM_TIMEOUT);
	ck_assert_int_eq(ccp_codex_problem(&gone), CCP_PROBLEM_GONE);
	ck_assert_int_eq(ccp_codex_error(&copy, &timeout), CODEXCP_E_TIMEOUT);
	ck_assert_int_eq(ccp_codex_error(NULL, &gone), CODEXCP_E_APP_SERVER_UNAVAILABLE);
}
END_TEST

/* Turns that failed. */

#define SEND                CODEXCP_E_SEND_FAILED
#define LOGIN               CODEXCP_E_LOGIN_REQUIRED
#define HTTP(class, status) "{\"" class "\":{\"httpStatusCode\":" status "}}"

static const struct {
	const char *message;
	const char *info; /* codexErrorInfo, as JSON */
	const char *class;
	int code;
	int retryable;
} failures[] = {
	/* said by 0.169, with its message */
	{ "unexpected status 401 Unauthorized: Missing bearer authentication, url: http://h/v1",
	  HTTP("httpConnectionFailed", "401"), "httpConnectionFailed", LOGIN, 0 },
	{ "You’ve hit your usage limit. Try again later.", "\"usageLimitExceeded\"",
	  "usageLimitExceeded", SEND, 1 },
	{ "Quota exceeded. Check your plan and billing details.", "\"usageLimitExceeded\"",
	  "usageLimitExceeded", SEND, 1 },
	{ "exceeded retry limit, last status: 429 Too Many Requests",
	  HTTP("responseTooManyFailedAttempts", "429"), "responseTooManyFailedAttempts", SEND, 1 },
	{ "unexpected status 503 Service Unavailable: {}, url: http://h/v1/responses",
	  HTTP("httpConnectionFailed", "503"), "httpConnectionFailed", SEND, 1 },
	{ "unexpected status 408 Request Timeout: {}, url: http://h/v1/responses",
	  HTTP("httpConnectionFailed", "408"), "httpConnectionFailed", SEND, 1 },
	{ "unexpected status 404 Not Found: {}, url: http://h/v1/responses",
	  HTTP("httpConnectionFailed", "404"), "httpConnectionFailed", SEND, 0 },
	{ "unexpected status 403 Forbidden: {}, url: http://h/v1/responses",
	  HTTP("httpConnectionFailed", "403"), "httpConnectionFailed", SEND, 0 },
	{ "rate limit exceeded: Rate limit reached. Please try again in 1s.",
	  "\"rateLimitExceeded\"", "rateLimitExceeded", SEND, 1 },
	{ "Selected model is at capacity. Please try a different model.", "\"serverOverloaded\"",
	  "serverOverloaded", SEND, 1 },
	{ "We’re currently experiencing high demand, which may cause temporary errors.",
	  "\"internalServerError\"", "internalServerError", SEND, 1 },
	{ "stream disconnected before completion: error sending request", "\"other\"", "other",
	  SEND, 1 },
	{ "{\"error\":{\"message\":\"bad input\"}}", "\"other\"", "other", SEND, 0 },
	{ "Codex ran out of room in the model's context window.", "\"contextWindowExceeded\"",
	  "contextWindowExceeded", SEND, 0 },
	/* said by 0.98 */
	{ "unexpected status 401 Unauthorized: bad key, url: http://h/v1/responses", "\"other\"",
	  "other", LOGIN, 0 },
	{ "unexpected status 503 Service Unavailable: {}, url: http://h/v1/responses", "\"other\"",
	  "other", SEND, 1 },
	{ "unexpected status 404 Not Found: {}, url: http://h/v1/responses", "\"other\"", "other",
	  SEND, 0 },
	/* known from the schema that 0.169 prints */
	{ "x", "\"unauthorized\"", "unauthorized", LOGIN, 0 },
	{ "x", "\"Unauthorized\"", "Unauthorized", LOGIN, 0 },
	{ "x", HTTP("httpConnectionFailed", "null"), "httpConnectionFailed", SEND, 1 },
	{ "x", HTTP("responseStreamConnectionFailed", "null"), "responseStreamConnectionFailed",
	  SEND, 1 },
	{ "x", HTTP("responseStreamDisconnected", "null"), "responseStreamDisconnected", SEND, 1 },
	{ "x", HTTP("responseTooManyFailedAttempts", "null"), "responseTooManyFailedAttempts", SEND,
	  1 },
	{ "x", "\"flexUnavailable\"", "flexUnavailable", SEND, 1 },
	{ "x", "\"policyCapacityUnavailable\"", "policyCapacityUnavailable", SEND, 1 },
	{ "x", "\"sessionBudgetExceeded\"", "sessionBudgetExceeded", SEND, 0 },
	{ "x", "\"modelNotFound\"", "modelNotFound", SEND, 0 },
	{ "x", "\"badRequest\"", "badRequest", SEND, 0 },
	{ "x", "\"cyberPolicy\"", "cyberPolicy", SEND, 0 },
	{ "x", "\"misalignmentPolicyViolation\"", "misalignmentPolicyViolation", SEND, 0 },
	{ "x", "\"inferenceHookDenied\"", "inferenceHookDenied", SEND, 0 },
	{ "x", "\"tooManyDenials\"", "tooManyDenials", SEND, 0 },
	{ "x", "\"sandboxError\"", "sandboxError", SEND, 0 },
	{ "x", "\"threadRollbackFailed\"", "threadRollbackFailed", SEND, 0 },
	{ "x", "{\"activeTurnNotSteerable\":{\"turnKind\":\"review\"}}", "activeTurnNotSteerable",
	  SEND, 0 },
	/* of a version that is still to come */
	{ "x", "\"somethingNew\"", "somethingNew", SEND, 0 },
	{ "x", "null", "other", SEND, 0 },
};

static json_t *failure(size_t i)
{
	return json_pack("{s:s, s:o, s:n}", "message", failures[i].message, "codexErrorInfo",
			 json_loads(failures[i].info, JSON_DECODE_ANY, NULL), "additionalDetails");
}

START_TEST(test_failures)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(failures); i++) {
		json_auto_t *error = failure(i);
		_cleanup_error_ struct codexcp_error meant = { 0 };

		ck_assert_ptr_nonnull(error);
		ck_assert_str_eq(ccp_codex_turn_error(error, &meant), failures[i].class);
		ck_assert_msg(meant.code == failures[i].code &&
				      meant.retryable == failures[i].retryable,
			      "%s: %s", failures[i].message, failures[i].info);
		ck_assert_ptr_eq(strstr(meant.message, failures[i].message), meant.message);
		ck_assert_int_eq(strstr(meant.message, "`codex login`") != NULL,
				 meant.code == LOGIN);
		ck_assert_int_eq(ccp_codex_is_usage_limit(failures[i].class),
				 strcmp(failures[i].class, "usageLimitExceeded") == 0);
	}
	ck_assert(!ccp_codex_is_usage_limit(NULL));
}
END_TEST

START_TEST(test_every_row_was_heard)
{
	bool heard[64] = { 0 };

	ck_assert_uint_le(ccp_codex_turn_error_rows(), CCP_ARRAY_SIZE(heard));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(failures); i++) {
		json_auto_t *error = failure(i);
		int at = ccp_codex_turn_error_row(error);

		if (at >= 0)
			heard[at] = true;
	}
	for (size_t i = 0; i < ccp_codex_turn_error_rows(); i++)
		ck_assert_msg(heard[i], "row %zu", i);
}
END_TEST

START_TEST(test_no_reason)
{
	_cleanup_error_ struct codexcp_error meant = { 0 };

	ck_assert_str_eq(ccp_codex_turn_error(NULL, &meant), "other");
	ck_assert_str_eq(meant.message, "the turn failed without a reason");
	ck_assert_int_eq(meant.retryable, 0);
}
END_TEST

CCP_TEST_MAIN("problems", test_problems, test_every_pattern_was_heard, test_problems_without_answer,
	      test_failures, test_every_row_was_heard, test_no_reason)
