/*
 * From a call to an operation on disk, and to the answer that acknowledges it. A tool makes one,
 * describes the task (task.h) and sends it:
 *
 *	struct ccp_submission *s = ccp_submission_new(call);
 *	...
 *	return ccp_submission_send(s, &task, meaning, &err) < 0 ? ccp_call_fail(call, &err)
 *								 : ccp_call_later(call);
 *
 * A retry is answered before anything is checked that may have changed since: the directory may be
 * gone. Tools that write more than the operation, or answer more, set the two hooks.
 */
#pragma once

#include "service/task.h"

struct ccp_submission {
	struct ccp_call *call;
	struct ccp_submit submit;
	struct ccp_submitted submitted;
	/* In the transaction, after the operation was added or was found to be there (then
	 * `submitted.existed`); NULL: nothing more. */
	int (*also)(struct ccp_db *db, struct ccp_submission *s, struct codexcp_error *err);
	/* The answer: a new reference, NULL with err. NULL: the status of the operation. */
	json_t *(*answer)(struct ccp_submission *s, struct codexcp_error *err);
	void *data; /* of the hooks; freed by data_free with the call */
	void (*data_free)(void *data);
};

/* Owned by the call; NULL when memory ran out. */
struct ccp_submission *ccp_submission_new(struct ccp_call *call);
/* 0: the answer comes later. `meaning`: what makes two requests the same; borrowed. */
int ccp_submission_send(struct ccp_submission *s, const struct ccp_task *task,
			const json_t *meaning, struct codexcp_error *err);
/* The status of the operation, with what submitting found; a new reference, NULL with err. */
json_t *ccp_submission_status(struct ccp_submission *s, struct codexcp_error *err);
