/*
 * Why a turn failed: Codex's error object {message, codexErrorInfo, additionalDetails} as an error
 * of ours.
 */
#pragma once

#include "base/error.h"

/*
 * Fills ret_error (message, code, retryable) from a turn's error; NULL is a failure without a
 * reason. Returns the class: the name in codexErrorInfo ("usageLimitExceeded",
 * "httpConnectionFailed", ...), borrowed from codex_error, or "other".
 */
const char *ccp_codex_turn_error(const json_t *codex_error, struct codexcp_error *ret_error);
