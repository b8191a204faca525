#include "domain/queue.h"

#include <stdio.h>

#include "base/str.h"

#define HIGHEST_CLASS 2

/* What a walk over the queue knows; `result` when it ended early. */
struct walk {
	struct ccp_db *db;
	const struct ccp_limits *limits;
	int64_t now;
	int result;
	struct codexcp_error *err;
};

/* Waiting for a lock: the first of each lane keeps those behind it from overtaking. When that has
 * run the next is first. */

struct reserving {
	struct walk walk;
	struct ccp_slots *slots;
	struct ccp_slot_list found; /* beside what is taken: apart, so that none sees another */
};

static enum ccp_queue_next reserve(const struct ccp_op *op, int64_t served_at, void *data)
{
	struct reserving *reserving = data;
	struct walk *walk = &reserving->walk;
	_cleanup_slot_ struct ccp_slot slot = { 0 };
	enum ccp_queued_reason why;

	if (walk->result == 0)
		walk->result = ccp_slot_of(walk->db, op, &slot, walk->err);
	if (walk->result == 0 && !ccp_slots_admit(reserving->slots, walk->limits, &slot, &why) &&
	    why == CCP_QUEUED_LOCK)
		walk->result = ccp_slot_list_add(&reserving->found, &slot, walk->err);
	return CCP_QUEUE_LANE_DONE;
}

static bool somebody_writes(const struct ccp_slots *slots)
{
	for (size_t i = 0; i < slots->taken.n; i++)
		if (slots->taken.items[i].writes)
			return true;
	return false;
}

int ccp_queue_slots(struct ccp_db *db, const struct ccp_limits *limits, int64_t now,
		    struct ccp_slots *ret_slots, struct codexcp_error *err)
{
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	struct reserving reserving = {
		.walk = { .db = db, .limits = limits, .now = now, .err = err },
		.slots = &slots,
	};
	int r = ccp_slots_read(db, &slots, err);

	if (r == 0 && somebody_writes(&slots)) {
		r = ccp_op_each_queued(db, now, reserve, &reserving, err);
		slots.waiting = reserving.found;
		if (r == 0)
			r = reserving.walk.result;
	}
	if (r < 0)
		return r;
	*ret_slots = slots;
	slots = (struct ccp_slots){ 0 };
	return 0;
}

/* Who is next */

struct candidate {
	bool found;
	char id[CCP_ID_SIZE];
	int64_t class, since, rank;
};

struct picking {
	struct walk walk;
	const struct ccp_slots *slots;
	char *agent; /* whose lanes are walked */
	struct candidate of_agent, best;
};

static void next_agent(struct picking *picking, const char *agent)
{
	const struct candidate *a = &picking->of_agent, *b = &picking->best;
	bool first = a->class != b->class   ? a->class > b->class
		     : a->since != b->since ? a->since < b->since
					    : a->rank < b->rank;

	if (a->found && (!b->found || first))
		picking->best = *a;
	picking->of_agent = (struct candidate){ 0 };
	picking->walk.result = ccp_row_set(&picking->agent, agent, picking->walk.err);
}

static void consider(struct picking *picking, const struct ccp_op *op, int64_t served_at)
{
	struct candidate *best = &picking->of_agent;
	int64_t rank = ccp_op_rank(op);

	if (best->found && best->rank <= rank)
		return;
	best->found = true;
	best->rank = rank;
	best->since = CCP_MAX(served_at, op->created_at);
	best->class = CCP_MIN((picking->walk.now - rank) / CCP_QUEUE_CLASS_MS, HIGHEST_CLASS);
	snprintf(best->id, sizeof(best->id), "%s", op->id);
}

/* What kept it waiting keeps all of its lane, or only itself. */
static enum ccp_queue_next after_denied(const struct ccp_op *op, enum ccp_queued_reason why)
{
	bool own_locks = op->resource_keys || !op->sandbox;

	return why == CCP_QUEUED_THREAD ||
			       (own_locks && (why == CCP_QUEUED_LOCK || why == CCP_QUEUED_WRITE))
		       ? CCP_QUEUE_NEXT_ROW
		       : CCP_QUEUE_LANE_DONE;
}

