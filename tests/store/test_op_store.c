#include <ccp_db_check.h>

#include "base/str.h"
#include "store/op_store.h"

/* A row in which every column has a value of its own, so that two that were mixed up show. */
struct names {
	char texts[64][32];
	int n;
};

static char *next_text(struct names *names, const char *name, int round)
{
	char *text = names->texts[names->n++];

	ck_assert_int_lt(names->n, 64);
	snprintf(text, sizeof(names->texts[0]), "%s-%d", name, round);
	return text;
}

static struct ccp_op full_row(struct names *names, int round)
{
	struct ccp_op op = { .version = 1 };
	int64_t number = 1000 * round;

	names->n = 0;
#define TEXT(name) op.name = next_text(names, #name, round);
#define INT(name)  op.name = ++number;
	CCP_OP_FIXED_COLUMNS(TEXT, INT)
	CCP_OP_STATE_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	return op;
}

static void check_same_fixed(const struct ccp_op *a, const struct ccp_op *b)
{
#define TEXT(name) ck_assert_pstr_eq(a->name, b->name);
#define INT(name)  ck_assert_int_eq(a->name, b->name);
	CCP_OP_FIXED_COLUMNS(TEXT, INT)
}

static void check_same_state(const struct ccp_op *a,
			     const struct ccp_op *b){ CCP_OP_STATE_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
}

START_TEST(test_round_trip)
{
	const struct ccp_op_request request = { .message = "m\xc3\xa4",
						.input_items = "[1]",
						.output_schema = "{\"a\":1}",
						.arguments = "{}" };
	struct db_fixture f;
	struct names names;
	struct ccp_op want = full_row(&names, 1);
	_cleanup_op_ struct ccp_op got = { 0 }, by_client = { 0 };
	_cleanup_op_request_ struct ccp_op_request asked = { 0 };

	db_setup(&f);
	OK(ccp_op_insert(f.db, &want, &request, &db_err));
	ck_assert_int_eq(ccp_op_get(f.db, want.id, &got, &db_err), 1);
	check_same_fixed(&want, &got);
	check_same_state(&want, &got);
	ck_assert_int_eq(got.version, 1);

	ck_assert_int_eq(ccp_op_get_by_client_id(f.db, want.client_request_id, &by_client, &db_err),
			 1);
	ck_assert_str_eq(by_client.id, want.id);

	ck_assert_int_eq(ccp_op_get_request(f.db, want.id, &asked, &db_err), 1);
	ck_assert_str_eq(asked.message, request.message);
	ck_assert_str_eq(asked.input_items, request.input_items);
	ck_assert_str_eq(asked.output_schema, request.output_schema);
	ck_assert_str_eq(asked.arguments, request.arguments);
	db_done(&f);
}
END_TEST

START_TEST(test_nulls)
{
	const struct ccp_op_request request = { 0 };
	struct db_fixture f;
	struct ccp_op want = db_op_row("a");
	_cleanup_op_ struct ccp_op got = { 0 };
	_cleanup_op_request_ struct ccp_op_request asked = { 0 };

	db_setup(&f);
	OK(ccp_op_insert(f.db, &want, &request, &db_err));
	ck_assert_int_eq(ccp_op_get(f.db, "a", &got, &db_err), 1);
	check_same_fixed(&want, &got);
	check_same_state(&want, &got);
	ck_assert_int_eq(ccp_op_get_request(f.db, "a", &asked, &db_err), 1);
	ck_assert_ptr_null(asked.message);
	db_done(&f);
}
END_TEST

START_TEST(test_none)
{
	struct db_fixture f;
	struct ccp_op op = { .id = "untouched" };
	struct ccp_op_request request = { .message = "untouched" };

	db_setup(&f);
	ck_assert_int_eq(ccp_op_get(f.db, "x", &op, &db_err), 0);
	ck_assert_int_eq(ccp_op_get_by_client_id(f.db, "x", &op, &db_err), 0);
	ck_assert_int_eq(ccp_op_get_by_turn(f.db, "x", NULL, &op, &db_err), 0);
	ck_assert_int_eq(ccp_op_find_completed_prompt(f.db, "x", "x", &op, &db_err), 0);
	ck_assert_int_eq(ccp_op_last_begun(f.db, "x", "x", &op, &db_err), 0);
	ck_assert_int_eq(ccp_op_is_behind(f.db, "x", &db_err), 0);
	ck_assert_int_eq(ccp_op_get_request(f.db, "x", &request, &db_err), 0);
	ck_assert_str_eq(op.id, "untouched");
	ck_assert_str_eq(request.message, "untouched");
	db_done(&f);
}
END_TEST

