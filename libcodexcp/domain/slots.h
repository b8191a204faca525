/*
 * Which operations may run side by side: one pure decision. The scheduler takes by it, and a status
 * explains by it why something waits, so the two cannot disagree.
 *
 * What runs now is read from the rows of the operations that run. There is no table of slots or
 * locks: each is taken when its operation is claimed and is gone when it ends, whoever dies
 * meanwhile.
 *
 * Limits count turns: in all, in a project, of an agent (only where one is named), in a thread.
 *
 * A turn writes unless its sandbox is read-only, whatever its mode. Where the sandbox is the
 * thread's and this operation has not heard of it yet, it is that of the operation that was begun
 * last in the thread; where nobody knows, it writes.
 *
 * A writer with resource keys locks its keys in its project: a key has one writer. A writer without
 * keys may write anywhere in its project, so it locks the project: it and writers with keys keep
 * each other out. Among themselves those without keys are counted by the limit of write turns a
 * project; raising it lets them run side by side and changes nothing for keys. Writers with keys
 * that differ take none of it: only the other limits count them. A turn that only reads locks
 * nothing, whatever keys it names.
 *
 * Who waits for a lock is not overtaken by those behind it that want the same: else a stream of
 * writers with keys would keep one without keys waiting for ever.
 */
#pragma once

#include "domain/status.h"
#include "store/op_store.h"

struct ccp_limits {
	int64_t global, project, agent, thread;
	int64_t write;    /* turns without keys that write, in a project */
	int64_t requests; /* under way to app-server at once */
};

/* Whether it runs as far as slots are concerned; what a newer program does with it counts too. */
bool ccp_op_holds_slot(const struct ccp_op *op);

/* What one operation takes while it runs. */
struct ccp_slot {
	char *project, *agent, *thread; /* owned; agent, thread NULL: none */
	bool writes;
	json_t *keys; /* resource_keys.h; NULL: none */
	int64_t rank; /* in the queue */
};
void ccp_slot_done(struct ccp_slot *slot);
#define _cleanup_slot_ _cleanup_(ccp_slot_done)
/* Reads, to learn the sandbox of its thread. */
int ccp_slot_of(struct ccp_db *db, const struct ccp_op *op, struct ccp_slot *ret_slot,
		struct codexcp_error *err);
/*
 * The names of what it locks, as an array of {lockKey, lockMode}: exclusive, or counted when the
 * limit lets several have it. A new reference, NULL when memory ran out.
 */
json_t *ccp_slot_locks(const struct ccp_slot *slot, const char *project_id,
		       const struct ccp_limits *limits);

/* What is taken, and what is waited for. */
struct ccp_slot_list {
	struct ccp_slot *items;
	size_t n;
};
struct ccp_slots {
	struct ccp_slot_list taken;
	struct ccp_slot_list waiting; /* for locks; queue.h finds them */
	bool crowded;                 /* app-server has as many unanswered requests as it may */
};
void ccp_slots_done(struct ccp_slots *slots);
#define _cleanup_slots_ _cleanup_(ccp_slots_done)
/* Steals *slot, also on failure. */
int ccp_slot_list_add(struct ccp_slot_list *list, struct ccp_slot *slot, struct codexcp_error *err);
/* What is taken, by the operations that hold a slot now. The rest is for the caller to say. */
int ccp_slots_read(struct ccp_db *db, struct ccp_slots *ret_slots, struct codexcp_error *err);

/* Whether an operation may run beside them; *ret_why is written when it may not. */
bool ccp_slots_admit(const struct ccp_slots *slots, const struct ccp_limits *limits,
		     const struct ccp_slot *wanted, enum ccp_queued_reason *ret_why);
