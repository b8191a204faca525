#include "store/row.h"

#include <string.h>

void ccp_row_bind(struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		  const void *row)
{
	for (size_t i = 0; i < n; i++) {
		const char *at = (const char *)row + columns[i].offset;

		if (columns[i].is_text)
			ccp_bind_text(stmt, first + (int)i, *(char *const *)at);
		else
			ccp_bind_int(stmt, first + (int)i, *(const int64_t *)at);
	}
}

int ccp_row_read(const struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		 void *row, struct codexcp_error *err)
{
	for (size_t i = 0; i < n; i++) {
		char *at = (char *)row + columns[i].offset;
		int r;

		if (!columns[i].is_text) {
			*(int64_t *)at = ccp_column_int(stmt, first + (int)i);
			continue;
		}
		r = ccp_row_set((char **)at, ccp_column_text(stmt, first + (int)i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

void ccp_row_done(const struct ccp_column *columns, size_t n, void *row)
{
	for (size_t i = 0; i < n; i++) {
		char **member = (char **)(void *)((char *)row + columns[i].offset);

		if (!columns[i].is_text)
			continue;
		free(*member);
		*member = NULL;
	}
}

int ccp_row_set(char **member, const char *value, struct codexcp_error *err)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return ccp_fail_oom(err);
	free(*member);
	*member = copy;
	return 0;
}

int ccp_table_put(struct ccp_db *db, enum ccp_sql sql, const struct ccp_table *table,
		  const void *row, struct codexcp_error *err)
{
	struct ccp_stmt stmt;
	int r = ccp_stmt_open(db, sql, &stmt, err);

	if (r < 0)
		return r;
	ccp_row_bind(&stmt, 1, table->columns, table->n, row);
	return ccp_stmt_run(&stmt, err);
}

static int read_first(struct ccp_stmt *stmt, const struct ccp_table *table, void *ret_row,
		      struct codexcp_error *err)
{
	int r = ccp_stmt_step(stmt, err);

	if (r != 1)
		return r;
	memset(ret_row, 0, table->size);
	r = ccp_row_read(stmt, 0, table->columns, table->n, ret_row, err);
	if (r < 0)
		ccp_row_done(table->columns, table->n, ret_row);
	return r < 0 ? r : 1;
}

int ccp_table_get(struct ccp_db *db, enum ccp_sql sql, const struct ccp_table *table,
		  const char *key1, const char *key2, void *ret_row, struct codexcp_error *err)
{
	_cleanup_stmt_ struct ccp_stmt stmt = { 0 };
	int r = ccp_stmt_open(db, sql, &stmt, err);

	if (r < 0)
		return r;
	if (key1)
		ccp_bind_text(&stmt, 1, key1);
	if (key2)
		ccp_bind_text(&stmt, 2, key2);
	return read_first(&stmt, table, ret_row, err);
}

int ccp_table_each(struct ccp_stmt *stmt, const struct ccp_table *table, ccp_row_fn fn, void *data,
		   struct codexcp_error *err)
{
	_cleanup_free_ void *row = calloc(1, table->size);
	int r = row ? 1 : ccp_fail_oom(err);
	bool enough = false;

	while (r > 0 && !enough && (r = ccp_stmt_step(stmt, err)) == 1) {
		r = ccp_row_read(stmt, 0, table->columns, table->n, row, err);
		if (r == 0) {
			enough = fn(row, data) != 0;
			r = 1;
		}
		ccp_row_done(table->columns, table->n, row);
	}
	return CCP_MIN(r, 0);
}
