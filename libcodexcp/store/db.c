#include "store/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/str.h"
#include "store/schema.h"

/* "ccp1": tells file(1) and us whose database this is. */
#define APPLICATION_ID  0x63637031
#define BUSY_TIMEOUT_MS 5
/* What the write-ahead log may keep on disk between checkpoints. */
#define WAL_LIMIT_BYTES "1048576"

#define X(name, text) text,
static const char *const sql_texts[] = { CCP_STATEMENTS(X) };
#undef X
#define X(name, text) #name,
static const char *const sql_names[] = { CCP_STATEMENTS(X) };
#undef X

struct ccp_db {
	sqlite3 *handle;
	char *path;
	bool in_transaction;
	struct {
		sqlite3_stmt *stmt;
		bool used;
	} cache[CCP_ARRAY_SIZE(sql_texts)];
};

static const struct {
	int sqlite, code;
	const char *reason;
} sqlite_errors[] = {
	{ SQLITE_BUSY, CODEXCP_E_STATE_BUSY, NULL },
	{ SQLITE_LOCKED, CODEXCP_E_STATE_BUSY, NULL },
	{ SQLITE_NOMEM, CODEXCP_E_NO_MEMORY, NULL },
	{ SQLITE_FULL, CODEXCP_E_STATE_UNAVAILABLE, "full" },
	{ SQLITE_READONLY, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
	{ SQLITE_PERM, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
	{ SQLITE_CORRUPT, CODEXCP_E_STATE_UNAVAILABLE, "corrupt" },
	{ SQLITE_NOTADB, CODEXCP_E_STATE_UNAVAILABLE, "corrupt" },
	{ SQLITE_CANTOPEN, CODEXCP_E_STATE_UNAVAILABLE, "cannot_open" },
	{ SQLITE_IOERR, CODEXCP_E_STATE_UNAVAILABLE, "io_error" },
};

static int fail_sqlite(const struct ccp_db *db, int rc, const char *what, struct codexcp_error *err)
{
	int code = CODEXCP_E_INTERNAL;
	const char *reason = NULL;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(sqlite_errors); i++)
		if (sqlite_errors[i].sqlite == (rc & 0xff)) {
			code = sqlite_errors[i].code;
			reason = sqlite_errors[i].reason;
		}
	ccp_fail(err, code, "%s: %s (%s)", db->path, db->handle ? sqlite3_errmsg(db->handle) : "",
		 what);
	if (reason) {
		ccp_error_add_str(err, "path", db->path);
		ccp_error_add_str(err, "reason", reason);
	}
	return code;
}

static int exec(struct ccp_db *db, const char *sql, struct codexcp_error *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail_sqlite(db, rc, "statement", err);
}

static int read_number(struct ccp_db *db, const char *sql, int64_t *ret, struct codexcp_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : fail_sqlite(db, rc, sql, err);
}

/* One migration and its bookkeeping, inside the caller's transaction. */
static int migrate_step(struct ccp_db *db, const struct ccp_migration *step,
			struct codexcp_error *err)
{
	char text[256];
	int r;

	snprintf(text, sizeof(text),
		 "INSERT OR REPLACE INTO meta(key, value) VALUES('schema', '%d'),"
		 "('min_reader', '%d'), ('min_writer', '%d'); PRAGMA user_version = %d;"
		 "PRAGMA application_id = %d;",
		 step->version, step->min_reader, step->min_writer, step->version, APPLICATION_ID);
	r = exec(db, step->sql, err);
	return r < 0 ? r : exec(db, text, err);
}

static int fail_schema(const struct ccp_db *db, const char *reason, const char *message,
		       int64_t version, struct codexcp_error *err)
{
	ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE, "%s: %s (schema %d, this program knows %d)",
		 db->path, message, (int)version, ccp_schema_version());
	ccp_error_add_str(err, "path", db->path);
	ccp_error_add_str(err, "reason", reason);
	return CODEXCP_E_STATE_UNAVAILABLE;
}

