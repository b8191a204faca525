/*
 * What clients see of an operation or a turn: rows in, JSON out. Reads only, so it also runs on a connection
 * that cannot write.
 *
 * `compact` has what a client steers by and little more (empty and default members are absent); `full` has
 * everything. Text of the model is shown as it is, secrets hidden; what is cut says how to get the rest.
 */
#pragma once

#include "base/clock.h"
#include "domain/runner.h"
#include "store/op_store.h"
#include "store/turn_store.h"

struct ccp_view {
	bool full;
	int64_t last_messages, message_max_chars, message_offset;
	int64_t progress_events, progress_max_chars;
	/* For saying why a queued operation waits. */
	struct ccp_limits limits;
	bool worker_alive;
	const char *worker_trouble; /* why no worker or app-server can be had, or NULL */
};

/* {ok, operationId, status, ...}: a new reference, NULL with err set on failure. */
json_t *ccp_op_view(struct ccp_db *db, const struct ccp_clock *clock, const struct ccp_op *op,
		    const struct ccp_view *view, struct codexcp_error *err);
json_t *ccp_turn_view(struct ccp_db *db, const struct ccp_clock *clock,
		      const struct ccp_turn_row *turn, const struct ccp_view *view,
		      struct codexcp_error *err);

/* Whether somebody who waits for the operation should be woken: terminal, or it needs attention. */
bool ccp_op_needs_nobody(const struct ccp_op *op); /* terminal */
bool ccp_op_needs_attention(const struct ccp_op *op);
