#include <ccp_db_check.h>

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "domain/turn_track.h"

struct fixture {
	struct db_fixture db;
	struct ccp_track *track;
	int64_t now;
};

static void setup(struct fixture *f, const char *turn_id)
{
	*f = (struct fixture){ .now = 1000 };
	db_setup(&f->db);
	OK(ccp_track_new("op", "t", turn_id, "i", &f->track, &db_err));
}

static void done(struct fixture *f)
{
	ccp_track_free(f->track);
	db_done(&f->db);
}

static void set_turn(struct fixture *f)
{
	OK(ccp_track_set_turn(f->track, "t", "1", "i", f->now, &db_err));
}

static void event(struct fixture *f, const char *method, json_t *params)
{
	struct ccp_event parsed;

	ck_assert_ptr_nonnull(params);
	ccp_event_parse(method, params, &parsed);
	OK(ccp_track_event(f->track, &parsed, f->now, &db_err));
	json_decref(params);
}

static void delta(struct fixture *f, const char *item, const char *text)
{
	event(f, "item/agentMessage/delta",
	      json_pack("{s:s,s:s,s:s,s:s}", "threadId", "t", "turnId", "1", "itemId", item,
			"delta", text));
}

/* Steals item. */
static void completed(struct fixture *f, json_t *item)
{
	event(f, "item/completed",
	      json_pack("{s:s,s:s,s:o}", "threadId", "t", "turnId", "1", "item", item));
}

static json_t *message(const char *id, const char *phase, const char *text)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "type", "agentMessage", "id", id, "phase", phase,
			 "text", text);
}

static void write_in_transaction(struct fixture *f)
{
	OK(ccp_db_begin(f->db.db, &db_err));
	OK(ccp_track_write(f->track, f->db.db, &db_err));
	OK(ccp_db_commit(f->db.db, &db_err));
}

static void flush(struct fixture *f)
{
	ck_assert(ccp_track_dirty(f->track));
	write_in_transaction(f);
	ccp_track_written(f->track);
	ck_assert(!ccp_track_dirty(f->track));
}

static void expect(const struct fixture *f, const char *sql, const char *want)
{
	db_expect(f->db.path, sql, want);
}

#define MESSAGES "SELECT turn_id, item_id, role, phase, text FROM messages ORDER BY id"
#define TURN     "SELECT turn_id, op_id, status, live_text FROM turns"

START_TEST(test_stream)
{
	struct fixture f;

	setup(&f, NULL);
	ck_assert(!ccp_track_dirty(f.track));
	set_turn(&f);
	delta(&f, "m1", "Hel");
	delta(&f, "m1", "lo");
	flush(&f);
	expect(&f, TURN, "1|op|running|Hello\n");
	expect(&f, MESSAGES, "");
	delta(&f, "m1", " there");
	flush(&f);
	expect(&f, TURN, "1|op|running|Hello there\n");

	/* The whole text replaces the words in progress. */
	completed(&f, message("m1", "commentary", "Hello there."));
	flush(&f);
	expect(&f, TURN, "1|op|running|\n");
	expect(&f, MESSAGES, "1|m1|assistant|commentary|Hello there.\n");

	/* The next message begins anew. */
	delta(&f, "m2", "Done");
	flush(&f);
	expect(&f, TURN, "1|op|running|Done\n");
	delta(&f, "m3", "More");
	flush(&f);
	expect(&f, TURN, "1|op|running|More\n");
	completed(&f, message("m2", "final_answer", "Done."));
	flush(&f);
	expect(&f, TURN, "1|op|running|More\n");
	done(&f);
}
END_TEST

static void end_turn(struct fixture *f, const char *status)
{
	event(f, "turn/completed",
	      json_pack("{s:s,s:{s:s,s:s,s:[o]}}", "threadId", "t", "turn", "id", "1", "status",
			status, "items", message("m2", "final_answer", "Done.")));
}

