/*
 * codex_submit_task: check everything that can be checked, write one row, answer. Nothing is
 * started before the row is on disk, and nothing that cannot be started makes a submit fail.
 */
#include <string.h>

#include "base/crash_point.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "domain/input.h"
#include "domain/op_create.h"
#include "domain/prompt.h"
#include "domain/roots.h"
#include "service/policy.h"
#include "service/recursion.h"
#include "service/tool.h"

#define BUSY_PATIENCE_MS 10000
#define PROJECTS_MAX     1000

enum operation_type { START_CHAT, SEND_MESSAGE };
static const char *const operation_types[] = { "start_chat", "send_message", NULL };
enum thread_mode { NEW_THREAD, CONTINUE_THREAD, AUTO_THREAD };
static const char *const thread_modes[] = { "new_thread", "continue_thread", "auto", NULL };
static const char *const priorities[] = { "low", "normal", "high", NULL };
static const char *const cost_classes[] = { "light", "normal", "heavy", NULL };
enum dedup_policy { IDEMPOTENCY_ONLY, ACTIVE_PROMPT_GUARD, PARALLEL_WITH_KEYS };
static const char *const dedup_policies[] = { "idempotency_only", "active_prompt_guard",
					      "allow_parallel_with_resource_keys", NULL };
static const char *const collaboration_modes[] = { "default", "plan", NULL };

enum on_interruption { REPORT, CONTINUE };
static const char *const on_interruptions[] = { "report", "continue", NULL };

struct submit_args {
	int operation_type, thread_mode, dedup_policy, priority, estimated_cost_class,
		approval_policy, sandbox, collaboration_mode, on_interruption;
	const char *message, *client_request_id, *agent_id, *project_id, *chat_id, *thread_id,
		*title, *cwd, *model;
	json_t *resource_keys, *input_items, *output_schema;
	bool allow_historical_continuation, unused_flag;
	int64_t timeout_seconds, max_continuations, unused_number;
	/* Of operation types that are not there yet. */
	const char *workflow_id, *source_thread_id, *expected_turn_id;
	json_t *fork_config;
	bool ephemeral;
};
const size_t ccp_submit_args_size = sizeof(struct submit_args);

#define ARGS     struct submit_args
#define NULLABLE .flags = CCP_FIELD_NULLABLE
#define LATER    .flags = CCP_FIELD_NULLABLE | CCP_FIELD_HIDDEN
const struct ccp_field ccp_submit_fields[] = {
	CCP_FIELD_ENUM(ARGS, operation_type, operation_types, .flags = CCP_FIELD_REQUIRED),
	CCP_FIELD_STRING(ARGS, message, .flags = CCP_FIELD_REQUIRED | CCP_FIELD_NONBLANK, .min = 1,
			 .max = 200000),
	CCP_FIELD_STRING(ARGS, cwd, NULLABLE, .doc = "start_chat: cwd or project_id"),
	CCP_FIELD_STRING(ARGS, project_id, NULLABLE),
	CCP_FIELD_STRING(ARGS, thread_id, NULLABLE, .doc = "send_message: the thread"),
	CCP_FIELD_STRING(ARGS, chat_id, NULLABLE, .doc = "same as thread_id"),
	CCP_FIELD_STRING(ARGS, client_request_id, NULLABLE, .min = 1, .max = 300,
			 .doc = "retry with the same id: no second turn"),
	CCP_FIELD_ENUM(ARGS, sandbox, ccp_sandbox_choices, NULLABLE),
	CCP_FIELD_ENUM(ARGS, approval_policy, ccp_approval_choices, NULLABLE),
	CCP_FIELD_STRING(ARGS, model, NULLABLE),
	CCP_FIELD_STRING(ARGS, title, NULLABLE, .max = 500),
	CCP_FIELD_OBJECT(ARGS, output_schema, NULLABLE),
	{ .name = "input_items",
	  .type = CCP_TYPE_ARRAY,
	  NULLABLE,
	  .max = 10,
	  .offset = offsetof(ARGS, input_items),
	  .doc = "images: {type:image,url} or {type:localImage,path}" },
	CCP_FIELD_ENUM(ARGS, collaboration_mode, collaboration_modes, NULLABLE),
	CCP_FIELD_ENUM(ARGS, thread_mode, thread_modes, NULLABLE),
	CCP_FIELD_ENUM(ARGS, dedup_policy, dedup_policies, NULLABLE),
	CCP_FIELD_BOOL(ARGS, allow_historical_continuation),
	CCP_FIELD_STRING(ARGS, agent_id, NULLABLE, .max = 200),
	CCP_FIELD_STRINGS(ARGS, resource_keys, NULLABLE, .max = 50, .item_max = 300),
	CCP_FIELD_ENUM(ARGS, priority, priorities, .def = 2),
	CCP_FIELD_ENUM(ARGS, estimated_cost_class, cost_classes, .def = 2),
	CCP_FIELD_INT(ARGS, timeout_seconds, .def = 300, .min = 1, .max = 7200,
		      .doc = "of one request, not of the turn"),
	CCP_FIELD_ENUM(ARGS, on_interruption, on_interruptions, .def = 1,
		       .doc = "continue: a turn cut by the death of Codex goes on in a new one"),
	CCP_FIELD_INT(ARGS, max_continuations, .def = 1, .max = 10),
	/* Existing clients send them with every task; they mean nothing to the types above. */
	{ .name = "force",
	  .type = CCP_TYPE_BOOL,
	  .flags = CCP_FIELD_HIDDEN,
	  .offset = offsetof(ARGS, unused_flag) },
	{ .name = "first_message_max_chars",
	  .type = CCP_TYPE_INT,
	  .flags = CCP_FIELD_HIDDEN,
	  .offset = offsetof(ARGS, unused_number) },
	CCP_FIELD_STRING(ARGS, workflow_id, LATER),
	CCP_FIELD_STRING(ARGS, source_thread_id, LATER),
	CCP_FIELD_STRING(ARGS, expected_turn_id, LATER),
	CCP_FIELD_OBJECT(ARGS, fork_config, LATER),
	CCP_FIELD_BOOL(ARGS, ephemeral, LATER),
	CCP_FIELD_END
};
#undef LATER
#undef ARGS

