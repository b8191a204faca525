#include <ccp_db_check.h>

#include "store/turn_store.h"

static struct ccp_turn_row turn_row(const char *status)
{
	return (struct ccp_turn_row){
		.thread_id = "t", .turn_id = "1", .status = (char *)status, .updated_at = 100
	};
}

static struct ccp_turn_row read_turn(struct ccp_db *db, const char *thread, const char *turn)
{
	struct ccp_turn_row row = { 0 };

	ck_assert_int_eq(ccp_turn_get(db, thread, turn, &row, &db_err), 1);
	return row;
}

START_TEST(test_round_trip)
{
	const struct ccp_turn_row want = {
		.thread_id = "t",
		.turn_id = "1",
		.op_id = "op",
		.status = "running",
		.error = "{\"e\":1}",
		.usage = "{\"u\":1}",
		.live_text = "words",
		.instance = "i",
		.started_at = 1,
		.updated_at = 2,
		.completed_at = 0,
	};
	struct db_fixture f;
	_cleanup_turn_row_ struct ccp_turn_row got = { 0 };

	db_setup(&f);
	OK(ccp_turn_put(f.db, &want, &db_err));
	got = read_turn(f.db, "t", "1");
#define TEXT(name) ck_assert_pstr_eq(want.name, got.name);
#define INT(name)  ck_assert_int_eq(want.name, got.name);
	CCP_TURN_COLUMNS(TEXT, INT)
#undef TEXT
#undef INT
	ck_assert_int_eq(ccp_turn_get(f.db, "t", "2", &got, &db_err), 0);
	ck_assert_str_eq(got.turn_id, "1");
	db_done(&f);
}
END_TEST

START_TEST(test_upsert_keeps)
{
	struct db_fixture f;
	struct ccp_turn_row full = turn_row("running"), sparse = turn_row("running");
	_cleanup_turn_row_ struct ccp_turn_row got = { 0 };

	db_setup(&f);
	full.op_id = "op";
	full.usage = "{\"u\":1}";
	full.live_text = "words";
	full.instance = "i";
	full.started_at = 50;
	OK(ccp_turn_put(f.db, &full, &db_err));
	sparse.updated_at = 90;
	sparse.started_at = 70;
	OK(ccp_turn_put(f.db, &sparse, &db_err));
	got = read_turn(f.db, "t", "1");
	ck_assert_str_eq(got.op_id, "op");
	ck_assert_str_eq(got.usage, "{\"u\":1}");
	ck_assert_str_eq(got.live_text, "words");
	ck_assert_str_eq(got.instance, "i");
	ck_assert_int_eq(got.started_at, 50);
	ck_assert_int_eq(got.updated_at, 100);

	ccp_turn_row_done(&got);
	sparse.updated_at = 200;
	sparse.live_text = "";
	sparse.usage = "{\"u\":2}";
	OK(ccp_turn_put(f.db, &sparse, &db_err));
	got = read_turn(f.db, "t", "1");
	ck_assert_str_eq(got.live_text, "");
	ck_assert_str_eq(got.usage, "{\"u\":2}");
	ck_assert_int_eq(got.updated_at, 200);
	db_expect(f.path, "SELECT count(*) FROM turns", "1\n");
	db_done(&f);
}
END_TEST

START_TEST(test_terminal_is_final)
{
	struct db_fixture f;
	struct ccp_turn_row running = turn_row("running"), ended = turn_row("completed"),
			    late = turn_row("failed");
	_cleanup_turn_row_ struct ccp_turn_row got = { 0 };

	db_setup(&f);
	OK(ccp_turn_put(f.db, &running, &db_err));
	ended.completed_at = 300;
	ended.updated_at = 300;
	OK(ccp_turn_put(f.db, &ended, &db_err));
	late.updated_at = 400;
	late.completed_at = 400;
	late.error = "{}";
	late.live_text = "late";
	OK(ccp_turn_put(f.db, &late, &db_err));
	OK(ccp_turn_put(f.db, &running, &db_err));
	got = read_turn(f.db, "t", "1");
	ck_assert_str_eq(got.status, "completed");
	ck_assert_int_eq(got.completed_at, 300);
	ck_assert_int_eq(got.updated_at, 300);
	ck_assert_ptr_null(got.error);
	ck_assert_ptr_null(got.live_text);
	db_done(&f);
}
END_TEST

