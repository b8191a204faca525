/*
 * Who waits for what: codex_get_queue_status and codex_get_concurrency_status. Both are what the
 * scheduler decides by, read from the rows.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/queue.h"
#include "domain/slot_view.h"
#include "service/tool.h"

#define POLL_SECONDS 10

/* In the order of the filter; `completed` and `failed` find nothing, the queue has what has not
 * ended. */
static const char *const queue_statuses[] = { "queued", "scheduled", "running", "completed",
					      "failed", "blocked",   NULL };
enum queue_status { QUEUED, SCHEDULED, RUNNING, COMPLETED, FAILED, BLOCKED };

struct queue_args {
	int status;
	int64_t limit;
	bool include_terminal, include_locks;
};
const size_t ccp_queue_args_size = sizeof(struct queue_args);
const size_t ccp_concurrency_args_size = sizeof(struct queue_args);

#define ARGS struct queue_args
const struct ccp_field ccp_queue_fields[] = {
	CCP_FIELD_ENUM(ARGS, status, queue_statuses, .flags = CCP_FIELD_NULLABLE,
		       .doc = "blocked: by a lock"),
	CCP_FIELD_INT(ARGS, limit, .def = 100, .min = 1, .max = 500,
		      .doc = "of each list; counts and advice are of everything"),
	/* What has ended is read one by one: accepted, without effect. */
	CCP_FIELD_BOOL(ARGS, include_terminal, .flags = CCP_FIELD_HIDDEN), CCP_FIELD_END
};
const struct ccp_field ccp_concurrency_fields[] = {
	CCP_FIELD_BOOL(ARGS, include_locks, .def = 1),
	CCP_FIELD_INT(ARGS, limit, .def = 200, .min = 1, .max = 500, .doc = "of each list"),
	CCP_FIELD_END
};
#undef ARGS

/* What both read. */
struct reading {
	struct ccp_db *db; /* NULL: there is none yet */
	struct ccp_view view;
	struct ccp_worker_row worker;
	struct ccp_slots slots;
	struct ccp_op_counts counts;
	int64_t now;
};

static void reading_done(struct reading *reading)
{
	ccp_worker_row_done(&reading->worker);
	ccp_slots_done(&reading->slots);
}

static int begin(struct codexcp *cp, struct reading *reading, struct codexcp_error *err)
{
	int r = ccp_state_reader(cp, &reading->db, err);

	reading->view.limits = ccp_context_limits(cp);
	reading->now = ccp_clock_wall(ccp_context_clock(cp));
	if (r != 1)
		return r;
	ccp_view_worker(cp, reading->db, &reading->view, &reading->worker);
	r = ccp_op_count(reading->db, &reading->counts, err);
	if (r == 0)
		r = ccp_queue_slots(reading->db, &reading->view.limits, reading->now,
				    &reading->slots, err);
	reading->slots.crowded = reading->view.crowded;
	/* Whoever only polls must not wait for ever for a dead worker. */
	if (r == 0 && reading->counts.active)
		ccp_context_need_worker(cp);
	return r;
}

/* The queue */

struct listing {
	const struct reading *reading;
	const struct queue_args *args;
	json_t *queued, *running, *blocked, *reasons;
	/* Of everything, whatever the lists have room for. */
	int64_t n_running, n_waiting, n_blocked;
	bool truncated;
	int result;
	struct codexcp_error *err;
};

/* Adds to a list up to its limit; steals the value. */
static void add(struct listing *listing, json_t **list, json_t *value)
{
	if ((int64_t)json_array_size(*list) < listing->args->limit) {
		ccp_json_append_new(list, value);
		return;
	}
	listing->truncated = true;
	json_decref(value);
}

static void count(json_t **counts, const char *key)
{
	if (key)
		ccp_json_set_int(counts, key, ccp_json_int(*counts, key, 0) + 1);
}

static bool wants(const struct listing *listing, const char *status)
{
	return listing->args->status < 0 ||
	       ccp_streq(queue_statuses[listing->args->status], status);
}

static bool is_lock(const char *reason)
{
	return ccp_streq(ccp_queued_reason_action(reason), "wait_for_resource_lock");
}

