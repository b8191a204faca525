/*
 * Filling an error: the inside of <codexcp/error.h>.
 *
 *	if (fd < 0)
 *		return ccp_fail_errno(err, errno, "cannot open %s", path);
 *	return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s is not a directory", path);
 *
 * Every function here accepts err == NULL and returns the (negative) code, so that failing is one
 * statement. A second failure of the same object replaces the first.
 */
#pragma once

#include <codexcp/error.h>

#include "base/macro.h"

int ccp_fail(struct codexcp_error *err, int code, const char *fmt, ...) _printf_(3, 4);

/* CODEXCP_E_INTERNAL with the system's text; out of memory and a full disk get their own codes. */
int ccp_fail_errno(struct codexcp_error *err, int errnum, const char *fmt, ...) _printf_(3, 4);

/* Allocates nothing. In the header, so that a checker sees that it never returns 0. */
void ccp_error_set_oom(struct codexcp_error *err);
static inline int ccp_fail_oom(struct codexcp_error *err)
{
	ccp_error_set_oom(err);
	return CODEXCP_E_NO_MEMORY;
}

/* Copies `from` (details shared by reference) into err; returns its code. */
int ccp_fail_copy(struct codexcp_error *err, const struct codexcp_error *from);

/* INVALID_ARGUMENT with the details that it always has: argument, expected, didYouMean (or
 * NULL). */
int ccp_fail_argument(struct codexcp_error *err, const char *argument, const char *expected,
		      const char *did_you_mean);

/* Add a detail to a failed error. `value` is stolen, NULL is ignored. */
void ccp_error_add(struct codexcp_error *err, const char *key, json_t *value);
void ccp_error_add_str(struct codexcp_error *err, const char *key, const char *value);

/* Prefix the message with where it happened: "config.json: expected an object". */
void ccp_error_prefix(struct codexcp_error *err, const char *fmt, ...) _printf_(2, 3);

/* {code, message, details, retryable} as clients see it; a new reference or NULL. */
json_t *ccp_error_json(const struct codexcp_error *err);
/* The way back; a code that is not known is CODEXCP_E_INTERNAL. */
int ccp_error_from_json(const json_t *json, struct codexcp_error *err);

#define _cleanup_error_ _cleanup_(codexcp_error_done)
