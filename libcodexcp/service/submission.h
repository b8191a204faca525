/*
 * From a call to an operation on disk, and to the answer that acknowledges it: the status of the
 * operation.
 *
 *	return ccp_submission_send(call, &task, meaning, &err) < 0 ? ccp_call_fail(call, &err)
 *								    : ccp_call_later(call);
 *
 * A retry is answered before anything is checked that may have changed since: the directory may be
 * gone.
 */
#pragma once

#include "service/task.h"

/* 0: the answer comes later. `meaning`: what makes two requests the same; borrowed. */
int ccp_submission_send(struct ccp_call *call, const struct ccp_task *task, const json_t *meaning,
			struct codexcp_error *err);
