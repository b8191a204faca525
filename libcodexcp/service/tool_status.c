/*
 * Reading: codex_get_operation_status, codex_get_turn_status, and codex_wait, which is the same
 * status after something worth telling has happened.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "service/tool.h"
#include "service/worker_info.h"
#include "store/journal_store.h"
#include "store/worker_store.h"

static const char *const details[] = { "compact", "full", NULL };
enum detail { DETAIL_COMPACT, DETAIL_FULL };

#define MESSAGE_MAX_CHARS  8000
#define PROGRESS_MAX_CHARS 2000

struct view_args {
	const char *operation_id, *thread_id, *turn_id;
	int detail;
	int64_t last_messages, message_max_chars, message_offset, progress_events,
		progress_max_chars;
	bool include_events;
	int64_t timeout_seconds;
};
const size_t ccp_operation_status_args_size = sizeof(struct view_args);
const size_t ccp_turn_status_args_size = sizeof(struct view_args);
const size_t ccp_wait_args_size = sizeof(struct view_args);

#define ARGS struct view_args
#define ID   .flags = CCP_FIELD_REQUIRED, .min = 1
#define VIEW_FIELDS                                                                                \
	CCP_FIELD_INT(ARGS, last_messages, .def = 10, .min = 1, .max = 50),                        \
		CCP_FIELD_INT(ARGS, message_max_chars, .def = MESSAGE_MAX_CHARS, .min = 500,       \
			      .max = 200000),                                                      \
		CCP_FIELD_INT(ARGS, progress_events, .def = 10, .min = 0, .max = 100),             \
		CCP_FIELD_INT(ARGS, progress_max_chars, .def = PROGRESS_MAX_CHARS, .min = 200,     \
			      .max = 20000),                                                       \
		CCP_FIELD_INT(ARGS, message_offset, .max = INT64_MAX,                              \
			      .doc = "where the text of a long report begins")

const struct ccp_field ccp_operation_status_fields[] = {
	CCP_FIELD_STRING(ARGS, operation_id, ID), CCP_FIELD_ENUM(ARGS, detail, details, .def = 1),
	VIEW_FIELDS, CCP_FIELD_BOOL(ARGS, include_events, .doc = "the operation's timeline"),
	CCP_FIELD_END
};
const struct ccp_field ccp_turn_status_fields[] = {
	CCP_FIELD_STRING(ARGS, turn_id, ID),
	CCP_FIELD_STRING(ARGS, thread_id, .flags = CCP_FIELD_NULLABLE), VIEW_FIELDS, CCP_FIELD_END
};
const struct ccp_field ccp_wait_fields[] = {
	CCP_FIELD_STRING(ARGS, operation_id, ID),
	CCP_FIELD_INT(ARGS, timeout_seconds, .def = 50, .min = 1, .max = 240,
		      .doc = "then the present status is answered; call again"),
	CCP_FIELD_ENUM(ARGS, detail, details, .def = 1), CCP_FIELD_END
};
#undef ARGS

struct ccp_view ccp_compact_view(void)
{
	return (struct ccp_view){ .last_messages = 1,
				  .message_max_chars = MESSAGE_MAX_CHARS,
				  .progress_events = 10,
				  .progress_max_chars = 90 };
}

static struct ccp_view view_of(const struct view_args *args, bool full)
{
	struct ccp_view view = ccp_compact_view();

	view.full = full;
	if (args->message_max_chars)
		view.message_max_chars = args->message_max_chars;
	view.message_offset = args->message_offset;
	if (!full)
		return view;
	view.last_messages = args->last_messages ? args->last_messages : 10;
	view.progress_events = args->progress_max_chars ? args->progress_events : 10;
	view.progress_max_chars = args->progress_max_chars ? args->progress_max_chars
							   : PROGRESS_MAX_CHARS;
	return view;
}

static bool says_crowded(const struct ccp_worker_row *worker)
{
	json_auto_t *said = NULL;

	/* Rarely said, and polls are many. */
	if (!worker->details || !strstr(worker->details, CCP_WORKER_CROWDED) ||
	    !ccp_streq(worker->status, "running"))
		return false;
	said = ccp_worker_read_details(worker);
	return ccp_json_bool(said, CCP_WORKER_CROWDED, false);
}

