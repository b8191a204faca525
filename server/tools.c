#include "base/json.h"
#include "server/caller.h"
#include "server/request.h"

void mcp_tools_list(const struct mcp_request *request)
{
	char **text = &request->mcp->tools[request->version];
	json_t *cursor = json_object_get(request->params, "cursor");

	/* There is one page, so no cursor was ever given out. */
	if (cursor && !json_is_null(cursor)) {
		mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL,
				 "params.cursor: not a cursor of this server");
		return;
	}
	if (!*text)
		*text = mcp_tools_text(request->version);
	mcp_answer(request, *text);
}

static void on_result(json_t *payload, bool ok, void *data)
{
	struct mcp_running *running = data;
	_cleanup_free_ char *text = mcp_tool_result_text(running->request.version, payload, ok);

	running->call = NULL;
	mcp_answer(&running->request, text);
	mcp_running_free(running);
}

static void answer_failure(const struct mcp_request *request, const struct codexcp_error *err)
{
	int code = err->code == CODEXCP_E_INVALID_ARGUMENT ? CCP_RPC_INVALID_PARAMS
							   : CCP_RPC_INTERNAL_ERROR;

	mcp_answer_error(request, code, json_incref(err->details), "%s", err->message);
}

static int start(struct mcp_running *running, const char *tool, const json_t *params,
		 struct codexcp_error *err)
{
	struct mcp *mcp = running->request.mcp;
	_cleanup_(mcp_caller_done) struct mcp_caller caller = { 0 };
	struct codexcp_call_options options = { 0 };
	struct codexcp *cp;
	int rc;

	rc = mcp_caller_init(&caller, ccp_json_obj(params, "_meta"), getenv("CODEX_THREAD_ID"),
			     err);
	if (rc < 0)
		return rc;
	rc = mcp->host->context(&cp, mcp->data, err);
	if (rc < 0)
		return rc;
	options.caller_thread_id = caller.thread_id;
	options.caller_sandbox = caller.sandbox;
	options.progress = running->progress_token ? mcp_running_progress : NULL;
	return codexcp_call(cp, tool, ccp_json_obj(params, "arguments"), &options, on_result,
			    running, &running->call, err);
}

void mcp_tools_call(const struct mcp_request *request)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	const char *tool = ccp_json_str(request->params, "name");
	json_t *arguments = json_object_get(request->params, "arguments");
	struct mcp_running *running;

	if (!tool) {
		mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL,
				 "params.name: expected a string");
		return;
	}
	if (arguments && !json_is_null(arguments) && !json_is_object(arguments)) {
		mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL,
				 "params.arguments: expected an object");
		return;
	}
	running = mcp_running_new(request);
	if (!running) {
		mcp_answer(request, NULL);
		return;
	}
	if (start(running, tool, request->params, &err) < 0) {
		answer_failure(request, &err);
		mcp_running_free(running);
	}
}
