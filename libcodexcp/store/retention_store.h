/*
 * Forgetting what has ended, in pieces: domain/retention.h has the rule. Every function belongs to
 * the caller's transaction, touches at most `limit` rows, and returns how many it has removed.
 */
#pragma once

#include "store/db.h"

/* When the operation ended that has `keep` younger ones: that, or -1 when there are not so many. */
int ccp_retention_nth(struct ccp_db *db, int64_t keep, int64_t *ret_at, struct codexcp_error *err);

/* Where a walk over finished operations stands: the last one that was looked at. */
struct ccp_retention_place {
	int64_t completed_at, seq;
};

struct ccp_retention_bounds {
	int64_t ended_until;     /* finished operations: ended then or before */
	int64_t keys_until;      /* with a request id: and submitted then or before */
	int64_t journal_until;   /* journal rows: written then or before */
	int64_t journal_keep;    /* and those that have so many newer ones */
	int64_t processes_until; /* workers, app-servers, commands */
	int64_t processes_keep;
};

/* Finished operations after `place`, oldest first, until fn returns non-zero: what it returned. */
typedef int (*ccp_retention_fn)(const struct ccp_retention_place *place, const char *id,
				const char *thread_id, bool forgettable, void *data,
				struct codexcp_error *err);
int ccp_retention_each_ended(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			     const struct ccp_retention_place *after, int64_t limit,
			     ccp_retention_fn fn, void *data, struct codexcp_error *err);
/* A finished operation with all that is its own; the last of its thread takes along what is left of
 * the thread. The operation itself goes last: *ret_gone. */
int ccp_retention_forget(struct ccp_db *db, const char *id, const char *thread_id, int64_t limit,
			 bool *ret_gone, struct codexcp_error *err);
/* Journal rows after *after, which is moved past those that were looked at; *ret_more: there may be
 * others. Rows of active operations stay. */
int ccp_retention_journal(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			  int64_t *after, int64_t limit, bool *ret_more, struct codexcp_error *err);
/* How many of them may go; reads the whole journal. */
int ccp_retention_journal_count(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
				int64_t *ret_rows, struct codexcp_error *err);
/* Workers, app-servers and commands. */
int ccp_retention_processes(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			    int64_t limit, struct codexcp_error *err);
