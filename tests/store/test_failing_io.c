/*
 * A file system that fails at the n-th operation, for the n of a whole life: make the database,
 * submit, claim, finish. Nothing is half-written, the caller hears the right error, and the next
 * try works.
 */
#include <ccp_db_check.h>
#include <vfs_shim.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/op_apply.h"
#include "domain/op_create.h"

#define OPERATIONS_MAX 2000

struct life {
	struct db_fixture db;
	struct db_clock clock;
	char id[CCP_ID_SIZE];
	int failures; /* calls that failed */
};

typedef int (*step_fn)(struct life *life, struct codexcp_error *err);

static int submit(struct life *life, struct codexcp_error *err)
{
	struct ccp_submit submit = { .op = db_op_row(NULL), .request = { .message = "do it" } };
	struct ccp_submitted submitted = { 0 };
	char *text[] = { "request-1", "hash" };
	struct ccp_op row = submit.op;
	int r = 0;

	/* The submit owns its texts. */
	submit.op = (struct ccp_op){ .priority = 1, .request_timeout_ms = 1000 };
	submit.request = (struct ccp_op_request){ 0 };
	r |= ccp_row_set(&submit.op.client_request_id, text[0], err);
	r |= ccp_row_set(&submit.op.request_hash, text[1], err);
	r |= ccp_row_set(&submit.op.type, row.type, err);
	r |= ccp_row_set(&submit.op.project_id, row.project_id, err);
	r |= ccp_row_set(&submit.op.project_path, row.project_path, err);
	r |= ccp_row_set(&submit.op.cwd, row.cwd, err);
	r |= ccp_row_set(&submit.op.allowed_root, row.allowed_root, err);
	r |= ccp_row_set(&submit.request.message, "do it", err);
	r |= ccp_row_set(&submit.request.arguments, "{\"message\": \"do it\"}", err);
	ck_assert_int_eq(r, 0);
	r = ccp_op_submit(life->db.db, &life->clock.clock, &submit, &submitted, err);
	if (r == 0)
		snprintf(life->id, sizeof(life->id), "%s", submitted.id);
	ccp_submitted_done(&submitted);
	ccp_submit_done(&submit);
	return r;
}

static int apply(struct life *life, enum ccp_op_event event, struct codexcp_error *err)
{
	const struct ccp_op_change change = {
		.app_server_ready = true, .thread_id = "t", .turn_id = "u", .instance = "i"
	};
	struct ccp_op_outcome outcome = { 0 };
	int r = ccp_op_apply(life->db.db, &life->clock.clock, life->id, event, &change, &outcome,
			     err);

	ccp_op_outcome_done(&outcome);
	return r;
}

static int claim(struct life *life, struct codexcp_error *err)
{
	return apply(life, CCP_OP_CLAIM, err);
}

static int thread_ready(struct life *life, struct codexcp_error *err)
{
	return apply(life, CCP_OP_THREAD_READY, err);
}

static int turn_started(struct life *life, struct codexcp_error *err)
{
	return apply(life, CCP_OP_TURN_STARTED, err);
}

static int finish(struct life *life, struct codexcp_error *err)
{
	return apply(life, CCP_OP_TURN_COMPLETED, err);
}

/* After each of them, what a reader sees. */
static const struct {
	step_fn step;
	const char *rows;
} steps[] = {
	{ submit, "queued|1|1|1\n" },
	{ claim, "thread_start_sent|1|1|2\n" },
	{ thread_ready, "turn_start_sent|1|1|3\n" },
	{ turn_started, "running|1|1|4\n" },
	{ finish, "completed|0|1|5\n" },
};

static int open_database(struct life *life, struct codexcp_error *err)
{
	return ccp_db_open(life->db.path, CCP_DB_WRITE, &life->db.db, err);
}

static int run_step(struct life *life, step_fn step, struct codexcp_error *err)
{
	int r = ccp_db_begin(life->db.db, err);

	if (r == 0)
		r = step(life, err);
	if (r >= 0)
		r = ccp_db_commit(life->db.db, err);
	if (r < 0)
		ccp_db_rollback(life->db.db);
	return r;
}

static void check_error(const struct life *life, enum shim_failure failure,
			const struct codexcp_error *err)
{
	const char *reason = ccp_json_str(err->details, "reason");

	ck_assert_msg(err->code == CODEXCP_E_STATE_UNAVAILABLE, "%d %s", err->code, err->message);
	ck_assert_str_eq(ccp_json_str(err->details, "path"), life->db.path);
	ck_assert_ptr_nonnull(strstr(err->message, life->db.path));
	if (failure == SHIM_IO)
		ck_assert_msg(ccp_streq(reason, "io_error") || ccp_streq(reason, "cannot_open"),
			      "%s: %s", reason, err->message);
	else
		ck_assert_msg(ccp_streq(reason, "full"), "%s: %s", reason, err->message);
}

