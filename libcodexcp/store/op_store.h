/*
 * Operations: what was asked (never changes) and where it stands (changes only through the one
 * setter).
 *
 * ccp_op_insert() belongs to the transaction that acknowledges; ccp_op_update() compares the
 * version that was read, so a writer that was overtaken changes nothing and is told so.
 */
#pragma once

#include "store/row.h"

struct ccp_op {
	CCP_OP_FIXED_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
	CCP_OP_STATE_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
	int64_t version; /* counts the updates */
};

void ccp_op_done(struct ccp_op *op);
#define _cleanup_op_ _cleanup_(ccp_op_done)

/* The bulky part of what was asked, read only when it is sent. */
struct ccp_op_request {
	char *message;
	char *input_items;   /* JSON array or NULL */
	char *output_schema; /* JSON object or NULL */
	char *arguments;     /* JSON: what the caller sent, for the comparison of request ids */
};
void ccp_op_request_done(struct ccp_op_request *request);
#define _cleanup_op_request_ _cleanup_(ccp_op_request_done)

/* In a transaction that has looked for the client_request_id before. */
int ccp_op_insert(struct ccp_db *db, const struct ccp_op *op, const struct ccp_op_request *request,
		  struct codexcp_error *err);
/* 1 found, 0 none. */
int ccp_op_get(struct ccp_db *db, const char *id, struct ccp_op *ret_op, struct codexcp_error *err);
int ccp_op_get_by_client_id(struct ccp_db *db, const char *client_request_id, struct ccp_op *ret_op,
			    struct codexcp_error *err);
/* The newest operation that owns this turn; turn_id NULL: any turn of the thread, active ones
 * first. */
int ccp_op_get_by_turn(struct ccp_db *db, const char *thread_id, const char *turn_id,
		       struct ccp_op *ret_op, struct codexcp_error *err);
/* The newest operation that had a turn in the thread: its policy is the thread's. */
int ccp_op_get_thread_policy(struct ccp_db *db, const char *thread_id, struct ccp_op *ret_op,
			     struct codexcp_error *err);
int ccp_op_get_request(struct ccp_db *db, const char *id, struct ccp_op_request *ret_request,
		       struct codexcp_error *err);

/*
 * THE setter: writes the state columns when the row still has `op->version`, which it increments in
 * the row and in `op`. 1 written, 0 somebody was faster. Called from domain/op_apply.c only.
 */
int ccp_op_update(struct ccp_db *db, struct ccp_op *op, struct codexcp_error *err);

/* Lists: call fn for each row until it returns non-zero. The row is borrowed for the call. */
typedef int (*ccp_op_fn)(const struct ccp_op *op, void *data);
int ccp_op_each_active(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err);
/* The same, with CCP_OP_QUEUE_COLUMNS only. */
int ccp_op_each_running(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err);

/* Active guarding operations of this scope with this prompt, oldest first. */
int ccp_op_each_same_prompt(struct ccp_db *db, const char *scope, const char *hash, ccp_op_fn fn,
			    void *data, struct codexcp_error *err);
/* The newest active prompts of a scope (at most `limit`): their shapes, and where their texts
 * are. */
typedef int (*ccp_shape_fn)(int64_t seq, const char *shape, void *data);
int ccp_op_each_shape(struct ccp_db *db, const char *scope, int limit, ccp_shape_fn fn, void *data,
		      struct codexcp_error *err);
/* Calls fn with one of them: what it returns, 0 when the prompt is gone. */
typedef int (*ccp_prompt_fn)(const char *id, const char *message, const char *resource_keys,
			     void *data);
int ccp_op_with_prompt(struct ccp_db *db, int64_t seq, ccp_prompt_fn fn, void *data,
		       struct codexcp_error *err);
/* The newest completed operation of a project with this prompt and a thread: for continuing it. */
int ccp_op_find_completed_prompt(struct ccp_db *db, const char *project_path, const char *hash,
				 struct ccp_op *ret_op, struct codexcp_error *err);

