#include <ccp_db_check.h>

#include "base/str.h"
#include "domain/retention.h"
#include "store/journal_store.h"
#include "store/turn_store.h"
#include "store/worker_store.h"

#define DAY  INT64_C(86400000)
#define NOW  (1000 * DAY)
#define MANY 1000000

static const struct ccp_retention_rule rule = {
	.age_ms = 30 * DAY,
	.operations = MANY,
	.journal_age_ms = 14 * DAY,
	.journal_rows = MANY,
	.key_window_ms = 7 * DAY,
};

static void begin(struct db_fixture *f)
{
	OK(ccp_db_begin(f->db, &db_err));
}

static void commit(struct db_fixture *f)
{
	OK(ccp_db_commit(f->db, &db_err));
}

/* One that ended so many days ago, in a thread of its own, with a turn, a message and a journal
 * row. */
static struct ccp_op ended(const char *id, int64_t days)
{
	struct ccp_op op = db_op_row(id);

	op.created_at = NOW - days * DAY;
	op.completed_at = op.created_at;
	op.active = 0;
	op.status = op.phase = (char *)"completed";
	op.thread_id = (char *)id;
	op.turn_id = (char *)"turn";
	return op;
}

static void add(struct db_fixture *f, const struct ccp_op *op)
{
	const struct ccp_turn_row turn = { .thread_id = op->thread_id,
					   .turn_id = op->turn_id,
					   .op_id = op->id,
					   .status = (char *)"completed",
					   .completed_at = op->completed_at };
	const struct ccp_message message = { .thread_id = op->thread_id,
					     .turn_id = op->turn_id,
					     .item_id = op->id,
					     .role = (char *)"assistant",
					     .text = (char *)"done" };
	const struct ccp_journal_row row = { .at = op->created_at,
					     .op_id = op->id,
					     .thread_id = op->thread_id,
					     .category = (char *)"operation_status",
					     .severity = (char *)"info",
					     .text = (char *)"submitted" };

	db_insert(f->db, op);
	begin(f);
	if (op->thread_id) {
		OK(ccp_turn_put(f->db, &turn, &db_err));
		OK(ccp_message_put(f->db, &message, &db_err));
	}
	OK(ccp_journal_append(f->db, &row, &db_err));
	commit(f);
}

static void add_ended(struct db_fixture *f, const char *id, int64_t days)
{
	struct ccp_op op = ended(id, days);

	add(f, &op);
}

/* A whole pass, each slice a transaction; the number of slices. */
static int pass_over(struct db_fixture *f, const struct ccp_retention_rule *by, int64_t rows,
		     struct ccp_retention_pass *ret_pass)
{
	struct ccp_retention_pass pass = { 0 };
	int slices = 0, r = 1;

	while (r == 1) {
		int64_t before = pass.rows;

		begin(f);
		r = ccp_retention_slice(f->db, NOW, by, &pass, rows, &db_err);
		ck_assert_msg(r >= 0, "%s", db_err.message);
		commit(f);
		/* Processes go by table: three times as many at the most. */
		ck_assert_int_le(pass.rows - before, 3 * rows);
		ck_assert_int_lt(++slices, 10000);
	}
	db_expect(f->path, "PRAGMA foreign_key_check", "");
	if (ret_pass)
		*ret_pass = pass;
	return slices;
}

static void check_left(const struct db_fixture *f, const char *want)
{
	char *left = db_query(f->path, "SELECT group_concat(id, ' ') FROM "
				       "(SELECT id FROM operations ORDER BY id)");

	ck_assert_msg(strncmp(left, want, strlen(want)) == 0 && left[strlen(want)] == '\n',
		      "%s instead of %s", left, want);
	free(left);
}

START_TEST(test_by_age)
{
	struct ccp_retention_pass pass, counted = { 0 };
	struct db_fixture f;

	db_setup(&f);
	add_ended(&f, "a", 31);
	add_ended(&f, "b", 30);
	add_ended(&f, "c", 29);
	OK(ccp_retention_count(f.db, NOW, &rule, &counted, &db_err));
	ck_assert_int_eq(counted.operations, 2);
	ck_assert_int_eq(counted.rows, 3); /* journal rows, which go sooner */
	check_left(&f, "a b c");
	pass_over(&f, &rule, 100, &pass);
	ck_assert_int_eq(pass.operations, 2);
	check_left(&f, "c");
	/* Nothing of them is left behind, and what stays is whole but for its old journal. */
	db_expect(f.path,
		  "SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM turns), "
		  "(SELECT count(*) FROM messages), (SELECT count(*) FROM journal)",
		  "1|1|1|0\n");
	db_done(&f);
}
END_TEST

