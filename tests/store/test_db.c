#include <ccp_db_check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "store/db_internal.h"
#include "store/schema.h"
#include "store/worker_store.h"

/* Opening must fail with STATE_UNAVAILABLE for this reason. */
static void check_refused(const char *path, enum ccp_db_mode mode, const char *reason)
{
	struct codexcp_error err = { 0 };
	struct ccp_db *db = NULL;

	ck_assert_int_eq(ccp_db_open(path, mode, &db, &err), CODEXCP_E_STATE_UNAVAILABLE);
	ck_assert_int_eq(err.code, CODEXCP_E_STATE_UNAVAILABLE);
	ck_assert_str_eq(ccp_json_str(err.details, "reason"), reason);
	ck_assert_str_eq(ccp_json_str(err.details, "path"), path);
	ck_assert_ptr_null(db);
	codexcp_error_done(&err);
}

/* The newest connection, so that its own settings can be asked. */
static sqlite3 *newest;

static int keep_newest(sqlite3 *handle, const char **message, const void *api)
{
	newest = handle;
	return SQLITE_OK;
}

static int ask_newest(const char *pragma)
{
	sqlite3_stmt *stmt = NULL;
	int value;

	ck_assert_int_eq(sqlite3_prepare_v2(newest, pragma, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

START_TEST(test_settings)
{
	struct db_fixture f;

	sqlite3_auto_extension((void (*)(void))keep_newest);
	db_setup(&f);
	ck_assert_int_eq(ask_newest("PRAGMA synchronous"), 2); /* FULL */
	ck_assert_int_eq(ask_newest("PRAGMA foreign_keys"), 1);
	sqlite3_reset_auto_extension();
	ck_assert_str_eq(ccp_db_path(f.db), f.path);
	db_expect(f.path, "PRAGMA journal_mode", "wal\n");
	db_expect(f.path, "PRAGMA auto_vacuum", "2\n");
	db_expect(f.path, "PRAGMA application_id", "1667461169\n"); /* "ccp1" */
	db_expect(f.path, "PRAGMA user_version", "2\n");
	db_expect(f.path, "SELECT key, value FROM meta ORDER BY key",
		  "min_reader|1\nmin_writer|1\nprogram|" CCP_VERSION "\nschema|2\n");
	ck_assert_int_eq(ccp_schema_version(), 2);
	db_done(&f);
}
END_TEST

/* foreign_keys is off in a connection that does not ask for it. */
START_TEST(test_foreign_keys)
{
	struct db_fixture f;
	struct ccp_stmt stmt;

	db_setup(&f);
	OK(ccp_stmt_open(f.db, CCP_SQL_REQUEST_INSERT, &stmt, &db_err));
	ccp_bind_text(&stmt, 1, "no such operation");
	ck_assert_int_lt(ccp_stmt_run(&stmt, &db_err), 0);
	db_done(&f);
}
END_TEST

START_TEST(test_modes)
{
	struct db_fixture f;
	struct ccp_db *reader;
	struct ccp_op row = db_op_row("a");

	db_setup_path(&f);
	check_refused(f.path, CCP_DB_READ, "missing");
	ck_assert_int_ne(access(f.path, F_OK), 0);

	f.db = db_open(f.path, CCP_DB_WRITE);
	reader = db_open(f.path, CCP_DB_READ);
	db_insert(f.db, &row);
	{
		_cleanup_op_ struct ccp_op op = { 0 };
		struct codexcp_error err = { 0 };

		ck_assert_int_eq(ccp_op_get(reader, "a", &op, &db_err), 1);
		ck_assert_int_eq(ccp_op_update(reader, &op, &err), CODEXCP_E_STATE_UNAVAILABLE);
		ck_assert_str_eq(ccp_json_str(err.details, "reason"), "read_only");
		codexcp_error_done(&err);
	}
	ccp_db_close(reader);
	db_done(&f);
}
END_TEST

START_TEST(test_missing_directory)
{
	struct db_fixture f;
	char *path;

	db_setup_path(&f);
	path = ccp_asprintf("%s/none/state.sqlite3", f.dir);
	check_refused(path, CCP_DB_WRITE, "missing");
	free(path);
	db_done(&f);
}
END_TEST

/* A reader that comes before the first writer has finished must not make anything. */
START_TEST(test_empty_file)
{
	struct db_fixture f;
	int fd;

	db_setup_path(&f);
	fd = open(f.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	check_refused(f.path, CCP_DB_READ, "missing");
	f.db = db_open(f.path, CCP_DB_WRITE);
	db_expect(f.path, "PRAGMA user_version", "2\n");
	db_done(&f);
}
END_TEST

START_TEST(test_not_a_database)
{
	struct db_fixture f;
	FILE *out;

	db_setup_path(&f);
	out = fopen(f.path, "we");
	ck_assert_ptr_nonnull(out);
	for (int i = 0; i < 200; i++)
		fputs("this is a text and not a database\n", out);
	fclose(out);
	check_refused(f.path, CCP_DB_WRITE, "corrupt");
	check_refused(f.path, CCP_DB_READ, "corrupt");
	db_done(&f);
}
END_TEST

/* As text, so that it can be compared. */
static char *read_bytes(const char *path)
{
	char *command = ccp_asprintf("cksum < %s", path), text[64];
	FILE *in = popen(command, "re");

	ck_assert_ptr_nonnull(in);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), in));
	ck_assert_int_eq(pclose(in), 0);
	free(command);
	return strdup(text);
}

/* And nothing is written into it, whoever comes. */
static void check_left_alone(const char *path, const char *reason)
{
	char *before = read_bytes(path), *after;

	check_refused(path, CCP_DB_WRITE, reason);
	check_refused(path, CCP_DB_MIGRATE, reason);
	after = read_bytes(path);
	ck_assert_str_eq(after, before);
	free(before);
	free(after);
}

/* Somebody else's database is not taken over. */
START_TEST(test_foreign_database)
{
	struct db_fixture f;

	db_setup_path(&f);
	db_exec(f.path, "CREATE TABLE theirs(x)");
	check_left_alone(f.path, "corrupt");
	check_refused(f.path, CCP_DB_READ, "corrupt");
	db_exec(f.path, "PRAGMA application_id = 5");
	check_left_alone(f.path, "corrupt");
	db_exec(f.path, "PRAGMA user_version = 1");
	check_left_alone(f.path, "corrupt");
	check_refused(f.path, CCP_DB_READ, "corrupt");
	db_expect(f.path, "SELECT name FROM sqlite_schema", "theirs\n");
	db_expect(f.path, "PRAGMA journal_mode", "delete\n");
	db_exec(f.path, "DROP TABLE theirs; PRAGMA user_version = 0");
	check_left_alone(f.path, "corrupt");
	db_done(&f);
}
END_TEST

/* What is left of a database when its file was cut off, is not taken for a new one. */
START_TEST(test_cut_off)
{
	struct db_fixture f;

	db_setup(&f);
	ccp_db_close(TAKE_PTR(f.db));
	db_expect(f.path, "PRAGMA journal_mode = DELETE", "delete\n");
	ck_assert_int_eq(truncate(f.path, 100), 0);
	check_left_alone(f.path, "corrupt");
	check_refused(f.path, CCP_DB_READ, "corrupt");
	db_done(&f);
}
END_TEST

/* A newer version says itself which programs may still read and which may write, and who wrote it
 * says what to upgrade to. */
START_TEST(test_newer_schema)
{
	struct db_fixture f;
	struct ccp_op row = db_op_row("a");
	struct ccp_db *reader = NULL;

	db_setup(&f);
	db_insert(f.db, &row);
	ccp_db_close(TAKE_PTR(f.db));
	db_exec(f.path, "PRAGMA user_version = 3");
	db_exec(f.path, "UPDATE meta SET value = '9.8.7' WHERE key = 'program'");
	ccp_db_close(db_open(f.path, CCP_DB_WRITE));
	ccp_db_close(db_open(f.path, CCP_DB_READ));

	db_exec(f.path, "UPDATE meta SET value = '3' WHERE key = 'min_writer'");
	db_expect(f.path, "PRAGMA journal_mode = DELETE", "delete\n");
	check_left_alone(f.path, "newer_schema");
	reader = db_open(f.path, CCP_DB_READ);
	{
		_cleanup_op_ struct ccp_op op = { 0 };

		ck_assert_int_eq(ccp_op_get(reader, "a", &op, &db_err), 1);
	}
	ccp_db_close(reader);

	db_exec(f.path, "UPDATE meta SET value = '3' WHERE key = 'min_reader'");
	check_refused(f.path, CCP_DB_READ, "newer_schema");
	check_refused(f.path, CCP_DB_READ, "newer_schema");
	ck_assert_int_lt(ccp_db_open(f.path, CCP_DB_READ, &reader, &db_err), 0);
	ck_assert_ptr_nonnull(strstr(db_err.message, "upgrade to 9.8.7"));
	ck_assert_str_eq(ccp_json_str(db_err.details, "requiredVersion"), "9.8.7");
	db_expect(f.path, "PRAGMA user_version", "3\n");
	db_done(&f);
}
END_TEST

/* Opens until it works or fails otherwise than by a lock; an exit status. */
static int open_until_it_works(const char *path)
{
	for (int i = 0; i < 2000; i++) {
		struct ccp_db *db = NULL;
		int r = ccp_db_open(path, CCP_DB_WRITE, &db, NULL);

		ccp_db_close(db);
		if (r == 0)
			return 0;
		if (r != CODEXCP_E_STATE_BUSY)
			return 1;
		usleep(1000);
	}
	return 2;
}

START_TEST(test_racing_creators)
{
	enum { N = 8 };
	struct db_fixture f;
	pid_t pids[N];
	int gate[2];

	db_setup_path(&f);
	ck_assert_int_eq(pipe(gate), 0);
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (pids[i] == 0) {
			char c;

			close(gate[1]);
			(void)!read(gate[0], &c, 1); /* until all are there */
			_exit(open_until_it_works(f.path));
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < N; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status));
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	}
	f.db = db_open(f.path, CCP_DB_WRITE);
	db_expect(f.path, "SELECT key, value FROM meta ORDER BY key",
		  "min_reader|1\nmin_writer|1\nprogram|" CCP_VERSION "\nschema|2\n");
	db_done(&f);
}
END_TEST

