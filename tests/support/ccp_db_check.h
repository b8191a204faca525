/*
 * State databases for tests: one in a directory of its own, a clock that is moved by hand, and rows
 * to start from. Texts of the rows are literals: such a row is inserted, never released.
 *
 *	struct db_fixture f;
 *
 *	db_setup(&f);
 *	OK(ccp_op_insert(f.db, &row, &request, &db_err));
 *	db_done(&f);
 */
#pragma once

#include <ccp_check.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "store/db.h"
#include "store/op_store.h"

/* For the last parameter of what is called; OK() shows it. */
static struct codexcp_error db_err;

#define OK(call)                                                                                   \
	do {                                                                                       \
		int ok_ = (call);                                                                  \
		ck_assert_msg(ok_ >= 0, "%s: %d %s", #call, ok_, db_err.message);                  \
	} while (0)

struct db_fixture {
	char *dir, *path;
	struct ccp_db *db;
};

static inline struct ccp_db *db_open(const char *path, enum ccp_db_mode mode)
{
	struct ccp_db *db = NULL;

	OK(ccp_db_open(path, mode, &db, &db_err));
	ck_assert_ptr_nonnull(db);
	return db;
}

/* A path in a directory of its own; nothing is there yet. */
static inline void db_setup_path(struct db_fixture *f)
{
	*f = (struct db_fixture){ .dir = ccp_test_make_dir() };
	ck_assert_int_ge(asprintf(&f->path, "%s/state.sqlite3", f->dir), 0);
}

static inline void db_setup(struct db_fixture *f)
{
	db_setup_path(f);
	f->db = db_open(f->path, CCP_DB_WRITE);
}

static inline void db_done(struct db_fixture *f)
{
	ccp_db_close(f->db);
	free(f->path);
	ccp_test_remove_dir(f->dir);
	codexcp_error_done(&db_err);
}

/* Past this program's statements, for looking at and spoiling a database. */
static inline _unused_ void db_exec(const char *path, const char *sql)
{
	sqlite3 *handle = NULL;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(path, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, 5000);
	ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", sql,
		      message);
	sqlite3_close(handle);
}

/* Nobody else can write until db_unlock(). */
static inline _unused_ sqlite3 *db_lock(const char *path)
{
	sqlite3 *handle = NULL;

	ck_assert_int_eq(sqlite3_open(path, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, 5000);
	ck_assert_int_eq(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return handle;
}

static inline _unused_ void db_unlock(sqlite3 *handle)
{
	ck_assert_int_eq(sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(handle);
}

/* All rows' columns as text, with "|" between columns and "\n" behind rows; an allocation. */
static inline _unused_ char *db_query(const char *path, const char *sql)
{
	sqlite3 *handle = NULL;
	sqlite3_stmt *stmt = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_int_eq(sqlite3_open(path, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, 5000);
	ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
		      sqlite3_errmsg(handle));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const char *value = (const char *)sqlite3_column_text(stmt, i);

			fprintf(out, "%s%s", i ? "|" : "", value ? value : "");
		}
		fputc('\n', out);
	}
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
	fclose(out);
	return text;
}

static inline _unused_ void db_expect(const char *path, const char *sql, const char *want)
{
	char *text = db_query(path, sql);

	ck_assert_str_eq(text, want);
	free(text);
}

/* A clock that stands still: set `at`. Boot time is the same number. */
struct db_clock {
	struct ccp_clock clock;
	int64_t at;
};

static inline int64_t db_clock_now(void *data)
{
	return ((const struct db_clock *)data)->at;
}

static inline _unused_ void db_clock_init(struct db_clock *c, int64_t at)
{
	c->at = at;
	c->clock = (struct ccp_clock){ db_clock_now, db_clock_now, c };
}

/* A queued operation with all that must not be NULL. */
static inline _unused_ struct ccp_op db_op_row(const char *id)
{
	return (struct ccp_op){
		.id = (char *)id,
		.type = "start_chat",
		.project_id = "project",
		.project_path = "/p",
		.cwd = "/p",
		.allowed_root = "/",
		.priority = 1,
		.request_timeout_ms = 1000,
		.prompt_scope = "new",
		.prompt_guards = 1,
		.created_at = 1000,
		.active = 1,
		.status = "queued",
		.phase = "queued",
		.version = 1,
	};
}

static inline _unused_ void db_insert(struct ccp_db *db, const struct ccp_op *op)
{
	const struct ccp_op_request request = { .message = "do it", .arguments = "{}" };

	OK(ccp_db_begin(db, &db_err));
	OK(ccp_op_insert(db, op, &request, &db_err));
	OK(ccp_db_commit(db, &db_err));
}