static enum ccp_queue_next pick(const struct ccp_op *op, int64_t served_at, void *data)
{
	struct picking *picking = data;
	struct walk *walk = &picking->walk;
	_cleanup_slot_ struct ccp_slot slot = { 0 };
	enum ccp_queued_reason why;

	if (walk->result == 0 && !ccp_streq(picking->agent, op->agent_id))
		next_agent(picking, op->agent_id);
	if (walk->result == 0)
		walk->result = ccp_slot_of(walk->db, op, &slot, walk->err);
	if (walk->result < 0)
		return CCP_QUEUE_LANE_DONE;
	if (!ccp_slots_admit(picking->slots, walk->limits, &slot, &why))
		return after_denied(op, why);
	consider(picking, op, served_at);
	return CCP_QUEUE_LANE_DONE;
}

static int take_first(const char *id, void *data)
{
	snprintf(data, CCP_ID_SIZE, "%s", id);
	return 1;
}

/*
 * The account's limit has stopped some, and they go first: one of them tries, when it is time, and
 * nobody else is begun before it has got through. They had their slots when they were stopped, and
 * nobody was let in since.
 */
static int next_of_stopped(struct ccp_db *db, const struct ccp_op_quota *quota, int64_t now,
			   char ret_id[static CCP_ID_SIZE], struct codexcp_error *err)
{
	int r;

	if (quota->trying || now < quota->until)
		return 0;
	ret_id[0] = '\0';
	r = ccp_op_each_waiting_for_quota(db, take_first, ret_id, err);
	/* Somebody may have interrupted the last one just now. */
	return r < 0 ? r : ret_id[0] != '\0';
}

int ccp_queue_next(struct ccp_db *db, const struct ccp_limits *limits,
		   const struct ccp_slots *slots, int64_t now, char ret_id[static CCP_ID_SIZE],
		   struct codexcp_error *err)
{
	struct ccp_op_quota quota;
	struct picking picking = {
		.walk = { .db = db, .limits = limits, .now = now, .err = err },
		.slots = slots,
	};
	static const struct ccp_slot any = { 0 };
	enum ccp_queued_reason why;
	int r;

	/* Nobody need be asked. */
	if (!ccp_slots_admit(slots, limits, &any, &why))
		return 0;
	r = ccp_op_quota(db, &quota, err);
	if (r == 0 && ccp_op_quota_holds(&quota))
		return next_of_stopped(db, &quota, now, ret_id, err);
	if (r == 0)
		r = ccp_op_each_queued(db, now, pick, &picking, err);
	if (r == 0 && picking.walk.result == 0)
		next_agent(&picking, NULL);
	free(picking.agent);
	if (r < 0 || picking.walk.result < 0)
		return r < 0 ? r : picking.walk.result;
	if (picking.best.found)
		snprintf(ret_id, CCP_ID_SIZE, "%s", picking.best.id);
	return picking.best.found;
}

/* Why it waits */

int ccp_queue_reason(struct ccp_db *db, const struct ccp_limits *limits,
		     const struct ccp_slots *slots, const struct ccp_op *op, int64_t now,
		     const char **ret_reason, struct codexcp_error *err)
{
	_cleanup_slot_ struct ccp_slot slot = { 0 };
	enum ccp_queued_reason why = CCP_QUEUED_WORKER;
	struct ccp_op_quota quota;
	int r;

	*ret_reason = op->queued_reason ? op->queued_reason : ccp_queued_reason_name(why);
	if (!slots)
		return 0;
	r = ccp_op_quota(db, &quota, err);
	if (r == 0 && ccp_op_quota_holds(&quota)) {
		*ret_reason = ccp_queued_reason_name(CCP_QUEUED_QUOTA);
		return 0;
	}
	if (r < 0 || op->not_before > now)
		return r;
	r = ccp_slot_of(db, op, &slot, err);
	if (r == 0 && !ccp_slots_admit(slots, limits, &slot, &why))
		*ret_reason = ccp_queued_reason_name(why);
	else if (r == 0 && slot.thread && (r = ccp_op_is_behind(db, op->id, err)) == 1)
		*ret_reason = ccp_queued_reason_name(CCP_QUEUED_THREAD);
	return CCP_MIN(r, 0);
}