START_TEST(test_by_count)
{
	struct ccp_retention_rule few = rule;
	struct db_fixture f;

	few.operations = 2;
	few.key_window_ms = 0;
	db_setup(&f);
	add_ended(&f, "a", 4);
	add_ended(&f, "b", 3);
	add_ended(&f, "c", 2);
	add_ended(&f, "d", 1);
	pass_over(&f, &few, 100, NULL);
	check_left(&f, "c d");
	/* As many as there are: nothing to do. */
	pass_over(&f, &few, 100, NULL);
	check_left(&f, "c d");
	db_done(&f);
}
END_TEST

/* An old one that is still active is kept, and so is whatever it needs. */
START_TEST(test_what_is_active)
{
	struct ccp_op active = db_op_row("m-active"), child = db_op_row("n-child");
	struct db_fixture f;

	db_setup(&f);
	add_ended(&f, "a-parent", 90);
	add_ended(&f, "b-thread", 90);
	add_ended(&f, "c-other", 90);
	active.created_at = NOW - 95 * DAY;
	active.thread_id = (char *)"b-thread";
	active.turn_id = (char *)"turn-2";
	add(&f, &active);
	child.parent_id = (char *)"a-parent";
	child.created_at = NOW;
	add(&f, &child);
	pass_over(&f, &rule, 100, NULL);
	check_left(&f, "a-parent b-thread m-active n-child");
	/* The journal of what is active, and of its thread, however old. */
	db_expect(f.path, "SELECT op_id FROM journal ORDER BY op_id",
		  "b-thread\nm-active\nn-child\n");

	db_exec(f.path, "UPDATE operations SET active = 0, completed_at = created_at");
	pass_over(&f, &rule, 100, NULL);
	check_left(&f, "n-child");
	db_done(&f);
}
END_TEST

/* A retry must find its operation for as long as was promised, whatever the other limits say. */
START_TEST(test_request_ids)
{
	struct ccp_retention_rule hard = rule;
	struct ccp_op young = ended("a-young", 6), old = ended("b-old", 8),
		      none = ended("c-none", 6);
	struct db_fixture f;

	hard.age_ms = DAY;
	hard.operations = 0;
	young.client_request_id = (char *)"one";
	old.client_request_id = (char *)"two";
	db_setup(&f);
	add(&f, &young);
	add(&f, &old);
	add(&f, &none);
	pass_over(&f, &hard, 100, NULL);
	check_left(&f, "a-young");
	db_done(&f);
}
END_TEST

/* Somebody still wants something of it. */
START_TEST(test_open_commands)
{
	struct ccp_command command = { .id = (char *)"c",
				       .kind = (char *)"interrupt",
				       .status = (char *)"queued",
				       .op_id = (char *)"a",
				       .created_at = NOW - 90 * DAY };
	struct db_fixture f;

	db_setup(&f);
	add_ended(&f, "a", 90);
	begin(&f);
	OK(ccp_command_insert(f.db, &command, &db_err));
	commit(&f);
	pass_over(&f, &rule, 100, NULL);
	check_left(&f, "a");
	db_exec(f.path, "UPDATE commands SET completed_at = created_at + 1");
	pass_over(&f, &rule, 100, NULL);
	db_expect(f.path,
		  "SELECT (SELECT count(*) FROM operations), (SELECT count(*) FROM commands)",
		  "0|0\n");
	db_done(&f);
}
END_TEST

/* What Codex did by itself in a thread goes with the thread's last operation. */
START_TEST(test_rest_of_a_thread)
{
	const struct ccp_turn_row strange = { .thread_id = (char *)"t",
					      .turn_id = (char *)"other",
					      .status = (char *)"completed" };
	struct ccp_op first = ended("a", 40), second = ended("b", 10);
	struct db_fixture f;

	db_setup(&f);
	first.thread_id = second.thread_id = (char *)"t";
	second.turn_id = (char *)"turn-2";
	add(&f, &first);
	add(&f, &second);
	begin(&f);
	OK(ccp_turn_put(f.db, &strange, &db_err));
	commit(&f);
	pass_over(&f, &rule, 100, NULL);
	check_left(&f, "b");
	db_expect(f.path, "SELECT turn_id FROM turns ORDER BY turn_id", "other\nturn-2\n");
	db_exec(f.path, "UPDATE operations SET completed_at = 1");
	pass_over(&f, &rule, 100, NULL);
	db_expect(f.path, "SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM messages)",
		  "0|0\n");
	db_done(&f);
}
END_TEST

