#include "domain/slots.h"

#include "base/json.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "domain/resource_keys.h"

/* One operation */

bool ccp_op_holds_slot(const struct ccp_op *op)
{
	enum ccp_step step;

	if (!op->active)
		return false;
	return !ccp_step_parse(op->phase, &step) || ccp_step_row(step)->flags & CCP_STEP_SLOT;
}

void ccp_slot_done(struct ccp_slot *slot)
{
	free(slot->project);
	free(slot->agent);
	free(slot->thread);
	json_decref(slot->keys);
	*slot = (struct ccp_slot){ 0 };
}

/* What a queued message will find its thread with. */
static int thread_sandbox(struct ccp_db *db, const struct ccp_op *op, enum ccp_sandbox *ret_sandbox,
			  struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op last = { 0 };
	enum ccp_sandbox ceiling = ccp_sandbox_parse(op->sandbox_ceiling), has;
	int r = ccp_op_last_begun(db, op->thread_id, op->id, &last, err);

	if (r < 0)
		return r;
	has = r == 1 ? ccp_op_sandbox(&last) : CCP_SANDBOX_UNSET;
	*ret_sandbox = ccp_sandbox_above(has, ceiling) ? ceiling : has;
	return 0;
}

static int find_sandbox(struct ccp_db *db, const struct ccp_op *op, enum ccp_sandbox *ret_sandbox,
			struct codexcp_error *err)
{
	*ret_sandbox = ccp_op_sandbox(op);
	/* Below such a ceiling it does not matter what the thread has. */
	if (*ret_sandbox == CCP_SANDBOX_UNSET &&
	    ccp_sandbox_parse(op->sandbox_ceiling) == CCP_SANDBOX_READ_ONLY)
		*ret_sandbox = CCP_SANDBOX_READ_ONLY;
	if (*ret_sandbox != CCP_SANDBOX_UNSET || !op->thread_id)
		return 0;
	return thread_sandbox(db, op, ret_sandbox, err);
}

int ccp_slot_of(struct ccp_db *db, const struct ccp_op *op, struct ccp_slot *ret_slot,
		struct codexcp_error *err)
{
	_cleanup_slot_ struct ccp_slot slot = { 0 };
	enum ccp_sandbox sandbox;
	int r = find_sandbox(db, op, &sandbox, err);

	if (r < 0)
		return r;
	slot.writes = sandbox != CCP_SANDBOX_READ_ONLY;
	slot.rank = ccp_op_rank(op);
	if (!ccp_strdup_opt(op->project_path, &slot.project) ||
	    !ccp_strdup_opt(op->agent_id, &slot.agent) ||
	    !ccp_strdup_opt(op->thread_id, &slot.thread))
		return ccp_fail_oom(err);
	r = ccp_keys_parse(op->resource_keys, &slot.keys, err);
	if (r < 0)
		return r;
	*ret_slot = slot;
	slot = (struct ccp_slot){ 0 };
	return 0;
}

/* Steals key; NULL is out of memory. */
static void add_lock(json_t **locks, char *key, const char *mode)
{
	_cleanup_free_ char *owned = key;
	json_t *lock = owned ? json_object() : NULL;

	ccp_json_set_str(&lock, "lockKey", owned);
	ccp_json_set_str(&lock, "lockMode", mode);
	ccp_json_append_new(locks, lock);
}

json_t *ccp_slot_locks(const struct ccp_slot *slot, const char *project_id,
		       const struct ccp_limits *limits)
{
	json_t *locks = json_array(), *value;
	const char *key;

	if (slot->thread)
		add_lock(&locks, ccp_asprintf("thread:%s:active-turn", slot->thread),
			 limits->thread > 1 ? "counted" : "exclusive");
	if (!slot->writes)
		return locks;
	if (!slot->keys)
		add_lock(&locks, ccp_asprintf("project:%s:write", project_id),
			 limits->write > 1 ? "counted" : "exclusive");
	json_object_foreach (slot->keys, key, value)
		add_lock(&locks, ccp_asprintf("resource:%s:%s:write", project_id, key),
			 "exclusive");
	return locks;
}

/* All that run */

