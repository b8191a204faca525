/*
 * What a program says when it is asked something simple: `codex --version`.
 */
#pragma once

#include "base/error.h"

/* Runs argv[0] (a path) until it ends; its first line is an allocation. CODEXCP_E_TIMEOUT when it
 * takes longer, CODEXCP_E_INTERNAL when it cannot be run, fails, or says nothing. */
int capture_line(const char *const *argv, const char *const *environment, int64_t timeout_ms,
		 char **ret_line, struct codexcp_error *err);