static int migrate(struct ccp_db *db, struct codexcp_error *err)
{
	int64_t version = 0, objects = 0;
	int r = ccp_db_begin(db, err);

	if (r < 0)
		return r;
	/* Somebody else may have made the schema while we waited for the lock. */
	r = read_number(db, "PRAGMA user_version", &version, err);
	if (r == 0)
		r = read_number(db, "SELECT count(*) FROM sqlite_schema", &objects, err);
	if (r == 0 && version == 0 && objects > 0)
		r = fail_schema(db, "corrupt", "not a state database of this program", version,
				err);
	for (size_t i = 0; r == 0 && i < ccp_migration_count; i++)
		if (ccp_migrations[i].version > version)
			r = migrate_step(db, &ccp_migrations[i], err);
	if (r == 0)
		r = ccp_db_commit(db, err);
	if (r < 0)
		ccp_db_rollback(db);
	return r;
}

static int check_schema(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err)
{
	const char *oldest =
		mode == CCP_DB_WRITE
			? "SELECT cast(value AS INTEGER) FROM meta WHERE key = 'min_writer'"
			: "SELECT cast(value AS INTEGER) FROM meta WHERE key = 'min_reader'";
	int64_t version = 0, application = 0, needed = 0;
	int r = read_number(db, "PRAGMA user_version", &version, err);

	if (r == 0)
		r = read_number(db, "PRAGMA application_id", &application, err);
	if (r < 0)
		return r;
	if (version > 0 && application != APPLICATION_ID)
		return fail_schema(db, "corrupt", "not a state database of this program", version,
				   err);
	if (version < ccp_schema_version())
		return mode == CCP_DB_WRITE
			       ? migrate(db, err)
			       : fail_schema(db, "missing", "has no schema yet", version, err);
	if (version == ccp_schema_version())
		return 0;
	r = read_number(db, oldest, &needed, err);
	if (r == 0 && needed > ccp_schema_version())
		return fail_schema(db, "newer_schema", "was written by a newer version", version,
				   err);
	return r;
}

static const char *const open_pragmas[] = {
	"PRAGMA synchronous = FULL", ("PRAGMA journal_size_limit = " WAL_LIMIT_BYTES),
	"PRAGMA foreign_keys = ON",  "PRAGMA temp_store = MEMORY",
	"PRAGMA cache_size = -1024",
};

/* Some file systems cannot share the memory that WAL needs: then SQLite stays with another mode. */
static int use_wal(struct ccp_db *db, struct codexcp_error *err)
{
	int64_t wal = 0;
	int r = exec(db, "PRAGMA journal_mode = WAL", err);

	if (r == 0)
		r = read_number(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal,
				err);
	if (r < 0 || wal)
		return r;
	ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE, "%s: its file system cannot hold a WAL database",
		 db->path);
	ccp_error_add_str(err, "path", db->path);
	ccp_error_add_str(err, "reason", "network_fs");
	return CODEXCP_E_STATE_UNAVAILABLE;
}

static int set_up(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err)
{
	int64_t version = 0;
	int r = 0;

	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	if (mode == CCP_DB_WRITE) {
		r = read_number(db, "PRAGMA user_version", &version, err);
		/* Only takes effect before the first table, and writes whenever it is said. */
		if (r == 0 && version == 0)
			r = exec(db, "PRAGMA auto_vacuum = INCREMENTAL", err);
		if (r == 0)
			r = use_wal(db, err);
		for (size_t i = 0; r == 0 && i < CCP_ARRAY_SIZE(open_pragmas); i++)
			r = exec(db, open_pragmas[i], err);
	}
	return r < 0 ? r : check_schema(db, mode, err);
}

int ccp_db_open(const char *path, enum ccp_db_mode mode, struct ccp_db **ret_db,
		struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = calloc(1, sizeof(*db));
	int flags = mode == CCP_DB_READ ? SQLITE_OPEN_READONLY
					: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	int rc;

	if (!db || !(db->path = strdup(path)))
		return ccp_fail_oom(err);
	rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		int code = fail_sqlite(db, rc, "open", err);

		if (db->handle && sqlite3_system_errno(db->handle) == ENOENT)
			ccp_error_add_str(err, "reason", "missing");
		return code;
	}
	rc = set_up(db, mode, err);
	if (rc < 0)
		return rc;
	*ret_db = TAKE_PTR(db);
	return 0;
}

