#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"

/* Longer than a message, so that a secret at the cut is still seen whole. */
#define TEXT_SIZE 1024

static const struct error_info {
	const char *wire;
	int retryable;
} error_infos[] = {
#define X(name, wire_name, by_default, meaning) [CODEXCP_N_##name] = { wire_name, by_default },
	CODEXCP_ERRORS(X)
#undef X
};

static const struct errno_info {
	int errnum, code;
	const char *reason;
} errno_infos[] = {
	{ ENOMEM, CODEXCP_E_NO_MEMORY, NULL },
	{ ENOSPC, CODEXCP_E_STATE_UNAVAILABLE, "full" },
	{ EDQUOT, CODEXCP_E_STATE_UNAVAILABLE, "full" },
	{ EROFS, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
	{ 0, CODEXCP_E_INTERNAL, NULL },
};

static const struct error_info *find_error(int code)
{
	if (code >= 0 || code <= -(int)CCP_ARRAY_SIZE(error_infos))
		code = CODEXCP_E_INTERNAL;
	return &error_infos[-code];
}

static const struct errno_info *find_errno(int errnum)
{
	const struct errno_info *info = errno_infos;

	while (info->errnum && info->errnum != errnum)
		info++;
	return info;
}

void codexcp_error_done(struct codexcp_error *err)
{
	if (!err)
		return;
	json_decref(err->details);
	*err = (struct codexcp_error){ 0 };
}

const char *codexcp_error_name(int code)
{
	return find_error(code)->wire;
}

static void set_code(struct codexcp_error *err, int code)
{
	assert(code < 0);
	codexcp_error_done(err);
	err->code = code;
	err->retryable = find_error(code)->retryable;
}

/* What a message promises is kept here: one line, no secret. */
static void set_message(struct codexcp_error *err, const char *text)
{
	_cleanup_free_ char *safe = ccp_redact(text, strlen(text), NULL);

	snprintf(err->message, sizeof(err->message), "%s", safe ? safe : "out of memory");
	for (char *p = err->message; *p; p++) {
		if ((unsigned char)*p < ' ')
			*p = ' ';
	}
}

/* The text is formatted before the old failure goes: arguments may point into it. */
int ccp_fail(struct codexcp_error *err, int code, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	set_code(err, code);
	set_message(err, text);
	return code;
}

int ccp_fail_errno(struct codexcp_error *err, int errnum, const char *fmt, ...)
{
	const struct errno_info *info = find_errno(errnum);
	char text[TEXT_SIZE], system_text[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ccp_fail(err, info->code, "%s: %s", text,
		 strerror_r(errnum, system_text, sizeof(system_text)));
	if (info->reason)
		ccp_error_add_str(err, "reason", info->reason);
	return info->code;
}

void ccp_error_set_oom(struct codexcp_error *err)
{
	static const char text[] = "out of memory";

	if (!err)
		return;
	set_code(err, CODEXCP_E_NO_MEMORY);
	memcpy(err->message, text, sizeof(text));
}

int ccp_fail_copy(struct codexcp_error *err, const struct codexcp_error *from)
{
	if (err && err != from) {
		codexcp_error_done(err);
		*err = *from;
		json_incref(err->details);
	}
	return from->code;
}

int ccp_fail_argument(struct codexcp_error *err, const char *argument, const char *expected,
		      const char *did_you_mean)
{
	if (did_you_mean)
		ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s: expected %s; did you mean %s?",
			 argument, expected, did_you_mean);
	else
		ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s: expected %s", argument, expected);
	ccp_error_add_str(err, "argument", argument);
	ccp_error_add_str(err, "expected", expected);
	ccp_error_add_str(err, "didYouMean", did_you_mean);
	return CODEXCP_E_INVALID_ARGUMENT;
}

/* Copies of an error share their details; what is added to one stays out of the others. */
static void own_details(struct codexcp_error *err)
{
	json_t *shared = err->details;

	if (!shared) {
		err->details = json_object();
	} else if (shared->refcount > 1) {
		err->details = json_copy(shared);
		json_decref(shared);
	}
}

void ccp_error_add(struct codexcp_error *err, const char *key, json_t *value)
{
	if (!err || !err->code || !value) {
		json_decref(value);
		return;
	}
	own_details(err);
	ccp_json_set_new(&err->details, key, value);
}

void ccp_error_add_str(struct codexcp_error *err, const char *key, const char *value)
{
	if (err && value)
		ccp_error_add(err, key, ccp_json_string(value, strlen(value)));
}

void ccp_error_prefix(struct codexcp_error *err, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	va_list args;
	size_t len;

	if (!err || !err->code)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %s", err->message);
	set_message(err, text);
}

json_t *ccp_error_json(const struct codexcp_error *err)
{
	json_t *obj = json_object();

	ccp_json_set_str(&obj, "code", codexcp_error_name(err->code));
	ccp_json_set_str(&obj, "message", err->message);
	ccp_json_set_new(&obj, "details", err->details ? json_incref(err->details) : json_object());
	ccp_json_set_bool(&obj, "retryable", err->retryable);
	return obj;
}

int ccp_error_from_json(const json_t *json, struct codexcp_error *err)
{
	const char *name = ccp_json_str(json, "code"), *message = ccp_json_str(json, "message");
	json_t *details = ccp_json_obj(json, "details");
	int code = CODEXCP_E_INTERNAL;

#define X(id, wire, retryable, meaning)                                                            \
	if (ccp_streq(name, wire))                                                                 \
		code = CODEXCP_E_##id;
	CODEXCP_ERRORS(X)
#undef X
	ccp_fail(err, code, "%s", message ? message : "no reason was given");
	if (!err)
		return code;
	err->retryable = ccp_json_bool(json, "retryable", err->retryable);
	if (json_object_size(details))
		err->details = json_incref(details);
	return code;
}
