#include "domain/slots.h"

#include <ccp_db_check.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/resource_keys.h"

/* What an operation does in its project. */
enum kind { READS, READS_KEY, BROAD, KEY_A, KEY_B, KEYS_AB, KINDS };

static const struct {
	bool writes;
	const char *keys;
} kinds[] = {
	[READS] = { false, NULL },     [READS_KEY] = { false, "[\"a\"]" },
	[BROAD] = { true, NULL },      [KEY_A] = { true, "[\"a\"]" },
	[KEY_B] = { true, "[\"b\"]" }, [KEYS_AB] = { true, "[\"a\", \"b\"]" },
};

static struct ccp_slot slot_of(enum kind kind, const char *project)
{
	struct ccp_slot slot = { .writes = kinds[kind].writes, .rank = 100 };

	ck_assert(ccp_strdup_opt(project, &slot.project));
	OK(ccp_keys_parse(kinds[kind].keys, &slot.keys, &db_err));
	return slot;
}

static void take(struct ccp_slot_list *list, enum kind kind, const char *project)
{
	struct ccp_slot slot = slot_of(kind, project);

	OK(ccp_slot_list_add(list, &slot, &db_err));
}

static const struct ccp_limits wide = { 99, 99, 99, 99, 1, 99 };

/* '+' it may run, 'L' a lock is in the way, 'W' the limit of writers. */
static char verdict_with(const struct ccp_slots *slots, const struct ccp_limits *limits,
			 const struct ccp_slot *wanted)
{
	enum ccp_queued_reason why = CCP_QUEUED_OVERLOAD;

	if (ccp_slots_admit(slots, limits, wanted, &why)) {
		ck_assert_int_eq(why, CCP_QUEUED_OVERLOAD); /* untouched */
		return '+';
	}
	return why == CCP_QUEUED_LOCK ? 'L' : why == CCP_QUEUED_WRITE ? 'W' : '?';
}

static char verdict(const struct ccp_slots *slots, int64_t writers, enum kind kind,
		    const char *project)
{
	struct ccp_limits limits = wide;
	_cleanup_slot_ struct ccp_slot wanted = slot_of(kind, project);

	limits.write = writers;
	return verdict_with(slots, &limits, &wanted);
}

/* Every kind beside every kind, in one project; in another nothing is in the way. */
START_TEST(test_pairs)
{
	static const char *const want[KINDS] = {
		/*               READS, READS_KEY, BROAD, KEY_A, KEY_B, KEYS_AB */
		[READS] = "++++++", [READS_KEY] = "++++++", [BROAD] = "++WLLL",
		[KEY_A] = "++LL+L", [KEY_B] = "++L+LL",     [KEYS_AB] = "++LLLL",
	};

	for (enum kind taken = 0; taken < KINDS; taken++) {
		_cleanup_slots_ struct ccp_slots slots = { 0 };

		take(&slots.taken, taken, "/p");
		for (enum kind kind = 0; kind < KINDS; kind++) {
			char raised = want[taken][kind] == 'W' ? '+' : want[taken][kind];

			ck_assert_msg(verdict(&slots, 1, kind, "/p") == want[taken][kind],
				      "%d beside %d", kind, taken);
			ck_assert_int_eq(verdict(&slots, 1, kind, "/q"), '+');
			/* Raising the limit lets those without keys in, and changes no lock. */
			ck_assert_int_eq(verdict(&slots, 2, kind, "/p"), raised);
		}
	}
}
END_TEST

/* Those with keys take nothing of the limit of writers, in any number. */
START_TEST(test_writers_are_counted)
{
	_cleanup_slots_ struct ccp_slots slots = { 0 };

	take(&slots.taken, BROAD, "/p");
	take(&slots.taken, BROAD, "/p");
	take(&slots.taken, KEY_A, "/q");
	take(&slots.taken, READS, "/p");
	ck_assert_int_eq(verdict(&slots, 2, BROAD, "/p"), 'W');
	ck_assert_int_eq(verdict(&slots, 3, BROAD, "/p"), '+');
	ck_assert_int_eq(verdict(&slots, 1, KEY_B, "/q"), '+');
	ck_assert_int_eq(verdict(&slots, 9, BROAD, "/q"), 'L');
}
END_TEST

START_TEST(test_not_overtaken)
{
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	_cleanup_slot_ struct ccp_slot later = slot_of(KEY_B, "/p"), broad = slot_of(BROAD, "/p"),
				       reader = slot_of(READS, "/p"), other = slot_of(KEY_B, "/q");

	take(&slots.taken, KEY_A, "/p");
	take(&slots.waiting, BROAD, "/p");
	later.rank = broad.rank = reader.rank = other.rank = 101;
	ck_assert_int_eq(verdict_with(&slots, &wide, &later), 'L');
	ck_assert_int_eq(verdict_with(&slots, &wide, &reader), '+');
	ck_assert_int_eq(verdict_with(&slots, &wide, &other), '+');
	/* It holds up neither who came before nor itself. */
	later.rank = 99;
	ck_assert_int_eq(verdict_with(&slots, &wide, &later), '+');
	later.rank = 100;
	ck_assert_int_eq(verdict_with(&slots, &wide, &later), '+');
}
END_TEST