static void add_journal(struct db_fixture *f, const char *op, int64_t days, int n)
{
	const struct ccp_journal_row row = { .at = NOW - days * DAY,
					     .op_id = (char *)op,
					     .category = (char *)"item_status",
					     .severity = (char *)"info",
					     .progress = 1 };

	begin(f);
	for (int i = 0; i < n; i++)
		OK(ccp_journal_append(f->db, &row, &db_err));
	commit(f);
}

START_TEST(test_journal)
{
	struct ccp_op active = db_op_row("active");
	struct ccp_retention_rule few = rule;
	struct db_fixture f;

	db_setup(&f);
	add_ended(&f, "a", 20);
	active.created_at = NOW - 40 * DAY;
	add(&f, &active);
	add_journal(&f, NULL, 20, 1000);
	add_journal(&f, "active", 16, 10);
	add_journal(&f, "a", 15, 1000);
	add_journal(&f, "a", 13, 50);
	pass_over(&f, &rule, 64, NULL);
	db_expect(f.path, "SELECT op_id, count(*) FROM journal GROUP BY op_id ORDER BY op_id",
		  "a|50\nactive|11\n");
	few.journal_rows = 20;
	pass_over(&f, &few, 7, NULL);
	db_expect(f.path, "SELECT op_id, count(*) FROM journal GROUP BY op_id ORDER BY op_id",
		  "a|20\nactive|11\n");
	db_done(&f);
}
END_TEST

/* One operation with more rows than a slice may touch, and many that may not go before one that
 * may. */
START_TEST(test_slices)
{
	struct ccp_retention_pass pass;
	struct db_fixture f;

	db_setup(&f);
	for (int i = 0; i < 100; i++) {
		char id[16], key[16];
		struct ccp_op op;

		snprintf(id, sizeof(id), "kept-%03d", i);
		snprintf(key, sizeof(key), "key-%03d", i);
		op = ended(id, 60);
		op.created_at = NOW - DAY; /* a clock that was set back: the key is young */
		op.client_request_id = key;
		db_insert(f.db, &op);
	}
	add_ended(&f, "big", 50);
	add_journal(&f, "big", 50, 500);
	ck_assert_int_ge(pass_over(&f, &rule, 10, &pass), 60);
	ck_assert_int_eq(pass.operations, 1);
	db_expect(f.path, "SELECT count(*) FROM operations WHERE id = 'big'", "0\n");
	db_expect(f.path, "SELECT count(*) FROM operations", "100\n");
	db_expect(f.path, "SELECT count(*) FROM journal", "0\n");
	db_done(&f);
}
END_TEST

START_TEST(test_processes)
{
	struct ccp_op active = db_op_row("active");
	struct db_fixture f;

	db_setup(&f);
	active.phase = active.status = (char *)"running";
	active.instance = (char *)"needed";
	db_insert(f.db, &active);
	begin(&f);
	for (int i = 0; i < 300; i++) {
		char id[16];
		struct ccp_worker_row worker = { .id = id,
						 .epoch = i + 1,
						 .role = (char *)"worker",
						 .status = (char *)"stopped",
						 .heartbeat_at = NOW - (300 - i) * DAY };
		struct ccp_instance_row instance = { .id = id,
						     .epoch = i + 1,
						     .started_at = NOW - (300 - i) * DAY,
						     .ended_at = NOW - (300 - i) * DAY };

		snprintf(id, sizeof(id), "%03d", i);
		if (i == 100)
			instance.id = (char *)"needed";
		OK(ccp_worker_put(f.db, &worker, &db_err));
		OK(ccp_instance_put(f.db, &instance, &db_err));
	}
	commit(&f);
	pass_over(&f, &rule, 20, NULL);
	db_expect(f.path, "SELECT count(*), min(id) FROM workers", "29|271\n");
	db_expect(f.path, "SELECT count(*), max(id) FROM app_servers", "30|needed\n");
	/* The newest worker stays however old it is. */
	db_exec(f.path, "UPDATE workers SET heartbeat_at = 1");
	pass_over(&f, &rule, 20, NULL);
	db_expect(f.path, "SELECT id FROM workers", "299\n");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("retention", test_by_age, test_by_count, test_what_is_active, test_request_ids,
	      test_open_commands, test_rest_of_a_thread, test_journal, test_slices, test_processes)
