#include <ccp_db_check.h>

#include "base/str.h"
#include "base/strbuf.h"
#include "store/worker_store.h"

START_TEST(test_epoch)
{
	struct db_fixture f;
	struct ccp_db *other;
	int64_t epoch = 0;

	db_setup(&f);
	other = db_open(f.path, CCP_DB_WRITE);
	for (int64_t i = 1; i <= 12; i++) {
		struct ccp_db *db = i % 2 ? f.db : other;

		OK(ccp_db_begin(db, &db_err));
		OK(ccp_meta_next_epoch(db, &epoch, &db_err));
		ck_assert_int_eq(epoch, i);
		OK(ccp_db_commit(db, &db_err));
	}
	OK(ccp_db_begin(f.db, &db_err));
	OK(ccp_meta_next_epoch(f.db, &epoch, &db_err));
	ccp_db_rollback(f.db);
	db_expect(f.path, "SELECT value FROM meta WHERE key = 'epoch'", "12\n");
	ccp_db_close(other);
	db_done(&f);
}
END_TEST

START_TEST(test_meta)
{
	struct db_fixture f;
	char *value = NULL;

	db_setup(&f);
	ck_assert_int_eq(ccp_meta_get(f.db, "home", &value, &db_err), 0);
	ck_assert_ptr_null(value);
	OK(ccp_meta_set(f.db, "home", "/a", &db_err));
	OK(ccp_meta_set(f.db, "home", "/b", &db_err));
	ck_assert_int_eq(ccp_meta_get(f.db, "home", &value, &db_err), 1);
	ck_assert_str_eq(value, "/b");
	free(value);
	db_done(&f);
}
END_TEST

static struct ccp_worker_row worker_row(const char *id, int64_t epoch, const char *role)
{
	return (struct ccp_worker_row){
		.id = (char *)id,
		.epoch = epoch,
		.role = (char *)role,
		.status = "running",
		.pid = 11,
		.start_time = 12,
		.boot_id = "boot",
		.version = "v",
		.started_at = 13,
		.heartbeat_at = 14,
		.stopped_at = 15,
		.instance = "i",
		.app_server = "{}",
		.last_error = "e",
	};
}

START_TEST(test_workers)
{
	struct db_fixture f;
	struct ccp_worker_row one = worker_row("one", 1, "worker"),
			      two = worker_row("two", 2, "inline"),
			      look = worker_row("look", 3, "observe"), got = { 0 };

	db_setup(&f);
	ck_assert_int_eq(ccp_worker_latest(f.db, &got, &db_err), 0);
	OK(ccp_worker_put(f.db, &look, &db_err));
	ck_assert_int_eq(ccp_worker_latest(f.db, &got, &db_err), 0);
	OK(ccp_worker_put(f.db, &two, &db_err));
	OK(ccp_worker_put(f.db, &one, &db_err));
	ck_assert_int_eq(ccp_worker_latest(f.db, &got, &db_err), 1);
#define TEXT(name) ck_assert_pstr_eq(two.name, got.name);
#define INT(name)  ck_assert_int_eq(two.name, got.name);
	CCP_WORKER_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	ccp_worker_row_done(&got);

	/* A heartbeat replaces the row. */
	two.heartbeat_at = 99;
	two.instance = NULL;
	OK(ccp_worker_put(f.db, &two, &db_err));
	ck_assert_int_eq(ccp_worker_latest(f.db, &got, &db_err), 1);
	ck_assert_int_eq(got.heartbeat_at, 99);
	ck_assert_ptr_null(got.instance);
	ccp_worker_row_done(&got);
	db_expect(f.path, "SELECT count(*) FROM workers", "3\n");
	db_done(&f);
}
END_TEST

static int note_id(const void *row, void *data)
{
	const char *const *id = row;
	struct ccp_strbuf *ids = data;

	ccp_strbuf_appendf(ids, "%s ", *id);
	return ccp_streq(*id, "enough");
}

/* The newest first, whatever was written again since; as many as wanted. */
START_TEST(test_newest_workers)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf ids = CCP_STRBUF(1000);
	static const char *const names[] = { "one", "look", "enough", "two" };
	struct db_fixture f;

	db_setup(&f);
	OK(ccp_workers_each(f.db, 10, note_id, &ids, &db_err));
	ck_assert_str_eq(ccp_strbuf_str(&ids), "");
	for (int64_t i = 0; i < 4; i++) {
		struct ccp_worker_row row = worker_row(names[i], i, "worker");

		OK(ccp_worker_put(f.db, &row, &db_err));
	}
	OK(ccp_worker_put(
		f.db,
		&(struct ccp_worker_row){ .id = "one", .role = "worker", .status = "stopped" },
		&db_err));
	OK(ccp_workers_each(f.db, 1, note_id, &ids, &db_err));
	ck_assert_str_eq(ccp_strbuf_str(&ids), "two ");
	OK(ccp_workers_each(f.db, 10, note_id, &ids, &db_err));
	ck_assert_str_eq(ccp_strbuf_str(&ids), "two two enough ");
	db_done(&f);
}
END_TEST