/* The limits: reached, and one below; and which is named when several are reached. */

static struct ccp_slot named(const char *project, const char *agent, const char *thread)
{
	struct ccp_slot slot = { 0 };

	ck_assert(ccp_strdup_opt(project, &slot.project) && ccp_strdup_opt(agent, &slot.agent) &&
		  ccp_strdup_opt(thread, &slot.thread));
	return slot;
}

START_TEST(test_counts)
{
	static const struct {
		struct ccp_limits limits;
		const char *project, *agent, *thread;
		enum ccp_queued_reason why;
	} rows[] = {
		{ { 3, 9, 9, 9, 9, 9 }, "/q", "b", "u", CCP_QUEUED_GLOBAL },
		{ { 4, 3, 9, 9, 9, 9 }, "/p", "b", "u", CCP_QUEUED_PROJECT },
		{ { 4, 4, 2, 9, 9, 9 }, "/q", "a", "u", CCP_QUEUED_AGENT },
		{ { 4, 4, 3, 1, 9, 9 }, "/q", "b", "t", CCP_QUEUED_THREAD },
		{ { 3, 3, 2, 1, 1, 1 }, "/p", "a", "t", CCP_QUEUED_GLOBAL },
		{ { 4, 3, 2, 1, 1, 1 }, "/p", "a", "t", CCP_QUEUED_PROJECT },
		{ { 4, 4, 2, 1, 1, 1 }, "/p", "a", "t", CCP_QUEUED_AGENT },
		/* without a name nothing is counted */
		{ { 4, 4, 1, 1, 1, 1 }, "/p", NULL, NULL, CCP_QUEUED_WORKER },
		{ { 4, 4, 3, 2, 1, 1 }, "/p", "a", "t", CCP_QUEUED_WORKER },
	};
	static const char *const taken[][3] = { { "/p", "a", "t" },
						{ "/p", "a", NULL },
						{ "/p", NULL, NULL } };
	_cleanup_slots_ struct ccp_slots slots = { 0 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(taken); i++) {
		struct ccp_slot slot = named(taken[i][0], taken[i][1], taken[i][2]);

		OK(ccp_slot_list_add(&slots.taken, &slot, &db_err));
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_slot_ struct ccp_slot wanted = named(rows[i].project, rows[i].agent,
							      rows[i].thread);
		enum ccp_queued_reason why = CCP_QUEUED_WORKER;
		bool admitted = ccp_slots_admit(&slots, &rows[i].limits, &wanted, &why);

		ck_assert_msg(admitted == (rows[i].why == CCP_QUEUED_WORKER) && why == rows[i].why,
			      "row %d: %s", (int)i, ccp_queued_reason_name(why));
	}
	/* Before all of them: nobody is sent while app-server does not answer. */
	slots.crowded = true;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_slot_ struct ccp_slot wanted = named(rows[i].project, NULL, NULL);
		enum ccp_queued_reason why;

		ck_assert(!ccp_slots_admit(&slots, &rows[i].limits, &wanted, &why));
		ck_assert_int_eq(why, CCP_QUEUED_BACKPRESSURE);
	}
}
END_TEST

/* From rows */

START_TEST(test_writes)
{
	static const struct {
		const char *asked, *has, *ceiling, *before, *mode;
		bool writes;
	} rows[] = {
		{ "read-only", NULL, NULL, NULL, NULL, false },
		{ "workspace-write", NULL, NULL, NULL, NULL, true },
		{ "danger-full-access", NULL, NULL, NULL, NULL, true },
		{ "workspace-write", "read-only", NULL, "read-only", NULL, true },
		{ "read-only", "workspace-write", NULL, "workspace-write", NULL, false },
		{ NULL, "read-only", NULL, NULL, NULL, false },
		{ NULL, "workspace-write", NULL, NULL, NULL, true },
		{ NULL, "workspace-write", "read-only", NULL, NULL, false },
		/* not known yet: as the thread had it last, lowered to the ceiling */
		{ NULL, NULL, NULL, NULL, NULL, true },
		{ NULL, NULL, "read-only", NULL, NULL, false },
		{ NULL, NULL, NULL, "read-only", NULL, false },
		{ NULL, NULL, NULL, "workspace-write", NULL, true },
		{ NULL, NULL, "read-only", "workspace-write", NULL, false },
		/* a mode is no sandbox */
		{ "read-only", NULL, NULL, NULL, "plan", false },
		{ "workspace-write", NULL, NULL, NULL, "plan", true },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct db_fixture f;
		struct ccp_op op = db_op_row("op"), before = db_op_row("before");
		_cleanup_slot_ struct ccp_slot slot = { 0 };

		db_setup(&f);
		before.effective_sandbox = (char *)rows[i].before;
		before.thread_id = op.thread_id = "t";
		before.started_at = rows[i].before ? 5 : 0;
		op.sandbox = (char *)rows[i].asked;
		op.effective_sandbox = (char *)rows[i].has;
		op.sandbox_ceiling = (char *)rows[i].ceiling;
		op.mode = (char *)rows[i].mode;
		db_insert(f.db, &before);
		db_insert(f.db, &op);
		OK(ccp_slot_of(f.db, &op, &slot, &db_err));
		ck_assert_msg(slot.writes == rows[i].writes, "row %d", (int)i);
		db_done(&f);
	}
}
END_TEST

