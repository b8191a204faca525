#include "appserver/answers.h"

#include <string.h>

#include "base/json.h"

typedef json_t *(*answer_fn)(const json_t *params, int64_t now_wall_ms);

/* Codex takes "decline" also where availableDecisions leaves it out; "cancel" would end the turn.
 */
static json_t *answer_decline(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:s}", "decision", "decline");
}

/* The one refusal that old and new versions write alike ("denied" has become an object). */
static json_t *answer_abort(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:s}", "decision", "abort");
}

static json_t *answer_no_permissions(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:{}, s:s}", "permissions", "scope", "turn");
}

static json_t *answer_no_words(const json_t *params, int64_t now_wall_ms)
{
	json_t *answer = json_object(), *answers = json_object();
	json_t *question;
	size_t i;

	json_array_foreach (ccp_json_arr(params, "questions"), i, question) {
		const char *id = ccp_json_str(question, "id");

		if (id)
			ccp_json_set_new(&answers, id, json_pack("{s:[]}", "answers"));
	}
	ccp_json_set_new(&answer, "answers", answers);
	return answer;
}

static json_t *answer_no_elicitation(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:s, s:n}", "action", "decline", "content");
}

static json_t *answer_no_tool(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:b, s:[{s:s, s:s}]}", "success", 0, "contentItems", "type", "inputText",
			 "text", "There is no such tool.");
}

static json_t *answer_time(const json_t *params, int64_t now_wall_ms)
{
	return json_pack("{s:I}", "currentTimeAt", (json_int_t)(now_wall_ms / 1000));
}

struct request_row {
	const char *method;
	enum ccp_request_kind kind;
	answer_fn safe_answer;
};

static const struct request_row requests[] = {
	{ "item/commandExecution/requestApproval", CCP_REQUEST_APPROVAL, answer_decline },
	{ "item/fileChange/requestApproval", CCP_REQUEST_APPROVAL, answer_decline },
	{ "item/permissions/requestApproval", CCP_REQUEST_PERMISSIONS, answer_no_permissions },
	{ "item/tool/requestUserInput", CCP_REQUEST_USER_INPUT, answer_no_words },
	{ "mcpServer/elicitation/request", CCP_REQUEST_ELICITATION, answer_no_elicitation },
	{ "item/tool/call", CCP_REQUEST_TOOL_CALL, answer_no_tool },
	{ "currentTime/read", CCP_REQUEST_CLOCK, answer_time },
	{ "applyPatchApproval", CCP_REQUEST_OLD, answer_abort },
	{ "execCommandApproval", CCP_REQUEST_OLD, answer_abort },
};

static const struct request_row *find_row(const char *method)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].method, method) == 0)
			return &requests[i];
	}
	return NULL;
}

enum ccp_request_kind ccp_request_kind(const char *method)
{
	const struct request_row *row = find_row(method);

	return row ? row->kind : CCP_REQUEST_REFUSED;
}

json_t *ccp_request_safe_answer(const char *method, const json_t *params, int64_t now_wall_ms)
{
	const struct request_row *row = find_row(method);

	return row ? row->safe_answer(params, now_wall_ms) : NULL;
}