START_TEST(test_end)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	delta(&f, "m2", "Do");
	flush(&f);
	event(&f, "thread/tokenUsage/updated",
	      json_loads("{\"tokenUsage\":{\"total\":{\"totalTokens\":5}}}", 0, NULL));
	f.now = 3000;
	completed(&f, message("m2", "final_answer", "Done."));
	end_turn(&f, "completed");
	flush(&f);
	expect(&f,
	       "SELECT status, live_text, usage, started_at, completed_at, updated_at FROM turns",
	       "completed||{\"total\":{\"totalTokens\":5}}|1000|3000|3000\n");
	/* The summary names the item again: one row. */
	expect(&f, MESSAGES, "1|m2|assistant|final_answer|Done.\n");
	done(&f);
}
END_TEST

START_TEST(test_failed_turn)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	event(&f, "turn/completed",
	      json_loads("{\"turn\":{\"id\":\"1\",\"status\":\"failed\",\"items\":[],\"error\":"
			 "{\"message\":\"no\"}}}",
			 0, NULL));
	flush(&f);
	expect(&f, "SELECT status, error FROM turns", "failed|{\"message\":\"no\"}\n");
	done(&f);
}
END_TEST

/* Notifications may come before the answer that names the turn has been taken: nothing gets lost,
 * and the end of the turn is not undone. */
START_TEST(test_events_before_turn_is_known)
{
	struct fixture f;

	setup(&f, NULL);
	delta(&f, "m2", "Do");
	completed(&f, message("m2", "final_answer", "Done."));
	flush(&f);
	expect(&f, MESSAGES, "1|m2|assistant|final_answer|Done.\n");
	expect(&f, "SELECT count(*) FROM turns", "0\n");
	f.now = 2000;
	end_turn(&f, "completed");
	f.now = 3000;
	set_turn(&f);
	flush(&f);
	expect(&f, "SELECT turn_id, status, live_text, completed_at FROM turns",
	       "1|completed||2000\n");
	expect(&f, MESSAGES, "1|m2|assistant|final_answer|Done.\n");
	done(&f);
}
END_TEST

/* A turn that was looked up: what history has is written, its own times count. */
START_TEST(test_history)
{
	struct fixture f;
	json_auto_t *value = json_loads(
		"{\"id\":\"1\",\"status\":\"interrupted\",\"startedAt\":400,"
		"\"items\":[{\"type\":\"userMessage\",\"id\":\"u\","
		"\"content\":[{\"type\":\"text\",\"text\":\"do it\"}]},"
		"{\"type\":\"plan\",\"id\":\"p\",\"text\":\"# Plan\"},"
		"{\"type\":\"agentMessage\",\"text\":\"half\"}]}",
		0, NULL);
	struct ccp_turn turn;

	setup(&f, "1");
	OK(ccp_turn_parse(value, &turn));
	turn.started_at = 400;
	turn.completed_at = 700;
	set_turn(&f);
	OK(ccp_track_turn(f.track, &turn, f.now, &db_err));
	set_turn(&f);
	flush(&f);
	expect(&f, "SELECT status, started_at, completed_at FROM turns", "interrupted|400|700\n");
	expect(&f, MESSAGES, "1|p|plan||# Plan\n1|assistant|assistant||half\n");
	done(&f);
}
END_TEST

/* Who does not name the turn means the one that runs. */
START_TEST(test_no_turn_id)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	event(&f, "item/completed",
	      json_pack("{s:s,s:o}", "threadId", "t", "item", message("m1", "commentary", "One.")));
	flush(&f);
	expect(&f, MESSAGES, "1|m1|assistant|commentary|One.\n");
	done(&f);
}
END_TEST

