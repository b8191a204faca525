#include "appserver/turn_error.h"

#include <strings.h>

#include "base/json.h"
#include "base/str.h"

/* Classes that mean more than "the turn failed". Seen in Codex 0.98 to 0.169, with either first
 * letter. */
static const struct {
	const char *class;
	int code;
	int retryable;
} classes[] = {
	{ "unauthorized", CODEXCP_E_LOGIN_REQUIRED, 0 },
	{ "usageLimitExceeded", CODEXCP_E_SEND_FAILED, 1 },
	{ "rateLimitExceeded", CODEXCP_E_SEND_FAILED, 1 },
	{ "responseTooManyFailedAttempts", CODEXCP_E_SEND_FAILED, 1 },
	{ "responseStreamConnectionFailed", CODEXCP_E_SEND_FAILED, 1 },
	{ "responseStreamDisconnected", CODEXCP_E_SEND_FAILED, 1 },
	{ "httpConnectionFailed", CODEXCP_E_SEND_FAILED, 1 },
	{ "internalServerError", CODEXCP_E_SEND_FAILED, 1 },
	{ "serverOverloaded", CODEXCP_E_SEND_FAILED, 1 },
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

/* An HTTP 401 arrives inside the class of the connection. */
static bool says_unauthorized(const json_t *info, const char *class)
{
	return ccp_json_int(ccp_json_obj(info, class), "httpStatusCode", 0) == 401;
}

const char *ccp_codex_turn_error(const json_t *codex_error, struct codexcp_error *ret_error)
{
	const json_t *info = json_object_get(codex_error, "codexErrorInfo");
	const char *message = ccp_json_str(codex_error, "message"), *class = class_name(info);
	int code = CODEXCP_E_SEND_FAILED, retryable = 0;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(classes); i++)
		if (strcasecmp(classes[i].class, class) == 0) {
			code = classes[i].code;
			retryable = classes[i].retryable;
		}
	if (says_unauthorized(info, class)) {
		code = CODEXCP_E_LOGIN_REQUIRED;
		retryable = 0;
	}
	ccp_fail(ret_error, code, "%s", message ? message : "the turn failed without a reason");
	ret_error->retryable = retryable;
	return class;
}