/* What a class of priority is worth in waiting. */
#define CCP_QUEUE_CLASS_MS 600000
/* The order of the queue of one agent: least first. */
static inline int64_t ccp_op_rank(const struct ccp_op *op)
{
	return op->created_at - op->priority * CCP_QUEUE_CLASS_MS;
}

/*
 * The queue, lane by lane: of what is due and not behind another of its thread. A lane is one
 * agent's operations in one project with one sandbox, with or without resource keys, by rank; the
 * lanes of an agent follow each other. A lane that is left costs nothing, however long it is. The
 * rows have CCP_OP_QUEUE_COLUMNS only. `served_at`: when an operation of this agent (of those
 * without an agent) was begun last, 0 never.
 */
enum ccp_queue_next {
	CCP_QUEUE_NEXT_ROW,
	CCP_QUEUE_LANE_DONE,
};
typedef enum ccp_queue_next (*ccp_queued_fn)(const struct ccp_op *op, int64_t served_at,
					     void *data);
int ccp_op_each_queued(struct ccp_db *db, int64_t now, ccp_queued_fn fn, void *data,
		       struct codexcp_error *err);
/* Whether an earlier one is queued for the same thread. */
int ccp_op_is_behind(struct ccp_db *db, const char *id, struct codexcp_error *err);
/* The operation before this one that was begun last in a thread. 1 found, 0 none. */
int ccp_op_last_begun(struct ccp_db *db, const char *thread_id, const char *but_id,
		      struct ccp_op *ret_op, struct codexcp_error *err);
/* The queue by rank, all agents together; until fn has enough. */
int ccp_op_each_in_queue(struct ccp_db *db, ccp_op_fn fn, void *data, struct codexcp_error *err);
/* The earliest not_before of queued operations that lies after `now`; 0 = none. */
int ccp_op_next_due(struct ccp_db *db, int64_t now, int64_t *ret_at, struct codexcp_error *err);

/*
 * The account's limit: how many operations wait for its end, how many of those that were let out
 * have not got through yet, and until when, as far as is known, waiting is all that helps.
 */
struct ccp_op_quota {
	int64_t waiting, trying, until;
	int64_t most_waits; /* times that one of those that wait has waited */
};
static inline bool ccp_op_quota_holds(const struct ccp_op_quota *quota)
{
	return quota->waiting || quota->trying;
}
int ccp_op_quota(struct ccp_db *db, struct ccp_op_quota *ret_quota, struct codexcp_error *err);
/* Those that wait, in scheduling order, until fn returns non-zero. */
typedef int (*ccp_op_id_fn)(const char *id, void *data);
int ccp_op_each_waiting_for_quota(struct ccp_db *db, ccp_op_id_fn fn, void *data,
				  struct codexcp_error *err);

/* `queued` are all that take no slot yet, `waiting` those that need somebody. */
struct ccp_op_counts {
	int64_t active, queued, waiting;
};
int ccp_op_count(struct ccp_db *db, struct ccp_op_counts *ret_counts, struct codexcp_error *err);
/* Where operations stand, and how many of them; `id` is one of them. All borrowed for the call. */
struct ccp_op_standing {
	const char *id, *phase, *status;
	int64_t active, count;
};
typedef void (*ccp_op_standing_fn)(const struct ccp_op_standing *standing, void *data);
int ccp_op_each_standing(struct ccp_db *db, ccp_op_standing_fn fn, void *data,
			 struct codexcp_error *err);
int ccp_op_count_all(struct ccp_db *db, int64_t *ret_count, struct codexcp_error *err);
/* Canonical directories in which operations ran, newest first; fn(path, project_id, last use). */
typedef int (*ccp_project_fn)(const char *path, const char *project_id, int64_t last_at,
			      void *data);
int ccp_op_each_project(struct ccp_db *db, ccp_project_fn fn, void *data,
			struct codexcp_error *err);
