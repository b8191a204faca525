/*
 * Reading a database of an older version, before anybody may migrate it: temporary views, which
 * SQLite finds before the tables of the same names, add the columns that are not there yet, with
 * what a migration would put there. Nothing is written.
 */
#include <string.h>

#include "base/str.h"
#include "store/db_internal.h"
#include "store/schema.h"

/* Of a database of this program's version: its columns, as JSON. */
static const char columns_sql[] =
	"SELECT json_group_array(json_object('t', s.name, 'c', c.name, "
	"'d', coalesce(c.dflt_value, 'NULL'))) "
	"FROM sqlite_schema s JOIN pragma_table_info(s.name) c WHERE s.type = 'table'";

/* Of the older one, given these columns: what makes it look the same. */
static const char views_sql[] =
	"WITH wanted AS (SELECT json_extract(value, '$.t') AS t, json_extract(value, '$.c') AS c, "
	"json_extract(value, '$.d') AS d FROM json_each(?1)), "
	"missing AS (SELECT * FROM wanted WHERE NOT EXISTS "
	"(SELECT 1 FROM pragma_table_info(wanted.t) o WHERE o.name = wanted.c)) "
	"SELECT group_concat(text, ';') FROM (SELECT CASE "
	"WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE name = t) "
	"THEN 'CREATE TEMP VIEW ' || t || ' AS SELECT rowid AS rowid, *, ' "
	"|| group_concat(d || ' AS ' || c) || ' FROM main.' || t "
	"ELSE 'CREATE TEMP TABLE ' || t || '(' || group_concat(c) || ')' END AS text "
	"FROM missing GROUP BY t)";

/* The first column of the first row, as an allocation, or NULL. */
static char *ask(sqlite3 *handle, const char *sql, const char *parameter)
{
	sqlite3_stmt *stmt = NULL;
	char *text = NULL;

	if (sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_text(stmt, 1, parameter, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			(void)ccp_strdup_opt((const char *)sqlite3_column_text(stmt, 0), &text);
	}
	sqlite3_finalize(stmt);
	return text;
}

static char *newest_columns(void)
{
	sqlite3 *newest = NULL;
	char *columns;
	int rc = sqlite3_open(":memory:", &newest);

	for (size_t i = 0; rc == SQLITE_OK && i < ccp_migration_count; i++)
		rc = sqlite3_exec(newest, ccp_migrations[i].sql, NULL, NULL, NULL);
	columns = rc == SQLITE_OK ? ask(newest, columns_sql, NULL) : NULL;
	sqlite3_close(newest);
	return columns;
}

int ccp_db_view_older(struct ccp_db *db, struct codexcp_error *err)
{
	_cleanup_free_ char *columns = newest_columns();
	_cleanup_free_ char *views = columns ? ask(db->handle, views_sql, columns) : NULL;

	if (!columns)
		return ccp_fail_oom(err);
	/* The next version may add nothing that is read. */
	db->makeshift = true;
	return views ? ccp_db_exec(db, views, err) : 0;
}
