/*
 * How long what has ended is kept, and forgetting it in slices that hold nobody up.
 *
 * Finished operations go, with all that belongs to them, when they are older than the rule says or
 * when there are more; journal rows likewise, and sooner. Never: what is active; an operation whose
 * request id is younger than its window, because its retry must find it; an operation that an
 * active one came from or whose thread an active one goes on in.
 *
 *	struct ccp_retention_pass pass = { 0 };
 *
 *	while ((r = ccp_retention_slice(db, now, &rule, &pass, 100, err)) == 1) commit, begin;
 */
#pragma once

#include "store/retention_store.h"

struct ccp_retention_rule {
	int64_t age_ms, operations;           /* finished operations */
	int64_t journal_age_ms, journal_rows; /* the journal */
	int64_t key_window_ms;                /* of a client_request_id */
};

enum ccp_retention_phase {
	CCP_RETENTION_BEGIN,
	CCP_RETENTION_OPERATIONS,
	CCP_RETENTION_JOURNAL,
	CCP_RETENTION_PROCESSES,
	CCP_RETENTION_DONE,
};

/* Where one pass over everything stands. Begins as zeroes. */
struct ccp_retention_pass {
	enum ccp_retention_phase phase;
	struct ccp_retention_bounds bounds; /* of the moment when it began */
	struct ccp_retention_place place;
	int64_t journal_after;
	int64_t operations, rows; /* removed so far: operations; rows, those of operations too */
};

/* One slice in the caller's transaction: about `rows` rows at the most. 1 when there may be more,
 * 0 when the pass is done. `pass` counts only when the transaction is committed. */
int ccp_retention_slice(struct ccp_db *db, int64_t now, const struct ccp_retention_rule *rule,
			struct ccp_retention_pass *pass, int64_t rows, struct codexcp_error *err);
/* What a pass would forget, without doing it: operations, and in `rows` rows of the journal. */
int ccp_retention_count(struct ccp_db *db, int64_t now, const struct ccp_retention_rule *rule,
			struct ccp_retention_pass *pass, struct codexcp_error *err);
