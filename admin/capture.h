/*
 * What a program says when it is asked something simple: `codex --version`.
 */
#pragma once

#include "base/error.h"

/* Runs argv[0] until it ends; its first line is an allocation, NULL when it says nothing.
 * CODEXCP_E_TIMEOUT when it takes longer, CODEXCP_E_INTERNAL when it cannot be run or fails. */
int capture_run(const char *const *argv, const char *const *environment, int64_t timeout_ms,
		char **ret_line, struct codexcp_error *err);
/* The same, and that it says nothing is a failure. */
int capture_line(const char *const *argv, const char *const *environment, int64_t timeout_ms,
		 char **ret_line, struct codexcp_error *err);
