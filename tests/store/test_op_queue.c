/* The queue as it is read: lanes, order, who is left out. */
#include <ccp_db_check.h>

#include "base/str.h"
#include "store/op_store.h"

struct seen {
	char text[256];
	int stop_after; /* 0: never */
	int n;
};

static int note(struct seen *seen, const char *word)
{
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%s%s", len ? " " : "",
		 word ? word : "-");
	return ++seen->n == seen->stop_after;
}

static int see_op(const struct ccp_op *op, void *data)
{
	return note(data, op->id);
}

struct queued {
	char *id;
	int64_t priority, created_at, not_before;
	char *project, *agent, *thread;
};

static void enqueue(struct ccp_db *db, const struct queued *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ccp_op op = db_op_row(rows[i].id);

		op.priority = rows[i].priority;
		op.created_at = rows[i].created_at;
		op.not_before = rows[i].not_before;
		op.project_path = rows[i].project ? rows[i].project : "/p";
		op.agent_id = rows[i].agent;
		op.thread_id = rows[i].thread;
		db_insert(db, &op);
	}
}

/* The ids of a walk, with " |" where a lane was left and the time of service in brackets. */
struct queue_walk {
	struct seen seen;
	const char *stop_at; /* a word of ids whose lanes are left there; NULL: none */
};

static enum ccp_queue_next see_queued(const struct ccp_op *op, int64_t served_at, void *data)
{
	struct queue_walk *walk = data;
	char word[64];

	snprintf(word, sizeof(word), served_at ? "%s[%d]" : "%s", op->id, (int)served_at);
	note(&walk->seen, word);
	return walk->stop_at && strstr(walk->stop_at, op->id) ? CCP_QUEUE_LANE_DONE
							      : CCP_QUEUE_NEXT_ROW;
}

static void check_walk(struct ccp_db *db, int64_t now, const char *stop_at, const char *want)
{
	struct queue_walk walk = { .stop_at = stop_at };

	OK(ccp_op_each_queued(db, now, see_queued, &walk, &db_err));
	ck_assert_str_eq(walk.seen.text, want);
}

enum { MINUTE = 60 * 1000 };

START_TEST(test_queue_order)
{
	static const struct queued rows[] = {
		{ "low", 0, 0 },
		{ "normal", 1, 1 * MINUTE },
		{ "normal2", 1, 1 * MINUTE },
		{ "high", 2, 2 * MINUTE },
		/* A class is worth ten minutes of waiting. */
		{ "high_late", 2, 19 * MINUTE },
		{ "high_too_late", 2, 21 * MINUTE },
	};
	static const char want[] = "high normal normal2 high_late low high_too_late";
	struct db_fixture f;
	struct seen all = { 0 }, two = { .stop_after = 2 };

	db_setup(&f);
	enqueue(f.db, rows, CCP_ARRAY_SIZE(rows));
	check_walk(f.db, 30 * MINUTE, NULL, want);
	OK(ccp_op_each_in_queue(f.db, see_op, &all, &db_err));
	ck_assert_str_eq(all.text, want);
	OK(ccp_op_each_in_queue(f.db, see_op, &two, &db_err));
	ck_assert_str_eq(two.text, "high normal");
	db_done(&f);
}
END_TEST

/* One agent's lanes stand together; what is left is not read. */
START_TEST(test_queue_lanes)
{
	static const struct queued rows[] = {
		{ "a1", 1, 1, 0, "/p", "a'b", NULL }, { "n1", 1, 2, 0, "/p", NULL, NULL },
		{ "a2", 1, 3, 0, "/q", "a'b", NULL }, { "c1", 1, 4, 0, "/p", "c", NULL },
		{ "a3", 1, 5, 0, "/p", "a'b", NULL }, { "n2", 1, 6, 0, "/p", NULL, NULL },
	};
	struct db_fixture f;

	db_setup(&f);
	enqueue(f.db, rows, CCP_ARRAY_SIZE(rows));
	check_walk(f.db, 9, NULL, "a1 a3 a2 c1 n1 n2");
	check_walk(f.db, 9, "a1 n1", "a1 a2 c1 n1");
	check_walk(f.db, 9, "a1 a2 c1 n1", "a1 a2 c1 n1");
	db_done(&f);
}
END_TEST

/* A sandbox, and keys, make lanes of their own. */
START_TEST(test_queue_lanes_of_writers)
{
	static const char *const kinds[][2] = {
		{ "read-only", NULL },
		{ "workspace-write", NULL },
		{ "workspace-write", "[\"k\"]" },
		{ NULL, NULL },
	};
	struct db_fixture f;
	char id[8];

	db_setup(&f);
	for (size_t i = 0; i < 2 * CCP_ARRAY_SIZE(kinds); i++) {
		size_t kind = i % CCP_ARRAY_SIZE(kinds);
		struct ccp_op op;

		snprintf(id, sizeof(id), "%d.%d", (int)kind, (int)(i / CCP_ARRAY_SIZE(kinds)));
		op = db_op_row(id);
		op.sandbox = (char *)kinds[kind][0];
		op.resource_keys = (char *)kinds[kind][1];
		op.created_at = (int64_t)i;
		db_insert(f.db, &op);
	}
	check_walk(f.db, 99, NULL, "0.0 0.1 2.0 2.1 1.0 1.1 3.0 3.1");
	check_walk(f.db, 99, "0.0 2.0 1.0 3.0", "0.0 2.0 1.0 3.0");
	db_done(&f);
}
END_TEST

