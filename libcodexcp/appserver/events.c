#include "appserver/events.h"

#include <string.h>

#include "base/json.h"

struct event_row {
	const char *method;
	enum ccp_event_kind kind;
	const char *text_key; /* the member of params that is the text */
};

static const struct event_row event_rows[] = {
	{ "turn/started", CCP_EVENT_TURN_STARTED, NULL },
	{ "turn/completed", CCP_EVENT_TURN_COMPLETED, NULL },
	{ "error", CCP_EVENT_ERROR, NULL },
	{ "item/started", CCP_EVENT_ITEM_STARTED, NULL },
	{ "item/completed", CCP_EVENT_ITEM_COMPLETED, NULL },
	{ "item/agentMessage/delta", CCP_EVENT_MESSAGE_DELTA, "delta" },
	{ "item/plan/delta", CCP_EVENT_PLAN_DELTA, "delta" },
	{ "item/reasoning/summaryTextDelta", CCP_EVENT_REASONING_SUMMARY, "delta" },
	{ "turn/plan/updated", CCP_EVENT_PLAN_UPDATED, NULL },
	{ "turn/diff/updated", CCP_EVENT_DIFF_UPDATED, "diff" },
	{ "thread/tokenUsage/updated", CCP_EVENT_TOKEN_USAGE, NULL },
	{ "model/rerouted", CCP_EVENT_MODEL_REROUTED, NULL },
	{ "warning", CCP_EVENT_WARNING, "message" },
	{ "guardianWarning", CCP_EVENT_WARNING, "message" },
	{ "configWarning", CCP_EVENT_WARNING, "summary" },
	{ "thread/status/changed", CCP_EVENT_THREAD_STATUS, NULL },
	{ "thread/closed", CCP_EVENT_THREAD_CLOSED, NULL },
	{ "serverRequest/resolved", CCP_EVENT_REQUEST_RESOLVED, NULL },
};

static const struct event_row *find_row(const char *method)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(event_rows); i++) {
		if (strcmp(event_rows[i].method, method) == 0)
			return &event_rows[i];
	}
	return NULL;
}

static const char *first_str(const char *a, const char *b)
{
	return a ? a : b;
}

void ccp_event_parse(const char *method, json_t *params, struct ccp_event *ret_event)
{
	const struct event_row *row = find_row(method);
	struct ccp_event e = { .method = method, .params = params };

	e.item = ccp_json_obj(params, "item");
	e.turn = ccp_json_obj(params, "turn");
	e.error = ccp_json_obj(params, "error");
	if (!e.error)
		e.error = ccp_json_obj(e.turn, "error");
	e.thread_id = ccp_json_str(params, "threadId");
	e.turn_id = first_str(ccp_json_str(params, "turnId"), ccp_json_str(e.turn, "id"));
	e.item_id = first_str(ccp_json_str(params, "itemId"), ccp_json_str(e.item, "id"));
	e.item_type = ccp_json_str(e.item, "type");
	e.status = first_str(ccp_json_str(e.turn, "status"),
			     ccp_json_str(ccp_json_obj(params, "status"), "type"));
	e.request_id = json_object_get(params, "requestId");
	e.will_retry = ccp_json_bool(params, "willRetry", false);
	if (row) {
		e.kind = row->kind;
		e.text = row->text_key ? ccp_json_str(params, row->text_key) : NULL;
	}
	*ret_event = e;
}

const char *ccp_item_text(const json_t *item)
{
	const char *type = ccp_json_str(item, "type");
	json_t *part;
	size_t i;

	if (!type)
		return NULL;
	if (strcmp(type, "agentMessage") == 0 || strcmp(type, "plan") == 0)
		return ccp_json_str(item, "text");
	if (strcmp(type, "exitedReviewMode") == 0)
		return ccp_json_str(item, "review");
	if (strcmp(type, "userMessage") != 0)
		return NULL;
	json_array_foreach (ccp_json_arr(item, "content"), i, part) {
		const char *text = ccp_json_str(part, "text");

		if (text)
			return text;
	}
	return NULL;
}