/* Old Codex versions number turns per thread: the id alone names the newest. */
START_TEST(test_identity)
{
	struct db_fixture f;
	struct ccp_turn_row a = turn_row("running"), b = turn_row("running");
	_cleanup_turn_row_ struct ccp_turn_row by_thread = { 0 }, by_id = { 0 };

	db_setup(&f);
	a.started_at = 20;
	a.op_id = "a";
	b.thread_id = "u";
	b.started_at = 10;
	b.op_id = "b";
	OK(ccp_turn_put(f.db, &a, &db_err));
	OK(ccp_turn_put(f.db, &b, &db_err));
	by_thread = read_turn(f.db, "u", "1");
	ck_assert_str_eq(by_thread.op_id, "b");
	by_id = read_turn(f.db, NULL, "1");
	ck_assert_str_eq(by_id.op_id, "a");
	db_done(&f);
}
END_TEST

/* Messages */

static void say(struct ccp_db *db, const char *item, const char *role, const char *phase,
		const char *text)
{
	const struct ccp_message message = {
		.thread_id = "t",
		.turn_id = "1",
		.item_id = (char *)item,
		.role = (char *)role,
		.phase = (char *)phase,
		.text = (char *)text,
		.created_at = 5,
	};

	OK(ccp_message_put(db, &message, &db_err));
}

static void check_final(struct ccp_db *db, const char *want)
{
	_cleanup_message_ struct ccp_message message = { 0 };
	int r = ccp_message_final(db, "t", "1", &message, &db_err);

	OK(r);
	ck_assert_int_eq(r, want != NULL);
	ck_assert_pstr_eq(message.text, want);
}

START_TEST(test_final_choice)
{
	struct db_fixture f;

	db_setup(&f);
	check_final(f.db, NULL);
	say(f.db, "u", "user", NULL, "question");
	check_final(f.db, NULL);
	say(f.db, "p", "plan", NULL, "plan");
	check_final(f.db, "plan");
	say(f.db, "c", "assistant", "commentary", "looking");
	check_final(f.db, "looking");
	say(f.db, "n", "assistant", NULL, "old version's answer");
	check_final(f.db, "old version's answer");
	say(f.db, "c2", "assistant", "commentary", "still looking");
	check_final(f.db, "old version's answer");
	say(f.db, "f1", "assistant", "final_answer", "first");
	say(f.db, "f2", "assistant", "final_answer", "last");
	check_final(f.db, "last");
	say(f.db, "c3", "assistant", "commentary", "by the way");
	say(f.db, "p2", "plan", NULL, "another plan");
	say(f.db, "f3", "assistant", "final_answer", "");
	check_final(f.db, "last");
	db_done(&f);
}
END_TEST

static int join(const void *at, void *data)
{
	const struct ccp_message *message = at;
	char *text = data;
	size_t len = strlen(text);

	snprintf(text + len, 256 - len, "%s;", message->text);
	return strcmp(message->text, "stop") == 0;
}

START_TEST(test_item_is_unique)
{
	struct db_fixture f;
	char all[256] = "", two[256] = "", none[256] = "";

	db_setup(&f);
	say(f.db, "a", "assistant", NULL, "one");
	say(f.db, "b", "assistant", "commentary", "t\xc3\xa4");
	say(f.db, "a", "assistant", "final_answer", "one again");
	say(f.db, "c", "assistant", NULL, "three");
	db_expect(f.path, "SELECT item_id, phase, text, chars FROM messages ORDER BY id",
		  "a|final_answer|one again|9\nb|commentary|t\xc3\xa4|2\nc||three|5\n");
	OK(ccp_message_each(f.db, "t", "1", 10, join, all, &db_err));
	ck_assert_str_eq(all, "one again;t\xc3\xa4;three;");
	OK(ccp_message_each(f.db, "t", "1", 2, join, two, &db_err));
	ck_assert_str_eq(two, "t\xc3\xa4;three;");
	OK(ccp_message_each(f.db, "t", "2", 2, join, none, &db_err));
	ck_assert_str_eq(none, "");
	say(f.db, "d", "assistant", NULL, "stop");
	say(f.db, "e", "assistant", NULL, "never seen");
	OK(ccp_message_each(f.db, "t", "1", 10, join, none, &db_err));
	ck_assert_str_eq(none, "one again;t\xc3\xa4;three;stop;");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("turn_store", test_round_trip, test_upsert_keeps, test_terminal_is_final,
	      test_identity, test_final_choice, test_item_is_unique)
