#include <ccp_check.h>

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "domain/item_note.h"

#define SECRET "ghp_abcdefghijklmnopqrstuvwxyz0123456789"

/* `want` NULL: nothing is told. `data` NULL: not looked at. */
static void check_note(int r, struct ccp_item_note *note, const char *category,
		       const char *severity, const char *want, const char *data)
{
	ck_assert_int_eq(r, want != NULL);
	if (want) {
		_cleanup_free_ char *dump = note->data ? ccp_json_dump(note->data, NULL) : NULL;

		ck_assert_str_eq(note->category, category);
		ck_assert_str_eq(note->severity, severity);
		ck_assert_str_eq(note->text, want);
		if (data)
			ck_assert_pstr_eq(dump, data);
	}
	ccp_item_note_done(note);
	ck_assert_ptr_null(note->text);
}

static void check_item(const char *item_text, bool completed, const char *category,
		       const char *severity, const char *want, const char *data)
{
	json_auto_t *item = json_loads(item_text, 0, NULL);
	struct ccp_item_note note = { 0 };

	ck_assert_ptr_nonnull(item);
	check_note(ccp_item_note(item, completed, &note, NULL), &note, category, severity, want,
		   data);
}

START_TEST(test_command)
{
	check_item("{\"type\":\"commandExecution\",\"command\":\"make\",\"status\":\"inProgress\"}",
		   false, "command_status", "info", "command inProgress: make",
		   "{\"status\":\"inProgress\"}");
	check_item("{\"type\":\"commandExecution\",\"command\":\"make\",\"status\":\"completed\","
		   "\"exitCode\":0,\"durationMs\":7,\"aggregatedOutput\":\"payload\"}",
		   true, "command_status", "info", "command completed: make (exit 0)",
		   "{\"status\":\"completed\",\"exitCode\":0,\"durationMs\":7,\"outputBytes\":7}");
	check_item("{\"type\":\"commandExecution\",\"command\":\"make\\ncheck\",\"exitCode\":2}",
		   true, "command_status", "warning", "command ended: make... (exit 2)", NULL);
	check_item("{\"type\":\"commandExecution\"}", false, "command_status", "info",
		   "command started: ?", "{}");
}
END_TEST