START_TEST(test_busy)
{
	const struct ccp_clock *clock = ccp_clock_system();
	struct db_fixture f;
	struct ccp_db *other, *third = NULL;
	struct ccp_op row = db_op_row("a");
	int64_t started_ms;

	db_setup(&f);
	other = db_open(f.path, CCP_DB_WRITE);
	OK(ccp_db_begin(f.db, &db_err));
	started_ms = ccp_clock_boot(clock);
	ck_assert_int_eq(ccp_db_begin(other, NULL), CODEXCP_E_STATE_BUSY);
	ck_assert_int_lt(ccp_clock_boot(clock) - started_ms, 1000);
	/* Readers and further connections are not held up. */
	ck_assert_int_eq(ccp_op_get(other, "a", &row, NULL), 0);
	OK(ccp_db_open(f.path, CCP_DB_WRITE, &third, &db_err));
	ccp_db_close(third);

	OK(ccp_db_commit(f.db, &db_err));
	OK(ccp_db_begin(other, &db_err));
	ccp_db_rollback(other);
	ccp_db_rollback(other);
	ccp_db_close(other);
	db_done(&f);
}
END_TEST

START_TEST(test_data_version)
{
	struct db_fixture f;
	struct ccp_db *other;
	struct ccp_op row = db_op_row("a"), second = db_op_row("b");
	int64_t before;

	db_setup(&f);
	other = db_open(f.path, CCP_DB_READ);
	before = ccp_db_data_version(other);
	ck_assert_int_eq(ccp_db_data_version(other), before);
	db_insert(f.db, &row);
	ck_assert_int_ne(ccp_db_data_version(other), before);

	/* One's own commits do not count, and what is rolled back neither. */
	before = ccp_db_data_version(f.db);
	db_insert(f.db, &second);
	ck_assert_int_eq(ccp_db_data_version(f.db), before);
	ccp_db_close(other);
	db_done(&f);
}
END_TEST

