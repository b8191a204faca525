#include "appserver/methods.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define GRANULAR "granular" /* what answers name for an approval policy that is an object */
/* More than a thread ever has. */
#define TERMINALS_MAX 1000

struct sandbox_row {
	const char *mode, *policy;
};

static const struct sandbox_row sandboxes[] = {
	[CCP_SANDBOX_READ_ONLY] = { "read-only", "readOnly" },
	[CCP_SANDBOX_WORKSPACE_WRITE] = { "workspace-write", "workspaceWrite" },
	[CCP_SANDBOX_DANGER_FULL_ACCESS] = { "danger-full-access", "dangerFullAccess" },
};

enum ccp_sandbox ccp_sandbox_parse(const char *name)
{
	for (size_t i = 0; name && i < CCP_ARRAY_SIZE(sandboxes); i++) {
		if (strcmp(name, sandboxes[i].mode) == 0 || strcmp(name, sandboxes[i].policy) == 0)
			return (enum ccp_sandbox)i;
	}
	return CCP_SANDBOX_UNSET;
}

const char *ccp_sandbox_name(enum ccp_sandbox sandbox)
{
	return sandbox == CCP_SANDBOX_UNSET ? NULL : sandboxes[sandbox].mode;
}

json_t *ccp_thread_start_params(const struct ccp_codex_version *version,
				const struct ccp_thread_start *start)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "cwd", start->cwd);
	ccp_json_set_str(&o, "model", start->model);
	ccp_json_set_str(&o, "approvalPolicy", start->approval);
	ccp_json_set_str(&o, "sandbox", ccp_sandbox_name(start->sandbox));
	if (ccp_codex_has(version, CCP_CODEX_THREAD_SOURCE))
		ccp_json_set_str(&o, "threadSource", start->source);
	return o;
}

json_t *ccp_thread_resume_params(const struct ccp_codex_version *version, const char *thread_id,
				 bool with_turns, const struct ccp_thread_policy *policy)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "threadId", thread_id);
	if (!with_turns && ccp_codex_has(version, CCP_CODEX_EXCLUDE_TURNS))
		ccp_json_set_bool(&o, "excludeTurns", true);
	if (policy && !ccp_codex_has(version, CCP_CODEX_THREAD_POLICY)) {
		ccp_json_set_str(&o, "sandbox", ccp_sandbox_name(policy->sandbox));
		if (!ccp_streq(policy->approval, GRANULAR))
			ccp_json_set_str(&o, "approvalPolicy", policy->approval);
	}
	return o;
}

static const char *thread_status(const json_t *thread)
{
	return ccp_json_str(ccp_json_obj(thread, "status"), "type");
}

/* Versions before 0.115 report no status; their last turn tells. */
static bool thread_is_active(const json_t *thread)
{
	const char *status = thread_status(thread);
	const json_t *turns = ccp_json_arr(thread, "turns");
	const json_t *last = json_array_get(turns, json_array_size(turns) - 1);

	if (status)
		return strcmp(status, "active") == 0;
	return ccp_streq(ccp_json_str(last, "status"), "inProgress");
}

int ccp_thread_answer_parse(const json_t *result, struct ccp_thread_answer *ret,
			    struct codexcp_error *err)
{
	const json_t *thread = ccp_json_obj(result, "thread");
	const char *id = ccp_json_str(thread, "id");
	const char *approval = ccp_json_str(result, "approvalPolicy");

	if (!id)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "codex app-server named no thread");
	if (!approval && ccp_json_obj(result, "approvalPolicy"))
		approval = GRANULAR;
	*ret = (struct ccp_thread_answer){
		.thread_id = id,
		.model = ccp_json_str(result, "model"),
		.approval = approval,
		.effort = ccp_json_str(result, "reasoningEffort"),
		.cwd = ccp_json_str(result, "cwd"),
		.sandbox = ccp_sandbox_parse(ccp_json_str(ccp_json_obj(result, "sandbox"), "type")),
		.active = thread_is_active(thread),
		.status = thread_status(thread),
		.turns = ccp_json_arr(thread, "turns"),
	};
	return 0;
}

static json_t *input_items(const struct ccp_turn_start *start)
{
	json_t *items = json_array(), *image;
	size_t i;

	if (start->text) {
		json_t *text = json_object();

		ccp_json_set_str(&text, "type", "text");
		ccp_json_set_str(&text, "text", start->text);
		ccp_json_append_new(&items, text);
	}
	json_array_foreach (start->images, i, image)
		ccp_json_append_new(&items, json_incref(image));
	return items;
}

static void set_mode(json_t **turn, const struct ccp_turn_start *start)
{
	const char *model = start->model ? start->model : start->mode_model;
	json_t *mode, *settings;

	if (!start->mode || !model)
		return;
	mode = json_object();
	settings = json_object();
	ccp_json_set_str(&settings, "model", model);
	ccp_json_set_str(&settings, "reasoning_effort",
			 start->effort ? start->effort : start->mode_effort);
	ccp_json_set_str(&mode, "mode", start->mode);
	ccp_json_set_new(&mode, "settings", settings);
	ccp_json_set_new(turn, "collaborationMode", mode);
}

