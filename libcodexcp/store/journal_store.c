#include "store/journal_store.h"

#include <string.h>

#include "base/redact.h"
#include "base/utf8.h"

#define CCP_ROW struct ccp_journal_row
static const struct ccp_column columns[] = { CCP_JOURNAL_COLUMNS(CCP_ROW_TEXT_COLUMN,
								 CCP_ROW_INT_COLUMN) };
#undef CCP_ROW

static const struct ccp_table journal = CCP_TABLE(columns, struct ccp_journal_row);

void ccp_journal_row_done(struct ccp_journal_row *row)
{
	ccp_row_done(journal.columns, journal.n, row);
}

/* Redacted first: a secret that is cut in two would not be recognised. */
static int bounded(const char *text, size_t max_chars, char **ret, struct codexcp_error *err)
{
	size_t len;

	if (!text)
		return 0;
	*ret = ccp_redact(text, strlen(text), &len);
	if (!*ret)
		return ccp_fail_oom(err);
	(*ret)[ccp_utf8_clip(*ret, len, max_chars)] = '\0';
	return 0;
}

int ccp_journal_append(struct ccp_db *db, const struct ccp_journal_row *row,
		       struct codexcp_error *err)
{
	_cleanup_free_ char *text = NULL, *data = NULL;
	struct ccp_journal_row stored = *row;
	struct ccp_stmt stmt;
	int r = bounded(row->text, CCP_JOURNAL_TEXT_MAX, &text, err);

	/* JSON cannot be clipped: data that is too long, as the marks of secrets may make it, is
	 * left out. */
	if (r == 0 && row->data && strlen(row->data) <= CCP_JOURNAL_DATA_MAX)
		r = bounded(row->data, SIZE_MAX, &data, err);
	if (data && strlen(data) > CCP_JOURNAL_DATA_MAX)
		free(TAKE_PTR(data));
	if (r == 0)
		r = ccp_stmt_open(db, CCP_SQL_JOURNAL_APPEND, &stmt, err);
	if (r < 0)
		return r;
	stored.text = text;
	stored.data = data;
	ccp_row_bind(&stmt, 1, journal.columns, journal.n, &stored);
	ccp_bind_text(&stmt, 1, NULL);
	return ccp_stmt_run(&stmt, err);
}

/* Binds (op_id) or (thread_id, turn_id) and returns the next index. */
static int bind_scope(struct ccp_stmt *stmt, const char *op_id, const char *thread_id,
		      const char *turn_id)
{
	ccp_bind_text(stmt, 1, op_id ? op_id : thread_id);
	if (op_id)
		return 2;
	ccp_bind_text(stmt, 2, turn_id);
	return 3;
}

int ccp_journal_each_progress(struct ccp_db *db, const char *op_id, const char *thread_id,
			      const char *turn_id, int limit, ccp_row_fn fn, void *data,
			      struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(
		db, op_id ? CCP_SQL_JOURNAL_PROGRESS_OPERATION : CCP_SQL_JOURNAL_PROGRESS_TURN,
		&stmt, err);

	if (r < 0)
		return r;
	ccp_bind_int(&stmt, bind_scope(&stmt, op_id, thread_id, turn_id), limit);
	return ccp_table_each(&stmt, &journal, fn, data, err);
}

int ccp_journal_each(struct ccp_db *db, const char *op_id, int limit, ccp_row_fn fn, void *data,
		     struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_JOURNAL_OPERATION, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, op_id);
	ccp_bind_int(&stmt, 2, limit);
	return ccp_table_each(&stmt, &journal, fn, data, err);
}

int ccp_journal_item_of_other(struct ccp_db *db, const char *thread_id, const char *turn_id,
			      const char *item_id, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, CCP_SQL_JOURNAL_ITEM_OF_OTHER, &stmt, err);

	if (r < 0)
		return r;
	ccp_bind_text(&stmt, 1, thread_id);
	ccp_bind_text(&stmt, 2, turn_id);
	ccp_bind_text(&stmt, 3, item_id);
	return ccp_stmt_step(&stmt, err);
}

int ccp_journal_count_progress(struct ccp_db *db, const char *op_id, const char *thread_id,
			       const char *turn_id, int64_t *ret_count, int64_t *ret_latest,
			       struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db,
			      op_id ? CCP_SQL_JOURNAL_COUNT_OPERATION : CCP_SQL_JOURNAL_COUNT_TURN,
			      &stmt, err);

	if (r < 0)
		return r;
	(void)bind_scope(&stmt, op_id, thread_id, turn_id);
	r = ccp_stmt_step(&stmt, err);
	if (r < 0)
		return r;
	*ret_count = ccp_column_int(&stmt, 0);
	*ret_latest = ccp_column_int(&stmt, 1);
	return 0;
}
