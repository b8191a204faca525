/*
 * Under which sandbox, approval policy and model a turn runs: what was asked for, within what is
 * allowed.
 */
#pragma once

#include "service/config.h"
#include "store/op_store.h"

/* The values of the tools' arguments, NULL-terminated. */
extern const char *const ccp_sandbox_choices[];
extern const char *const ccp_approval_choices[];

struct ccp_policy_request {
	const char *sandbox, *approval, *model; /* as the caller said, or NULL */
	bool known_thread;                      /* unset then means: what the thread has */
	const char *caller_sandbox;             /* of a Codex turn that asks: a ceiling; or NULL */
};

/*
 * Fills op's sandbox, approval, model, effort, summary (NULL: not sent), and the ceilings that are
 * applied again when the turn is sent. A value above a ceiling that the caller named is
 * INVALID_ARGUMENT (expected names the ceiling); a default above it is lowered.
 */
int ccp_policy_resolve(const struct ccp_config *config, const struct ccp_policy_request *request,
		       struct ccp_op *op, struct codexcp_error *err);
