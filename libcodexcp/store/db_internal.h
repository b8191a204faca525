/*
 * What the files of a connection share: db.c (open, transactions, statements), db_schema.c
 * (versions and migrations), db_older.c (reading what is not migrated), db_error.c (what SQLite's
 * errors come to), upkeep.c (the file itself).
 */
#pragma once

#include <sqlite3.h>

#include "store/db.h"

struct ccp_db {
	sqlite3 *handle;
	char *path;
	bool in_transaction;
	/* Opened for reading as it is just now: without the memory that readers and writers share,
	 * or an older schema. */
	bool makeshift;
	struct {
		sqlite3_stmt *stmt;
		bool used;
	} cache[CCP_SQL_COUNT];
};

/* The error behind a result of SQLite; `what` was being done. Returns its code. */
int ccp_db_fail(const struct ccp_db *db, int rc, const char *what, struct codexcp_error *err);
/* CODEXCP_E_STATE_UNAVAILABLE about a file: "PATH: text", with the details path and reason. */
int ccp_db_fail_state(const char *path, const char *reason, struct codexcp_error *err,
		      const char *fmt, ...) _printf_(4, 5);

/* SQL without results, and the number in the first column of the first row. */
int ccp_db_exec(struct ccp_db *db, const char *sql, struct codexcp_error *err);
int ccp_db_number(struct ccp_db *db, const char *sql, int64_t *ret, struct codexcp_error *err);

/* Whether it is ours, whole, and not too new for this; nothing is written. */
int ccp_db_check_owner(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err);
/* Whether this program may work on it in this way; makes and migrates what the mode may. */
int ccp_db_check_schema(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err);
/* Make an older schema look like this program's, for this connection, which only reads. */
int ccp_db_view_older(struct ccp_db *db, struct codexcp_error *err);
