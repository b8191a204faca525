#include "appserver/turn_error.h"

#include <string.h>
#include <strings.h>

#include "appserver/methods.h"
#include "base/json.h"
#include "base/str.h"

/* What may pass by itself. The turn ran, so it is not run again unasked: the caller is told. */
#define TRANSIENT CODEXCP_E_SEND_FAILED, 1
/* Nothing changes by trying again. */
#define FINAL CODEXCP_E_SEND_FAILED, 0
#define LOGIN CODEXCP_E_LOGIN_REQUIRED, 0

struct row {
	const char *class; /* of either first letter; NULL any */
	const char *words; /* in the message; NULL any */
	int low, high;     /* HTTP status in the class; 0 any */
	int code;
	int retryable;
	const char *heard; /* the newest version that was heard saying it, or whose schema has it */
};

/* The first that fits counts; what none fits is final. */
static const struct row rows[] = {
	{ "unauthorized", NULL, 0, 0, LOGIN, "0.169 schema" },
	{ NULL, NULL, 401, 401, LOGIN, "0.169" },
	{ "other", "unexpected status 401", 0, 0, LOGIN, "0.98" },

	{ "usageLimitExceeded", NULL, 0, 0, TRANSIENT, "0.169" },

	{ NULL, NULL, 408, 408, TRANSIENT, "0.169" },
	{ NULL, NULL, 429, 429, TRANSIENT, "0.169" },
	{ NULL, NULL, 500, 599, TRANSIENT, "0.169" },
	{ NULL, NULL, 300, 499, FINAL, "0.169" },
	{ "rateLimitExceeded", NULL, 0, 0, TRANSIENT, "0.169" },
	{ "serverOverloaded", NULL, 0, 0, TRANSIENT, "0.169" },
	{ "internalServerError", NULL, 0, 0, TRANSIENT, "0.169" },
	{ "httpConnectionFailed", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "responseStreamConnectionFailed", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "responseStreamDisconnected", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "responseTooManyFailedAttempts", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "flexUnavailable", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "policyCapacityUnavailable", NULL, 0, 0, TRANSIENT, "0.169 schema" },
	{ "other", "stream disconnected before completion", 0, 0, TRANSIENT, "0.169" },
	{ "other", "unexpected status 5", 0, 0, TRANSIENT, "0.98" },

	{ "contextWindowExceeded", NULL, 0, 0, FINAL, "0.169" },
	{ "sessionBudgetExceeded", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "modelNotFound", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "badRequest", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "cyberPolicy", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "misalignmentPolicyViolation", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "inferenceHookDenied", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "tooManyDenials", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "sandboxError", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "threadRollbackFailed", NULL, 0, 0, FINAL, "0.169 schema" },
	{ "activeTurnNotSteerable", NULL, 0, 0, FINAL, "0.169 schema" },
};

/* "name" or {"name": {...}} */
static const char *class_name(const json_t *info)
{
	const char *key = NULL;
	json_t *value;

	if (json_is_string(info))
		return json_string_value(info);
	json_object_foreach ((json_t *)info, key, value)
		break;
	return key ? key : "other";
}

static bool fits(const struct row *row, const char *class, const char *message, int64_t http)
{
	return (!row->class || strcasecmp(row->class, class) == 0) &&
	       (!row->words || strstr(message, row->words)) &&
	       (!row->high || (http >= row->low && http <= row->high));
}

size_t ccp_codex_turn_error_rows(void)
{
	return CCP_ARRAY_SIZE(rows);
}

int ccp_codex_turn_error_row(const json_t *codex_error)
{
	const json_t *info = json_object_get(codex_error, "codexErrorInfo");
	const char *message = ccp_json_str(codex_error, "message"), *class = class_name(info);
	int64_t http = ccp_json_int(ccp_json_obj(info, class), "httpStatusCode", 0);

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++)
		if (fits(&rows[i], class, message ? message : "", http))
			return (int)i;
	return -1;
}

const char *ccp_codex_turn_error(const json_t *codex_error, struct codexcp_error *ret_error)
{
	static const struct row none = { .code = CODEXCP_E_SEND_FAILED };
	const char *message = ccp_json_str(codex_error, "message");
	int at = ccp_codex_turn_error_row(codex_error);
	const struct row *row = at < 0 ? &none : &rows[at];

	message = message ? message : "the turn failed without a reason";
	ccp_fail(ret_error, row->code,
		 row->code == CODEXCP_E_LOGIN_REQUIRED ? "%s (" CCP_CODEX_LOG_IN ")" : "%s",
		 message);
	ret_error->retryable = row->retryable;
	return class_name(json_object_get(codex_error, "codexErrorInfo"));
}

bool ccp_codex_is_usage_limit(const char *class)
{
	return class && strcasecmp(class, "usageLimitExceeded") == 0;
}
