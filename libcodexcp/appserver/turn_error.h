/*
 * Why a turn failed: Codex's error object {message, codexErrorInfo, additionalDetails} as an error
 * of ours. One table of classes, words and HTTP statuses decides.
 */
#pragma once

#include "base/error.h"

/*
 * Fills ret_error (message, code, retryable) from a turn's error; NULL is a failure without a
 * reason. Returns the class: the name in codexErrorInfo ("usageLimitExceeded",
 * "httpConnectionFailed", ...), borrowed from codex_error, or "other".
 */
const char *ccp_codex_turn_error(const json_t *codex_error, struct codexcp_error *ret_error);
/* The account's limit: it ends by itself. NULL is none. */
bool ccp_codex_is_usage_limit(const char *class);

/* The row that decides, or -1: so a test can see to it that each was heard. */
int ccp_codex_turn_error_row(const json_t *codex_error);
size_t ccp_codex_turn_error_rows(void);
