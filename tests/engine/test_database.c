/*
 * Looking after the state database while it is in use: examine, copy, forget, shrink.
 */
#include <codexcp/database.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/path.h"
#include "engine_env.h"
#include "runtime/process.h"
#include "store/schema.h"

#define DAY_MS 86400000LL

static json_t *check_names(json_t *report)
{
	json_t *failed = json_array(), *check;
	size_t i;

	json_array_foreach (json_object_get(report, "checks"), i, check)
		if (!json_is_true(json_object_get(check, "ok"))) {
			ck_assert_uint_gt(json_array_size(json_object_get(check, "findings")), 0);
			json_array_append(failed, json_object_get(check, "name"));
		}
	ck_assert_uint_ge(json_array_size(json_object_get(report, "checks")), 8);
	ck_assert_int_eq(json_is_true(json_object_get(report, "ok")), json_array_size(failed) == 0);
	return failed;
}

/* The names of the checks that find something, as JSON. */
static char *find(struct codexcp *cp)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *report = NULL, *failed = NULL;

	ck_assert_msg(codexcp_database_check(cp, &report, &err) == 0, "%s", err.message);
	failed = check_names(report);
	return json_dumps(failed, JSON_COMPACT);
}

static void check_finds(struct codexcp *cp, const char *want)
{
	_cleanup_free_ char *found = find(cp);

	ck_assert_str_eq(found, want);
}

static char *completed(struct engine_env *e, struct codexcp *cp)
{
	char *op = env_submit(e, cp, NULL);

	env_ends(e, cp, op, "completed", NULL);
	return op;
}

START_TEST(test_check)
{
	static const struct {
		const char *spoil, *repair, *found;
	} rows[] = {
		{ "UPDATE operations SET status = 'running'",
		  "UPDATE operations SET status = 'completed'", "[\"statuses\"]" },
		{ "UPDATE operations SET phase = 'nowhere', status = 'nowhere'",
		  "UPDATE operations SET phase = 'completed', status = 'completed'",
		  "[\"statuses\"]" },
		{ "UPDATE operations SET completed_at = 0",
		  "UPDATE operations SET completed_at = 1", "[\"ends\"]" },
		{ "UPDATE turns SET op_id = 'x'", "UPDATE turns SET op_id = NULL", "[\"turns\"]" },
		{ "UPDATE meta SET value = '0' WHERE key = 'epoch'",
		  "UPDATE meta SET value = '9' WHERE key = 'epoch'", "[\"epoch\"]" },
		{ "CREATE TABLE kept AS SELECT * FROM requests; DELETE FROM requests",
		  "INSERT INTO requests SELECT * FROM kept; DROP TABLE kept", "[\"requests\"]" },
		{ "PRAGMA foreign_keys = OFF; INSERT INTO requests(op_id) VALUES('nobody')",
		  "DELETE FROM requests WHERE op_id = 'nobody'", "[\"references\"]" },
	};
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = completed(&e, cp);
	check_finds(cp, "[]");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		db_exec(e.state_db, rows[i].spoil);
		check_finds(cp, rows[i].found);
		db_exec(e.state_db, rows[i].repair);
		check_finds(cp, "[]");
	}
	env_teardown(&e);
}
END_TEST

/* A turn that two active operations own would be reported twice, and interrupted for both. */
START_TEST(test_check_owners)
{
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	free(env_submit(&e, cp, NULL));
	check_finds(cp, "[]");
	db_exec(e.state_db, "UPDATE operations SET thread_id = 't', turn_id = 'u'");
	check_finds(cp, "[\"owners\"]");
	env_teardown(&e);
}
END_TEST

START_TEST(test_check_damaged)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *found = NULL, *big = calloc(1, 60001);
	static const char junk[4096] = "junk";
	json_auto_t *report = NULL;
	struct engine_env e;
	struct codexcp *cp;
	int fd;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	memset(big, 'b', 60000);
	free(env_submit(&e, cp, json_pack("{s:s}", "message", big)));
	env_close(&e, cp);
	fd = open(e.state_db, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (int page = 5; page < 30; page++)
		ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(fd);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	found = find(cp);
	ck_assert_msg(strstr(found, "pages"), "%s", found);
	env_close(&e, cp);

	/* Not even a header. */
	ck_assert_int_eq(truncate(e.state_db, 50), 0);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_database_check(cp, &report, &err), CODEXCP_E_STATE_UNAVAILABLE);
	ck_assert_str_eq(ccp_json_str(err.details, "reason"), "corrupt");
	/* The teardown asks it what there is to end: nothing. */
	ck_assert_int_eq(unlink(e.state_db), 0);
	env_teardown(&e);
}
END_TEST

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = -2;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Tasks run and are submitted on, and the copy knows all that was acknowledged before. */
START_TEST(test_backup)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *dir = NULL, *path = NULL, *taken = NULL, *done = NULL;
	json_auto_t *report = NULL;
	struct engine_env e;
	struct codexcp *cp, *restored;
	char *ops[5];
	struct stat st;

	env_setup(&e);
	dir = env_path(&e, "backup");
	path = env_path(&e, "backup/state.sqlite3");
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	done = completed(&e, cp);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp, NULL);
	ck_assert_msg(codexcp_database_backup(cp, path, &report, &err) == 0, "%s", err.message);
	env_is(report, "backup", path);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(ccp_json_int(report, "bytes", 0), st.st_size);
	ck_assert_int_eq(count_entries(dir), 1);

	/* It replaces nothing, and leaves nothing behind where it fails. */
	ck_assert_int_eq(codexcp_database_backup(cp, path, NULL, &err), CODEXCP_E_INVALID_ARGUMENT);
	taken = env_path(&e, "backup/none/state.sqlite3");
	ck_assert_int_lt(codexcp_database_backup(cp, taken, NULL, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, taken));
	ck_assert_int_eq(count_entries(dir), 1);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		env_ends(&e, cp, ops[i], "completed", NULL);
	env_close(&e, cp);

	/* Restored: it goes on from there. */
	env_set(&e, "CODEX_MCP_STATE_DB", path);
	restored = env_open(&e, CODEXCP_MODE_CLIENT);
	check_finds(restored, "[]");
	{
		json_auto_t *status = env_status(restored, done);

		env_is(status, "status", "completed");
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++) {
		json_auto_t *status = env_status(restored, ops[i]);

		ck_assert_ptr_nonnull(ccp_json_str(status, "status"));
		free(ops[i]);
	}
	env_teardown(&e);
}
END_TEST