START_TEST(test_instances)
{
	struct ccp_instance_row want = {
		.id = "i",
		.pid = 1,
		.start_time = 2,
		.boot_id = "b",
		.pid_namespace = 3,
		.epoch = 4,
		.user_agent = "ua",
		.started_at = 5,
		.ended_at = 0,
		.end_reason = NULL,
	};
	struct ccp_instance_row got = { 0 };
	struct db_fixture f;

	db_setup(&f);
	ck_assert_int_eq(ccp_instance_get(f.db, "i", &got, &db_err), 0);
	OK(ccp_instance_put(f.db, &want, &db_err));
	want.ended_at = 6;
	want.end_reason = "gone";
	OK(ccp_instance_put(f.db, &want, &db_err));
	ck_assert_int_eq(ccp_instance_get(f.db, "i", &got, &db_err), 1);
#define TEXT(name) ck_assert_pstr_eq(want.name, got.name);
#define INT(name)  ck_assert_int_eq(want.name, got.name);
	CCP_INSTANCE_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	ccp_instance_row_done(&got);
	db_expect(f.path, "SELECT count(*) FROM app_servers", "1\n");
	db_done(&f);
}
END_TEST

/* Commands */

static void add_command(struct ccp_db *db, const char *id)
{
	const struct ccp_command command = {
		.id = (char *)id,
		.kind = "interrupt",
		.status = "queued",
		.op_id = "op",
		.args = "{}",
		.deadline = 7,
		.created_at = 1,
		.updated_at = 1,
	};

	OK(ccp_command_insert(db, &command, &db_err));
}

static int update(struct ccp_db *db, const char *id, const char *status, const char *result)
{
	const struct ccp_command command = {
		.id = (char *)id,
		.status = (char *)status,
		.result = (char *)result,
		.updated_at = 2,
		.completed_at = result ? 2 : 0,
	};
	int r = ccp_command_update(db, &command, &db_err);

	OK(r);
	return r;
}

static void check_next(struct ccp_db *db, const char *want)
{
	_cleanup_command_ struct ccp_command command = { 0 };
	int r = ccp_command_next(db, &command, &db_err);

	OK(r);
	ck_assert_int_eq(r, want != NULL);
	ck_assert_pstr_eq(command.id, want);
}

START_TEST(test_commands)
{
	struct db_fixture f;
	struct ccp_db *other;
	_cleanup_command_ struct ccp_command got = { 0 };

	db_setup(&f);
	other = db_open(f.path, CCP_DB_WRITE);
	check_next(f.db, NULL);
	add_command(f.db, "b");
	add_command(f.db, "a");
	check_next(other, "b");
	ck_assert_int_eq(update(f.db, "b", "running", NULL), 1);
	check_next(other, "a");
	ck_assert_int_eq(update(f.db, "b", "completed", "{\"ok\":true}"), 1);
	/* Finished is finished, whoever comes later. */
	ck_assert_int_eq(update(other, "b", "failed", "{}"), 0);
	ck_assert_int_eq(update(other, "none", "failed", "{}"), 0);
	ck_assert_int_eq(ccp_command_get(other, "b", &got, &db_err), 1);
	ck_assert_str_eq(got.status, "completed");
	ck_assert_str_eq(got.result, "{\"ok\":true}");
	ck_assert_str_eq(got.kind, "interrupt");
	ck_assert_str_eq(got.op_id, "op");
	ck_assert_str_eq(got.args, "{}");
	ck_assert_ptr_null(got.error);
	ck_assert_int_eq(got.deadline, 7);
	ck_assert_int_eq(got.completed_at, 2);
	ccp_db_close(other);
	db_done(&f);
}
END_TEST

START_TEST(test_newest_commands)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf ids = CCP_STRBUF(1000);
	struct db_fixture f;

	db_setup(&f);
	for (int i = 0; i < 3; i++)
		add_command(f.db, (const char *[]){ "first", "second", "third" }[i]);
	OK(ccp_commands_each(f.db, 2, note_id, &ids, &db_err));
	ck_assert_str_eq(ccp_strbuf_str(&ids), "third second ");
	db_done(&f);
}
END_TEST

START_TEST(test_requeue)
{
	struct db_fixture f;

	db_setup(&f);
	for (int i = 0; i < 4; i++)
		add_command(f.db, (const char *[]){ "done", "running", "failed", "queued" }[i]);
	ck_assert_int_eq(update(f.db, "done", "completed", "{}"), 1);
	ck_assert_int_eq(update(f.db, "failed", "failed", "{}"), 1);
	ck_assert_int_eq(update(f.db, "running", "running", NULL), 1);
	OK(ccp_command_requeue(f.db, &db_err));
	db_expect(f.path, "SELECT id, status FROM commands ORDER BY id",
		  "done|completed\nfailed|failed\nqueued|queued\nrunning|queued\n");
	check_next(f.db, "running");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("worker_store", test_epoch, test_meta, test_workers, test_newest_workers,
	      test_instances, test_commands, test_newest_commands, test_requeue)
