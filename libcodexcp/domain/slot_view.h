/*
 * What clients see of queue, slots and locks: rows in, JSON out.
 */
#pragma once

#include "domain/slots.h"

/* Parts of the full status of an operation: queueState; slotState and resourceLockState. `reason`:
 * why it is queued, or NULL. */
void ccp_view_queue(json_t **obj, const struct ccp_op *op, const char *reason);
void ccp_view_slot(json_t **obj, struct ccp_db *db, const struct ccp_op *op,
		   const struct ccp_limits *limits);

/* queued; scheduled, its turn is being started; running; or the status in which it has ended. */
const char *ccp_view_queue_status(const struct ccp_op *op);
/* A row of a list: who it is, what it asks for, where it stands. */
json_t *ccp_view_entry(const struct ccp_op *op, const char *reason);
/* What it has locked, as an array of {lockKey, lockMode, operationId, ...}. */
json_t *ccp_view_locks(struct ccp_db *db, const struct ccp_op *op, const struct ccp_limits *limits);
