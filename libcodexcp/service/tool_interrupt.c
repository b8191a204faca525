/*
 * codex_interrupt_turn: the wish is written into the operation's row. One that waits or starts has
 * ended with that; a running turn is stopped by the worker, and the answer waits until it has ended
 * (or for timeout_seconds).
 */
#include <string.h>

#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/op_apply.h"
#include "domain/terminals.h"
#include "service/tool.h"
#include "store/worker_store.h"

#define BUSY_PATIENCE_MS 10000

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

struct interrupt {
	struct ccp_call *call;
	char op_id[CCP_ID_SIZE], command_id[CCP_ID_SIZE];
	bool commanded; /* a worker has to stop the turn */
	int64_t until;  /* boot clock */
};

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

static int insert_command(struct ccp_db *db, struct interrupt *interrupt, struct codexcp_error *err)
{
	int64_t now = ccp_clock_wall(ccp_context_clock(interrupt->call->cp));
	const struct ccp_command command = {
		.id = interrupt->command_id,
		.kind = (char *)"interrupt",
		.status = (char *)"queued",
		.op_id = interrupt->op_id,
		.created_at = now,
		.updated_at = now,
	};

	return ccp_command_insert(db, &command, err);
}

static int interrupt_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct interrupt *interrupt = data;
	_cleanup_(ccp_op_outcome_done) struct ccp_op_outcome outcome = { 0 };
	int r = ccp_op_apply(db, ccp_context_clock(interrupt->call->cp), interrupt->op_id,
			     CCP_OP_INTERRUPT, NULL, &outcome, err);

	interrupt->commanded = outcome.effects & CCP_EFFECT_SEND_INTERRUPT;
	return r == 0 && interrupt->commanded ? insert_command(db, interrupt, err) : r;
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

/* Codex refused to stop it: 1 and why. */
static int command_failed(struct codexcp *cp, const struct interrupt *interrupt,
			  struct codexcp_error *ret_why)
{
	_cleanup_command_ struct ccp_command command = { 0 };
	json_auto_t *error = NULL;

	if (!interrupt->commanded ||
	    ccp_command_get(cp->reader, interrupt->command_id, &command, NULL) != 1 ||
	    !ccp_streq(command.status, "failed"))
		return 0;
	if (command.error)
		(void)ccp_json_parse(command.error, strlen(command.error), 0, &error, NULL);
	ccp_fail(ret_why, CODEXCP_E_SEND_FAILED, "%s",
		 error ? ccp_json_str(error, "message") : "the turn could not be interrupted");
	return 1;
}

static const struct ccp_handled *look(struct ccp_call *call)
{
	struct interrupt *interrupt = call->state;
	struct codexcp *cp = call->cp;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	int64_t now = ccp_clock_boot(ccp_context_clock(cp));

	if (ccp_op_get(cp->reader, interrupt->op_id, &op, &err) < 0 ||
	    command_failed(cp, interrupt, &err))
		return ccp_call_fail(call, &err);
	if (!op.active || now >= interrupt->until || cp->finishing)
		return answer(call, &op);
	ccp_timer_start(call->timer, interrupt->until - now);
	return ccp_call_later(call);
}

static void look_again(struct ccp_call *call)
{
	ccp_handled(look(call));
}

static void on_timer(void *data)
{
	look_again(data);
}

static void written(const struct codexcp_error *err, void *data)
{
	struct interrupt *interrupt = data;
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = interrupt->call;

	if (call->answered)
		return;
	if (err) {
		ccp_handled(ccp_call_fail(call, err));
		return;
	}
	ccp_context_ring(call->cp);
	call->look = look_again;
	look_again(call);
}

static int begin(struct codexcp *cp, struct ccp_call *call, struct interrupt *interrupt,
		 struct codexcp_error *err)
{
	int r;

	ccp_timer_free(TAKE_PTR(call->timer));
	r = ccp_timer_new(cp->loop, on_timer, call, &call->timer, err);
	if (r < 0)
		return r;
	interrupt->call = ccp_call_ref(call);
	r = ccp_txq_add(cp->txq, interrupt_tx, written, interrupt, BUSY_PATIENCE_MS, err);
	if (r < 0)
		ccp_call_unref(call);
	return r;
}

CCP_TOOL_HANDLER(ccp_tool_interrupt_turn)
{
	const struct interrupt_args *args = arguments;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	struct interrupt *interrupt = calloc(1, sizeof(*interrupt));
	int r = interrupt ? find_op(cp, args, &op, &err) : ccp_fail_oom(&err);

	call->state = interrupt;
	call->done = free;
	if (r < 0)
		return ccp_call_fail(call, &err);
	/* Repeating it, or asking for one that has ended, changes nothing. */
	if (!op.active)
		return answer(call, &op);
	memcpy(interrupt->op_id, op.id, strlen(op.id) + 1);
	ccp_id_new("cmd_", interrupt->command_id);
	interrupt->until = call->started_ms + args->timeout_seconds * 1000;
	return begin(cp, call, interrupt, &err) < 0 ? ccp_call_fail(call, &err)
						    : ccp_call_later(call);
}