static int list_queued(const struct ccp_op *op, void *data)
{
	struct listing *listing = data;
	const struct reading *reading = listing->reading;
	const char *reason = NULL;
	bool blocked;

	listing->result = ccp_queue_reason(reading->db, &reading->view.limits,
					   reading->view.worker_alive ? &reading->slots : NULL, op,
					   reading->now, &reason, listing->err);
	if (listing->result < 0)
		return 1;
	blocked = is_lock(reason);
	listing->n_waiting++;
	listing->n_blocked += blocked;
	count(&listing->reasons, reason);
	if (blocked)
		add(listing, &listing->blocked, json_string(op->id));
	if (wants(listing, "queued") || (blocked && wants(listing, "blocked")))
		add(listing, &listing->queued, ccp_view_entry(op, reason));
	return 0;
}

static int list_running(const struct ccp_op *op, void *data)
{
	struct listing *listing = data;
	bool runs = ccp_op_holds_slot(op);

	listing->n_running += runs;
	listing->n_waiting += !runs;
	if (!runs)
		count(&listing->reasons, op->status);
	if (wants(listing, ccp_view_queue_status(op)))
		add(listing, runs ? &listing->running : &listing->queued,
		    ccp_view_entry(op, runs ? NULL : op->status));
	return 0;
}

static int list_all(struct listing *listing, struct codexcp_error *err)
{
	struct ccp_db *db = listing->reading->db;
	int r = db ? ccp_op_each_active(db, list_running, listing, err) : 0;

	if (r == 0 && db)
		r = ccp_op_each_in_queue(db, list_queued, listing, err);
	return r < 0 ? r : listing->result;
}

static const char *queue_action(const struct listing *listing)
{
	const char *reason, *action = "poll_queue";
	json_t *count;

	if (listing->n_blocked)
		return "wait_for_resource_lock";
	if (!listing->n_waiting)
		return "none";
	json_object_foreach (listing->reasons, reason, count) {
		const char *other = ccp_queued_reason_action(reason);

		if (ccp_streq(other, "inspect_worker_health"))
			return other;
		if (other || ccp_streq(reason, "waiting_for_worker"))
			action = "wait_for_worker_slot";
	}
	return action;
}

static json_t *queue_summary(const struct listing *listing)
{
	json_t *summary = json_object();

	ccp_json_set_int(&summary, "queued", listing->reading->counts.queued);
	ccp_json_set_int(&summary, "runningTurnOperations", listing->n_running);
	ccp_json_set_int(&summary, "activeTurnSlots", (int64_t)listing->reading->slots.taken.n);
	ccp_json_set_int(&summary, "blockedByLocks", listing->n_blocked);
	return summary;
}

/* Takes the lists over. */
static json_t *queue_answer(const struct codexcp *cp, struct listing *listing)
{
	json_t *answer = json_object();
	const char *action = queue_action(listing);
	bool poll = !ccp_streq(action, "none");

	ccp_json_set_bool(&answer, "ok", true);
	ccp_json_set_str(&answer, "executionMode", ccp_context_mode_name(cp));
	ccp_json_set_int(
		&answer, "count",
		(int64_t)(json_array_size(listing->queued) + json_array_size(listing->running)));
	if (listing->truncated)
		ccp_json_set_bool(&answer, "truncated", true);
	ccp_json_set_new(&answer, "queueSummary", queue_summary(listing));
	ccp_json_set_new(&answer, "queueReasons", listing->reasons);
	ccp_json_set_new(&answer, "queuedOperations", listing->queued);
	ccp_json_set_new(&answer, "runningOperations", listing->running);
	ccp_json_set_new(&answer, "blockedByLocks", listing->blocked);
	ccp_json_set_str(&answer, "nextRecommendedAction", action);
	ccp_json_set_int(&answer, "recommendedPollAfterSeconds", poll ? POLL_SECONDS : 0);
	ccp_json_set_bool(&answer, "pollRecommended", poll);
	return answer;
}

CCP_TOOL_HANDLER(ccp_tool_queue_status)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(reading_done) struct reading reading = { 0 };
	struct listing listing = {
		.reading = &reading,
		.args = arguments,
		.queued = json_array(),
		.running = json_array(),
		.blocked = json_array(),
		.reasons = json_object(),
		.err = &err,
	};
	int r = begin(cp, &reading, &err);
	json_t *answer;

	if (r >= 0)
		r = list_all(&listing, &err);
	answer = queue_answer(cp, &listing);
	if (r < 0) {
		json_decref(answer);
		return ccp_call_fail(call, &err);
	}
	return ccp_call_reply(call, answer);
}

