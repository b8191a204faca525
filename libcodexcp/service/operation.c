#include <codexcp/operation.h>

#include <stdio.h>

#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"

/* One call of codex_wait lasts this long at the most. */
#define WAIT_SLICE_SECONDS 240

static json_t *submit_arguments(const struct codexcp_submit *task)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "operation_type", task->thread_id ? "send_message" : "start_chat");
	ccp_json_set_str(&o, "message", task->message);
	ccp_json_set_str(&o, "cwd", task->cwd);
	ccp_json_set_str(&o, "project_id", task->project_id);
	ccp_json_set_str(&o, "thread_id", task->thread_id);
	ccp_json_set_str(&o, "client_request_id", task->client_request_id);
	ccp_json_set_str(&o, "sandbox", task->sandbox);
	ccp_json_set_str(&o, "approval_policy", task->approval_policy);
	ccp_json_set_str(&o, "model", task->model);
	ccp_json_set_str(&o, "title", task->title);
	ccp_json_set(&o, "output_schema", task->output_schema);
	return o;
}

/* Steals arguments. On failure the payload only said why, and is let go of. */
static int call(struct codexcp *cp, const char *tool, json_t *arguments, json_t **ret_payload,
		struct codexcp_error *err)
{
	json_auto_t *owned = arguments, *payload = NULL;
	int r = owned ? codexcp_call_wait(cp, tool, owned, &payload, err) : ccp_fail_oom(err);

	if (r == 0)
		*ret_payload = json_incref(payload);
	return r;
}

static json_t *operation_arguments(const char *operation_id)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "operation_id", operation_id);
	return o;
}

int codexcp_submit_task(struct codexcp *cp, const struct codexcp_submit *task,
			char ret_id[CODEXCP_OPERATION_ID_SIZE], struct codexcp_error *err)
{
	json_auto_t *payload = NULL;
	int r = call(cp, "codex_submit_task", submit_arguments(task), &payload, err);

	if (r == 0)
		snprintf(ret_id, CODEXCP_OPERATION_ID_SIZE, "%s",
			 ccp_json_str(payload, "operationId"));
	return r;
}

int codexcp_operation_status(struct codexcp *cp, const char *operation_id, json_t **ret_status,
			     struct codexcp_error *err)
{
	return call(cp, "codex_get_operation_status", operation_arguments(operation_id), ret_status,
		    err);
}

int codexcp_wait(struct codexcp *cp, const char *operation_id, int timeout_seconds,
		 json_t **ret_status, struct codexcp_error *err)
{
	bool for_ever = timeout_seconds == 0;
	int left = timeout_seconds;

	for (;;) {
		int slice = for_ever ? WAIT_SLICE_SECONDS : CCP_CLAMP(left, 1, WAIT_SLICE_SECONDS);
		json_t *arguments = operation_arguments(operation_id);
		json_auto_t *payload = NULL;
		int r;

		ccp_json_set_int(&arguments, "timeout_seconds", slice);
		r = call(cp, "codex_wait", arguments, &payload, err);
		if (r < 0)
			return r;
		left -= slice;
		if (ccp_streq(ccp_json_str(ccp_json_obj(payload, "waited"), "reason"), "timeout") &&
		    (for_ever || left > 0))
			continue;
		*ret_status = json_incref(payload);
		return 0;
	}
}

int codexcp_interrupt(struct codexcp *cp, const char *operation_id, struct codexcp_error *err)
{
	json_auto_t *payload = NULL;

	return call(cp, "codex_interrupt_turn", operation_arguments(operation_id), &payload, err);
}