/* A clipped word may be the first half of a secret. */
START_TEST(test_command_clipped)
{
	_cleanup_free_ char *blanks = ccp_asprintf("%110s", ""), *secret = NULL, *text = NULL;
	json_auto_t *item = NULL, *long_item = NULL;
	struct ccp_item_note note = { 0 };

	secret = ccp_asprintf("%s" SECRET, blanks);
	item = json_pack("{s:s,s:s}", "type", "commandExecution", "command", secret);
	ck_assert_int_eq(ccp_item_note(item, false, &note, NULL), 1);
	ck_assert_ptr_null(strstr(note.text, "ghp_"));
	ck_assert_ptr_nonnull(strstr(note.text, "[redacted]"));
	ccp_item_note_done(&note);

	text = calloc(1, 100001);
	for (size_t i = 0; i < 100000; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	long_item = json_pack("{s:s,s:s}", "type", "commandExecution", "command", text);
	ck_assert_int_eq(ccp_item_note(long_item, true, &note, NULL), 1);
	ck_assert_uint_lt(strlen(note.text), 400);
	ck_assert(ccp_utf8_valid(note.text, strlen(note.text)));
	ck_assert_ptr_nonnull(strstr(note.text, "..."));
	ccp_item_note_done(&note);
}
END_TEST

START_TEST(test_items)
{
	check_item("{\"type\":\"fileChange\",\"status\":\"completed\",\"changes\":[{\"path\":\"a\","
		   "\"diff\":\"+payload\"},{\"path\":\"b\"},{},{\"path\":\"d\"}]}",
		   true, "item_status", "info", "file change completed: 4 file(s) a, b, ?", NULL);
	check_item("{\"type\":\"fileChange\",\"status\":\"failed\"}", true, "item_status",
		   "warning", "file change failed: 0 file(s)", NULL);
	check_item(
		"{\"type\":\"mcpToolCall\",\"server\":\"s\",\"tool\":\"t\",\"status\":\"failed\","
		"\"arguments\":{\"x\":\"payload\"},\"result\":\"payload\"}",
		true, "item_status", "warning", "tool s/t: failed", NULL);
	check_item("{\"type\":\"agentMessage\",\"text\":\"h\xc3\xa4llo\"}", true,
		   "assistant_delta_summary", "info", "assistant message, 5 characters",
		   "{\"deltaChars\":5}");
	check_item("{\"type\":\"webSearch\",\"query\":\"payload\"}", true, "item_status", "info",
		   "webSearch completed", NULL);
	check_item("{}", true, "item_status", "info", "item completed", NULL);
	/* The caller's own words, and what has only begun. */
	check_item("{\"type\":\"userMessage\",\"content\":[]}", true, NULL, NULL, NULL, NULL);
	check_item("{\"type\":\"agentMessage\",\"text\":\"x\"}", false, NULL, NULL, NULL, NULL);
	check_item("{\"type\":\"fileChange\"}", false, NULL, NULL, NULL, NULL);
}
END_TEST

/* Summaries are told, the reasoning itself is not. */
START_TEST(test_reasoning)
{
	check_item("{\"type\":\"reasoning\",\"summary\":[\"one\",{\"text\":\"two\"},5],"
		   "\"content\":[\"hidden\"]}",
		   true, "reasoning_summary", "info", "one\ntwo", NULL);
	check_item("{\"type\":\"reasoning\",\"summary\":[],\"content\":[\"hidden\"]}", true, NULL,
		   NULL, NULL, NULL);
	check_item("{\"type\":\"reasoning\",\"text\":\"hidden\"}", true, NULL, NULL, NULL, NULL);
}
END_TEST

static void check_diff(const char *diff, const char *want, const char *data)
{
	struct ccp_item_note note = { 0 };

	check_note(ccp_diff_note(diff, &note, NULL), &note, "diff_updated", "info", want, data);
}

START_TEST(test_diff)
{
	check_diff(
		"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n same\n-old\n+new\n+++i;\n"
		"---i;\n\n--- /dev/null\n+++ b/y\n+last",
		"diff: 2 file(s), +3 -2 lines",
		"{\"fileMarkerCount\":2,\"addedLineCount\":3,\"removedLineCount\":2}");
	check_diff("", "diff: 0 file(s), +0 -0 lines", NULL);
	check_diff("\n", "diff: 0 file(s), +0 -0 lines", NULL);
	check_diff(NULL, "diff: 0 file(s), +0 -0 lines", NULL);
}
END_TEST

static void check_event(const char *method, const char *params_text, const char *category,
			const char *severity, const char *want, const char *data)
{
	json_auto_t *params = json_loads(params_text, 0, NULL);
	struct ccp_item_note note = { 0 };
	struct ccp_event event;

	ck_assert_ptr_nonnull(params);
	ccp_event_parse(method, params, &event);
	check_note(ccp_event_note(&event, &note, NULL), &note, category, severity, want, data);
}

START_TEST(test_events)
{
	check_event("error", "{\"error\":{\"message\":\"429\\nmore\"},\"willRetry\":true}", "error",
		    "warning", "429...", "{\"willRetry\":true}");
	check_event("error", "{\"error\":{\"message\":\"key " SECRET "\"}}", "error", "error",
		    "key [redacted]", "{\"willRetry\":false}");
	check_event("error", "{}", "error", "error", "error", NULL);
	check_event("warning", "{\"message\":\"careful\"}", "warning", "warning", "careful", NULL);
	check_event("warning", "{}", NULL, NULL, NULL, NULL);
	check_event("model/rerouted", "{\"fromModel\":\"a\",\"toModel\":\"b\",\"reason\":\"load\"}",
		    "model_reroute", "info", "model a -> b",
		    "{\"fromModel\":\"a\",\"toModel\":\"b\",\"reason\":\"load\"}");
	check_event("turn/plan/updated",
		    "{\"plan\":[{\"step\":\"read\",\"status\":\"completed\"},"
		    "{\"step\":\"write\",\"status\":\"inProgress\"},"
		    "{\"step\":\"test\",\"status\":\"pending\"}]}",
		    "plan_step", "info", "step 2 of 3: write", NULL);
	check_event("turn/plan/updated",
		    "{\"plan\":[{\"step\":\"read\",\"status\":\"completed\"}]}", NULL, NULL, NULL,
		    NULL);
	check_event("turn/plan/updated", "{}", NULL, NULL, NULL, NULL);
	check_event("thread/closed", "{}", NULL, NULL, NULL, NULL);
}
END_TEST

CCP_TEST_MAIN("item_note", test_command, test_command_clipped, test_items, test_reasoning,
	      test_diff, test_events)
