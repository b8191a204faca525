/*
 * What a tool wants done, before it is an operation. A tool describes it in the words of its
 * arguments; ccp_task_check() finds what can be found wrong before anything is written (place,
 * policy, images, schema) and fills in the row as it shall be.
 *
 *	const struct ccp_task task = { .type = "start_chat", .message = args->message, ... };
 *	...
 *	r = ccp_task_identify(&task, meaning, &submit, err);	// a retry is recognised by that
 *	r = ccp_task_check(call, &task, &submit, err);
 */
#pragma once

#include "domain/op_create.h"
#include "service/call.h"

/* All borrowed; NULL: not named by the caller. */
struct ccp_task {
	const char *type;
	const char *message;
	const char *cwd, *project_id; /* neither: the thread's own place, else the default */
	const char *thread_id;        /* that it goes to; NULL: a new one */
	const char *client_request_id, *agent_id, *title;
	const char *sandbox, *approval, *model; /* sandbox, approval: as callers say them */
	const char *mode;                       /* collaboration mode */
	const char *on_interruption, *cost_class;
	const json_t *resource_keys, *input_items, *output_schema;
	int64_t priority, max_continuations, request_timeout_ms;
	bool check_prompt;       /* refuse the same text while it is being worked on */
	bool continue_completed; /* a thread that has answered the same text goes on */
};

/* By what a retry is recognised: the client's id, and what the request means (borrowed). */
int ccp_task_identify(const struct ccp_task *task, const json_t *meaning, struct ccp_submit *submit,
		      struct codexcp_error *err);
/* The rest of the row, for a task that was identified. INVALID_ARGUMENT and the like name what is
 * wrong. */
int ccp_task_check(struct ccp_call *call, const struct ccp_task *task, struct ccp_submit *submit,
		   struct codexcp_error *err);
