/*
 * The schema and what is asked of it: every statement can be prepared, every released version of
 * the schema can be read and becomes the newest.
 */
#include <ccp_db_check.h>

#include "base/json.h"
#include "base/str.h"
#include "store/schema.h"
#include "store/worker_store.h"

#define X(name, text) text,
static const char *const sql_texts[] = { CCP_STATEMENTS(X) };
#undef X

/* All of them, or those that only read. */
static void check_statements_prepare(struct ccp_db *db, bool readers_only)
{
	for (size_t i = 0; i < ccp_sql_count(); i++) {
		struct ccp_stmt stmt;
		int r;

		if (readers_only && !ccp_str_has_prefix(sql_texts[i], "SELECT"))
			continue;
		r = ccp_stmt_open(db, (enum ccp_sql)i, &stmt, &db_err);
		ck_assert_msg(r == 0, "%s: %s", ccp_sql_name((enum ccp_sql)i), db_err.message);
		ccp_stmt_close(&stmt);
	}
}

START_TEST(test_statements_prepare)
{
	struct db_fixture f;

	db_setup(&f);
	ck_assert_uint_gt(ccp_sql_count(), 30);
	check_statements_prepare(f.db, false);
	db_done(&f);
}
END_TEST

/* What polls and the scheduler do often must not read a table from end to end. */
START_TEST(test_statements_use_indexes)
{
#define X(name, text) { #name, text },
	static const struct {
		const char *name, *text;
	} rows[] = { CCP_STATEMENTS(X) };
#undef X
	/* Those asked for by people, not by polls. The newest of a table are read from its end, as
	 * many as are asked for. */
	static const char *const may_scan[] = { "PROJECTS",
						"WORKERS_NEWEST",
						"COMMANDS_NEWEST",
						"RETENTION_JOURNAL_COUNT",
						"OPERATION_STANDINGS",
						"OPERATION_COUNT_ALL" };
	struct db_fixture f;

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		char *explain = ccp_asprintf("EXPLAIN QUERY PLAN %s", rows[i].text);
		char *plan = db_query(f.path, explain);
		bool scans = false, allowed = false;

		for (char *rest = plan, *line; (line = strsep(&rest, "\n"));)
			scans |= strstr(line, "SCAN ") && !strstr(line, "INDEX") &&
				 !strstr(line, "VIRTUAL TABLE") && !strstr(line, "(subquery") &&
				 !strstr(line, "CONSTANT ROW") && !strstr(line, "SUBQUERY");
		for (size_t k = 0; k < CCP_ARRAY_SIZE(may_scan); k++)
			allowed |= ccp_streq(may_scan[k], rows[i].name);
		free(plan);
		plan = db_query(f.path, explain);
		ck_assert_msg(!scans || allowed, "%s reads a whole table:\n%s", rows[i].name, plan);
		free(plan);
		free(explain);
	}
	db_done(&f);
}
END_TEST

/* Everything that makes a database of this version, as text that makes another one. */
static char *dump_schema(const char *path)
{
	char *objects = db_query(path, "SELECT sql || ';' FROM sqlite_schema WHERE sql NOT NULL "
				       "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid");
	char *meta = db_query(path, "SELECT 'INSERT INTO meta VALUES(''' || key || ''', ''' || "
				    "value || ''');' FROM meta WHERE key <> 'program' "
				    "ORDER BY key");
	char *numbers = db_query(path, "SELECT 'PRAGMA user_version = ' || "
				       "(SELECT user_version FROM pragma_user_version) || ';' || "
				       "char(10) || 'PRAGMA application_id = ' || "
				       "(SELECT application_id FROM pragma_application_id) || ';'");
	char *text = ccp_asprintf("%s%s%s", objects, meta, numbers);

	ck_assert_ptr_nonnull(text);
	free(objects);
	free(meta);
	free(numbers);
	return text;
}

static char *read_text(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *in = fopen(path, "re");

	ck_assert_msg(in != NULL, "%s is missing", path);
	ck_assert_int_ge(getdelim(&text, &size, '\0', in), 0);
	fclose(in);
	return text;
}

/* Where they part; both texts are too long for a message. */
static void check_same_text(const char *a, const char *b)
{
	size_t same = 0;

	while (a[same] && a[same] == b[same])
		same++;
	ck_assert_msg(a[same] == b[same], "the program has:\n%.200s\nthe file has:\n%.200s",
		      a + same, b + same);
}

static char *schema_file(int version)
{
	return ccp_asprintf(SCHEMA_DIR "/schema_%d.sql", version);
}

/* A released schema is never edited: later versions are added to the list of migrations, and
 * CCP_WRITE_SCHEMA=1 writes the newest one's file. */
