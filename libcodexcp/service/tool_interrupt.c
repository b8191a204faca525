/*
 * codex_interrupt_turn: the wish is written into the operation's row. One that waits or starts has
 * ended with that; a running turn is stopped by the worker, and the answer waits until it has ended
 * (or for timeout_seconds: then it is the command's id, or the operation as it is).
 */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/op_apply.h"
#include "domain/terminals.h"
#include "service/command.h"
#include "service/tool.h"

struct interrupt_args {
	const char *operation_id, *thread_id, *turn_id;
	int64_t timeout_seconds;
};
const size_t ccp_interrupt_args_size = sizeof(struct interrupt_args);

#define ARGS struct interrupt_args
const struct ccp_field ccp_interrupt_fields[] = {
	CCP_FIELD_STRING(ARGS, operation_id, .flags = CCP_FIELD_NULLABLE,
			 .doc = "or thread_id and turn_id"),
	CCP_FIELD_STRING(ARGS, thread_id, .flags = CCP_FIELD_NULLABLE),
	CCP_FIELD_STRING(ARGS, turn_id, .flags = CCP_FIELD_NULLABLE),
	CCP_FIELD_INT(ARGS, timeout_seconds, .def = 30, .min = 1, .max = 120), CCP_FIELD_END
};
#undef ARGS

/* Whose turn it is. */
static int find_op(struct codexcp *cp, const struct interrupt_args *args, struct ccp_op *op,
		   struct codexcp_error *err)
{
	int r;

	if (args->operation_id)
		r = ccp_op_get(cp->reader, args->operation_id, op, err);
	else if (args->thread_id && args->turn_id)
		r = ccp_op_get_by_turn(cp->reader, args->thread_id, args->turn_id, op, err);
	else
		return ccp_fail_argument(err, "operation_id",
					 "an operation, or thread_id and turn_id", NULL);
	if (r != 0)
		return CCP_MIN(r, 0);
	if (args->operation_id)
		return ccp_fail_argument(err, "operation_id",
					 "an operationId from codex_submit_task", NULL);
	ccp_fail(err, CODEXCP_E_TURN_NOT_FOUND,
		 "no operation of this program owns turn %s of thread %s", args->turn_id,
		 args->thread_id);
	ccp_error_add_str(err, "turn_id", args->turn_id);
	return CODEXCP_E_TURN_NOT_FOUND;
}

/* Only a turn that runs needs the worker: what waits or starts has ended with the wish. */
static int ask(struct ccp_db *db, struct ccp_command_request *request, struct codexcp_error *err)
{
	_cleanup_(ccp_op_outcome_done) struct ccp_op_outcome outcome = { 0 };
	int r = ccp_op_apply(db, ccp_context_clock(request->call->cp), request->op_id,
			     CCP_OP_INTERRUPT, NULL, &outcome, err);

	return r < 0 ? r : (outcome.effects & CCP_EFFECT_SEND_INTERRUPT) != 0;
}

static json_t *target(const struct ccp_op *op, const struct interrupt_args *args)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "source", args->operation_id ? "operation" : "direct");
	ccp_json_set_str(&o, "operationId", op->id);
	ccp_json_set_str(&o, "threadId", op->thread_id);
	ccp_json_set_str(&o, "turnId", op->turn_id);
	return o;
}

static const struct ccp_handled *answer(struct ccp_call *call, const struct ccp_op *op)
{
	json_t *payload = json_object();

	ccp_json_set_bool(&payload, "ok", true);
	ccp_json_set_bool(&payload, "interrupted", ccp_streq(op->status, "interrupted"));
	ccp_json_set_str(&payload, "operationId", op->id);
	ccp_json_set_str(&payload, "status", op->status);
	ccp_json_set_str(&payload, "threadId", op->thread_id);
	ccp_json_set_str(&payload, "turnId", op->turn_id);
	ccp_json_set_new(&payload, "interruptedTarget", target(op, call->args));
	ccp_terminals_view(&payload, op);
	ccp_json_set_str(&payload, "nextRecommendedAction",
			 op->active ? "poll_operation_status" : "inspect_diagnostics");
	ccp_json_set_int(&payload, "recommendedPollAfterSeconds", op->active ? 2 : 0);
	ccp_json_set_bool(&payload, "pollRecommended", op->active);
	return ccp_call_reply(call, payload);
}

/* The end is waited for, not only that Codex was told. */
static const struct ccp_handled *look(struct ccp_command_request *request,
				      const struct ccp_command *command, bool late)
{
	struct ccp_call *call = request->call;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	bool told = !command || ccp_streq(command->status, "completed");

	if (ccp_op_get(call->cp->reader, request->op_id, &op, &err) < 0)
		return ccp_call_fail(call, &err);
	return !op.active || (late && told) ? answer(call, &op) : NULL;
}

CCP_TOOL_HANDLER(ccp_tool_interrupt_turn)
{
	const struct interrupt_args *args = arguments;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	struct ccp_command_request *request = calloc(1, sizeof(*request));
	int r = request ? find_op(cp, args, &op, &err) : ccp_fail_oom(&err);

	call->state = request;
	call->done = free;
	if (r < 0)
		return ccp_call_fail(call, &err);
	/* Repeating it, or asking for one that has ended, changes nothing. */
	if (!op.active)
		return answer(call, &op);
	*request = (struct ccp_command_request){ .call = call,
						 .kind = "interrupt",
						 .timeout_ms = args->timeout_seconds * 1000,
						 .ask = ask,
						 .look = look };
	memcpy(request->op_id, op.id, strlen(op.id) + 1);
	return ccp_command_request(request, &err) < 0 ? ccp_call_fail(call, &err)
						      : ccp_call_later(call);
}
