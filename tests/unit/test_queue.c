#include "domain/queue.h"

#include <ccp_db_check.h>

#include "base/str.h"

enum { MINUTE = 60 * 1000 };

static const struct ccp_limits standard = { 4, 3, 3, 1, 1, 8 };
static const struct ccp_limits one = { 1, 9, 9, 1, 9, 8 };

/* A queued operation; the times are minutes. */
struct row {
	const char *id, *agent, *sandbox, *keys;
	int64_t created, priority;
	const char *thread, *project;
};

static void insert(struct ccp_db *db, const struct row *row)
{
	struct ccp_op op = db_op_row(row->id);

	op.agent_id = (char *)row->agent;
	op.sandbox = (char *)(row->sandbox ? row->sandbox : "read-only");
	op.resource_keys = (char *)row->keys;
	op.thread_id = (char *)row->thread;
	op.project_path = (char *)(row->project ? row->project : "/p");
	op.created_at = row->created * MINUTE;
	op.priority = row->priority;
	db_insert(db, &op);
}

static void move(struct ccp_db *db, const char *id, const char *phase, int64_t now)
{
	_cleanup_op_ struct ccp_op op = { 0 };

	ck_assert_int_eq(ccp_op_get(db, id, &op, &db_err), 1);
	OK(ccp_row_set(&op.phase, phase, &db_err));
	OK(ccp_row_set(&op.status, phase, &db_err));
	op.active = !ccp_streq(phase, "completed");
	if (!op.started_at)
		op.started_at = now;
	ck_assert_int_eq(ccp_op_update(db, &op, &db_err), 1);
}

static int next(struct ccp_db *db, const struct ccp_limits *limits, int64_t now,
		char id[static CCP_ID_SIZE])
{
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	int r;

	OK(ccp_queue_slots(db, limits, now, &slots, &db_err));
	r = ccp_queue_next(db, limits, &slots, now, id, &db_err);
	OK(r);
	return r;
}

/* Claims until nobody may run any more: their ids in order. */
static void check_claims(struct ccp_db *db, const struct ccp_limits *limits, int64_t now,
			 const char *want)
{
	char text[256] = "", id[CCP_ID_SIZE];

	while (next(db, limits, now, id)) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", id);
		move(db, id, "running", now);
	}
	ck_assert_str_eq(text, want);
}

/* One at a time, each runs for a second. */
static void check_turns(struct ccp_db *db, int64_t now, const char *want)
{
	char text[256] = "", id[CCP_ID_SIZE];

	for (; next(db, &one, now, id); now += 1000) {
		size_t len = strlen(text);

		snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", id);
		move(db, id, "running", now);
		move(db, id, "completed", now);
	}
	ck_assert_str_eq(text, want);
}

static void check_reason(struct ccp_db *db, const char *id, int64_t now, const char *want)
{
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	const char *reason = NULL;

	ck_assert_int_eq(ccp_op_get(db, id, &op, &db_err), 1);
	OK(ccp_queue_slots(db, &standard, now, &slots, &db_err));
	OK(ccp_queue_reason(db, &standard, &slots, &op, now, &reason, &db_err));
	ck_assert_msg(ccp_streq(reason, want), "%s: %s, not %s", id, reason, want);
}

#define INSERT(f, rows)                                                                            \
	for (size_t i_ = 0; i_ < CCP_ARRAY_SIZE(rows); i_++)                                       \
	insert((f)->db, &(rows)[i_])
#define WRITES "workspace-write"