static void list_done(struct ccp_slot_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		ccp_slot_done(&list->items[i]);
	free(list->items);
	*list = (struct ccp_slot_list){ 0 };
}

void ccp_slots_done(struct ccp_slots *slots)
{
	list_done(&slots->taken);
	list_done(&slots->waiting);
}

int ccp_slot_list_add(struct ccp_slot_list *list, struct ccp_slot *slot, struct codexcp_error *err)
{
	struct ccp_slot *items = reallocarray(list->items, list->n + 1, sizeof(*items));

	if (!items) {
		ccp_slot_done(slot);
		return ccp_fail_oom(err);
	}
	list->items = items;
	items[list->n++] = *slot;
	*slot = (struct ccp_slot){ 0 };
	return 0;
}

struct reading {
	struct ccp_db *db;
	struct ccp_slot_list list;
	int result;
	struct codexcp_error *err;
};

static int add_taken(const struct ccp_op *op, void *data)
{
	struct reading *reading = data;
	struct ccp_slot slot = { 0 };

	if (!ccp_op_holds_slot(op))
		return 0;
	reading->result = ccp_slot_of(reading->db, op, &slot, reading->err);
	if (reading->result == 0)
		reading->result = ccp_slot_list_add(&reading->list, &slot, reading->err);
	return reading->result < 0;
}

int ccp_slots_read(struct ccp_db *db, struct ccp_slots *ret_slots, struct codexcp_error *err)
{
	struct reading reading = { .db = db, .err = err };
	int r = ccp_op_each_running(db, add_taken, &reading, err);

	if (r == 0)
		r = reading.result;
	if (r < 0)
		list_done(&reading.list);
	else
		*ret_slots = (struct ccp_slots){ .taken = reading.list };
	return r;
}

/* The decision */

struct count {
	int64_t project, agent, thread; /* beside which it would run */
	int64_t writers;                /* of them, those that have locked the whole project */
	bool conflict;
};

static bool locks_conflict(const struct ccp_slot *a, const struct ccp_slot *b)
{
	if (!ccp_streq(a->project, b->project) || !a->writes || !b->writes ||
	    (!a->keys && !b->keys))
		return false;
	return !a->keys || !b->keys || ccp_keys_meet(a->keys, b->keys);
}

static struct count count_beside(const struct ccp_slots *slots, const struct ccp_slot *wanted)
{
	struct count n = { 0 };

	for (size_t i = 0; i < slots->taken.n; i++) {
		const struct ccp_slot *taken = &slots->taken.items[i];
		bool same_project = ccp_streq(taken->project, wanted->project);

		n.project += same_project;
		n.agent += wanted->agent && ccp_streq(taken->agent, wanted->agent);
		n.thread += wanted->thread && ccp_streq(taken->thread, wanted->thread);
		n.writers += same_project && taken->writes && !taken->keys;
		n.conflict |= locks_conflict(taken, wanted);
	}
	for (size_t i = 0; i < slots->waiting.n; i++) {
		const struct ccp_slot *before = &slots->waiting.items[i];

		n.conflict |= before->rank < wanted->rank && locks_conflict(before, wanted);
	}
	return n;
}

bool ccp_slots_admit(const struct ccp_slots *slots, const struct ccp_limits *limits,
		     const struct ccp_slot *wanted, enum ccp_queued_reason *ret_why)
{
	const struct count n = count_beside(slots, wanted);
	const struct {
		bool denied;
		enum ccp_queued_reason why;
	} rules[] = {
		{ slots->crowded, CCP_QUEUED_BACKPRESSURE },
		{ (int64_t)slots->taken.n >= limits->global, CCP_QUEUED_GLOBAL },
		{ n.project >= limits->project, CCP_QUEUED_PROJECT },
		{ n.agent >= limits->agent, CCP_QUEUED_AGENT },
		{ n.thread >= limits->thread, CCP_QUEUED_THREAD },
		{ n.conflict, CCP_QUEUED_LOCK },
		{ wanted->writes && !wanted->keys && n.writers >= limits->write, CCP_QUEUED_WRITE },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rules); i++)
		if (rules[i].denied) {
			*ret_why = rules[i].why;
			return false;
		}
	return true;
}