json_t *ccp_turn_start_params(const struct ccp_codex_version *version,
			      const struct ccp_turn_start *start)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "threadId", start->thread_id);
	if (ccp_codex_has(version, CCP_CODEX_CLIENT_MESSAGE_ID))
		ccp_json_set_str(&o, "clientUserMessageId", start->client_message_id);
	ccp_json_set_new(&o, "input", input_items(start));
	ccp_json_set_str(&o, "cwd", start->cwd);
	ccp_json_set_str(&o, "model", start->model);
	ccp_json_set_str(&o, "effort", start->effort);
	ccp_json_set_str(&o, "summary", start->summary);
	ccp_json_set_str(&o, "approvalPolicy", start->approval);
	if (start->sandbox != CCP_SANDBOX_UNSET)
		ccp_json_set_new(&o, "sandboxPolicy",
				 json_pack("{s:s}", "type", sandboxes[start->sandbox].policy));
	set_mode(&o, start);
	ccp_json_set(&o, "outputSchema", start->output_schema);
	return o;
}

int ccp_turn_start_parse(const json_t *result, const char **ret_turn_id, struct codexcp_error *err)
{
	const char *id = ccp_json_str(ccp_json_obj(result, "turn"), "id");

	if (!id)
		id = ccp_json_str(result, "turnId");
	if (!id)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "codex app-server named no turn");
	*ret_turn_id = id;
	return 0;
}

json_t *ccp_turn_interrupt_params(const char *thread_id, const char *turn_id)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "threadId", thread_id);
	ccp_json_set_str(&o, "turnId", turn_id);
	return o;
}

json_t *ccp_thread_params(const char *thread_id)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "threadId", thread_id);
	return o;
}

int ccp_thread_state_parse(const json_t *result, struct ccp_thread_state *ret,
			   struct codexcp_error *err)
{
	const json_t *status = ccp_json_obj(ccp_json_obj(result, "thread"), "status");
	const char *type = ccp_json_str(status, "type");

	if (!type)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "codex app-server told no thread status");
	*ret = (struct ccp_thread_state){
		.active = strcmp(type, "active") == 0,
		.waiting = json_array_size(ccp_json_arr(status, "activeFlags")) > 0,
	};
	return 0;
}

json_t *ccp_terminals_list_params(const char *thread_id)
{
	json_t *o = ccp_thread_params(thread_id);

	ccp_json_set_int(&o, "limit", TERMINALS_MAX);
	return o;
}

int ccp_terminal_parse(const json_t *terminal, struct ccp_terminal *ret)
{
	const char *id = ccp_json_str(terminal, "processId");

	if (!id)
		return CODEXCP_E_INTERNAL;
	*ret = (struct ccp_terminal){
		.process_id = id,
		.item_id = ccp_json_str(terminal, "itemId"),
		.command = ccp_json_str(terminal, "command"),
		.cwd = ccp_json_str(terminal, "cwd"),
	};
	return 0;
}

json_t *ccp_terminal_end_params(const char *thread_id, const char *process_id)
{
	json_t *o = ccp_thread_params(thread_id);

	ccp_json_set_str(&o, "processId", process_id);
	return o;
}

int ccp_turn_parse(const json_t *turn, struct ccp_turn *ret)
{
	const char *id = ccp_json_str(turn, "id");

	if (!id)
		return CODEXCP_E_INTERNAL;
	*ret = (struct ccp_turn){
		.id = id,
		.status = ccp_json_str(turn, "status"),
		.items = ccp_json_arr(turn, "items"),
		.error = ccp_json_obj(turn, "error"),
		.started_at = ccp_json_int(turn, "startedAt", 0) * 1000,
		.completed_at = ccp_json_int(turn, "completedAt", 0) * 1000,
	};
	return 0;
}

static bool is_last(const struct ccp_thread_answer *thread, const struct ccp_turn *turn)
{
	size_t n = json_array_size(thread->turns);

	return n && ccp_streq(ccp_json_str(json_array_get(thread->turns, n - 1), "id"), turn->id);
}

const char *ccp_turn_outcome(const struct ccp_codex_version *version, const struct ccp_turn *turn,
			     const struct ccp_thread_answer *thread, bool same_process)
{
	if (ccp_codex_has(version, CCP_CODEX_TURN_OUTCOMES) ||
	    !ccp_streq(turn->status, "completed"))
		return turn->status;
	if (!same_process || !thread->status || !is_last(thread, turn))
		return NULL;
	return ccp_streq(thread->status, "systemError") ? "failed" : "completed";
}

bool ccp_turn_has_client_id(const struct ccp_turn *turn, const char *client_message_id)
{
	json_t *item;
	size_t i;

	json_array_foreach (turn->items, i, item) {
		const char *id = ccp_json_str(item, "clientId");

		if (id && strcmp(id, client_message_id) == 0 &&
		    ccp_streq(ccp_json_str(item, "type"), "userMessage"))
			return true;
	}
	return false;
}
