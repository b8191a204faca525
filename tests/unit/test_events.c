#include <ccp_check.h>

#include "appserver/events.h"
#include "base/json.h"

/* The caller releases *ret_params after the event. */
static struct ccp_event parse(const char *method, const char *params, json_t **ret_params)
{
	struct ccp_event e;

	*ret_params = json_loads(params, 0, NULL);
	ck_assert_ptr_nonnull(*ret_params);
	ccp_event_parse(method, *ret_params, &e);
	ck_assert_ptr_eq(e.params, *ret_params);
	ck_assert_str_eq(e.method, method);
	return e;
}

START_TEST(test_turn)
{
	json_auto_t *p = NULL;
	struct ccp_event e = parse(
		"turn/completed",
		"{\"threadId\":\"t\",\"turn\":{\"id\":\"0\",\"status\":\"failed\",\"items\":[],"
		"\"error\":{\"message\":\"no\",\"codexErrorInfo\":\"other\"}}}",
		&p);

	ck_assert_int_eq(e.kind, CCP_EVENT_TURN_COMPLETED);
	ck_assert_str_eq(e.thread_id, "t");
	ck_assert_str_eq(e.turn_id, "0");
	ck_assert_str_eq(e.status, "failed");
	ck_assert_str_eq(ccp_json_str(e.error, "message"), "no");
	ck_assert_ptr_eq(e.turn, json_object_get(p, "turn"));
}
END_TEST

START_TEST(test_error)
{
	json_auto_t *p = NULL;
	struct ccp_event e = parse("error",
				   "{\"error\":{\"message\":\"429\"},\"willRetry\":true,"
				   "\"threadId\":\"t\",\"turnId\":\"u\"}",
				   &p);

	ck_assert_int_eq(e.kind, CCP_EVENT_ERROR);
	ck_assert(e.will_retry);
	ck_assert_str_eq(e.turn_id, "u");
	ck_assert_ptr_nonnull(e.error);
}
END_TEST

START_TEST(test_item)
{
	json_auto_t *p = NULL;
	struct ccp_event e = parse("item/completed",
				   "{\"item\":{\"type\":\"agentMessage\",\"id\":\"m1\",\"text\":"
				   "\"Hello\"},\"threadId\":\"t\",\"turnId\":\"u\"}",
				   &p);

	ck_assert_int_eq(e.kind, CCP_EVENT_ITEM_COMPLETED);
	ck_assert_str_eq(e.item_id, "m1");
	ck_assert_str_eq(e.item_type, "agentMessage");
	ck_assert_str_eq(ccp_item_text(e.item), "Hello");
	ck_assert_ptr_null(e.status);
}
END_TEST

START_TEST(test_texts)
{
	static const struct {
		const char *method, *params, *text;
		enum ccp_event_kind kind;
	} rows[] = {
		{ "item/agentMessage/delta", "{\"itemId\":\"i\",\"delta\":\"x\"}", "x",
		  CCP_EVENT_MESSAGE_DELTA },
		{ "item/plan/delta", "{\"itemId\":\"i\",\"delta\":\"y\"}", "y",
		  CCP_EVENT_PLAN_DELTA },
		{ "item/reasoning/summaryTextDelta", "{\"delta\":\"z\",\"summaryIndex\":0}", "z",
		  CCP_EVENT_REASONING_SUMMARY },
		{ "item/reasoning/textDelta", "{\"delta\":\"hidden\"}", NULL, CCP_EVENT_OTHER },
		{ "turn/diff/updated", "{\"diff\":\"--- a\"}", "--- a", CCP_EVENT_DIFF_UPDATED },
		{ "warning", "{\"message\":\"w\"}", "w", CCP_EVENT_WARNING },
		{ "guardianWarning", "{\"message\":\"g\"}", "g", CCP_EVENT_WARNING },
		{ "configWarning", "{\"summary\":\"c\",\"details\":null}", "c", CCP_EVENT_WARNING },
		{ "turn/plan/updated", "{\"plan\":[]}", NULL, CCP_EVENT_PLAN_UPDATED },
		{ "thread/tokenUsage/updated", "{\"tokenUsage\":{}}", NULL, CCP_EVENT_TOKEN_USAGE },
		{ "model/rerouted", "{\"toModel\":\"m\"}", NULL, CCP_EVENT_MODEL_REROUTED },
		{ "thread/closed", "{\"threadId\":\"t\"}", NULL, CCP_EVENT_THREAD_CLOSED },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		json_auto_t *p = NULL;
		struct ccp_event e = parse(rows[i].method, rows[i].params, &p);

		ck_assert_int_eq(e.kind, rows[i].kind);
		if (rows[i].text)
			ck_assert_str_eq(e.text, rows[i].text);
		else
			ck_assert_ptr_null(e.text);
	}
}
END_TEST