/* An id and a client's id belong to one operation; a refused insert leaves no request behind. */
START_TEST(test_unique)
{
	const struct ccp_op_request request = { .message = "m" };
	struct db_fixture f;
	struct ccp_op a = db_op_row("a"), b = db_op_row("b"), c = db_op_row("c"),
		      d = db_op_row("d");

	db_setup(&f);
	a.client_request_id = b.client_request_id = "same";
	OK(ccp_op_insert(f.db, &a, &request, &db_err));
	ck_assert_int_lt(ccp_op_insert(f.db, &a, &request, NULL), 0);
	ck_assert_int_lt(ccp_op_insert(f.db, &b, &request, NULL), 0);
	OK(ccp_op_insert(f.db, &c, &request, &db_err));
	OK(ccp_op_insert(f.db, &d, &request, &db_err)); /* NULL is no id */
	db_expect(f.path, "SELECT op_id FROM requests ORDER BY op_id", "a\nc\nd\n");
	db_done(&f);
}
END_TEST

/* What was asked never changes, every state column does. */
START_TEST(test_update)
{
	struct db_fixture f;
	struct names first_names, second_names;
	struct ccp_op first = full_row(&first_names, 1), second = full_row(&second_names, 2);
	_cleanup_op_ struct ccp_op got = { 0 };

	db_setup(&f);
	db_insert(f.db, &first);
	second.id = first.id;
	ck_assert_int_eq(ccp_op_update(f.db, &second, &db_err), 1);
	ck_assert_int_eq(second.version, 2);
	ck_assert_int_eq(ccp_op_get(f.db, first.id, &got, &db_err), 1);
	check_same_fixed(&first, &got);
	check_same_state(&second, &got);
	ck_assert_int_eq(got.version, 2);
	db_done(&f);
}
END_TEST

START_TEST(test_compare_and_set)
{
	struct db_fixture f;
	struct ccp_db *other;
	struct ccp_op row = db_op_row("a");
	_cleanup_op_ struct ccp_op mine = { 0 }, theirs = { 0 }, now = { 0 };

	db_setup(&f);
	other = db_open(f.path, CCP_DB_WRITE);
	db_insert(f.db, &row);
	ck_assert_int_eq(ccp_op_get(f.db, "a", &mine, &db_err), 1);
	ck_assert_int_eq(ccp_op_get(other, "a", &theirs, &db_err), 1);

	OK(ccp_row_set(&mine.reason, "mine", &db_err));
	ck_assert_int_eq(ccp_op_update(f.db, &mine, &db_err), 1);
	OK(ccp_row_set(&theirs.reason, "theirs", &db_err));
	ck_assert_int_eq(ccp_op_update(other, &theirs, &db_err), 0);
	ck_assert_int_eq(theirs.version, 1);
	/* Having read again, it may. */
	ck_assert_int_eq(ccp_op_get(other, "a", &now, &db_err), 1);
	ck_assert_str_eq(now.reason, "mine");
	ck_assert_int_eq(ccp_op_update(other, &now, &db_err), 1);
	ck_assert_int_eq(now.version, 3);
	ck_assert_int_eq(ccp_op_update(f.db, &mine, &db_err), 0);

	OK(ccp_row_set(&mine.id, "none", &db_err));
	ck_assert_int_eq(ccp_op_update(f.db, &mine, &db_err), 0);
	ccp_db_close(other);
	db_done(&f);
}
END_TEST

/* Lists */

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