/* What only a worker knows it says in its row, which is of interest while it lives. */
void ccp_view_worker(struct codexcp *cp, struct ccp_db *db, struct ccp_view *view,
		     struct ccp_worker_row *worker)
{
	const char *own = ccp_context_trouble(cp);

	view->limits = ccp_context_limits(cp);
	view->worker_alive = ccp_context_worker_alive(cp);
	view->worker_trouble = own;
	if (!view->worker_alive || ccp_worker_latest(db, worker, NULL) != 1)
		return;
	view->crowded = says_crowded(worker);
	if (!own)
		view->worker_trouble = worker->last_error;
}

json_t *ccp_operation_answer(struct codexcp *cp, struct ccp_db *db, const struct ccp_op *op,
			     struct ccp_view *view, struct codexcp_error *err)
{
	_cleanup_worker_row_ struct ccp_worker_row worker = { 0 };

	if (op->active)
		ccp_view_worker(cp, db, view, &worker);
	return ccp_op_view(db, ccp_context_clock(cp), op, view, err);
}

static int fail_unknown(const char *argument, const char *id, struct codexcp_error *err)
{
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "no operation %s", id);
	ccp_error_add_str(err, "argument", argument);
	ccp_error_add_str(err, "expected", "an operationId from codex_submit_task");
	ccp_error_add_str(err, "operation_id", id);
	return CODEXCP_E_INVALID_ARGUMENT;
}

/* The row and the connection it was read from. */
static int read_op(struct codexcp *cp, const char *id, struct ccp_op *op, struct ccp_db **ret_db,
		   struct codexcp_error *err)
{
	int r = ccp_state_reader(cp, ret_db, err);

	if (r == 1)
		r = ccp_op_get(*ret_db, id, op, err);
	return r == 0 ? fail_unknown("operation_id", id, err) : CCP_MIN(r, 0);
}

/* Timeline */

static int add_event(const void *at, void *data)
{
	const struct ccp_journal_row *row = at;
	json_t **events = data, *event = json_object();
	json_auto_t *details_json = NULL;

	ccp_json_set_int(&event, "id", row->id);
	ccp_json_set_time(&event, "createdAt", row->at);
	ccp_json_set_str(&event, "category", row->category);
	ccp_json_set_str(&event, "severity", row->severity);
	ccp_json_set_str(&event, "text", row->text);
	if (row->data && ccp_json_parse(row->data, strlen(row->data), 0, &details_json, NULL) == 0)
		ccp_json_set(&event, "details", details_json);
	ccp_json_append_new(events, event);
	return 0;
}

#define EVENTS_MAX 50

static int set_events(json_t **answer, struct ccp_db *db, const char *id, struct codexcp_error *err)
{
	json_t *events = json_array();
	int r = ccp_journal_each(db, id, EVENTS_MAX, add_event, &events, err);

	ccp_json_set_new(answer, "events", events);
	return r;
}

CCP_TOOL_HANDLER(ccp_tool_operation_status)
{
	const struct view_args *args = arguments;
	struct ccp_view view = view_of(args, args->detail == DETAIL_FULL);
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	struct ccp_db *db = NULL;
	json_t *answer = NULL;
	int r = read_op(cp, args->operation_id, &op, &db, &err);

	if (r == 0) {
		answer = ccp_operation_answer(cp, db, &op, &view, &err);
		r = answer ? 0 : CODEXCP_E_INTERNAL;
	}
	if (r == 0 && args->include_events)
		r = set_events(&answer, db, op.id, &err);
	if (r < 0) {
		json_decref(answer);
		return ccp_call_fail(call, &err);
	}
	/* Whoever only polls must not wait for ever for a dead worker. */
	if (op.active)
		ccp_context_need_worker(cp);
	return ccp_call_reply(call, answer);
}