START_TEST(test_rollback)
{
	const struct ccp_op_request request = { .message = "m", .arguments = "{}" };
	struct db_fixture f;
	struct ccp_op row = db_op_row("a");

	db_setup(&f);
	OK(ccp_db_begin(f.db, &db_err));
	OK(ccp_op_insert(f.db, &row, &request, &db_err));
	ccp_db_rollback(f.db);
	db_expect(f.path,
		  "SELECT (SELECT count(*) FROM operations), (SELECT count(*) FROM requests)",
		  "0|0\n");
	db_insert(f.db, &row);
	db_expect(f.path, "SELECT id FROM operations", "a\n");
	db_done(&f);
}
END_TEST

/* The cached statement is in use: a second use gets one of its own. */
START_TEST(test_nested_statements)
{
	struct db_fixture f;
	struct ccp_op a = db_op_row("a"), b = db_op_row("b");
	struct ccp_stmt outer, inner;

	db_setup(&f);
	db_insert(f.db, &a);
	db_insert(f.db, &b);
	OK(ccp_stmt_open(f.db, CCP_SQL_OPERATION_GET, &outer, &db_err));
	ccp_bind_text(&outer, 1, "a");
	ck_assert_int_eq(ccp_stmt_step(&outer, &db_err), 1);
	OK(ccp_stmt_open(f.db, CCP_SQL_OPERATION_GET, &inner, &db_err));
	ccp_bind_text(&inner, 1, "b");
	ck_assert_int_eq(ccp_stmt_step(&inner, &db_err), 1);
	ck_assert_str_eq(ccp_column_text(&outer, 0), "a");
	ck_assert_str_eq(ccp_column_text(&inner, 0), "b");
	ccp_stmt_close(&inner);
	ck_assert_str_eq(ccp_column_text(&outer, 0), "a");
	ccp_stmt_close(&outer);
	ccp_stmt_close(&outer);
	/* Bindings do not stay. */
	OK(ccp_stmt_open(f.db, CCP_SQL_OPERATION_GET, &outer, &db_err));
	ck_assert_int_eq(ccp_stmt_step(&outer, &db_err), 0);
	ccp_stmt_close(&outer);
	db_done(&f);
}
END_TEST

