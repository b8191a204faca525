#include <utlist.h>

#include "base/json.h"
#include "server/request.h"

static json_t *progress_token(const json_t *params)
{
	json_t *token = json_object_get(ccp_json_obj(params, "_meta"), "progressToken");

	return json_is_string(token) || json_is_integer(token) ? json_incref(token) : NULL;
}

struct mcp_running *mcp_running_new(const struct mcp_request *request)
{
	struct mcp_running *running = calloc(1, sizeof(*running));

	if (!running)
		return NULL;
	running->request = *request;
	running->request.params = NULL;
	json_incref(running->request.id);
	if (request->batch)
		mcp_batch_ref(request->batch);
	running->progress_token = progress_token(request->params);
	DL_APPEND(request->mcp->running, running);
	return running;
}

void mcp_running_free(struct mcp_running *running)
{
	if (!running)
		return;
	if (running->call)
		codexcp_cancel(running->call);
	DL_DELETE(running->request.mcp->running, running);
	mcp_batch_unref(running->request.batch);
	json_decref(running->request.id);
	json_decref(running->progress_token);
	free(running);
}

struct mcp_running *mcp_running_find(const struct mcp *mcp, const json_t *id)
{
	struct mcp_running *running;

	DL_FOREACH (mcp->running, running)
		if (json_equal(running->request.id, id))
			return running;
	return NULL;
}

void mcp_running_progress(const char *message, void *data)
{
	struct mcp_running *running = data;
	json_t *params = json_object();

	ccp_json_set(&params, "progressToken", running->progress_token);
	ccp_json_set_int(&params, "progress", ++running->progress);
	ccp_json_set_str(&params, "message", message);
	if (params)
		mcp_tell(running->request.mcp,
			 ccp_rpc_notification(true, "notifications/progress", params));
}
