#include "service/task.h"

#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "domain/input.h"
#include "domain/prompt.h"
#include "domain/roots.h"
#include "service/policy.h"
#include "service/recursion.h"

#define PROJECTS_MAX 1000

/* Where: the thread's own place when only the thread is named and we know it. */

static int add_known(const char *path, const char *project_id, int64_t last_at, void *data)
{
	return ccp_project_list_add(data, PROJECTS_MAX, path, ccp_path_base(path), "operations",
				    last_at, NULL);
}

static int resolve_place(struct codexcp *cp, const struct ccp_task *task,
			 struct ccp_place *ret_place, struct codexcp_error *err)
{
	const struct ccp_project_places places = ccp_context_places(cp);
	_cleanup_(ccp_project_list_done) struct ccp_project_list known = { 0 };
	_cleanup_op_ struct ccp_op earlier = { 0 };
	const char *cwd = task->cwd;
	struct ccp_db *db = NULL;
	int r = ccp_state_reader(cp, &db, err);

	if (r == 1 && !cwd && !task->project_id && task->thread_id &&
	    ccp_op_get_by_turn(db, task->thread_id, NULL, &earlier, NULL) == 1)
		cwd = earlier.cwd;
	if (r == 1 && task->project_id)
		(void)ccp_op_each_project(db, add_known, &known, NULL);
	return r < 0 ? r
		     : ccp_place_resolve(&places, cwd, task->project_id, &known, ret_place, err);
}

static int set_place(struct codexcp *cp, const struct ccp_task *task, struct ccp_op *op,
		     struct codexcp_error *err)
{
	_cleanup_(ccp_place_done) struct ccp_place place = { 0 };
	int r = resolve_place(cp, task, &place, err);

	if (r < 0)
		return r;
	if (!ccp_strdup_opt(place.cwd, &op->cwd) ||
	    !ccp_strdup_opt(place.root, &op->allowed_root) ||
	    !ccp_strdup_opt(place.project_id, &op->project_id) ||
	    !ccp_strdup_opt(place.project_path, &op->project_path))
		return ccp_fail_oom(err);
	return 0;
}

/* What is sent beside the text */

static int dump_opt(const json_t *value, char **ret, struct codexcp_error *err)
{
	*ret = value ? ccp_json_dump(value, NULL) : NULL;
	return value && !*ret ? ccp_fail_oom(err) : 0;
}

static int check_items(struct codexcp *cp, const json_t *items, const char *cwd, json_t **ret_items,
		       struct codexcp_error *err)
{
	const struct ccp_project_places places = ccp_context_places(cp);
	_cleanup_(ccp_roots_done) struct ccp_roots roots = { 0 };
	int r = ccp_roots_init(&roots, &places, err);
	const struct ccp_input_limits limits = {
		.max_items = cp->config->max_image_input_items,
		.max_bytes = cp->config->max_image_input_bytes,
		.cwd = cwd,
		.allowed_roots = (const char *const *)roots.paths,
	};

	return r < 0 ? r : ccp_input_items_check(items, &limits, ret_items, err);
}

static int set_inputs(struct codexcp *cp, const struct ccp_task *task, struct ccp_submit *submit,
		      json_t **ret_items, struct codexcp_error *err)
{
	struct ccp_op_request *request = &submit->request;
	int r = json_array_size(task->input_items)
			? check_items(cp, task->input_items, submit->op.cwd, ret_items, err)
			: 0;

	if (r == 0 && task->output_schema)
		r = ccp_output_schema_check(task->output_schema, err);
	if (r == 0)
		r = dump_opt(*ret_items, &request->input_items, err);
	if (r == 0)
		r = dump_opt(task->output_schema, &request->output_schema, err);
	return r;
}

static int set_prompt(const struct ccp_task *task, const json_t *items, struct ccp_submit *submit,
		      struct codexcp_error *err)
{
	struct ccp_op *op = &submit->op;
	char hash[CCP_SHA256_HEX];
	int r = ccp_prompt_hash(task->message, task->output_schema, items, hash, err);

