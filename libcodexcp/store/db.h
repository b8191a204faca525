/*
 * The state database: open, transactions, prepared statements. SQLite stays inside this folder.
 *
 *	struct ccp_stmt st;
 *
 *	if (ccp_stmt_open(db, CCP_SQL_OPERATION_GET, &st, err) < 0) ...
 *	ccp_bind_text(&st, 1, id);
 *	r = ccp_stmt_step(&st, err);		// 1 a row, 0 done, negative an error
 *	name = ccp_column_text(&st, 0);		// valid until the next step
 *	ccp_stmt_close(&st);			// or _cleanup_(ccp_stmt_close)
 *
 * All SQL stands in statements.h and schema.c. A locked database is CODEXCP_E_STATE_BUSY and is
 * tried again by the caller; nothing here waits longer than the busy timeout of 5 ms. One
 * connection, one thread.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "store/statements.h"

struct ccp_db;
struct sqlite3_stmt;

enum ccp_db_mode {
	CCP_DB_READ,    /* an existing database, never written; an older schema looks like ours */
	CCP_DB_WRITE,   /* made when it is not there; an older schema stays as it is */
	CCP_DB_MIGRATE, /* the same, and an older schema is migrated: for who holds the worker lock */
};

enum ccp_sql {
#define X(name, text) CCP_SQL_##name,
	CCP_STATEMENTS(X)
#undef X
		CCP_SQL_COUNT
};

/* Opens, checks the schema's version, makes an empty file's schema. CODEXCP_E_STATE_UNAVAILABLE
 * (details path, reason: full, read_only, corrupt, newer_schema, network_fs, missing, cannot_open,
 * io_error) or CODEXCP_E_STATE_BUSY (reason: locked, or CCP_DB_OLDER_SCHEMA). */
#define CCP_DB_OLDER_SCHEMA "older_schema"
int ccp_db_open(const char *path, enum ccp_db_mode mode, struct ccp_db **ret_db,
		struct codexcp_error *err);
void ccp_db_close(struct ccp_db *db);
CCP_DEFINE_CLEANUP(struct ccp_db, ccp_db_close);
const char *ccp_db_path(const struct ccp_db *db);
/* Opened for reading where a reader's usual means could not be had (a full disk, a directory
 * without permission): good for one look, then to be opened anew. A writer of the same process
 * could not write beside it. */
bool ccp_db_is_outdated(const struct ccp_db *db);

/* BEGIN IMMEDIATE: whoever has begun will not meet a busy database before the commit. */
int ccp_db_begin(struct ccp_db *db, struct codexcp_error *err);
/* The commit is on disk (synchronous=FULL) when this returns 0. */
int ccp_db_commit(struct ccp_db *db, struct codexcp_error *err);
/* Does nothing outside a transaction. */
void ccp_db_rollback(struct ccp_db *db);
/* Changes when another connection has committed. */
int64_t ccp_db_data_version(struct ccp_db *db);
/* The version of the schema that it has; -1 when it cannot be read. */
int ccp_db_schema(struct ccp_db *db);
/* Rows changed by the last statement. */
int ccp_db_changes(const struct ccp_db *db);

/* One use of a cached statement. */
struct ccp_stmt {
	struct ccp_db *db;
	struct sqlite3_stmt *stmt;
	enum ccp_sql sql;
	bool cached;
	int failed; /* a bind failed: the next step says so */
};

int ccp_stmt_open(struct ccp_db *db, enum ccp_sql sql, struct ccp_stmt *ret_stmt,
		  struct codexcp_error *err);
void ccp_stmt_close(struct ccp_stmt *stmt);
#define _cleanup_stmt_ _cleanup_(ccp_stmt_close)

/* Text is borrowed until the statement is closed. NULL is SQL's NULL. */
void ccp_bind_text(struct ccp_stmt *stmt, int index, const char *text);
void ccp_bind_int(struct ccp_stmt *stmt, int index, int64_t value);

int ccp_stmt_step(struct ccp_stmt *stmt, struct codexcp_error *err);
/* For statements that return no rows: step and close. */
int ccp_stmt_run(struct ccp_stmt *stmt, struct codexcp_error *err);

const char *ccp_column_text(const struct ccp_stmt *stmt, int column); /* NULL for SQL's NULL */
int64_t ccp_column_int(const struct ccp_stmt *stmt, int column);      /* 0 for SQL's NULL */

const char *ccp_sql_name(enum ccp_sql sql);
size_t ccp_sql_count(void);
