#include "domain/op_status.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "domain/op_machine.h"
#include "domain/queue.h"
#include "domain/slot_view.h"
#include "domain/stall.h"
#include "domain/terminals.h"
#include "store/worker_store.h"

static enum ccp_step step_of(const struct ccp_op *op)
{
	enum ccp_step step;

	/* A phase of a newer program is none that this one could say more about. */
	return ccp_step_parse(op->phase, &step) ? step : CCP_STEP_IS_UNKNOWN;
}

bool ccp_op_has_ended(const struct ccp_op *op)
{
	return !op->active;
}

bool ccp_op_needs_attention(const struct ccp_op *op)
{
	return ccp_step_row(step_of(op))->flags & CCP_STEP_ATTENTION;
}

/* What a queued operation waits for; when that cannot be read, a worker. */
static const char *queued_reason(struct ccp_db *db, const struct ccp_op *op, int64_t now,
				 const struct ccp_view *view)
{
	const char *reason = ccp_queued_reason_name(CCP_QUEUED_WORKER);
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	bool known = view->worker_alive &&
		     ccp_queue_slots(db, &view->limits, now, &slots, NULL) == 0;

	slots.crowded = view->crowded;
	(void)ccp_queue_reason(db, &view->limits, known ? &slots : NULL, op, now, &reason, NULL);
	return reason;
}

static struct ccp_op_quota account_of(struct ccp_db *db)
{
	struct ccp_op_quota quota = { 0 };

	(void)ccp_op_quota(db, &quota, NULL);
	return quota;
}

/* The operation */

static void set_error(json_t **obj, const struct ccp_op *op)
{
	json_t *error;

	if (!op->error_code || ccp_streq(op->status, "completed"))
		return;
	error = json_object();
	ccp_json_set_str(&error, "code", op->error_code);
	ccp_json_set_str(&error, "message", op->error_message);
	ccp_json_set_str(&error, "class", op->error_class);
	ccp_json_set_bool(&error, "retryable", op->error_retryable);
	ccp_json_set_time(&error, "retryAt",
			  op->not_before || op->active ? op->not_before : op->quota_resets_at);
	ccp_json_set_new(obj, "error", error);
}

static void set_stall(json_t **obj, const struct ccp_op *op, int64_t now)
{
	json_auto_t *stall = ccp_stall_view(op, now);

	ccp_json_set(obj, "stall", stall);
}

/* While it is polled: without what stands in `effective` as well or can wait for the end. */
static bool is_brief(const struct ccp_op *op, const struct ccp_view *view)
{
	return op->active && !view->full;
}

static void set_requested(json_t **obj, const struct ccp_op *op)
{
	json_t *asked = json_object();

	ccp_json_set_str(&asked, "sandbox", op->sandbox);
	ccp_json_set_str(&asked, "approvalPolicy", op->approval);
	ccp_json_set_str(&asked, "model", op->model);
	ccp_json_set_new(obj, "requested", asked);
}

static void set_effective(json_t **obj, const struct ccp_op *op)
{
	json_t *effective = json_object();

	ccp_json_set_str(&effective, "sandbox", ccp_sandbox_name(ccp_op_sandbox(op)));
	ccp_json_set_str(&effective, "approvalPolicy", ccp_op_approval(op));
	ccp_json_set_str(&effective, "model", op->model ? op->model : op->effective_model);
	ccp_json_set_new(obj, "effective", effective);
}

static void set_full_only(json_t **obj, struct ccp_db *db, const struct ccp_op *op, int64_t now,
			  const char *reason, const struct ccp_view *view)
{
	ccp_json_set_str(obj, "clientRequestId", op->client_request_id);
	ccp_json_set_str(obj, "chatId", op->thread_id);
	ccp_json_set_str(obj, "cwd", op->cwd);
	ccp_json_set_str(obj, "projectPath", op->project_path);
	ccp_json_set_str(obj, "title", op->title);
	ccp_json_set_str(obj, "parentOperationId", op->parent_id);
	ccp_json_set_str(obj, "operationSource", "durable_queue");
	ccp_json_set_str(obj, "lastError", op->error_message);
	ccp_json_set_int(obj, "maxAttempts", CCP_OP_MAX_ATTEMPTS);
	ccp_json_set_int(obj, "crashCount", op->crash_count);
	ccp_json_set_str(obj, "appServerInstance", op->instance);
	ccp_json_set_int(obj, "stalenessSeconds", CCP_MAX(now - op->updated_at, 0) / 1000);
	ccp_view_queue(obj, op, reason);
	ccp_view_slot(obj, db, op, &view->limits);
}

