/**
 * @file
 * Operations as typed calls: submit, look, wait, interrupt.
 *
 * Each function here is a tool (see codexcp_call()) with its arguments as a struct. They dispatch
 * the context until their answer is there, so they are called from its thread and never from inside
 * a callback; a program with a loop of its own uses codexcp_call() instead.
 *
 * @code
 *	struct codexcp_submit task = { .cwd = "/home/me/project", .message = "Run the tests." };
 *	char id[CODEXCP_OPERATION_ID_SIZE];
 *
 *	if (codexcp_submit_task(cp, &task, id, &err) == 0)
 *		codexcp_wait(cp, id, 0, &status, &err);
 * @endcode
 */
#ifndef CODEXCP_OPERATION_H
#define CODEXCP_OPERATION_H

#include <codexcp/codexcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of an operation's id with its terminating NUL. */
#define CODEXCP_OPERATION_ID_SIZE 48

/** A task. Zero-initialise it; all strings are borrowed for the call, NULL means unset. */
struct codexcp_submit {
	const char *message; /**< what Codex shall do; required */
	const char *cwd;     /**< where; this or project_id for a new thread */
	const char *project_id;
	const char *thread_id; /**< the message goes to this thread; NULL: a new thread */
	/** Names the request: a second call with the same id and content returns the first one's
	 *  operation and changes nothing. */
	const char *client_request_id;
	const char *sandbox;         /**< "read-only", "workspace-write", "danger-full-access" */
	const char *approval_policy; /**< "untrusted", "on-request", "never" */
	const char *model;
	const char *title;
	json_t *output_schema; /**< borrowed: JSON Schema of the report; NULL: free text */
};

/**
 * Queue a task and return its id.
 *
 * The task is on disk before this returns, and nothing that is missing for running it (a worker,
 * the Codex binary) makes it fail: the operation waits and its status says why.
 *
 * @param cp open context
 * @param task borrowed
 * @param ret_id on success the operation's id; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_INVALID_ARGUMENT, CODEXCP_E_IDEMPOTENCY_CONFLICT,
 *         CODEXCP_E_DUPLICATE_PROMPT_ACTIVE (details name the operation) or CODEXCP_E_STATE_BUSY
 */
CODEXCP_API int codexcp_submit_task(struct codexcp *cp, const struct codexcp_submit *task,
				    char ret_id[CODEXCP_OPERATION_ID_SIZE],
				    struct codexcp_error *err);

/**
 * The status of an operation, as codex_get_operation_status answers it.
 *
 * @param cp open context
 * @param operation_id borrowed
 * @param ret_status a new reference
 * @param err why it failed; may be NULL
 * @return 0 or CODEXCP_E_INVALID_ARGUMENT when there is no such operation
 */
CODEXCP_API int codexcp_operation_status(struct codexcp *cp, const char *operation_id,
					 json_t **ret_status, struct codexcp_error *err);

/**
 * Wait until an operation has ended or needs attention.
 *
 * Giving up waiting does not touch the operation.
 *
 * @param cp open context
 * @param operation_id borrowed
 * @param timeout_seconds 0: as long as it takes
 * @param ret_status a new reference: the status at the end of waiting, with "waited"
 * @param err why it failed; may be NULL
 * @return 0 also when the time was over, or CODEXCP_E_INVALID_ARGUMENT
 */
CODEXCP_API int codexcp_wait(struct codexcp *cp, const char *operation_id, int timeout_seconds,
			     json_t **ret_status, struct codexcp_error *err);

/**
 * Stop an operation, queued or running. Safe to repeat.
 *
 * @param cp open context
 * @param operation_id borrowed
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_INVALID_ARGUMENT or CODEXCP_E_SEND_FAILED
 */
CODEXCP_API int codexcp_interrupt(struct codexcp *cp, const char *operation_id,
				  struct codexcp_error *err);

#ifdef __cplusplus
}
#endif
#endif