/* When an agent had its turn last: also of those that have none, and never what is still queued. */
START_TEST(test_queue_served)
{
	static const struct queued rows[] = {
		{ "a", 1, 1, 0, NULL, "agent", NULL },
		{ "b", 1, 2, 0, NULL, "other", NULL },
		{ "n", 1, 3, 0, NULL, NULL, NULL },
	};
	static const struct {
		char *id, *agent;
		int64_t started_at;
	} begun[] = {
		{ "x", "agent", 50 }, { "y", "agent", 70 }, { "z", NULL, 60 }, { "w", NULL, 40 }
	};
	struct db_fixture f;

	db_setup(&f);
	enqueue(f.db, rows, CCP_ARRAY_SIZE(rows));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(begun); i++) {
		struct ccp_op op = db_op_row(begun[i].id);

		op.agent_id = begun[i].agent;
		op.started_at = begun[i].started_at;
		op.active = i % 2;
		op.phase = op.status = i % 2 ? "running" : "completed";
		db_insert(f.db, &op);
	}
	check_walk(f.db, 99, NULL, "a[70] b n[60]");
	db_done(&f);
}
END_TEST

/* Messages to one thread go in the order in which they came, whatever their priority, also when the
 * first has to wait for a point in time. */
START_TEST(test_queue_thread_fifo)
{
	static const struct queued rows[] = {
		{ "first", 0, 1000, 5000, NULL, NULL, "t" },
		{ "second", 2, 2000, 0, NULL, NULL, "t" },
		{ "other", 0, 3000, 0, NULL, NULL, "u" },
	};
	struct db_fixture f;

	db_setup(&f);
	enqueue(f.db, rows, CCP_ARRAY_SIZE(rows));
	check_walk(f.db, 4000, NULL, "other");
	check_walk(f.db, 5000, NULL, "first other");
	ck_assert_int_eq(ccp_op_is_behind(f.db, "first", &db_err), 0);
	ck_assert_int_eq(ccp_op_is_behind(f.db, "second", &db_err), 1);
	ck_assert_int_eq(ccp_op_is_behind(f.db, "other", &db_err), 0);
	db_done(&f);
}
END_TEST

START_TEST(test_queue_due)
{
	static const struct queued rows[] = {
		{ "now", 1, 1000, 0 },
		{ "later", 1, 1000, 7000 },
		{ "soon", 1, 1000, 5000 },
	};
	struct db_fixture f;
	int64_t at = -1;

	db_setup(&f);
	OK(ccp_op_next_due(f.db, 0, &at, &db_err));
	ck_assert_int_eq(at, 0);
	enqueue(f.db, rows, CCP_ARRAY_SIZE(rows));
	OK(ccp_op_next_due(f.db, 4999, &at, &db_err));
	ck_assert_int_eq(at, 5000);
	OK(ccp_op_next_due(f.db, 5000, &at, &db_err));
	ck_assert_int_eq(at, 7000);
	OK(ccp_op_next_due(f.db, 7000, &at, &db_err));
	ck_assert_int_eq(at, 0);
	check_walk(f.db, 6999, NULL, "now soon");
	check_walk(f.db, 7000, NULL, "now later soon");
	db_done(&f);
}
END_TEST

START_TEST(test_last_begun)
{
	static const struct {
		char *id, *thread;
		int64_t started_at;
	} rows[] = {
		{ "first", "t", 5 }, { "last", "t", 3 }, { "queued", "t", 0 }, { "other", "u", 9 }
	};
	static const char *const want[][3] = { { "t", "queued", "last" },
					       { "t", "last", "first" },
					       { "u", "queued", "other" } };
	struct db_fixture f;

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op op = db_op_row(rows[i].id);

		op.thread_id = rows[i].thread;
		op.started_at = rows[i].started_at;
		db_insert(f.db, &op);
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(want); i++) {
		_cleanup_op_ struct ccp_op op = { 0 };

		ck_assert_int_eq(ccp_op_last_begun(f.db, want[i][0], want[i][1], &op, &db_err), 1);
		ck_assert_str_eq(op.id, want[i][2]);
	}
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("op_queue", test_queue_order, test_queue_lanes, test_queue_lanes_of_writers,
	      test_queue_served, test_queue_thread_fifo, test_queue_due, test_last_begun)
