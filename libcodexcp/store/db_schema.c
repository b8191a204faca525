/*
 * Which programs may work on which database. A new one is made by any writer; an older one is
 * migrated only by whoever holds the worker lock, because an older worker would go on with
 * statements for the schema that it knows.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/db_internal.h"
#include "store/schema.h"

/* "ccp1": tells file(1) and us whose database this is. */
#define APPLICATION_ID 0x63637031
/* One page of the smallest size that there is. */
#define SMALLEST_FILE 512

/* One migration and its bookkeeping, inside the caller's transaction. */
static int migrate_step(struct ccp_db *db, const struct ccp_migration *step,
			struct codexcp_error *err)
{
	char text[320];
	int r;

	snprintf(text, sizeof(text),
		 "INSERT OR REPLACE INTO meta(key, value) VALUES('schema', '%d'),"
		 "('min_reader', '%d'), ('min_writer', '%d'), ('program', '" CCP_VERSION "');"
		 "PRAGMA user_version = %d; PRAGMA application_id = %d;",
		 step->version, step->min_reader, step->min_writer, step->version, APPLICATION_ID);
	r = ccp_db_exec(db, step->sql, err);
	return r < 0 ? r : ccp_db_exec(db, text, err);
}

static int fail_foreign(const struct ccp_db *db, struct codexcp_error *err)
{
	return ccp_db_fail_state(db->path, "corrupt", err,
				 "it is not a state database of this program; set "
				 "CODEX_MCP_STATE_DB to another place");
}

static int migrate(struct ccp_db *db, struct codexcp_error *err)
{
	int64_t version = 0;
	int r = ccp_db_begin(db, err);

	if (r < 0)
		return r;
	/* Somebody else may have made the schema while we waited for the lock. */
	r = ccp_db_number(db, "PRAGMA user_version", &version, err);
	if (r == 0)
		r = ccp_db_check_owner(db, CCP_DB_MIGRATE, err);
	for (size_t i = 0; r == 0 && i < ccp_migration_count; i++)
		if (ccp_migrations[i].version > version)
			r = migrate_step(db, &ccp_migrations[i], err);
	if (r == 0)
		r = ccp_db_commit(db, err);
	if (r < 0)
		ccp_db_rollback(db);
	return r;
}

/* SQLite takes the first bytes of a database for a new one, and would write over them. */
static bool is_cut_off(const struct ccp_db *db)
{
	struct stat st;

	return stat(db->path, &st) == 0 && st.st_size > 0 && st.st_size < SMALLEST_FILE;
}

static int check_older(struct ccp_db *db, enum ccp_db_mode mode, int64_t version,
		       struct codexcp_error *err)
{
	if (mode == CCP_DB_MIGRATE || (mode == CCP_DB_WRITE && version == 0))
		return migrate(db, err);
	if (mode == CCP_DB_READ && version > 0)
		return ccp_db_view_older(db, err);
	if (version == 0)
		return ccp_db_fail_state(db->path, "missing", err,
					 "it has no schema yet; the first task makes it");
	ccp_fail(err, CODEXCP_E_STATE_BUSY,
		 "%s has schema %d and is not brought up to schema %d yet; the next worker does it",
		 db->path, (int)version, ccp_schema_version());
	ccp_error_add_str(err, "path", db->path);
	ccp_error_add_str(err, "reason", CCP_DB_OLDER_SCHEMA);
	return CODEXCP_E_STATE_BUSY;
}

/* The database itself says who may still work on it, and which program that takes. */
static int check_newer(struct ccp_db *db, enum ccp_db_mode mode, int64_t version,
		       struct codexcp_error *err)
{
	static const char by_key[] = "SELECT value FROM meta WHERE key = ?";
	const char *key = mode == CCP_DB_WRITE || mode == CCP_DB_MIGRATE ? "min_writer"
									 : "min_reader";
	char program[64] = "a newer version", needed[16] = "";
	sqlite3_stmt *stmt = NULL;
	int64_t oldest = 0;
	int rc = sqlite3_prepare_v2(db->handle, by_key, -1, &stmt, NULL);
	const struct {
		const char *key;
		char *value;
		size_t size;
	} rows[] = { { key, needed, sizeof(needed) }, { "program", program, sizeof(program) } };

	for (size_t i = 0; rc == SQLITE_OK && i < CCP_ARRAY_SIZE(rows); i++) {
		sqlite3_bind_text(stmt, 1, rows[i].key, -1, SQLITE_STATIC);
		if (sqlite3_step(stmt) == SQLITE_ROW)
			snprintf(rows[i].value, rows[i].size, "%s",
				 (const char *)sqlite3_column_text(stmt, 0));
		rc = sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	if (rc != SQLITE_OK)
		return ccp_db_fail(db, rc, "schema", err);
	if (!ccp_parse_i64(needed, &oldest) || oldest <= ccp_schema_version())
		return 0;
	ccp_db_fail_state(
		db->path, "newer_schema", err,
		"it was written by %s (schema %d) and cannot be %s by version " CCP_VERSION
		" (schema %d): upgrade to %s",
		program, (int)version, mode == CCP_DB_READ ? "read" : "written",
		ccp_schema_version(), program);
	ccp_error_add_str(err, "requiredVersion", program);
	return CODEXCP_E_STATE_UNAVAILABLE;
}

int ccp_db_check_owner(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err)
{
	/* In one statement: meanwhile somebody may make the schema. */
	static const char unversioned[] = "SELECT count(*) FROM sqlite_schema, "
					  "pragma_user_version WHERE user_version = 0";
	int64_t version = 0, application = 0, objects = 0;
	int r;

	if (is_cut_off(db))
		return ccp_db_fail(db, SQLITE_CORRUPT, "schema", err);
	r = ccp_db_number(db, "PRAGMA user_version", &version, err);
	if (r == 0)
		r = ccp_db_number(db, "PRAGMA application_id", &application, err);
	if (r == 0)
		r = ccp_db_number(db, unversioned, &objects, err);
	if (r < 0)
		return r;
	if (objects > 0 || (application != APPLICATION_ID && (application || version > 0)))
		return fail_foreign(db, err);
	return version > ccp_schema_version() ? check_newer(db, mode, version, err) : 0;
}

int ccp_db_check_schema(struct ccp_db *db, enum ccp_db_mode mode, struct codexcp_error *err)
{
	int64_t version = 0;
	int r = ccp_db_check_owner(db, mode, err);

	if (r == 0)
		r = ccp_db_number(db, "PRAGMA user_version", &version, err);
	return r == 0 && version < ccp_schema_version() ? check_older(db, mode, version, err) : r;
}

int ccp_db_schema(struct ccp_db *db)
{
	int64_t version = -1;

	(void)ccp_db_number(db, "PRAGMA user_version", &version, NULL);
	return (int)version;
}
