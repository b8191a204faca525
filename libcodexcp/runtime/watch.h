/*
 * The end of a process that is not our child, and how to bring it about.
 *
 *	ccp_watch_new(loop, &id, on_ended, self, &watch, err);
 *	ccp_watch_stop(watch, 10000);	// SIGTERM, after the grace SIGKILL
 *
 * Nobody but its parent learns the exit status.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"
#include "runtime/process.h"

struct ccp_watch;

/* `ended` is called once. A process that is not proven to be alive is CODEXCP_E_BUSY. */
int ccp_watch_new(struct ccp_loop *loop, const struct ccp_process_id *id, ccp_loop_fn ended,
		  void *data, struct ccp_watch **ret_watch, struct codexcp_error *err);
void ccp_watch_stop(struct ccp_watch *watch, int64_t grace_ms);
/* Leaves the process alone; no callback comes any more. */
void ccp_watch_free(struct ccp_watch *watch);
CCP_DEFINE_CLEANUP(struct ccp_watch, ccp_watch_free);