/* Priority with ageing, for those of one agent. */
START_TEST(test_ageing)
{
	static const struct row rows[] = {
		{ "low", NULL, NULL, NULL, 0, 0 },
		{ "normal", NULL, NULL, NULL, 1, 1 },
		{ "high", NULL, NULL, NULL, 2, 2 },
		{ "high_late", NULL, NULL, NULL, 19, 2 },
		{ "high_too_late", NULL, NULL, NULL, 21, 2 },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_turns(f.db, 30 * MINUTE, "high normal high_late low high_too_late");
	db_done(&f);
}
END_TEST

/* One agent with many does not keep another waiting, nor those that name none. */
START_TEST(test_agents_in_turn)
{
	static const struct row rows[] = {
		{ "a1", "a", NULL, NULL, 0, 1 },  { "a2", "a", NULL, NULL, 0, 1 },
		{ "a3", "a", NULL, NULL, 0, 1 },  { "a4", "a", NULL, NULL, 0, 1 },
		{ "b1", "b", NULL, NULL, 1, 1 },  { "b2", "b", NULL, NULL, 1, 1 },
		{ "n1", NULL, NULL, NULL, 2, 1 }, { "n2", NULL, NULL, NULL, 2, 1 },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_turns(f.db, 3 * MINUTE, "a1 b1 n1 a2 b2 n2 a3 a4");
	db_done(&f);
}
END_TEST

/* Whoever comes new stands behind those who wait for longer, and cannot starve them. */
START_TEST(test_new_agents)
{
	static const struct row rows[] = {
		{ "a1", "a", NULL, NULL, 0, 1 },
		{ "a2", "a", NULL, NULL, 0, 1 },
		{ "b1", "b", NULL, NULL, 2, 1 },
		{ "c1", "c", NULL, NULL, 4, 1 },
	};
	struct db_fixture f;
	char id[CCP_ID_SIZE];

	db_setup(&f);
	INSERT(&f, rows);
	ck_assert_int_eq(next(f.db, &one, 3 * MINUTE, id), 1);
	ck_assert_str_eq(id, "a1");
	move(f.db, "a1", "completed", 3 * MINUTE);
	check_turns(f.db, 5 * MINUTE, "b1 a2 c1");
	db_done(&f);
}
END_TEST

/* A class comes before turns; waiting lifts into the highest, where agents are in turn again. */
START_TEST(test_classes)
{
	static const struct row rows[] = {
		{ "high1", "a", NULL, NULL, 5, 2 },
		{ "high2", "a", NULL, NULL, 5, 2 },
		{ "normal", "b", NULL, NULL, 4, 1 },
		{ "low", "c", NULL, NULL, 3, 0 },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_turns(f.db, 6 * MINUTE, "high1 high2 normal low");
	db_done(&f);
	db_setup(&f);
	INSERT(&f, rows);
	check_turns(f.db, 15 * MINUTE, "normal high1 high2 low");
	db_done(&f);
	db_setup(&f);
	INSERT(&f, rows);
	check_turns(f.db, 30 * MINUTE, "low normal high1 high2");
	db_done(&f);
}
END_TEST

/* What cannot run now is passed by, lane by lane and within one. */
START_TEST(test_passed_by)
{
	static const struct row rows[] = {
		{ "w1", NULL, WRITES, NULL, 0, 1 },
		{ "w2", NULL, WRITES, NULL, 1, 1 },
		{ "r1", NULL, NULL, NULL, 2, 1, "t" },
		{ "r2", NULL, NULL, NULL, 3, 1, "t" },
		{ "r3", NULL, NULL, NULL, 4, 1 },
		{ "q1", NULL, WRITES, NULL, 5, 1, NULL, "/q" },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_claims(f.db, &standard, 9 * MINUTE, "w1 r1 r3 q1");
	check_reason(f.db, "w2", 9 * MINUTE, "global_slot_limit");
	move(f.db, "q1", "completed", 9 * MINUTE);
	check_reason(f.db, "w2", 9 * MINUTE, "project_slot_limit");
	move(f.db, "r3", "completed", 9 * MINUTE);
	check_reason(f.db, "w2", 9 * MINUTE, "write_project_slot_limit");
	check_reason(f.db, "r2", 9 * MINUTE, "thread_slot_limit");
	db_done(&f);
}
END_TEST

START_TEST(test_keys)
{
	static const struct row rows[] = {
		{ "a", NULL, WRITES, "[\"a\"]", 0, 1 },
		{ "a_too", NULL, WRITES, "[\"A\"]", 1, 1 },
		{ "b", NULL, WRITES, "[\"b\"]", 2, 1 },
		{ "reads_a", NULL, NULL, "[\"a\"]", 3, 1 },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_claims(f.db, &standard, 9 * MINUTE, "a b reads_a");
	move(f.db, "b", "completed", 9 * MINUTE);
	check_reason(f.db, "a_too", 9 * MINUTE, "resource_lock_conflict");
	/* The lock is gone with its operation. */
	move(f.db, "a", "completed", 9 * MINUTE);
	check_claims(f.db, &standard, 9 * MINUTE, "a_too");
	db_done(&f);
}
END_TEST

/* A writer without keys gets its turn, although those with keys never all stand still; only what
 * came after it has to wait. */
START_TEST(test_not_overtaken)
{
	static const struct row rows[] = {
		{ "a", NULL, WRITES, "[\"a\"]", 0, 1 },
		{ "broad", NULL, WRITES, NULL, 1, 1 },
		{ "b", NULL, WRITES, "[\"b\"]", 2, 1 },
		{ "reader", NULL, NULL, NULL, 3, 1 },
		{ "other", NULL, WRITES, "[\"b\"]", 4, 1, NULL, "/q" },
	};
	struct db_fixture f;

	db_setup(&f);
	INSERT(&f, rows);
	check_claims(f.db, &standard, 9 * MINUTE, "a reader other");
	check_reason(f.db, "broad", 9 * MINUTE, "resource_lock_conflict");
	check_reason(f.db, "b", 9 * MINUTE, "resource_lock_conflict");
	move(f.db, "a", "completed", 9 * MINUTE);
	check_claims(f.db, &standard, 9 * MINUTE, "broad");
	check_reason(f.db, "b", 9 * MINUTE, "resource_lock_conflict");
	move(f.db, "broad", "completed", 9 * MINUTE);
	check_claims(f.db, &standard, 9 * MINUTE, "b");
	db_done(&f);
}
END_TEST

START_TEST(test_crowded)
{
	static const struct row rows[] = { { "a", NULL, NULL, NULL, 0, 1 } };
	struct db_fixture f;
	struct ccp_slots slots = { .crowded = true };
	char id[CCP_ID_SIZE] = "untouched";

	db_setup(&f);
	INSERT(&f, rows);
	ck_assert_int_eq(ccp_queue_next(f.db, &standard, &slots, MINUTE, id, &db_err), 0);
	ck_assert_str_eq(id, "untouched");
	slots.crowded = false;
	ck_assert_int_eq(ccp_queue_next(f.db, &standard, &slots, MINUTE, id, &db_err), 1);
	ck_assert_str_eq(id, "a");
	db_done(&f);
}
END_TEST

/* What its row says counts until its time has come; then what is in the way; else its turn. */
START_TEST(test_reasons)
{
	struct db_fixture f;
	struct ccp_op waits = db_op_row("waits"), first = db_op_row("first"),
		      behind = db_op_row("behind"), busy = db_op_row("busy");
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	const char *reason = NULL;

	db_setup(&f);
	waits.queued_reason = "app_server_overloaded";
	waits.not_before = 5000;
	waits.thread_id = busy.thread_id = "t";
	first.thread_id = behind.thread_id = "u";
	busy.phase = busy.status = "running";
	db_insert(f.db, &first);
	db_insert(f.db, &behind);
	db_insert(f.db, &busy);
	db_insert(f.db, &waits);
	check_reason(f.db, "waits", 4999, "app_server_overloaded");
	check_reason(f.db, "waits", 5000, "thread_slot_limit");
	move(f.db, "busy", "completed", 1);
	check_reason(f.db, "waits", 5000, "app_server_overloaded");
	check_reason(f.db, "first", 5000, "waiting_for_worker");
	check_reason(f.db, "behind", 5000, "thread_slot_limit");
	/* Without a worker nothing else matters. */
	slots.crowded = true;
	OK(ccp_queue_reason(f.db, &standard, NULL, &first, 5000, &reason, &db_err));
	ck_assert_str_eq(reason, "waiting_for_worker");
	OK(ccp_queue_reason(f.db, &standard, &slots, &first, 5000, &reason, &db_err));
	ck_assert_str_eq(reason, "app_server_backpressure");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("queue", test_ageing, test_agents_in_turn, test_new_agents, test_classes,
	      test_passed_by, test_keys, test_not_overtaken, test_crowded, test_reasons)