static void set_quota(json_t **obj, struct ccp_db *db, const struct ccp_op *op)
{
	json_t *quota;

	ccp_json_set_time(obj, "nextAttemptAt", CCP_MAX(op->not_before, account_of(db).until));
	if (!op->quota_resets_at)
		return;
	quota = json_object();
	ccp_json_set_time(&quota, "resetsAt", op->quota_resets_at);
	if (op->quota_window)
		ccp_json_set_int(&quota, "windowMinutes", op->quota_window);
	ccp_json_set_new(obj, "quota", quota);
}

/* Turns before the present one. */
static void set_continuations(json_t **obj, const struct ccp_op *op, const struct ccp_view *view)
{
	if (op->continuations || op->quota_waits)
		ccp_json_set_str(obj, "continuedTurnId", op->continued_turn);
	if (op->continuations)
		ccp_json_set_int(obj, "continuations", op->continuations);
	if (op->quota_waits)
		ccp_json_set_int(obj, "quotaWaits", op->quota_waits);
	if (view->full && op->on_interruption) {
		ccp_json_set_str(obj, "onInterruption", op->on_interruption);
		ccp_json_set_int(obj, "maxContinuations", op->max_continuations);
	}
}

/* What somebody has to do whom no program can relieve of it. */
static void set_advice(json_t **obj, const struct ccp_op *op)
{
	_cleanup_free_ char *advice = NULL;

	if (op->active)
		return;
	if (step_of(op) == CCP_STEP_IS_UNKNOWN)
		advice = ccp_asprintf(
			"Codex's history of the thread has no trace of the end of the turn, so it "
			"may have run or not. Look at thread %s and at what the task was to "
			"change; if the work is missing, submit it again with a new "
			"client_request_id.",
			op->thread_id ? op->thread_id : "(none)");
	ccp_json_set_str(obj, "advice", advice);
}

static int64_t age_seconds(int64_t now, int64_t at)
{
	return CCP_MAX(now - at, 0) / 1000;
}

/* The worker's row: with everything, or only what keeps the operation waiting. */
static void set_worker_state(json_t **obj, struct ccp_db *db, const struct ccp_op *op,
			     const struct ccp_view *view, int64_t now)
{
	_cleanup_worker_row_ struct ccp_worker_row worker = { 0 };
	json_t *state = json_object(), *freshness;

	if (op->active)
		ccp_json_set_str(&state, "problem", view->worker_trouble);
	if (view->full && ccp_worker_latest(db, &worker, NULL) == 1) {
		ccp_json_set_str(&state, "workerId", worker.id);
		ccp_json_set_str(&state, "status", worker.status);
		ccp_json_set_str(&state, "role", worker.role);
		ccp_json_set_time(&state, "lastHeartbeatAt", worker.heartbeat_at);
		ccp_json_set_int(&state, "stalenessSeconds", age_seconds(now, worker.heartbeat_at));
		freshness = json_object();
		ccp_json_set_int(&freshness, "heartbeatAgeSeconds",
				 age_seconds(now, worker.heartbeat_at));
		ccp_json_set_new(obj, "workerFreshness", freshness);
	}
	if (json_object_size(state))
		ccp_json_set(obj, "workerState", state);
	json_decref(state);
}

static void set_freshness(json_t **obj, const struct ccp_op *op, int64_t now)
{
	ccp_json_set_int(obj, "operationRowAgeSeconds", age_seconds(now, op->updated_at));
	ccp_json_set_str(obj, "stalenessMeaning", "operation_row_age");
}

/* How old the news of a turn are; `latest` is what was shown of its progress. */
static void set_turn_freshness(json_t **obj, const struct ccp_turn_row *turn, int64_t now)
{
	const char *latest = ccp_json_str(*obj, "latestProgressAt");
	json_t *freshness = json_object();
	int64_t at;

	if (latest && ccp_time_parse(latest, &at))
		ccp_json_set_int(&freshness, "lastProgressAgeSeconds", age_seconds(now, at));
	if (turn->updated_at)
		ccp_json_set_int(&freshness, "turnStatusAgeSeconds",
				 age_seconds(now, turn->updated_at));
	ccp_json_set_new(obj, "turnFreshness", freshness);
}

