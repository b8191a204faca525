#include "service/command.h"

#include <string.h>

#include "base/crash_point.h"
#include "base/json.h"
#include "base/str.h"

#define BUSY_PATIENCE_MS 10000
/* The worker that has begun a command at its deadline has its commit by then. */
#define DEADLINE_GRACE_MS 2000
#define POLL_SECONDS      2

static const struct {
	const char *kind, *tool;
} kinds[] = {
	{ "interrupt", "codex_interrupt_turn" },
};

const char *ccp_command_tool(const char *kind)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(kinds); i++)
		if (ccp_streq(kinds[i].kind, kind))
			return kinds[i].tool;
	return kind;
}

const char *ccp_command_status(const struct ccp_command *command, int64_t now)
{
	bool late = command->deadline && now > command->deadline + DEADLINE_GRACE_MS;

	return late && ccp_streq(command->status, "queued") ? "timed_out" : command->status;
}

bool ccp_command_is_over(const struct ccp_command *command, int64_t now)
{
	const char *status = ccp_command_status(command, now);

	return !ccp_streq(status, "queued") && !ccp_streq(status, "running");
}

static json_t *stored_json(const char *text)
{
	json_t *value = NULL;

	if (text)
		(void)ccp_json_parse(text, strlen(text), 0, &value, NULL);
	return value;
}

void ccp_command_describe(json_t **obj, const struct ccp_command *command, int64_t now)
{
	json_auto_t *error = stored_json(command->error);

	ccp_json_set_str(obj, "commandId", command->id);
	ccp_json_set_str(obj, "commandType", ccp_command_tool(command->kind));
	ccp_json_set_str(obj, "status", ccp_command_status(command, now));
	ccp_json_set_str(obj, "operationId", command->op_id);
	ccp_json_set_time(obj, "createdAt", command->created_at);
	ccp_json_set_time(obj, "updatedAt", command->updated_at);
	ccp_json_set_time(obj, "completedAt", command->completed_at);
	ccp_json_set_str(obj, "lastError", ccp_json_str(error, "message"));
}

json_t *ccp_command_ack(const struct ccp_command *command, int64_t now)
{
	json_t *o = json_object();

	ccp_json_set_bool(&o, "ok", true);
	ccp_json_set_str(&o, "commandId", command->id);
	ccp_json_set_str(&o, "commandType", ccp_command_tool(command->kind));
	ccp_json_set_str(&o, "operationId", command->op_id);
	ccp_json_set_str(&o, "status", ccp_command_status(command, now));
	ccp_json_set_str(&o, "nextRecommendedAction", "poll_worker_command");
	ccp_json_set_int(&o, "recommendedPollAfterSeconds", POLL_SECONDS);
	ccp_json_set_bool(&o, "pollRecommended", true);
	return o;
}

/* Asking */

static int write_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_command_request *request = data;
	int64_t now = ccp_clock_wall(ccp_context_clock(request->call->cp));
	char id[CCP_ID_SIZE];
	const struct ccp_command command = {
		.id = id,
		.kind = (char *)request->kind,
		.status = (char *)"queued",
		.op_id = request->op_id[0] ? request->op_id : NULL,
		.deadline = request->valid_ms ? now + request->valid_ms : 0,
		.created_at = now,
		.updated_at = now,
	};
	int r = request->ask(db, request, err);

	/* Tried again, and this time there is nothing to do. */
	request->id[0] = '\0';
	if (r <= 0)
		return r;
	ccp_id_new("cmd_", id);
	r = ccp_command_insert(db, &command, err);
	if (r == 0)
		memcpy(request->id, id, sizeof(id));
	CCP_CRASH_POINT("ask", request->kind, "before");
	return r;
}

/* Waiting */

static const struct ccp_handled *fail_as_stored(struct ccp_call *call,
						const struct ccp_command *command)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *error = stored_json(command->error);

	if (error)
		ccp_error_from_json(error, &err);
	else
		ccp_fail(&err, CODEXCP_E_TIMEOUT, "no worker has begun the command in time");
	ccp_error_add_str(&err, "commandId", command->id);
	return ccp_call_fail(call, &err);
}

static const struct ccp_handled *answer_late(struct ccp_call *call,
					     const struct ccp_command *command, int64_t now)
{
	json_t *ack = ccp_command_ack(command, now);
	const char *trouble = ccp_context_trouble(call->cp);

	if (trouble) {
		json_t *state = json_object();

		ccp_json_set_str(&state, "problem", trouble);
		ccp_json_set_new(&ack, "workerState", state);
	}
	return ccp_call_reply(call, ack);
}

/* NULL: still waiting. */
static const struct ccp_handled *look_once(struct ccp_command_request *request, bool late)
{
	struct ccp_call *call = request->call;
	_cleanup_command_ struct ccp_command command = { 0 };
	_cleanup_error_ struct codexcp_error err = { 0 };
	int64_t now = ccp_clock_wall(ccp_context_clock(call->cp));
	const struct ccp_handled *token;
	int r = 0;

	if (request->id[0])
		r = ccp_command_get(call->cp->reader, request->id, &command, &err);
	if (r < 0)
		return ccp_call_fail(call, &err);
	if (r == 1 && ccp_command_is_over(&command, now) && !ccp_streq(command.status, "completed"))
		return fail_as_stored(call, &command);
	token = request->look(request, r == 1 ? &command : NULL, late);
	return token || !late || r == 0 ? token : answer_late(call, &command, now);
}

static void look(struct ccp_call *call)
{
	struct ccp_command_request *request = call->state;
	int64_t now = ccp_clock_boot(ccp_context_clock(call->cp));
	bool late = now >= request->until || call->cp->finishing;

	if (!look_once(request, late))
		ccp_timer_start(call->timer, CCP_MAX(request->until - now, 1));
}

static void on_timer(void *data)
{
	look(data);
}

static void written(const struct codexcp_error *err, void *data)
{
	struct ccp_command_request *request = data;
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = request->call;

	CCP_CRASH_POINT("ask", request->kind, "after");
	if (call->answered)
		return;
	if (err) {
		ccp_handled(ccp_call_fail(call, err));
		return;
	}
	ccp_context_ring(call->cp);
	call->look = look;
	look(call);
}

int ccp_command_request(struct ccp_command_request *request, struct codexcp_error *err)
{
	struct ccp_call *call = request->call;
	int r;

	request->until = call->started_ms + request->timeout_ms;
	ccp_timer_free(TAKE_PTR(call->timer));
	r = ccp_timer_new(call->cp->loop, on_timer, call, &call->timer, err);
	if (r < 0)
		return r;
	ccp_call_ref(call);
	r = ccp_txq_add(call->cp->txq, write_tx, written, request, BUSY_PATIENCE_MS, err);
	if (r < 0)
		ccp_call_unref(call);
	return r;
}