static void add(struct ccp_db *db, const char *id, const char *phase, const char *status)
{
	struct ccp_op op = db_op_row(id);

	op.phase = (char *)phase;
	op.status = (char *)status;
	op.active = !ccp_streq(phase, "completed") && !ccp_streq(phase, "failed");
	db_insert(db, &op);
}

START_TEST(test_active_and_counts)
{
	struct db_fixture f;
	struct seen all = { 0 }, one = { .stop_after = 1 };
	struct ccp_op_counts counts;

	db_setup(&f);
	OK(ccp_op_count(f.db, &counts, &db_err));
	ck_assert_int_eq(counts.active, 0);
	add(f.db, "run", "running", "running");
	add(f.db, "queued", "queued", "queued");
	add(f.db, "done", "completed", "completed");
	add(f.db, "approve", "waiting_for_approval", "waiting_for_approval");
	add(f.db, "answer", "waiting_for_user_input", "waiting_for_user_input");
	OK(ccp_op_each_active(f.db, see_op, &all, &db_err));
	ck_assert_str_eq(all.text, "run approve answer");
	OK(ccp_op_each_active(f.db, see_op, &one, &db_err));
	ck_assert_str_eq(one.text, "run");
	OK(ccp_op_count(f.db, &counts, &db_err));
	ck_assert_int_eq(counts.active, 4);
	ck_assert_int_eq(counts.queued, 1);
	ck_assert_int_eq(counts.waiting, 2);
	db_done(&f);
}
END_TEST

static void check_by_turn(struct ccp_db *db, const char *thread, const char *turn, const char *want)
{
	_cleanup_op_ struct ccp_op op = { 0 };

	ck_assert_int_eq(ccp_op_get_by_turn(db, thread, turn, &op, &db_err), want != NULL);
	ck_assert_pstr_eq(op.id, want);
}

START_TEST(test_by_turn)
{
	static const struct {
		char *id, *thread, *turn;
		int active;
	} rows[] = {
		{ "old", "t", "1", 0 },
		{ "live", "t", "2", 1 },
		{ "newest", "t", "3", 0 },
		{ "elsewhere", "u", "1", 0 },
	};
	struct db_fixture f;

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op op = db_op_row(rows[i].id);

		op.thread_id = rows[i].thread;
		op.turn_id = rows[i].turn;
		op.active = rows[i].active;
		db_insert(f.db, &op);
	}
	check_by_turn(f.db, "t", "1", "old");
	check_by_turn(f.db, "t", "3", "newest");
	check_by_turn(f.db, "u", "1", "elsewhere");
	check_by_turn(f.db, "t", NULL, "live");
	check_by_turn(f.db, "u", NULL, "elsewhere");
	check_by_turn(f.db, "u", "2", NULL);
	db_done(&f);
}
END_TEST

/* What had no turn has given the thread no policy. */
START_TEST(test_thread_policy)
{
	static const struct {
		char *id, *turn, *sandbox;
	} rows[] = {
		{ "first", "1", "read-only" },
		{ "second", "2", "workspace-write" },
		{ "refused", NULL, "danger-full-access" },
		{ "queued", NULL, NULL },
	};
	_cleanup_op_ struct ccp_op op = { 0 };
	struct db_fixture f;

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op row = db_op_row(rows[i].id);

		row.thread_id = "t";
		row.turn_id = rows[i].turn;
		row.effective_sandbox = rows[i].sandbox;
		db_insert(f.db, &row);
	}
	ck_assert_int_eq(ccp_op_get_thread_policy(f.db, "t", &op, &db_err), 1);
	ck_assert_str_eq(op.id, "second");
	ck_assert_int_eq(ccp_op_get_thread_policy(f.db, "u", &op, &db_err), 0);
	db_done(&f);
}
END_TEST

/* Prompts */

static void add_prompt(struct ccp_db *db, const char *id, const char *hash, const char *message,
		       int guards, int active)
{
	const struct ccp_op_request request = { .message = (char *)message };
	struct ccp_op op = db_op_row(id);
	char shape[16];

	snprintf(shape, sizeof(shape), "S-%s", message);
	op.prompt_hash = (char *)hash;
	op.prompt_shape = shape;
	op.prompt_guards = guards;
	op.active = active;
	op.status = active ? "queued" : "completed";
	op.phase = op.status;
	op.thread_id = active ? NULL : "t";
	op.resource_keys = active ? "[\"k\"]" : NULL;
	OK(ccp_op_insert(db, &op, &request, &db_err));
}

