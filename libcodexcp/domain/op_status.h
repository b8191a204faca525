/*
 * What clients see of an operation: rows in, JSON out. Reads only.
 *
 * `compact` has what a client steers by and little more (empty and default members are absent);
 * `full` has everything.
 */
#pragma once

#include "domain/turn_view.h"
#include "store/op_store.h"

/* {ok, operationId, status, ...}: a new reference, NULL with err set on failure. */
json_t *ccp_op_view(struct ccp_db *db, const struct ccp_clock *clock, const struct ccp_op *op,
		    const struct ccp_view *view, struct codexcp_error *err);

/* Whether somebody who waits for the operation should be woken. */
bool ccp_op_has_ended(const struct ccp_op *op);
bool ccp_op_needs_attention(const struct ccp_op *op);
