#include "store/retention_store.h"

int ccp_retention_nth(struct ccp_db *db, int64_t keep, int64_t *ret_at, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_RETENTION_NTH, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, keep);
	r = ccp_stmt_step(&stmt, err);
	if (r >= 0)
		*ret_at = r == 1 ? ccp_column_int(&stmt, 0) : -1;
	return CCP_MIN(r, 0);
}

int ccp_retention_each_ended(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			     const struct ccp_retention_place *after, int64_t limit,
			     ccp_retention_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_RETENTION_ENDED, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, bounds->keys_until);
	ccp_bind_int(&stmt, 2, after->completed_at);
	ccp_bind_int(&stmt, 3, after->seq);
	ccp_bind_int(&stmt, 4, bounds->ended_until);
	ccp_bind_int(&stmt, 5, limit);
	while ((r = ccp_stmt_step(&stmt, err)) == 1) {
		const struct ccp_retention_place place = { ccp_column_int(&stmt, 0),
							   ccp_column_int(&stmt, 1) };

		r = fn(&place, ccp_column_text(&stmt, 2), ccp_column_text(&stmt, 3),
		       ccp_column_int(&stmt, 4), data, err);
		if (r)
			return r;
	}
	return r;
}

/* Statements about one operation: ?1 its id, ?2 its thread, ?3 the limit. */
static int remove_of(struct ccp_db *db, enum ccp_sql sql, const char *id, const char *thread_id,
		     int64_t limit, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, sql, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, id);
	ccp_bind_text(&stmt, 2, thread_id);
	ccp_bind_int(&stmt, 3, limit);
	r = ccp_stmt_run(&stmt, err);
	return r < 0 ? r : ccp_db_changes(db);
}

int ccp_retention_forget(struct ccp_db *db, const char *id, const char *thread_id, int64_t limit,
			 bool *ret_gone, struct codexcp_error *err)
{
	/* What is found through another row goes before that row; the operation goes last. */
	static const enum ccp_sql parts[] = {
		CCP_SQL_RETENTION_JOURNAL_OF,      CCP_SQL_RETENTION_MESSAGES_OF,
		CCP_SQL_RETENTION_THREAD_MESSAGES, CCP_SQL_RETENTION_TURNS_OF,
		CCP_SQL_RETENTION_THREAD_TURNS,    CCP_SQL_RETENTION_COMMANDS_OF,
		CCP_SQL_RETENTION_REQUEST_OF,      CCP_SQL_RETENTION_OPERATION,
	};
	int64_t removed = 0;

	*ret_gone = false;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(parts) && removed < limit; i++) {
		int r = remove_of(db, parts[i], id, thread_id, limit - removed, err);

		if (r < 0)
			return r;
		removed += r;
		*ret_gone = i + 1 == CCP_ARRAY_SIZE(parts);
	}
	return (int)removed;
}

/* The last of the next `limit` journal rows that may go; 0: none of them may. */
static int journal_end(struct ccp_db *db, const struct ccp_retention_bounds *bounds, int64_t after,
		       int64_t limit, int64_t *ret_end, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_RETENTION_JOURNAL_END, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, after);
	ccp_bind_int(&stmt, 2, bounds->journal_until);
	ccp_bind_int(&stmt, 3, bounds->journal_keep);
	ccp_bind_int(&stmt, 4, limit);
	r = ccp_stmt_step(&stmt, err);
	if (r == 1)
		*ret_end = ccp_column_int(&stmt, 0);
	return CCP_MIN(r, 0);
}

int ccp_retention_journal(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			  int64_t *after, int64_t limit, bool *ret_more, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int64_t end = 0;
	int r = journal_end(db, bounds, *after, limit, &end, err);

	*ret_more = end > 0;
	if (r < 0 || !end)
		return r;
	r = ccp_stmt_open(db, CCP_SQL_RETENTION_JOURNAL, &stmt, err);
	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, *after);
	ccp_bind_int(&stmt, 2, end);
	r = ccp_stmt_run(&stmt, err);
	if (r < 0)
		return r;
	*after = end;
	return ccp_db_changes(db);
}

int ccp_retention_journal_count(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
				int64_t *ret_rows, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_RETENTION_JOURNAL_COUNT, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, 1, bounds->journal_until);
	ccp_bind_int(&stmt, 2, bounds->journal_keep);
	r = ccp_stmt_step(&stmt, err);
	if (r == 1)
		*ret_rows = ccp_column_int(&stmt, 0);
	return CCP_MIN(r, 0);
}

int ccp_retention_processes(struct ccp_db *db, const struct ccp_retention_bounds *bounds,
			    int64_t limit, struct codexcp_error *err)
{
	static const enum ccp_sql tables[] = { CCP_SQL_RETENTION_WORKERS,
					       CCP_SQL_RETENTION_INSTANCES,
					       CCP_SQL_RETENTION_COMMANDS };
	int removed = 0;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(tables); i++) {
		struct ccp_stmt stmt;
		int r = ccp_stmt_open(db, tables[i], &stmt, err);

		if (r < 0)
			return r;
		ccp_bind_int(&stmt, 1, bounds->processes_until);
		ccp_bind_int(&stmt, 2, bounds->processes_keep);
		ccp_bind_int(&stmt, 3, limit);
		r = ccp_stmt_run(&stmt, err);
		if (r < 0)
			return r;
		removed += ccp_db_changes(db);
	}
	return removed;
}