struct prompts {
	struct ccp_db *db;
	struct seen seen;
	int most;
};

static int see_prompt(const char *id, const char *message, const char *keys, void *data)
{
	struct prompts *prompts = data;

	note(&prompts->seen, id);
	ck_assert_str_eq(keys, "[\"k\"]");
	note(&prompts->seen, message);
	return 7;
}

static int see_shape(int64_t seq, const char *shape, void *data)
{
	struct prompts *prompts = data;

	note(&prompts->seen, shape);
	ck_assert_int_eq(ccp_op_with_prompt(prompts->db, seq, see_prompt, prompts, &db_err), 7);
	return --prompts->most == 0;
}

START_TEST(test_prompts)
{
	struct db_fixture f;
	struct seen same = { 0 }, other = { 0 };
	struct prompts all = { 0 }, two = { 0 }, one = { .most = 1 };
	_cleanup_op_ struct ccp_op done = { 0 };

	db_setup(&f);
	add_prompt(f.db, "done", "h", "m1", 1, 0);
	add_prompt(f.db, "done2", "h", "m1", 1, 0);
	add_prompt(f.db, "a", "h", "m2", 1, 1);
	add_prompt(f.db, "b", "h", "m3", 1, 1);
	add_prompt(f.db, "free", "h", "m4", 0, 1);
	add_prompt(f.db, "c", "i", "m5", 1, 1);
	OK(ccp_op_each_same_prompt(f.db, "new", "h", see_op, &same, &db_err));
	ck_assert_str_eq(same.text, "a b");
	OK(ccp_op_each_same_prompt(f.db, "t", "h", see_op, &other, &db_err));
	ck_assert_str_eq(other.text, "");
	all.db = two.db = one.db = f.db;
	OK(ccp_op_each_shape(f.db, "new", 10, see_shape, &all, &db_err));
	ck_assert_str_eq(all.seen.text, "S-m5 c m5 S-m3 b m3 S-m2 a m2");
	OK(ccp_op_each_shape(f.db, "new", 2, see_shape, &two, &db_err));
	ck_assert_str_eq(two.seen.text, "S-m5 c m5 S-m3 b m3");
	OK(ccp_op_each_shape(f.db, "new", 10, see_shape, &one, &db_err));
	ck_assert_str_eq(one.seen.text, "S-m5 c m5");
	ck_assert_int_eq(ccp_op_with_prompt(f.db, 1000, see_prompt, &one, &db_err), 0);
	ck_assert_int_eq(ccp_op_find_completed_prompt(f.db, "/p", "h", &done, &db_err), 1);
	ck_assert_str_eq(done.id, "done2");
	db_done(&f);
}
END_TEST

static int see_project(const char *path, const char *project_id, int64_t last_at, void *data)
{
	char number[32];

	snprintf(number, sizeof(number), "%d", (int)last_at);
	note(data, path);
	note(data, project_id);
	return note(data, number);
}

START_TEST(test_projects)
{
	static const struct {
		char *id, *project;
		int64_t created_at;
	} rows[] = { { "a", "/p", 10 }, { "b", "/q", 30 }, { "c", "/p", 20 } };
	struct db_fixture f;
	struct seen seen = { 0 };

	db_setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct ccp_op op = db_op_row(rows[i].id);

		op.project_path = rows[i].project;
		op.created_at = rows[i].created_at;
		db_insert(f.db, &op);
	}
	OK(ccp_op_each_project(f.db, see_project, &seen, &db_err));
	ck_assert_str_eq(seen.text, "/q project 30 /p project 20");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("op_store", test_round_trip, test_nulls, test_none, test_unique, test_update,
	      test_compare_and_set, test_active_and_counts, test_by_turn, test_thread_policy,
	      test_prompts, test_projects)