/* A bind that fails is told by the next step. */
START_TEST(test_bind_failure)
{
	struct db_fixture f;
	struct ccp_stmt stmt;

	db_setup(&f);
	OK(ccp_stmt_open(f.db, CCP_SQL_META_GET, &stmt, &db_err));
	ccp_bind_text(&stmt, 99, "x");
	ck_assert_int_lt(ccp_stmt_step(&stmt, &db_err), 0);
	ccp_stmt_close(&stmt);
	db_done(&f);
}
END_TEST

/* As somebody to whom permissions apply: root would pass them all. The status that `fn` returns. */
static int as_nobody(int (*fn)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(geteuid() == 0 && setresuid(65534, 65534, 65534) < 0 ? 99 : fn(path));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What a reader and a writer meet: the number of operations, 50 + ... when the writer is not
 * refused as it should be. */
static int look_around(const char *path)
{
	struct codexcp_error err = { 0 };
	struct ccp_op_counts counts = { 0 };
	struct ccp_db *db = NULL;

	if (ccp_db_open(path, CCP_DB_WRITE, &db, &err) != CODEXCP_E_STATE_UNAVAILABLE ||
	    !ccp_streq(ccp_json_str(err.details, "reason"), "read_only"))
		return 51;
	if (!strstr(err.message, path) || !strstr(err.message, "writable"))
		return 52;
	codexcp_error_done(&err);
	if (ccp_db_open(path, CCP_DB_READ, &db, &err) < 0)
		return ccp_streq(ccp_json_str(err.details, "reason"), "read_only") ? 60 : 61;
	if (ccp_op_count(db, &counts, &err) < 0)
		return 53;
	ccp_db_close(db);
	return (int)counts.active;
}

static void close_to_others(const struct db_fixture *f, mode_t dir, mode_t files)
{
	char *command = ccp_asprintf("chmod %o %s/*", files, f->dir);

	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chmod(f->dir, dir), 0);
	free(command);
}