void ccp_db_close(struct ccp_db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(db->cache); i++)
		sqlite3_finalize(db->cache[i].stmt);
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
}

const char *ccp_db_path(const struct ccp_db *db)
{
	return db->path;
}

int ccp_db_begin(struct ccp_db *db, struct codexcp_error *err)
{
	int r = exec(db, "BEGIN IMMEDIATE", err);

	db->in_transaction = r == 0;
	return r;
}

int ccp_db_commit(struct ccp_db *db, struct codexcp_error *err)
{
	int r = exec(db, "COMMIT", err);

	if (r == 0)
		db->in_transaction = false;
	return r;
}

void ccp_db_rollback(struct ccp_db *db)
{
	if (db->in_transaction)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	db->in_transaction = false;
}

int64_t ccp_db_data_version(struct ccp_db *db)
{
	int64_t version = 0;

	(void)read_number(db, "PRAGMA data_version", &version, NULL);
	return version;
}

int ccp_db_changes(const struct ccp_db *db)
{
	return sqlite3_changes(db->handle);
}

int ccp_stmt_open(struct ccp_db *db, enum ccp_sql sql, struct ccp_stmt *ret_stmt,
		  struct codexcp_error *err)
{
	bool cached = !db->cache[sql].used;
	sqlite3_stmt *stmt = cached ? db->cache[sql].stmt : NULL;

	if (!stmt) {
		int rc = sqlite3_prepare_v3(db->handle, sql_texts[sql], -1,
					    cached ? SQLITE_PREPARE_PERSISTENT : 0, &stmt, NULL);

		if (rc != SQLITE_OK)
			return fail_sqlite(db, rc, sql_names[sql], err);
	}
	if (cached) {
		db->cache[sql].stmt = stmt;
		db->cache[sql].used = true;
	}
	*ret_stmt = (struct ccp_stmt){ .db = db, .stmt = stmt, .sql = sql, .cached = cached };
	return 0;
}

void ccp_stmt_close(struct ccp_stmt *stmt)
{
	if (!stmt->stmt)
		return;
	if (stmt->cached) {
		sqlite3_reset(stmt->stmt);
		sqlite3_clear_bindings(stmt->stmt);
		stmt->db->cache[stmt->sql].used = false;
	} else {
		sqlite3_finalize(stmt->stmt);
	}
	stmt->stmt = NULL;
}

void ccp_bind_text(struct ccp_stmt *stmt, int index, const char *text)
{
	int rc = sqlite3_bind_text(stmt->stmt, index, text, -1, SQLITE_STATIC);

	if (rc != SQLITE_OK)
		stmt->failed = rc;
}

void ccp_bind_int(struct ccp_stmt *stmt, int index, int64_t value)
{
	int rc = sqlite3_bind_int64(stmt->stmt, index, value);

	if (rc != SQLITE_OK)
		stmt->failed = rc;
}

int ccp_stmt_step(struct ccp_stmt *stmt, struct codexcp_error *err)
{
	int rc = stmt->failed ? stmt->failed : sqlite3_step(stmt->stmt);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return fail_sqlite(stmt->db, rc, sql_names[stmt->sql], err);
}

int ccp_stmt_run(struct ccp_stmt *stmt, struct codexcp_error *err)
{
	int r = ccp_stmt_step(stmt, err);

	ccp_stmt_close(stmt);
	return CCP_MIN(r, 0);
}

const char *ccp_column_text(const struct ccp_stmt *stmt, int column)
{
	return (const char *)sqlite3_column_text(stmt->stmt, column);
}

int64_t ccp_column_int(const struct ccp_stmt *stmt, int column)
{
	return sqlite3_column_int64(stmt->stmt, column);
}

const char *ccp_sql_name(enum ccp_sql sql)
{
	return sql_names[sql];
}

size_t ccp_sql_count(void)
{
	return CCP_ARRAY_SIZE(sql_texts);
}
