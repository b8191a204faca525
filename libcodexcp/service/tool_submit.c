/*
 * codex_submit_task: check everything that can be checked, write one row, answer. Nothing is
 * started before the row is on disk, and nothing that cannot be started makes a submit fail.
 */
#include "base/str.h"
#include "service/policy.h"
#include "service/submission.h"
#include "service/tool.h"

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

static const char *choice(const char *const *words, int i)
{
	return i < 0 ? NULL : words[i];
}

static struct ccp_task task_of(const struct submit_args *args)
{
	return (struct ccp_task){
		.type = operation_types[args->operation_type],
		.message = args->message,
		.cwd = args->cwd,
		.project_id = args->project_id,
		.thread_id = thread_argument(args),
		.client_request_id = args->client_request_id,
		.agent_id = args->agent_id,
		.title = args->title,
		.sandbox = choice(ccp_sandbox_choices, args->sandbox),
		.approval = choice(ccp_approval_choices, args->approval_policy),
		.model = args->model,
		.mode = choice(collaboration_modes, args->collaboration_mode),
		.on_interruption = args->on_interruption == CONTINUE ? "continue" : NULL,
		.cost_class = cost_classes[args->estimated_cost_class],
		.resource_keys = args->resource_keys,
		.input_items = args->input_items,
		.output_schema = args->output_schema,
		.priority = args->priority,
		.max_continuations = args->max_continuations,
		.request_timeout_ms = args->timeout_seconds * 1000,
		.check_prompt = args->dedup_policy != IDEMPOTENCY_ONLY,
		.continue_completed = args->operation_type == START_CHAT &&
				      args->thread_mode == AUTO_THREAD &&
				      args->allow_historical_continuation,
	};
}

CCP_TOOL_HANDLER(ccp_tool_submit_task)
{
	const struct submit_args *args = arguments;
	const struct ccp_task task = task_of(args);
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *meaning = ccp_request_meaning(call->arguments);
	int r = check_later(args, &err);

	if (r == 0)
		r = check_target(args, &err);
	if (r == 0)
		r = ccp_submission_send(call, &task, meaning, &err);
	return r < 0 ? ccp_call_fail(call, &err) : ccp_call_later(call);
}
