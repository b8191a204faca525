/*
 * Tasks that start tasks. A call is nested when it is made for a Codex thread that belongs to an
 * operation of ours; a person's operation has depth 0, a nested one its parent's plus 1. Above
 * max_depth (default 0) tools that change something are refused; reading is allowed. A caller that
 * Codex started for us without saying which thread calls (before 0.130) is always above it.
 */
#pragma once

#include "service/call.h"

/* CODEXCP_E_RECURSION_REFUSED with details operationId, threadId where they are known. */
int ccp_recursion_check(struct ccp_call *call, struct codexcp_error *err);
/* The operation on whose behalf the call is made: 1 found, 0 none. */
int ccp_recursion_parent(struct ccp_call *call, struct ccp_op *ret_op, struct codexcp_error *err);
