/*
 * A worker of an older version holds the lock, and its database cannot be migrated before it has
 * gone.
 *
 * One that works is left in peace until it is done. One that has nothing to do is asked to leave:
 * it may not know what the doorbell says today, but every version ends in order at a SIGTERM. The
 * front end of another client is never ended, even when it executes by itself.
 */
#pragma once

#include "service/context.h"

/* Always CODEXCP_E_STATE_BUSY (reason older_worker, workerVersion, activeOperations), or why the
 * database cannot be read. */
int ccp_handover_ask(struct codexcp *cp, struct codexcp_error *err);