START_TEST(test_read_only)
{
	struct db_fixture f;
	struct ccp_op a = db_op_row("a"), b = db_op_row("b");
	char *log, *shared;

	db_setup(&f);
	log = ccp_asprintf("%s-wal", f.path);
	shared = ccp_asprintf("%s-shm", f.path);
	db_insert(f.db, &a);
	/* In use: a row stands in the log only. */
	close_to_others(&f, 0555, 0444);
	ck_assert_int_eq(as_nobody(look_around, f.path), 1);
	/* Left by a worker that was killed: without the shared memory the log cannot be read, and
	 * the file without its log would tell the past. */
	ck_assert_int_eq(rename(shared, log), 0);
	close_to_others(&f, 0555, 0444);
	ck_assert_int_eq(as_nobody(look_around, f.path), 60);
	ccp_db_close(TAKE_PTR(f.db));

	/* Closed in order: everything stands in the file. */
	unlink(log);
	unlink(f.path);
	f.db = db_open(f.path, CCP_DB_WRITE);
	db_insert(f.db, &a);
	db_insert(f.db, &b);
	ccp_db_close(TAKE_PTR(f.db));
	ck_assert_int_ne(access(log, F_OK), 0);
	close_to_others(&f, 0555, 0444);
	ck_assert_int_eq(as_nobody(look_around, f.path), 2);
	close_to_others(&f, 0755, 0644);
	free(log);
	free(shared);
	db_done(&f);
}
END_TEST

/* What passes by itself, or when somebody mends it, is never told as a mistake of ours: that would
 * be the end of what has to be recorded. */
START_TEST(test_errors)
{
	static const struct {
		int sqlite, code;
	} rows[] = {
		{ SQLITE_BUSY_SNAPSHOT, CODEXCP_E_STATE_BUSY },
		{ SQLITE_PROTOCOL, CODEXCP_E_STATE_BUSY },
		{ SQLITE_SCHEMA, CODEXCP_E_STATE_BUSY },
		{ SQLITE_NOLFS, CODEXCP_E_STATE_UNAVAILABLE },
		{ SQLITE_IOERR_FSYNC, CODEXCP_E_STATE_UNAVAILABLE },
		{ SQLITE_CONSTRAINT, CODEXCP_E_INTERNAL },
		{ SQLITE_MISUSE, CODEXCP_E_INTERNAL },
	};
	struct db_fixture f;

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++)
		ck_assert_int_eq(ccp_db_fail(f.db, rows[i].sqlite, "test", &db_err), rows[i].code);
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("db", test_settings, test_foreign_keys, test_modes, test_missing_directory,
	      test_empty_file, test_not_a_database, test_foreign_database, test_newer_schema,
	      test_racing_creators, test_busy, test_data_version, test_rollback,
	      test_nested_statements, test_bind_failure, test_read_only, test_errors, test_cut_off)