/* The transaction may be rolled back and come again. */
START_TEST(test_write_again)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	delta(&f, "m2", "Wor");
	completed(&f, message("m1", "commentary", "One."));
	OK(ccp_track_note(f.track, "interaction", "warning", "answered safely", f.now, &db_err));
	OK(ccp_db_begin(f.db.db, &db_err));
	OK(ccp_track_write(f.track, f.db.db, &db_err));
	ccp_db_rollback(f.db.db);
	ck_assert(ccp_track_dirty(f.track));
	expect(&f, "SELECT count(*) FROM messages", "0\n");
	completed(&f, message("m0", "commentary", "Zero."));
	flush(&f);
	expect(&f, MESSAGES, "1|m1|assistant|commentary|One.\n1|m0|assistant|commentary|Zero.\n");
	expect(&f, "SELECT op_id, turn_id, category, severity, progress, text FROM journal",
	       "op|1|assistant_delta_summary|info|1|assistant message, 4 characters\n"
	       "op|1|interaction|warning|1|answered safely\n"
	       "op|1|assistant_delta_summary|info|1|assistant message, 5 characters\n");
	/* Once more without news changes nothing. */
	write_in_transaction(&f);
	ccp_track_written(f.track);
	expect(&f, "SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM messages)",
	       "3|2\n");
	expect(&f, TURN, "1|op|running|Wor\n");
	done(&f);
}
END_TEST

/* What is collected after a write is not thrown away with what was written. */
START_TEST(test_news_after_write)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	completed(&f, message("m1", "commentary", "One."));
	write_in_transaction(&f);
	completed(&f, message("m2", "commentary", "Two."));
	ccp_track_written(f.track);
	ck_assert(ccp_track_dirty(f.track));
	flush(&f);
	expect(&f, MESSAGES, "1|m1|assistant|commentary|One.\n1|m2|assistant|commentary|Two.\n");
	expect(&f, "SELECT count(*) FROM journal", "2\n");
	done(&f);
}
END_TEST

#define HIDDEN "PAYLOAD"

/* Everything that must not be kept, through every door. */
START_TEST(test_nothing_hidden)
{
	static const struct {
		const char *method, *params;
	} events[] = {
		{ "item/started",
		  "{\"item\":{\"type\":\"commandExecution\",\"id\":\"c\",\"command\":\"make\","
		  "\"aggregatedOutput\":\"PAYLOAD\"}}" },
		{ "item/completed",
		  "{\"item\":{\"type\":\"commandExecution\",\"id\":\"c\",\"command\":\"make\","
		  "\"exitCode\":0,\"aggregatedOutput\":\"PAYLOAD\"}}" },
		{ "item/commandExecution/outputDelta", "{\"itemId\":\"c\",\"delta\":\"PAYLOAD\"}" },
		{ "item/fileChange/outputDelta", "{\"itemId\":\"c\",\"delta\":\"PAYLOAD\"}" },
		{ "item/completed",
		  "{\"item\":{\"type\":\"fileChange\",\"id\":\"f\",\"status\":\"completed\","
		  "\"changes\":[{\"path\":\"x\",\"diff\":\"+PAYLOAD\"}]}}" },
		{ "item/completed",
		  "{\"item\":{\"type\":\"mcpToolCall\",\"id\":\"t\",\"server\":\"s\",\"tool\":\"t\","
		  "\"arguments\":\"PAYLOAD\",\"result\":{\"content\":\"PAYLOAD\"}}}" },
		{ "turn/diff/updated", "{\"diff\":\"--- a/x\\n+++ b/x\\n+PAYLOAD\\n\"}" },
		{ "item/reasoning/textDelta", "{\"itemId\":\"r\",\"delta\":\"PAYLOAD\"}" },
		{ "item/completed",
		  "{\"item\":{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[\"thought\"],"
		  "\"content\":[\"PAYLOAD\"]}}" },
		{ "item/completed",
		  "{\"item\":{\"type\":\"userMessage\",\"id\":\"u\",\"content\":[{\"type\":\"text\","
		  "\"text\":\"PAYLOAD\"}]}}" },
		{ "new/thing", "{\"text\":\"PAYLOAD\",\"delta\":\"PAYLOAD\"}" },
	};
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(events); i++)
		event(&f, events[i].method, json_loads(events[i].params, 0, NULL));
	flush(&f);
	expect(&f, "SELECT text FROM journal",
	       "command started: make\ncommand ended: make (exit 0)\n"
	       "file change completed: 1 file(s) x\ntool s/t: ?\ndiff: 1 file(s), +1 -0 lines\n"
	       "thought\n");
	expect(&f,
	       "SELECT count(*) FROM journal WHERE text || coalesce(data, '') LIKE '%" HIDDEN "%'",
	       "0\n");
	expect(&f, MESSAGES, "");
	expect(&f, "SELECT count(*) FROM turns WHERE coalesce(live_text, '') <> ''", "0\n");
	done(&f);
}
END_TEST

