/*
 * Rows as structs: one X-macro list of columns makes the struct's members, the column list of the
 * SQL, and the two loops that bind and read them.
 *
 *	#define CCP_THING_COLUMNS(TEXT, INT) TEXT(id) INT(version)
 *
 *	struct ccp_thing { CCP_THING_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER) };
 *	static const struct ccp_column columns[] = {
 *		CCP_THING_COLUMNS(CCP_ROW_TEXT_COLUMN, CCP_ROW_INT_COLUMN)
 *	};
 *
 * The struct owns its texts; ccp_row_done() releases them. In SQL the columns stand in the list's
 * order, numbered from ?1 on.
 */
#pragma once

#include "store/db.h"

struct ccp_column {
	bool is_text;
	size_t offset;
};

#define CCP_ROW_TEXT_MEMBER(name) char *name;
#define CCP_ROW_INT_MEMBER(name)  int64_t name;
/* Used where CCP_ROW is defined as the struct's type. */
#define CCP_ROW_TEXT_COLUMN(name) { true, offsetof(CCP_ROW, name) },
#define CCP_ROW_INT_COLUMN(name)  { false, offsetof(CCP_ROW, name) },

void ccp_row_bind(struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		  const void *row);
/* Copies the texts. */
int ccp_row_read(const struct ccp_stmt *stmt, int first, const struct ccp_column *columns, size_t n,
		 void *row, struct codexcp_error *err);
/* Release the texts and leave NULL. */
void ccp_row_done(const struct ccp_column *columns, size_t n, void *row);
/* Replace a text member of a row: copies, NULL clears. */
int ccp_row_set(char **member, const char *value, struct codexcp_error *err);

/* A table whose rows are read, and mostly written, whole. */
struct ccp_table {
	const struct ccp_column *columns;
	size_t n, size;
};

#define CCP_TABLE(columns_array, row_type)                                                         \
	{                                                                                          \
		(columns_array), CCP_ARRAY_SIZE(columns_array), sizeof(row_type)                   \
	}

/* Bind the whole row, run. */
int ccp_table_put(struct ccp_db *db, enum ccp_sql sql, const struct ccp_table *table,
		  const void *row, struct codexcp_error *err);
/* The first row of the statement with up to two text keys bound (NULL: SQL's NULL, when it has that
 * many parameters). 1 found, 0 none (ret_row untouched). */
int ccp_table_get(struct ccp_db *db, enum ccp_sql sql, const struct ccp_table *table,
		  const char *key1, const char *key2, void *ret_row, struct codexcp_error *err);
/* Every row of a statement that was opened and bound, until fn returns non-zero. The row is
 * borrowed. */
typedef int (*ccp_row_fn)(const void *row, void *data);
int ccp_table_each(struct ccp_stmt *stmt, const struct ccp_table *table, ccp_row_fn fn, void *data,
		   struct codexcp_error *err);
