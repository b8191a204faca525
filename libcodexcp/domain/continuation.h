/*
 * An operation has one turn, and another when Codex, or the account's limit, cut that one: a
 * continuation in the same thread. Each has a mark of its own in the thread's history.
 */
#pragma once

#include "base/ids.h"
#include "store/op_store.h"

#define CCP_OP_MARK_SIZE (CCP_ID_SIZE + 16)

/* What the user message of the present turn carries as its clientId; returns out. */
const char *ccp_op_mark(const struct ccp_op *op, char out[static CCP_OP_MARK_SIZE]);
bool ccp_op_is_continuation(const struct ccp_op *op);
/*
 * What a continuation says to the model; `message`, what was asked for, is repeated when it is not
 * NULL. An allocation, NULL when memory ran out.
 */
char *ccp_continuation_prompt(const char *message);