	if (r < 0)
		return r;
	submit->check_prompt = task->check_prompt;
	submit->continue_completed = task->continue_completed;
	op->prompt_guards = task->check_prompt;
	/* New threads compare with each other within a project. */
	op->prompt_scope = task->thread_id ? strdup(task->thread_id)
					   : ccp_asprintf("new:%s", op->project_path);
	if (!op->prompt_scope || !ccp_strdup_opt(hash, &op->prompt_hash) ||
	    !ccp_strdup_opt(task->thread_id, &op->thread_id))
		return ccp_fail_oom(err);
	return 0;
}

static int set_plain(const struct ccp_task *task, struct ccp_op *op, struct codexcp_error *err)
{
	op->priority = task->priority;
	op->request_timeout_ms = task->request_timeout_ms;
	op->max_continuations = task->max_continuations;
	if (!ccp_strdup_opt(task->type, &op->type) ||
	    !ccp_strdup_opt(task->agent_id, &op->agent_id) ||
	    !ccp_strdup_opt(task->title, &op->title) ||
	    !ccp_strdup_opt(task->on_interruption, &op->on_interruption) ||
	    !ccp_strdup_opt(task->cost_class, &op->cost_class) ||
	    !ccp_strdup_opt(task->mode, &op->mode))
		return ccp_fail_oom(err);
	return dump_opt(task->resource_keys, &op->resource_keys, err);
}

/* On whose behalf, and what that turn may do itself: no task permits more than the one that started
 * it. */
static int set_parent(struct ccp_call *call, struct ccp_op *op, const char **ret_ceiling,
		      struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op parent = { 0 };
	int r = ccp_recursion_parent(call, &parent, err);

	*ret_ceiling = call->caller_sandbox;
	if (r < 0 || !call->caller_thread_id)
		return r;
	/* A Codex turn of which nothing more is known. */
	if (!*ret_ceiling)
		*ret_ceiling = ccp_sandbox_name(CCP_SANDBOX_READ_ONLY);
	if (r == 0)
		return 0;
	if (!call->caller_sandbox && ccp_op_sandbox(&parent) != CCP_SANDBOX_UNSET)
		*ret_ceiling = ccp_sandbox_name(ccp_op_sandbox(&parent));
	op->depth = parent.depth + 1;
	return ccp_row_set(&op->parent_id, parent.id, err);
}

static int set_policy(struct ccp_call *call, const struct ccp_task *task, struct ccp_submit *submit,
		      struct codexcp_error *err)
{
	struct ccp_policy_request request = {
		.sandbox = task->sandbox,
		.approval = task->approval,
		.model = task->model,
		.known_thread = task->thread_id,
	};
	int r = set_parent(call, &submit->op, &request.caller_sandbox, err);

	submit->sandbox_named = task->sandbox;
	submit->approval_named = task->approval;
	submit->model_named = task->model;
	return r < 0 ? r : ccp_policy_resolve(call->cp->config, &request, &submit->op, err);
}

int ccp_task_identify(const struct ccp_task *task, const json_t *meaning, struct ccp_submit *submit,
		      struct codexcp_error *err)
{
	char hash[CCP_SHA256_HEX];

	if (!meaning || !ccp_sha256_json(meaning, hash) ||
	    !(submit->request.arguments = ccp_json_dump(meaning, NULL)) ||
	    !ccp_strdup_opt(hash, &submit->op.request_hash) ||
	    !ccp_strdup_opt(task->client_request_id, &submit->op.client_request_id) ||
	    !ccp_strdup_opt(task->message, &submit->request.message))
		return ccp_fail_oom(err);
	return 0;
}

int ccp_task_check(struct ccp_call *call, const struct ccp_task *task, struct ccp_submit *submit,
		   struct codexcp_error *err)
{
	json_auto_t *items = NULL;
	int r = set_place(call->cp, task, &submit->op, err);

	if (r == 0)
		r = set_plain(task, &submit->op, err);
	if (r == 0)
		r = set_policy(call, task, submit, err);
	if (r == 0)
		r = set_inputs(call->cp, task, submit, &items, err);
	if (r == 0)
		r = set_prompt(task, items, submit, err);
	return r;
}