/* What runs is taken, in every phase of running; what waits or has ended is not. */
START_TEST(test_read)
{
	static const char *const phases[] = { "queued",
					      "claimed",
					      "thread_start_sent",
					      "turn_start_sent",
					      "looking_up",
					      "running",
					      "waiting_for_approval",
					      "waiting_for_user_input",
					      "of_a_newer_program" };
	struct db_fixture f;
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	struct ccp_op ended = db_op_row("ended");

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(phases); i++) {
		struct ccp_op op = db_op_row(phases[i]);

		op.phase = op.status = (char *)phases[i];
		op.sandbox = "workspace-write";
		op.resource_keys = "[\" A  b \", \"a B\"]";
		op.agent_id = "agent";
		db_insert(f.db, &op);
	}
	ended.active = 0;
	ended.phase = ended.status = "completed";
	db_insert(f.db, &ended);
	OK(ccp_slots_read(f.db, &slots, &db_err));
	ck_assert_uint_eq(slots.taken.n, CCP_ARRAY_SIZE(phases) - 1);
	for (size_t i = 0; i < slots.taken.n; i++) {
		const struct ccp_slot *slot = &slots.taken.items[i];

		ck_assert_str_eq(slot->project, "/p");
		ck_assert_str_eq(slot->agent, "agent");
		ck_assert(slot->writes);
		/* Keys are compared without case and blanks. */
		ck_assert_uint_eq(json_object_size(slot->keys), 1);
		ck_assert_ptr_nonnull(json_object_get(slot->keys, "a b"));
	}
	db_done(&f);
}
END_TEST

static void check_locks(enum kind kind, const char *thread, int64_t writers, const char *want)
{
	_cleanup_slot_ struct ccp_slot slot = slot_of(kind, "/p");
	struct ccp_limits limits = { 4, 3, 3, 1, writers, 8 };
	json_auto_t *locks = NULL;
	_cleanup_free_ char *text = NULL;

	ck_assert(ccp_strdup_opt(thread, &slot.thread));
	locks = ccp_slot_locks(&slot, "prj_1", &limits);
	ck_assert_ptr_nonnull(locks);
	text = ccp_json_dump(locks, NULL);
	ck_assert_str_eq(text, want);
}

#define LOCK(key, mode) "{\"lockKey\":\"" key "\",\"lockMode\":\"" mode "\"}"

START_TEST(test_locks)
{
	check_locks(READS_KEY, NULL, 1, "[]");
	check_locks(READS, "t", 1, "[" LOCK("thread:t:active-turn", "exclusive") "]");
	check_locks(BROAD, "t", 1,
		    "[" LOCK("thread:t:active-turn", "exclusive") "," LOCK("project:prj_1:write",
									   "exclusive") "]");
	check_locks(BROAD, NULL, 2, "[" LOCK("project:prj_1:write", "counted") "]");
	check_locks(KEYS_AB, NULL, 2,
		    "[" LOCK("resource:prj_1:a:write",
			     "exclusive") "," LOCK("resource:prj_1:b:write", "exclusive") "]");
}
END_TEST

static void check_keys(const char *a_text, const char *b_text, bool meet)
{
	json_auto_t *a = NULL, *b = NULL;

	OK(ccp_keys_parse(a_text, &a, &db_err));
	OK(ccp_keys_parse(b_text, &b, &db_err));
	ck_assert_msg(ccp_keys_meet(a, b) == meet, "%s %s", a_text, b_text);
	ck_assert_int_eq(ccp_keys_meet(b, a), meet);
}

START_TEST(test_keys)
{
	json_auto_t *none = NULL;

	OK(ccp_keys_parse(NULL, &none, &db_err));
	OK(ccp_keys_parse("[]", &none, &db_err));
	ck_assert_ptr_null(none);
	check_keys("[\"a\"]", NULL, false);
	check_keys("[\"a\"]", "[\"b\"]", false);
	check_keys("[\"a\", \"b\"]", "[\"c\", \"b\"]", true);
	check_keys("[\"src/A\"]", "[\" SRC/a\"]", true);
	check_keys("[\"stra\xc3\x9f"
		   "e\"]",
		   "[\"STRASSE\"]", true);
	check_keys("[\"src\"]", "[\"src/a\"]", false); /* names, not paths */
	ck_assert_int_lt(ccp_keys_parse("no JSON", &none, NULL), 0);
}
END_TEST

CCP_TEST_MAIN("slots", test_pairs, test_writers_are_counted, test_not_overtaken, test_counts,
	      test_writes, test_read, test_locks, test_keys)