static void set_next(json_t **obj, struct ccp_db *db, const struct ccp_op *op, const char *reason,
		     const struct ccp_view *view)
{
	const struct ccp_step_row *row = ccp_step_row(step_of(op));
	const char *action = row->action;

	if (reason) {
		const char *other = ccp_queued_reason_action(reason);

		ccp_json_set_str(obj, "queuedReason", reason);
		ccp_json_set_time(obj, "nextAttemptAt",
				  CCP_MAX(op->not_before, account_of(db).until));
		action = other ? other : action;
	} else if (ccp_streq(op->phase, "waiting_for_quota")) {
		set_quota(obj, db, op);
	}
	if (op->active && op->stalled_at && !op->interrupt_at)
		action = "interrupt_turn";
	set_advice(obj, op);
	ccp_json_set_str(obj, "nextRecommendedAction", action);
	ccp_json_set_int(obj, "recommendedPollAfterSeconds", row->poll_seconds);
	ccp_json_set_bool(obj, "pollRecommended", op->active);
}

static int set_turn(json_t **obj, struct ccp_db *db, const struct ccp_op *op,
		    const struct ccp_view *view, int64_t now, struct codexcp_error *err)
{
	_cleanup_turn_row_ struct ccp_turn_row turn = { 0 };
	bool completed = ccp_streq(op->status, "completed");
	int r;

	r = ccp_view_progress(obj, db, op->id, NULL, NULL, view, err);
	if (r < 0 || !op->turn_id)
		return r;
	r = ccp_turn_get(db, op->thread_id, op->turn_id, &turn, err);
	/* A report is the newest message: no need to show it twice. */
	if (r == 1 && (view->full || !completed))
		r = ccp_view_messages(obj, db, &turn, view, err);
	if (r >= 0 && turn.turn_id && !is_brief(op, view))
		ccp_view_usage(obj, &turn);
	if (r >= 0 && view->full)
		set_turn_freshness(obj, &turn, now);
	if (r >= 0 && completed)
		r = ccp_view_report(obj, db, op->thread_id, op->turn_id, view, err);
	return r;
}

json_t *ccp_op_view(struct ccp_db *db, const struct ccp_clock *clock, const struct ccp_op *op,
		    const struct ccp_view *view, struct codexcp_error *err)
{
	json_auto_t *obj = json_object();
	int64_t now = ccp_clock_wall(clock);
	const char *reason = ccp_streq(op->phase, "queued") ? queued_reason(db, op, now, view)
							    : NULL;

	ccp_json_set_bool(&obj, "ok", true);
	ccp_json_set_str(&obj, "operationId", op->id);
	ccp_json_set_str(&obj, "operationType", op->type);
	ccp_json_set_str(&obj, "status", op->status);
	ccp_json_set_str(&obj, "phase", op->phase);
	ccp_json_set_str(&obj, "reason", op->reason);
	ccp_json_set_str(&obj, "projectId", op->project_id);
	ccp_json_set_str(&obj, "threadId", op->thread_id);
	ccp_json_set_str(&obj, "turnId", op->turn_id);
	ccp_json_set_time(&obj, "createdAt", op->created_at);
	ccp_json_set_time(&obj, "startedAt", op->started_at);
	ccp_json_set_time(&obj, "updatedAt", op->updated_at);
	ccp_json_set_time(&obj, "completedAt", op->completed_at);
	ccp_json_set_time(&obj, "interruptRequestedAt", op->interrupt_at);
	ccp_json_set_int(&obj, "attemptCount", op->attempt);
	set_continuations(&obj, op, view);
	set_effective(&obj, op);
	if (!is_brief(op, view))
		set_requested(&obj, op);
	set_error(&obj, op);
	set_stall(&obj, op, now);
	ccp_terminals_view(&obj, op);
	if (view->full) {
		set_full_only(&obj, db, op, now, reason, view);
		set_freshness(&obj, op, now);
	}
	set_worker_state(&obj, db, op, view, now);
	if (set_turn(&obj, db, op, view, now, err) < 0)
		return NULL;
	set_next(&obj, db, op, reason, view);
	if (!obj)
		ccp_fail_oom(err);
	return json_incref(obj);
}