/* What the call keeps until the row is written. */
struct submission {
	struct ccp_call *call;
	struct ccp_submit submit;
	struct ccp_submitted submitted;
};

static void submission_done(void *data)
{
	struct submission *s = data;

	ccp_submit_done(&s->submit);
	ccp_submitted_done(&s->submitted);
	free(s);
}

/* Checking what belongs together */

static const char *thread_argument(const struct submit_args *args)
{
	return args->thread_id ? args->thread_id : args->chat_id;
}

/* Clients that send every argument send these as null or false. */
static int check_later(const struct submit_args *args, struct codexcp_error *err)
{
	const struct {
		const char *name;
		bool given;
	} later[] = {
		{ "workflow_id", args->workflow_id },
		{ "source_thread_id", args->source_thread_id },
		{ "expected_turn_id", args->expected_turn_id },
		{ "fork_config", args->fork_config },
		{ "ephemeral", args->ephemeral },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(later); i++)
		if (later[i].given)
			return ccp_fail_argument(err, later[i].name,
						 "nothing, for start_chat and send_message", NULL);
	return 0;
}

static int check_target(const struct submit_args *args, struct codexcp_error *err)
{
	const char *thread = thread_argument(args);

	if (args->thread_id && args->chat_id && !ccp_streq(args->thread_id, args->chat_id))
		return ccp_fail_argument(err, "chat_id",
					 "the same as thread_id, or only one of them", NULL);
	if (args->operation_type == SEND_MESSAGE && !thread)
		return ccp_fail_argument(err, "thread_id", "the thread that the message goes to",
					 NULL);
	if (args->operation_type == START_CHAT && thread)
		return ccp_fail_argument(err, "operation_type",
					 "send_message, when a thread is named", "send_message");
	if (args->operation_type == START_CHAT && args->thread_mode == CONTINUE_THREAD)
		return ccp_fail_argument(err, "thread_mode", "new_thread or auto for start_chat",
					 NULL);
	if (args->operation_type == SEND_MESSAGE && args->thread_mode == NEW_THREAD)
		return ccp_fail_argument(err, "thread_mode",
					 "continue_thread or auto for send_message", NULL);
	return 0;
}

/* Where: the thread's own place when only the thread is named and we know it. */

static int add_known(const char *path, const char *project_id, int64_t last_at, void *data)
{
	return ccp_project_list_add(data, PROJECTS_MAX, path, ccp_path_base(path), "operations",
				    last_at, NULL);
}

static int resolve_place(struct codexcp *cp, const struct submit_args *args,
			 struct ccp_place *ret_place, struct codexcp_error *err)
{
	const struct ccp_project_places places = ccp_context_places(cp);
	_cleanup_(ccp_project_list_done) struct ccp_project_list known = { 0 };
	_cleanup_op_ struct ccp_op earlier = { 0 };
	const char *cwd = args->cwd, *thread = thread_argument(args);
	struct ccp_db *db = NULL;
	int r = ccp_state_reader(cp, &db, err);