static void check_rows(const struct life *life, const char *want)
{
	const char *sql = "SELECT phase, active, (SELECT count(*) FROM requests), "
			  "(SELECT count(*) FROM journal) FROM operations";
	char *rows;

	shim_pause(true);
	rows = db_query(life->db.path, sql);
	shim_pause(false);
	ck_assert_msg(ccp_streq(rows, want), "%s instead of %s", rows, want);
	free(rows);
}

/* A step that fails leaves what was, and works at once when it is tried again. */
static void try_step(struct life *life, size_t i, enum shim_failure failure, enum shim_times times)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (run_step(life, steps[i].step, &err) == 0)
		return;
	life->failures++;
	check_error(life, failure, &err);
	if (times == SHIM_ALWAYS) {
		ck_assert_int_lt(run_step(life, steps[i].step, NULL), 0);
		shim_fail(SHIM_NONE, 0, SHIM_ONCE);
	}
	check_rows(life, i ? steps[i - 1].rows : "");
	OK(run_step(life, steps[i].step, &db_err));
	check_rows(life, steps[i].rows);
}

/* False when the failure did not come: the life has fewer operations. */
static bool live(const struct db_fixture *place, enum shim_failure failure, int n,
		 enum shim_times times)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct life life = { .db = *place };
	bool struck;

	db_clock_init(&life.clock, 5000);
	shim_fail(failure, n, times);
	if (open_database(&life, &err) < 0) {
		life.failures++;
		check_error(&life, failure, &err);
		shim_fail(SHIM_NONE, 0, SHIM_ONCE);
		OK(open_database(&life, &db_err));
		struck = true;
	} else {
		struck = false;
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(steps); i++)
		try_step(&life, i, failure, times);
	struck |= shim_failures() > 0;
	shim_fail(SHIM_NONE, 0, SHIM_ONCE);
	/* The same request again is the same operation, whatever happened to the first. */
	OK(run_step(&life, submit, &db_err));
	check_rows(&life, steps[CCP_ARRAY_SIZE(steps) - 1].rows);
	db_expect(life.db.path, "PRAGMA integrity_check", "ok\n");
	ccp_db_close(life.db.db);
	ck_assert_int_eq(unlink(life.db.path), 0);
	return struck;
}

static void walk(enum shim_failure failure, enum shim_times times)
{
	struct db_fixture place;
	int n = 1;

	ck_assert_int_eq(ccp_random_init(), 0);
	db_setup_path(&place);
	shim_install();
	/* Making the schema alone is hundreds of the same: every seventh of them. */
	while (n < OPERATIONS_MAX && live(&place, failure, n, times))
		n += n < 20 ? 1 : 7;
	shim_remove();
	db_done(&place);
	/* There was something to fail, and the end was reached. */
	ck_assert_int_ge(n, 20);
	ck_assert_int_lt(n, OPERATIONS_MAX);
}

START_TEST(test_full_once)
{
	walk(SHIM_FULL, SHIM_ONCE);
}
END_TEST

START_TEST(test_full_for_long)
{
	walk(SHIM_FULL, SHIM_ALWAYS);
}
END_TEST

START_TEST(test_short_writes)
{
	walk(SHIM_SHORT, SHIM_ONCE);
}
END_TEST

START_TEST(test_io_errors)
{
	walk(SHIM_IO, SHIM_ONCE);
}
END_TEST

START_TEST(test_io_errors_for_long)
{
	walk(SHIM_IO, SHIM_ALWAYS);
}
END_TEST

/* The disk is full, and nobody has the database open: what it holds is still read. */
START_TEST(test_full_disk_is_read)
{
	struct life life = { 0 };
	struct ccp_db *reader = NULL;
	struct ccp_op_counts counts = { 0 };

	ck_assert_int_eq(ccp_random_init(), 0);
	shim_install();
	db_setup(&life.db);
	db_clock_init(&life.clock, 5000);
	OK(run_step(&life, submit, &db_err));
	ccp_db_close(TAKE_PTR(life.db.db));
	shim_fail(SHIM_FULL, 1, SHIM_ALWAYS);
	OK(ccp_db_open(life.db.path, CCP_DB_READ, &reader, &db_err));
	ck_assert_int_gt(shim_failures(), 0);
	OK(ccp_op_count(reader, &counts, &db_err));
	ck_assert_int_eq(counts.active, 1);

	/* That was a makeshift: it is opened anew before it is used again. */
	ck_assert(ccp_db_is_outdated(reader));
	ccp_db_close(reader);
	shim_fail(SHIM_NONE, 0, SHIM_ONCE);
	OK(ccp_db_open(life.db.path, CCP_DB_READ, &reader, &db_err));
	ck_assert(!ccp_db_is_outdated(reader));
	OK(open_database(&life, &db_err));
	OK(run_step(&life, claim, &db_err));
	OK(ccp_op_count(reader, &counts, &db_err));
	ck_assert_int_eq(counts.queued, 0);
	ccp_db_close(reader);
	db_done(&life.db);
	shim_remove();
}
END_TEST

CCP_TEST_MAIN("failing_io", test_full_once, test_full_for_long, test_short_writes, test_io_errors,
	      test_io_errors_for_long, test_full_disk_is_read)