START_TEST(test_newest_schema)
{
	struct db_fixture f;
	char *stored, *now, *file = schema_file(ccp_schema_version());

	db_setup(&f);
	now = dump_schema(f.path);
	if (getenv("CCP_WRITE_SCHEMA")) {
		FILE *out = fopen(file, "we");

		ck_assert_ptr_nonnull(out);
		fputs(now, out);
		fclose(out);
	}
	stored = read_text(file);
	check_same_text(now, stored);
	free(file);
	free(now);
	free(stored);
	db_done(&f);
}
END_TEST

/* A database of each version, with a row as that version wrote it, becomes one of the newest. */
START_TEST(test_every_schema_can_be_read)
{
	for (int version = 1; version <= ccp_schema_version(); version++) {
		char *file = schema_file(version), *stored = read_text(file), *path, *before,
		     *after;
		_cleanup_worker_row_ struct ccp_worker_row worker = { 0 };
		struct ccp_op_counts counts = { 0 };
		struct ccp_op op = { 0 };
		struct db_fixture f;

		db_setup(&f);
		path = ccp_asprintf("%s/old.sqlite3", f.dir);
		db_exec(path, stored);
		db_exec(path,
			"INSERT INTO workers(id, epoch, role, status, pid, start_time, started_at, "
			"heartbeat_at, stopped_at) VALUES('w', 1, 'worker', 'running', 7, 8, 9, "
			"10, 0)");
		before = dump_schema(path);
		ccp_db_close(f.db);
		f.db = db_open(path, CCP_DB_READ);
		ck_assert_int_eq(ccp_worker_latest(f.db, &worker, &db_err), 1);
		ck_assert_int_eq(worker.pid, 7);
		ck_assert_ptr_null(worker.details);
		ck_assert_int_eq(ccp_op_get(f.db, "none", &op, &db_err), 0);
		OK(ccp_op_count(f.db, &counts, &db_err));
		check_statements_prepare(f.db, true);
		/* Good for one look: somebody may migrate it at any time. */
		ck_assert(ccp_db_is_outdated(f.db) == (version < ccp_schema_version()));
		after = dump_schema(path);
		check_same_text(after, before);
		free(path);
		free(file);
		free(stored);
		free(before);
		free(after);
		db_done(&f);
	}
}
END_TEST

START_TEST(test_every_schema_migrates)
{
	char *last_file = schema_file(ccp_schema_version()), *last = read_text(last_file);

	for (int version = 1; version <= ccp_schema_version(); version++) {
		char *file = schema_file(version), *stored = read_text(file), *path, *later;
		struct ccp_op row = db_op_row("new");
		struct db_fixture f;

		db_setup(&f);
		path = ccp_asprintf("%s/old.sqlite3", f.dir);
		db_exec(path, stored);
		db_exec(path, "INSERT INTO projects VALUES('/p', 'prj_p', 1)");
		ccp_db_close(f.db);
		f.db = db_open(path, CCP_DB_MIGRATE);
		db_insert(f.db, &row);
		db_expect(path, "SELECT path FROM projects", "/p\n");
		later = dump_schema(path);
		check_same_text(later, last);
		free(path);
		free(file);
		free(stored);
		free(later);
		db_done(&f);
	}
	free(last_file);
	free(last);
}
END_TEST

/* Nobody but the holder of the worker lock migrates: an older worker may be at work. */
START_TEST(test_older_schema)
{
	char *file = schema_file(1), *stored = read_text(file);
	struct ccp_op_counts counts;
	struct db_fixture f;

	db_setup_path(&f);
	db_exec(f.path, stored);
	ck_assert_int_eq(ccp_db_open(f.path, CCP_DB_WRITE, &f.db, &db_err), CODEXCP_E_STATE_BUSY);
	ck_assert_str_eq(ccp_json_str(db_err.details, "reason"), CCP_DB_OLDER_SCHEMA);
	ck_assert_str_eq(ccp_json_str(db_err.details, "path"), f.path);
	db_expect(f.path, "PRAGMA user_version", "1\n");
	f.db = db_open(f.path, CCP_DB_READ);
	OK(ccp_op_count(f.db, &counts, &db_err));
	ccp_db_close(f.db);
	f.db = db_open(f.path, CCP_DB_MIGRATE);
	db_expect(f.path, "PRAGMA user_version", "2\n");
	ccp_db_close(db_open(f.path, CCP_DB_WRITE));
	free(stored);
	free(file);
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("schema", test_statements_prepare, test_statements_use_indexes, test_newest_schema,
	      test_every_schema_can_be_read, test_every_schema_migrates, test_older_schema)
