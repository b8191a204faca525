/*
 * Who calls a tool: the thread of Codex, when the caller is one, and the sandbox of its turn. Codex
 * says so in a request's `_meta`; whoever it starts with a shell command has it in the environment.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

struct mcp_caller {
	const char *thread_id; /* NULL: not a thread of Codex, or unknown */
	const char *sandbox;   /* NULL: not said */
	json_t *turn;          /* owned; what the strings may point into */
};

/* `meta` and `environment_thread_id` may be NULL and must outlive the caller. Fails only when
 * memory runs out: what has another shape is as good as absent. */
int mcp_caller_init(struct mcp_caller *caller, const json_t *meta,
		    const char *environment_thread_id, struct codexcp_error *err);
void mcp_caller_done(struct mcp_caller *caller);
