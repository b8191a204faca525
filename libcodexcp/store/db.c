#include "store/db_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"

#define BUSY_TIMEOUT_MS 5
/* What the write-ahead log may keep on disk between checkpoints. */
#define WAL_LIMIT_BYTES "1048576"
#define INDEX_HINT      " INDEXED BY "

#define X(name, text) text,
static const char *const sql_texts[] = { CCP_STATEMENTS(X) };
#undef X
#define X(name, text) #name,
static const char *const sql_names[] = { CCP_STATEMENTS(X) };
#undef X

int ccp_db_exec(struct ccp_db *db, const char *sql, struct codexcp_error *err)
{
	int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : ccp_db_fail(db, rc, "statement", err);
}

int ccp_db_number(struct ccp_db *db, const char *sql, int64_t *ret, struct codexcp_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : ccp_db_fail(db, rc, sql, err);
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
	int r = ccp_db_exec(db, "PRAGMA journal_mode = WAL", err);

	if (r == 0)
		r = ccp_db_number(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal,
				  err);
	if (r < 0 || wal)
		return r;
	return ccp_db_fail_state(db->path, "network_fs", err,
				 "its file system cannot share the memory that the write-ahead log "
				 "needs; set CODEX_MCP_STATE_DB to a local disk");
}

/* SQLite's URI for a path: what has a meaning in one is escaped. */
static char *file_uri(const char *path, const char *query)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(3 * strlen(path) + 64);

	ccp_strbuf_append(&sb, "file:");
	for (const char *c = path; *c; c++) {
		if (strchr("%?#", *c))
			ccp_strbuf_appendf(&sb, "%%%02x", (unsigned char)*c);
		else
			ccp_strbuf_append_n(&sb, c, 1);
	}
	ccp_strbuf_append(&sb, query);
	return ccp_strbuf_take(&sb);
}

static bool may_write(enum ccp_db_mode mode)
{
	return mode == CCP_DB_WRITE || mode == CCP_DB_MIGRATE;
}

static int set_up(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err)
{
	int64_t version = 0;
	int r = 0;

	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	if (may_write(mode)) {
		/* SQLite opens a file that cannot be written for reading, without a word. */
		if (sqlite3_db_readonly(db->handle, "main") == 1)
			return ccp_db_fail(db, SQLITE_READONLY, "open", err);
		/* What is not ours stays as it is. */
		r = ccp_db_check_owner(db, mode, err);
		if (r == 0)
			r = ccp_db_number(db, "PRAGMA user_version", &version, err);
		/* Only takes effect before the first table, and writes whenever it is said. */
		if (r == 0 && version == 0)
			r = ccp_db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL", err);
		if (r == 0)
			r = use_wal(db, err);
		for (size_t i = 0; r == 0 && i < CCP_ARRAY_SIZE(open_pragmas); i++)
			r = ccp_db_exec(db, open_pragmas[i], err);
	}
	return r < 0 ? r : ccp_db_check_schema(db, mode, err);
}

/* `query` NULL: the file as it is; else a URI with these parameters. */
static int open_as(const char *path, const char *query, enum ccp_db_mode mode,
		   struct ccp_db **ret_db, struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = calloc(1, sizeof(*db));
	int flags = may_write(mode) ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
				    : SQLITE_OPEN_READONLY;
	_cleanup_free_ char *uri = query ? file_uri(path, query) : strdup(path);
	int rc;

	if (!db || !uri || !(db->path = strdup(path)))
		return ccp_fail_oom(err);
	if (query)
		flags |= SQLITE_OPEN_URI;
	rc = sqlite3_open_v2(uri, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return ccp_db_fail(db, rc, "open", err);
	rc = set_up(db, mode, err);
	if (rc < 0)
		return rc;
	*ret_db = TAKE_PTR(db);
	return 0;
}

static bool is_there(const char *path, const char *suffix, off_t min_size)
{
	_cleanup_free_ char *beside = ccp_asprintf("%s%s", path, suffix);
	struct stat st;

	return !beside || (stat(beside, &st) == 0 && st.st_size >= min_size);
}

/* No process of ours can begin to write where the directory is closed to us. */
static bool is_closed(const char *path)
{
	_cleanup_free_ char *dir = ccp_path_parent(path);

	return dir && access(dir, W_OK) < 0 && (errno == EACCES || errno == EROFS);
}

/*
 * Readers of a WAL database share memory in a file beside it. Where that cannot be made or written
 * (a full disk, a directory without permission) SQLite can still read: with a private copy of what
 * stands in the log, or the file alone when there is no log and nobody can begin one.
 */
static int open_for_reading(const char *path, enum ccp_db_mode mode, struct ccp_db **ret_db,
			    struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error other = { 0 };
	int r = open_as(path, NULL, mode, ret_db, err), again = r;

	if (r != CODEXCP_E_STATE_UNAVAILABLE)
		return r;
	if (is_there(path, "-shm", 0))
		again = open_as(path, "?readonly_shm=1", mode, ret_db, &other);
	if (again < 0 && is_closed(path) && !is_there(path, "-wal", 1))
		again = open_as(path, "?immutable=1", mode, ret_db, &other);
	else if (again < 0 && is_closed(path) && is_there(path, "", 1))
		return ccp_db_fail_state(path, "read_only", err,
					 "its log has not been written back, and cannot be read in "
					 "a directory without write permission: make the directory "
					 "writable");
	if (again < 0)
		return r;
	(*ret_db)->makeshift = true;
	codexcp_error_done(err);
	return 0;
}

int ccp_db_open(const char *path, enum ccp_db_mode mode, struct ccp_db **ret_db,
		struct codexcp_error *err)
{
	return may_write(mode) ? open_as(path, NULL, mode, ret_db, err)
			       : open_for_reading(path, mode, ret_db, err);
}

bool ccp_db_is_outdated(const struct ccp_db *db)
{
	return db->makeshift;
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
	int r = ccp_db_exec(db, "BEGIN IMMEDIATE", err);

	db->in_transaction = r == 0;
	return r;
}

int ccp_db_commit(struct ccp_db *db, struct codexcp_error *err)
{
	int r = ccp_db_exec(db, "COMMIT", err);

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

	(void)ccp_db_number(db, "PRAGMA data_version", &version, NULL);
	return version;
}

int ccp_db_changes(const struct ccp_db *db)
{
	return sqlite3_changes(db->handle);
}

/* Views of an older schema have no indexes. */
static int prepare(struct ccp_db *db, enum ccp_sql sql, unsigned int flags, sqlite3_stmt **ret)
{
	_cleanup_free_ char *text = strdup(sql_texts[sql]);
	char *hint = text;

	if (!text)
		return SQLITE_NOMEM;
	while (db->makeshift && (hint = strstr(hint, INDEX_HINT))) {
		size_t keyword = strlen(INDEX_HINT);

		memset(hint, ' ', keyword + strcspn(hint + keyword, " "));
	}
	return sqlite3_prepare_v3(db->handle, text, -1, flags, ret, NULL);
}

int ccp_stmt_open(struct ccp_db *db, enum ccp_sql sql, struct ccp_stmt *ret_stmt,
		  struct codexcp_error *err)
{
	bool cached = !db->cache[sql].used;
	sqlite3_stmt *stmt = cached ? db->cache[sql].stmt : NULL;

	if (!stmt) {
		int rc = prepare(db, sql, cached ? SQLITE_PREPARE_PERSISTENT : 0, &stmt);

		if (rc != SQLITE_OK)
			return ccp_db_fail(db, rc, sql_names[sql], err);
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
	return ccp_db_fail(stmt->db, rc, sql_names[stmt->sql], err);
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