START_TEST(test_status_and_resolved)
{
	json_auto_t *p = NULL, *q = NULL, *r = NULL;
	struct ccp_event e;

	e = parse("thread/status/changed",
		  "{\"threadId\":\"t\",\"status\":{\"type\":\"active\",\"activeFlags\":[]}}", &p);
	ck_assert_int_eq(e.kind, CCP_EVENT_THREAD_STATUS);
	ck_assert_str_eq(e.status, "active");
	e = parse("serverRequest/resolved", "{\"threadId\":\"t\",\"requestId\":0}", &q);
	ck_assert_int_eq(e.kind, CCP_EVENT_REQUEST_RESOLVED);
	ck_assert_int_eq(json_integer_value(e.request_id), 0);
	e = parse("serverRequest/resolved", "{\"threadId\":\"t\",\"requestId\":\"a\"}", &r);
	ck_assert_str_eq(json_string_value(e.request_id), "a");
}
END_TEST

/* Nothing that comes can be an error: other methods, other types, nothing at all. */
START_TEST(test_strange)
{
	json_auto_t *p = NULL, *q = NULL;
	struct ccp_event e;

	e = parse("new/thing", "{\"threadId\":\"t\",\"turnId\":\"u\"}", &p);
	ck_assert_int_eq(e.kind, CCP_EVENT_OTHER);
	ck_assert_str_eq(e.turn_id, "u");
	e = parse("turn/completed", "{\"threadId\":5,\"turn\":[],\"error\":\"x\"}", &q);
	ck_assert_int_eq(e.kind, CCP_EVENT_TURN_COMPLETED);
	ck_assert_ptr_null(e.thread_id);
	ck_assert_ptr_null(e.turn);
	ck_assert_ptr_null(e.error);
	ccp_event_parse("turn/started", NULL, &e);
	ck_assert_int_eq(e.kind, CCP_EVENT_TURN_STARTED);
	ck_assert_ptr_null(e.turn_id);
}
END_TEST

static void check_item_text(const char *item, const char *want)
{
	json_auto_t *i = json_loads(item, 0, NULL);

	if (want)
		ck_assert_str_eq(ccp_item_text(i), want);
	else
		ck_assert_ptr_null(ccp_item_text(i));
}

START_TEST(test_item_text)
{
	check_item_text("{\"type\":\"plan\",\"text\":\"# Plan\"}", "# Plan");
	check_item_text("{\"type\":\"userMessage\",\"content\":[{\"type\":\"image\",\"url\":\"u\"},"
			"{\"type\":\"text\",\"text\":\"hi\"}]}",
			"hi");
	check_item_text("{\"type\":\"userMessage\",\"content\":[]}", NULL);
	check_item_text("{\"type\":\"exitedReviewMode\",\"review\":\"fine\"}", "fine");
	check_item_text("{\"type\":\"reasoning\",\"text\":\"no\"}", NULL);
	check_item_text("{\"text\":\"no\"}", NULL);
	ck_assert_ptr_null(ccp_item_text(NULL));
}
END_TEST

CCP_TEST_MAIN("events", test_turn, test_error, test_item, test_texts, test_status_and_resolved,
	      test_strange, test_item_text)