static int64_t prune(struct codexcp *cp, const struct codexcp_prune *options)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *report = NULL;

	ck_assert_msg(codexcp_database_prune(cp, options, &report, &err) == 0, "%s", err.message);
	return ccp_json_int(report, "operations", -1);
}

START_TEST(test_prune)
{
	const struct codexcp_prune old = { .older_than_ms = 10 * DAY_MS };
	const struct codexcp_prune looked = { .older_than_ms = 10 * DAY_MS, .dry_run = 1 };
	const struct codexcp_prune few = { .keep = 1 };
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (int i = 0; i < 4; i++)
		free(completed(&e, cp));
	ck_assert_int_eq(prune(cp, NULL), 0);
	db_exec(e.state_db, "UPDATE operations SET completed_at = completed_at - 20 * 86400000 "
			    "WHERE seq <= 2");
	ck_assert_int_eq(prune(cp, &looked), 2);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 4);
	ck_assert_int_eq(prune(cp, &old), 2);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 2);
	check_finds(cp, "[]");
	ck_assert_int_eq(prune(cp, &few), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 1);
	check_finds(cp, "[]");
	free(completed(&e, cp));
	env_teardown(&e);
}
END_TEST

static void make_older(const struct engine_env *e)
{
	_cleanup_free_ char *dir = ccp_path_parent(e->state_db);

	ck_assert_int_eq(ccp_dir_make(dir, 0700, NULL), 0);
	db_exec(e->state_db, ccp_migrations[0].sql);
	db_exec(e->state_db, "PRAGMA user_version = 1; PRAGMA application_id = 1667461169");
	ck_assert_int_eq(chmod(e->state_db, 0600), 0);
}

/* Who only counts writes nothing: neither where there is nothing, nor what is older. */
START_TEST(test_prune_looks_only)
{
	const struct codexcp_prune looked = { .keep = 1, .dry_run = 1 };
	struct engine_env e;
	struct codexcp *cp;
	char *before;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(prune(cp, &looked), 0);
	ck_assert_int_ne(access(e.state_db, F_OK), 0);
	make_older(&e);
	before = db_query(e.state_db, "SELECT sql FROM sqlite_schema");
	ck_assert_int_eq(prune(cp, &looked), 0);
	db_expect(e.state_db, "PRAGMA user_version", "1\n");
	db_expect(e.state_db, "SELECT sql FROM sqlite_schema", before);
	free(before);
	env_teardown(&e);
}
END_TEST

static void vacuum(struct codexcp *cp, const char *mode)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *report = NULL;

	ck_assert_msg(codexcp_database_vacuum(cp, &report, &err) == 0, "%s", err.message);
	env_is(report, "mode", mode);
	ck_assert_int_lt(ccp_json_int(report, "databaseBytes", 0),
			 ccp_json_int(report, "databaseBytesBefore", 0));
	ck_assert_int_eq(ccp_json_int(report, "freeBytes", -1), 0);
	ck_assert_int_eq(ccp_json_int(report, "logBytes", -1), 0);
}

static void fill_and_free(const struct engine_env *e)
{
	db_exec(e->state_db, "CREATE TABLE much(x); INSERT INTO much VALUES(zeroblob(3000000)); "
			     "DROP TABLE much");
}

START_TEST(test_vacuum)
{
	_cleanup_free_ char *lock = NULL;
	struct engine_env e;
	struct codexcp *cp;
	int fd = -1;

	env_setup(&e);
	lock = ccp_asprintf("%s.worker.lock", e.state_db);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	fill_and_free(&e);
	vacuum(cp, "full");
	/* While a worker is there. */
	ck_assert_int_eq(ccp_lock_try(lock, &fd, NULL), 1);
	fill_and_free(&e);
	vacuum(cp, "incremental");
	close(fd);
	check_finds(cp, "[]");
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("database", test_check, test_check_owners, test_check_damaged, test_backup,
	      test_prune, test_prune_looks_only, test_vacuum)