/* What runs side by side */

struct holding {
	const struct reading *reading;
	const struct queue_args *args;
	json_t *projects, *agents, *threads;
	json_t *operations, *locks;
	int64_t n, n_locks;
};

static int hold(const struct ccp_op *op, void *data)
{
	struct holding *holding = data;
	const struct ccp_limits *limits = &holding->reading->view.limits;
	json_auto_t *locks = ccp_view_locks(holding->reading->db, op, limits);
	json_t *entry, *lock;
	size_t i;

	if (!ccp_op_holds_slot(op))
		return 0;
	holding->n++;
	count(&holding->projects, op->project_id);
	count(&holding->agents, op->agent_id);
	count(&holding->threads, op->thread_id);
	if ((int64_t)json_array_size(holding->operations) < holding->args->limit) {
		entry = ccp_view_entry(op, NULL);
		ccp_json_set_str(&entry, "status", op->status);
		ccp_json_append_new(&holding->operations, entry);
	}
	json_array_foreach (locks, i, lock)
		if (++holding->n_locks <= holding->args->limit && holding->args->include_locks)
			ccp_json_append_new(&holding->locks, json_incref(lock));
	return 0;
}

static json_t *limits_json(const struct ccp_limits *limits)
{
	json_t *o = json_object();

	ccp_json_set_int(&o, "maxActiveTurnsGlobal", limits->global);
	ccp_json_set_int(&o, "maxActiveTurnsPerProject", limits->project);
	ccp_json_set_int(&o, "maxActiveTurnsPerAgent", limits->agent);
	ccp_json_set_int(&o, "maxActiveTurnsPerThread", limits->thread);
	ccp_json_set_int(&o, "maxActiveWriteTurnsPerProject", limits->write);
	ccp_json_set_int(&o, "maxAppServerPendingRequests", limits->requests);
	return o;
}

/* Takes the lists over. */
static json_t *holding_answer(const struct codexcp *cp, struct holding *holding)
{
	json_t *answer = json_object(), *counts = json_object();

	ccp_json_set_int(&counts, "global", holding->n);
	ccp_json_set_new(&counts, "perProject", holding->projects);
	ccp_json_set_new(&counts, "perAgent", holding->agents);
	ccp_json_set_new(&counts, "perThread", holding->threads);
	ccp_json_set_bool(&answer, "ok", true);
	ccp_json_set_str(&answer, "executionMode", ccp_context_mode_name(cp));
	ccp_json_set_new(&answer, "limits", limits_json(&holding->reading->view.limits));
	ccp_json_set_int(&answer, "activeTurnCount", holding->n);
	ccp_json_set_bool(&answer, "backpressure", holding->reading->view.crowded);
	ccp_json_set_new(&answer, "counts", counts);
	ccp_json_set_new(&answer, "activeOperations", holding->operations);
	ccp_json_set_new(&answer, "resourceLocks", holding->locks);
	ccp_json_set_int(&answer, "resourceLockCount", holding->n_locks);
	ccp_json_set_str(&answer, "nextRecommendedAction", "none");
	ccp_json_set_int(&answer, "recommendedPollAfterSeconds", 0);
	ccp_json_set_bool(&answer, "pollRecommended", false);
	return answer;
}

CCP_TOOL_HANDLER(ccp_tool_concurrency_status)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(reading_done) struct reading reading = { 0 };
	struct holding holding = {
		.reading = &reading,
		.args = arguments,
		.projects = json_object(),
		.agents = json_object(),
		.threads = json_object(),
		.operations = json_array(),
		.locks = json_array(),
	};
	int r = begin(cp, &reading, &err);
	json_t *answer;

	if (r == 0 && reading.db)
		r = ccp_op_each_active(reading.db, hold, &holding, &err);
	answer = holding_answer(cp, &holding);
	if (r < 0) {
		json_decref(answer);
		return ccp_call_fail(call, &err);
	}
	return ccp_call_reply(call, answer);
}
