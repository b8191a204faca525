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