	if (r == 1 && !cwd && !args->project_id && thread &&
	    ccp_op_get_by_turn(db, thread, NULL, &earlier, NULL) == 1)
		cwd = earlier.cwd;
	if (r == 1 && args->project_id)
		(void)ccp_op_each_project(db, add_known, &known, NULL);
	return r < 0 ? r
		     : ccp_place_resolve(&places, cwd, args->project_id, &known, ret_place, err);
}

static int set_place(struct ccp_op *op, const struct ccp_place *place, struct codexcp_error *err)
{
	if (!ccp_strdup_opt(place->cwd, &op->cwd) ||
	    !ccp_strdup_opt(place->root, &op->allowed_root) ||
	    !ccp_strdup_opt(place->project_id, &op->project_id) ||
	    !ccp_strdup_opt(place->project_path, &op->project_path))
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

static int set_inputs(struct codexcp *cp, const struct submit_args *args,
		      struct ccp_op_request *request, const char *cwd, json_t **ret_items,
		      struct codexcp_error *err)
{
	int r = json_array_size(args->input_items)
			? check_items(cp, args->input_items, cwd, ret_items, err)
			: 0;

	if (r == 0 && args->output_schema)
		r = ccp_output_schema_check(args->output_schema, err);
	if (r == 0)
		r = dump_opt(*ret_items, &request->input_items, err);
	if (r == 0)
		r = dump_opt(args->output_schema, &request->output_schema, err);
	return r;
}

static int set_prompt(struct ccp_submit *submit, const struct submit_args *args,
		      const json_t *items, struct codexcp_error *err)
{
	struct ccp_op *op = &submit->op;
	const char *thread = thread_argument(args);
	char hash[CCP_SHA256_HEX];
	int r = ccp_prompt_hash(args->message, args->output_schema, items, hash, err);

	if (r < 0)
		return r;
	submit->check_prompt = args->dedup_policy != IDEMPOTENCY_ONLY;
	op->prompt_guards = submit->check_prompt;
	submit->continue_completed = args->operation_type == START_CHAT &&
				     args->thread_mode == AUTO_THREAD &&
				     args->allow_historical_continuation;
	/* New threads compare with each other within a project. */
	op->prompt_scope = thread ? strdup(thread) : ccp_asprintf("new:%s", op->project_path);
	if (!op->prompt_scope || !ccp_strdup_opt(hash, &op->prompt_hash) ||
	    !ccp_strdup_opt(thread, &op->thread_id))
		return ccp_fail_oom(err);
	return 0;
}

static int set_request(struct ccp_submit *submit, const struct submit_args *args,
		       const json_t *arguments, struct codexcp_error *err)
{
	json_auto_t *meaning = ccp_request_meaning(arguments);
	char hash[CCP_SHA256_HEX];

	if (!meaning || !ccp_sha256_json(meaning, hash) ||
	    !(submit->request.arguments = ccp_json_dump(meaning, NULL)) ||
	    !ccp_strdup_opt(hash, &submit->op.request_hash) ||
	    !ccp_strdup_opt(args->message, &submit->request.message))
		return ccp_fail_oom(err);
	return 0;
}

static int set_plain(struct ccp_op *op, const struct submit_args *args, struct codexcp_error *err)
{
	op->priority = args->priority;
	op->request_timeout_ms = args->timeout_seconds * 1000;
	op->max_continuations = args->max_continuations;
	if (!ccp_strdup_opt(operation_types[args->operation_type], &op->type) ||
	    !ccp_strdup_opt(args->client_request_id, &op->client_request_id) ||
	    !ccp_strdup_opt(args->agent_id, &op->agent_id) ||
	    !ccp_strdup_opt(args->title, &op->title) ||
	    !ccp_strdup_opt(args->on_interruption == CONTINUE ? "continue" : NULL,
			    &op->on_interruption) ||
	    !ccp_strdup_opt(cost_classes[args->estimated_cost_class], &op->cost_class) ||
	    !ccp_strdup_opt(args->collaboration_mode < 0
				    ? NULL
				    : collaboration_modes[args->collaboration_mode],
			    &op->mode))
		return ccp_fail_oom(err);
	return dump_opt(args->resource_keys, &op->resource_keys, err);
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

static int set_policy(struct ccp_call *call, struct ccp_submit *submit,
		      const struct submit_args *args, struct codexcp_error *err)
{
	struct ccp_policy_request request = {
		.sandbox = args->sandbox < 0 ? NULL : ccp_sandbox_choices[args->sandbox],
		.approval = args->approval_policy < 0 ? NULL
						      : ccp_approval_choices[args->approval_policy],
		.model = args->model,
		.known_thread = args->operation_type == SEND_MESSAGE,
	};
	int r = set_parent(call, &submit->op, &request.caller_sandbox, err);

	submit->sandbox_named = request.sandbox;
	submit->approval_named = request.approval;
	submit->model_named = request.model;
	return r < 0 ? r : ccp_policy_resolve(call->cp->config, &request, &submit->op, err);
}

static int fill(struct ccp_call *call, const struct submit_args *args, struct ccp_submit *submit,
		struct codexcp_error *err)
{
	_cleanup_(ccp_place_done) struct ccp_place place = { 0 };
	json_auto_t *items = NULL;
	struct ccp_op *op = &submit->op;
	int r = resolve_place(call->cp, args, &place, err);

	if (r == 0)
		r = set_place(op, &place, err);
	if (r == 0)
		r = set_plain(op, args, err);
	if (r == 0)
		r = set_policy(call, submit, args, err);
	if (r == 0)
		r = set_inputs(call->cp, args, &submit->request, place.cwd, &items, err);
	if (r == 0)
		r = set_prompt(submit, args, items, err);
	return r;
}

/* Writing */

static int submit_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct submission *s = data;
	struct codexcp *cp = s->call->cp;
	int r;

	ccp_submitted_done(&s->submitted);
	r = ccp_state_check_home(db, cp->config, err);
	if (r >= 0)
		r = ccp_op_submit(db, ccp_context_clock(cp), &s->submit, &s->submitted, err);
	CCP_CRASH_POINT("submit", "commit", "before");
	return r;
}

static json_t *acknowledgement(struct submission *s, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op op = { 0 };
	struct codexcp *cp = s->call->cp;
	struct ccp_view view = ccp_compact_view();
	json_t *answer = NULL;
	int r = ccp_op_get(cp->db, s->submitted.id, &op, err);

	if (r == 1)
		answer = ccp_operation_answer(cp, cp->db, &op, &view, err);
	if (r < 0 || !answer)
		return NULL;
	ccp_json_set_bool(&answer, "idempotent", s->submitted.existed);
	if (s->submitted.existed)
		ccp_json_set_str(&answer, "idempotencyScope", "operation");
	ccp_json_set(&answer, "similarActiveOperations", s->submitted.similar);
	if (s->submitted.continued[0]) {
		ccp_json_set_bool(&answer, "deduplicated", true);
		ccp_json_set_str(&answer, "dedupAction", "continued_existing_chat");
		ccp_json_set_str(&answer, "existingOperationId", s->submitted.continued);
	}
	return answer;
}

static void submitted(const struct codexcp_error *err, void *data)
{
	struct submission *s = data;
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = s->call;
	_cleanup_error_ struct codexcp_error failed = { 0 };
	json_t *answer;

	CCP_CRASH_POINT("submit", "commit", "after");
	answer = err ? NULL : acknowledgement(s, &failed);
	if (!err && !failed.code) {
		CCP_CRASH_POINT("submit", "answer", "before");
		ccp_handled(ccp_call_reply(call, answer));
		CCP_CRASH_POINT("submit", "answer", "after");
		/* Only now: the answer does not wait for anybody to be started. */
		ccp_context_ring(call->cp);
		return;
	}
	ccp_handled(ccp_call_fail(call, err ? err : &failed));
}

/* A retry is answered before anything is checked that may have changed since: the directory may be
 * gone. */
static int answer_retry(struct ccp_call *call, const struct submit_args *args, struct submission *s,
			struct codexcp_error *err)
{
	return ccp_op_find_request(call->cp->reader, args->client_request_id,
				   s->submit.op.request_hash, s->submit.request.arguments,
				   s->submitted.id, err);
}

CCP_TOOL_HANDLER(ccp_tool_submit_task)
{
	const struct submit_args *args = arguments;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct submission *s = calloc(1, sizeof(*s));
	int r = s ? check_later(args, &err) : ccp_fail_oom(&err);

	call->state = s;
	call->done = s ? submission_done : NULL;
	if (r == 0)
		r = check_target(args, &err);
	if (r == 0)
		r = set_request(&s->submit, args, call->arguments, &err);
	if (r == 0)
		r = answer_retry(call, args, s, &err);
	if (r == 1) {
		s->call = ccp_call_ref(call);
		s->submitted.existed = true;
		submitted(NULL, s);
		return ccp_call_later(call);
	}
	if (r == 0)
		r = fill(call, args, &s->submit, &err);
	if (r == 0) {
		s->call = ccp_call_ref(call);
		r = ccp_txq_add(cp->txq, submit_tx, submitted, s, BUSY_PATIENCE_MS, &err);
		if (r < 0)
			ccp_call_unref(call);
	}
	return r < 0 ? ccp_call_fail(call, &err) : ccp_call_later(call);
}