START_TEST(test_same_diff_once)
{
	struct fixture f;

	setup(&f, NULL);
	set_turn(&f);
	for (int i = 0; i < 3; i++)
		event(&f, "turn/diff/updated", json_loads("{\"diff\":\"+a\\n\"}", 0, NULL));
	event(&f, "turn/diff/updated", json_loads("{\"diff\":\"+a\\n+b\\n\"}", 0, NULL));
	flush(&f);
	expect(&f, "SELECT text FROM journal",
	       "diff: 0 file(s), +1 -0 lines\ndiff: 0 file(s), +2 -0 lines\n");
	done(&f);
}
END_TEST

/* Of a message in progress only the end is kept, whole characters, however it comes. */
START_TEST(test_huge_delta)
{
	struct fixture f;
	_cleanup_free_ char *huge = calloc(1, 1000001);
	struct ccp_turn_row row = { 0 };

	setup(&f, NULL);
	set_turn(&f);
	for (int i = 0; i < 1000; i++)
		delta(&f, "m1", "word ");
	delta(&f, "m1", "last");
	flush(&f);
	ck_assert_int_eq(ccp_turn_get(f.db.db, "t", "1", &row, &db_err), 1);
	ck_assert_uint_le(strlen(row.live_text), 4096);
	ck_assert_uint_ge(strlen(row.live_text), 300);
	ck_assert(ccp_str_has_suffix(row.live_text, "word last"));
	ccp_turn_row_done(&row);

	for (size_t i = 0; i < 999999; i += 3)
		memcpy(huge + i, "\xe2\x82\xac", 3);
	delta(&f, "m1", huge);
	flush(&f);
	ck_assert_int_eq(ccp_turn_get(f.db.db, "t", "1", &row, &db_err), 1);
	ck_assert_uint_le(strlen(row.live_text), 4096);
	ck_assert_uint_ge(strlen(row.live_text), 900);
	ck_assert(ccp_utf8_valid(row.live_text, strlen(row.live_text)));
	ck_assert(ccp_str_has_suffix(row.live_text, "\xe2\x82\xac"));
	ccp_turn_row_done(&row);
	/* And it goes on. */
	delta(&f, "m1", "!");
	flush(&f);
	expect(&f, "SELECT live_text LIKE '%!' FROM turns", "1\n");
	done(&f);
}
END_TEST

/* No item, no text, other types: nothing is written, nothing fails. */
START_TEST(test_strange)
{
	struct fixture f;

	setup(&f, NULL);
	event(&f, "item/agentMessage/delta", json_loads("{\"itemId\":\"m\"}", 0, NULL));
	event(&f, "item/agentMessage/delta", json_loads("{\"delta\":\"x\"}", 0, NULL));
	completed(&f, json_pack("{s:s}", "type", "agentMessage"));
	event(&f, "item/completed",
	      json_loads("{\"item\":{\"type\":\"agentMessage\",\"text\":\"x\"}}", 0, NULL));
	event(&f, "item/completed", json_loads("{\"item\":5}", 0, NULL));
	event(&f, "turn/completed", json_loads("{\"turn\":{}}", 0, NULL));
	event(&f, "turn/completed", json_object());
	event(&f, "thread/tokenUsage/updated", json_loads("{\"tokenUsage\":1}", 0, NULL));
	event(&f, "error", json_object());
	write_in_transaction(&f);
	ccp_track_written(f.track);
	expect(&f, "SELECT (SELECT count(*) FROM turns), (SELECT count(*) FROM messages)", "0|0\n");
	ccp_track_free(NULL);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("turn_track", test_stream, test_end, test_failed_turn,
	      test_events_before_turn_is_known, test_history, test_no_turn_id, test_write_again,
	      test_news_after_write, test_nothing_hidden, test_same_diff_once, test_huge_delta,
	      test_strange)
