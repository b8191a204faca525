#include "domain/slot_view.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"

static const char *const priorities[] = { "low", "normal", "high" };

const char *ccp_view_queue_status(const struct ccp_op *op)
{
	return !op->active                                  ? op->status
	       : !ccp_op_holds_slot(op)                     ? "queued"
	       : ccp_str_has_prefix(op->status, "starting") ? "scheduled"
							    : "running";
}

/* What the caller has said about how it may run. */
static void set_hints(json_t **obj, const struct ccp_op *op)
{
	json_auto_t *keys = NULL;

	ccp_json_set_str(obj, "priority", priorities[CCP_CLAMP(op->priority, 0, 2)]);
	ccp_json_set_str(obj, "estimatedCostClass", op->cost_class);
	ccp_json_set_str(obj, "agentId", op->agent_id);
	if (op->resource_keys &&
	    ccp_json_parse(op->resource_keys, strlen(op->resource_keys), 0, &keys, NULL) == 0)
		ccp_json_set(obj, "resourceKeys", keys);
}

void ccp_view_queue(json_t **obj, const struct ccp_op *op, const char *reason)
{
	json_t *state = json_object();

	ccp_json_set_str(&state, "queueStatus", ccp_view_queue_status(op));
	ccp_json_set_str(&state, "queuedReason", reason);
	set_hints(&state, op);
	ccp_json_set_time(&state, "scheduledAt", op->started_at);
	ccp_json_set_new(obj, "queueState", state);
}

json_t *ccp_view_locks(struct ccp_db *db, const struct ccp_op *op, const struct ccp_limits *limits)
{
	_cleanup_slot_ struct ccp_slot slot = { 0 };
	json_auto_t *locks = NULL;
	json_t *lock;
	size_t i;

	if (!ccp_op_holds_slot(op))
		return json_array();
	if (ccp_slot_of(db, op, &slot, NULL) == 0)
		locks = ccp_slot_locks(&slot, op->project_id ? op->project_id : op->project_path,
				       limits);
	json_array_foreach (locks, i, lock) {
		ccp_json_set_str(&lock, "operationId", op->id);
		ccp_json_set_str(&lock, "threadId", op->thread_id);
		ccp_json_set_str(&lock, "projectId", op->project_id);
		ccp_json_set_time(&lock, "createdAt", op->started_at);
	}
	return json_incref(locks);
}

static json_t *names_of(const json_t *locks)
{
	json_t *names = json_array(), *lock;
	size_t i;

	json_array_foreach (locks, i, lock)
		ccp_json_append_new(&names, json_incref(json_object_get(lock, "lockKey")));
	return names;
}

/* Reported only: a slot is held as long as its operation, and is its row. */
void ccp_view_slot(json_t **obj, struct ccp_db *db, const struct ccp_op *op,
		   const struct ccp_limits *limits)
{
	json_t *slot = json_object(), *held = json_object();
	json_t *locks = ccp_view_locks(db, op, limits);

	ccp_json_set_bool(&slot, "claimed", ccp_op_holds_slot(op));
	if (ccp_op_holds_slot(op)) {
		ccp_json_set_str(&slot, "projectKey", op->project_path);
		ccp_json_set_str(&slot, "agentId", op->agent_id);
		ccp_json_set_str(&slot, "threadId", op->thread_id);
		ccp_json_set_time(&slot, "claimedAt", op->started_at);
		ccp_json_set_int(&slot, "epoch", op->epoch);
		ccp_json_set_new(&slot, "lockKeys", names_of(locks));
	}
	ccp_json_set_new(obj, "slotState", slot);
	ccp_json_set_new(&held, "locks", locks);
	ccp_json_set_new(obj, "resourceLockState", held);
}

json_t *ccp_view_entry(const struct ccp_op *op, const char *reason)
{
	json_t *entry = json_object();

	ccp_json_set_str(&entry, "operationId", op->id);
	ccp_json_set_str(&entry, "operationType", op->type);
	ccp_json_set_str(&entry, "operationStatus", op->status);
	ccp_json_set_str(&entry, "queueStatus", ccp_view_queue_status(op));
	ccp_json_set_str(&entry, "queuedReason", reason);
	set_hints(&entry, op);
	ccp_json_set_str(&entry, "projectId", op->project_id);
	ccp_json_set_str(&entry, "cwdKey", op->project_path);
	ccp_json_set_str(&entry, "threadId", op->thread_id);
	ccp_json_set_str(&entry, "turnId", op->turn_id);
	ccp_json_set_time(&entry, "createdAt", op->created_at);
	ccp_json_set_time(&entry, "scheduledAt", op->started_at);
	ccp_json_set_time(&entry, "nextAttemptAt", op->not_before);
	return entry;
}
