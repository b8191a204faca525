/*
 * What clients see of a turn: rows in, JSON out. Reads only, so it also runs on a connection that
 * cannot write. Text of the model is shown as it is, secrets hidden; what is cut says how to get
 * the rest.
 */
#pragma once

#include "base/clock.h"
#include "domain/slots.h"
#include "store/turn_store.h"

/* How much is shown. */
struct ccp_view {
	bool full;
	int64_t last_messages, message_max_chars, message_offset;
	int64_t progress_events, progress_max_chars;
	/* For saying why a queued operation waits. */
	struct ccp_limits limits;
	bool worker_alive;
	bool crowded; /* the worker says that app-server has too many unanswered requests */
	const char *worker_trouble; /* why no worker or app-server can be had, or NULL */
};

/* {ok, turnId, status, ...}: a new reference, NULL with err set on failure. */
json_t *ccp_turn_view(struct ccp_db *db, const struct ccp_clock *clock,
		      const struct ccp_turn_row *turn, const struct ccp_view *view,
		      struct codexcp_error *err);

/* Parts of it, which the status of an operation has too: each adds its members to *obj. */
int ccp_view_progress(json_t **obj, struct ccp_db *db, const char *op_id, const char *thread_id,
		      const char *turn_id, const struct ccp_view *view, struct codexcp_error *err);
int ccp_view_messages(json_t **obj, struct ccp_db *db, const struct ccp_turn_row *turn,
		      const struct ccp_view *view, struct codexcp_error *err);
void ccp_view_usage(json_t **obj, const struct ccp_turn_row *turn);
/* finalReport; 1 when there is one. */
int ccp_view_report(json_t **obj, struct ccp_db *db, const char *thread_id, const char *turn_id,
		    const struct ccp_view *view, struct codexcp_error *err);