CCP_TOOL_HANDLER(ccp_tool_turn_status)
{
	const struct view_args *args = arguments;
	struct ccp_view view = view_of(args, true);
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_turn_row_ struct ccp_turn_row turn = { 0 };
	struct ccp_db *db = NULL;
	json_t *answer;
	int r = ccp_state_reader(cp, &db, &err);

	if (r == 1)
		r = ccp_turn_get(db, args->thread_id, args->turn_id, &turn, &err);
	if (r == 0) {
		r = ccp_fail(&err, CODEXCP_E_TURN_NOT_FOUND, "no turn %s", args->turn_id);
		ccp_error_add_str(&err, "turn_id", args->turn_id);
	}
	if (r < 0)
		return ccp_call_fail(call, &err);
	if (!turn.completed_at)
		ccp_context_need_worker(cp);
	answer = ccp_turn_view(db, ccp_context_clock(cp), &turn, &view, &err);
	return answer ? ccp_call_reply(call, answer) : ccp_call_fail(call, &err);
}

/* Waiting */

#define PROGRESS_EVERY_MS 5000

struct wait {
	int64_t until, told; /* boot clock */
	char phase[64];
};

static const char *wait_over(struct ccp_call *call, const struct wait *wait,
			     const struct ccp_op *op, int64_t now)
{
	return ccp_op_has_ended(op)                        ? "terminal"
	       : ccp_op_needs_attention(op)                ? "needs_attention"
	       : now >= wait->until || call->cp->finishing ? "timeout"
							   : NULL;
}

static const struct ccp_handled *answer_wait(struct ccp_call *call, struct ccp_db *db,
					     const struct ccp_op *op, const char *reason,
					     int64_t now)
{
	const struct view_args *args = call->args;
	struct ccp_view view = view_of(args, args->detail == DETAIL_FULL);
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *answer = ccp_operation_answer(call->cp, db, op, &view, &err),
	       *waited = json_object();

	ccp_json_set_str(&waited, "reason", reason);
	ccp_json_set_int(&waited, "seconds", (now - call->started_ms) / 1000);
	if (!answer) {
		json_decref(waited);
		return ccp_call_fail(call, &err);
	}
	ccp_json_set_new(&answer, "waited", waited);
	return ccp_call_reply(call, answer);
}

static void tell_progress(struct ccp_call *call, struct wait *wait, const struct ccp_op *op,
			  int64_t now)
{
	char text[200];

	if (ccp_streq(wait->phase, op->phase) && now - wait->told < PROGRESS_EVERY_MS)
		return;
	snprintf(wait->phase, sizeof(wait->phase), "%s", op->phase);
	wait->told = now;
	snprintf(text, sizeof(text), "%s (%d s)", op->status,
		 (int)((now - call->started_ms) / 1000));
	ccp_call_progress(call, text);
}

static const struct ccp_handled *look(struct ccp_call *call)
{
	const struct view_args *args = call->args;
	struct wait *wait = call->state;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_op_ struct ccp_op op = { 0 };
	int64_t now = ccp_clock_boot(ccp_context_clock(call->cp));
	struct ccp_db *db = NULL;
	const char *reason;

	if (read_op(call->cp, args->operation_id, &op, &db, &err) < 0)
		return ccp_call_fail(call, &err);
	reason = wait_over(call, wait, &op, now);
	if (reason)
		return answer_wait(call, db, &op, reason, now);
	tell_progress(call, wait, &op, now);
	ccp_context_need_worker(call->cp);
	ccp_timer_start(call->timer, CCP_MIN(wait->until - now, PROGRESS_EVERY_MS));
	return ccp_call_later(call);
}

static void look_again(struct ccp_call *call)
{
	ccp_handled(look(call));
}

static void on_wait_timer(void *data)
{
	look_again(data);
}

CCP_TOOL_HANDLER(ccp_tool_wait)
{
	const struct view_args *args = arguments;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct wait *wait = calloc(1, sizeof(*wait));
	int r = wait ? 0 : ccp_fail_oom(&err);

	call->state = wait;
	call->done = free;
	ccp_timer_free(TAKE_PTR(call->timer));
	if (r == 0)
		r = ccp_timer_new(cp->loop, on_wait_timer, call, &call->timer, &err);
	if (r < 0)
		return ccp_call_fail(call, &err);
	wait->until = call->started_ms + args->timeout_seconds * 1000;
	call->look = look_again;
	return look(call);
}
