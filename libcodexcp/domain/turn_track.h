/*
 * What a running turn tells, collected in memory and written in batches: messages, progress, token
 * usage, the newest words of a message that is still being written. A stream of tokens costs a
 * transaction every 100 ms, not one per token.
 *
 *	ccp_track_event(track, &event, now);		// collects
 *	ccp_track_write(track, db, err);		// inside a transaction, may be repeated
 *	ccp_track_written(track);			// after the commit: what was written is forgotten
 *
 * Never kept: hidden reasoning, tool payloads, command output, diffs (a diff is its counts).
 */
#pragma once

#include "appserver/events.h"
#include "appserver/methods.h"
#include "store/journal_store.h"
#include "store/turn_store.h"

struct ccp_track;

/* Strings are copied. turn_id may be NULL until it is known. */
int ccp_track_new(const char *op_id, const char *thread_id, const char *turn_id,
		  const char *instance, struct ccp_track **ret_track, struct codexcp_error *err);
void ccp_track_free(struct ccp_track *track);
int ccp_track_set_turn(struct ccp_track *track, const char *thread_id, const char *turn_id,
		       const char *instance, int64_t now, struct codexcp_error *err);

int ccp_track_event(struct ccp_track *track, const struct ccp_event *event, int64_t now,
		    struct codexcp_error *err);
/* A turn as history has it (after a look-up, or the summary in turn/completed): status, error,
 * times, and the items whose text was not seen. */
int ccp_track_turn(struct ccp_track *track, const struct ccp_turn *turn, int64_t now,
		   struct codexcp_error *err);
/* A line of its own in the journal. */
int ccp_track_note(struct ccp_track *track, const char *category, const char *severity,
		   const char *text, int64_t now, struct codexcp_error *err);

bool ccp_track_dirty(const struct ccp_track *track);
int ccp_track_write(struct ccp_track *track, struct ccp_db *db, struct codexcp_error *err);
void ccp_track_written(struct ccp_track *track);
