/* One operation in a database of its own, and the events that happen to it. */
#pragma once

#include <ccp_db_check.h>

#include "base/ids.h"
#include "base/str.h"
#include "domain/op_apply.h"

#define EPOCH 7

struct fixture {
	struct db_fixture db;
	struct db_clock clock;
};

/* With one operation "a" in the queue, at 5000. */
static inline void setup(struct fixture *f)
{
	struct ccp_op row = db_op_row("a");

	ck_assert_int_eq(ccp_random_init(), 0);
	db_setup(&f->db);
	db_clock_init(&f->clock, 5000);
	db_insert(f->db.db, &row);
}

static inline void done(struct fixture *f)
{
	db_done(&f->db);
}

/* Applies in a transaction; the caller releases the outcome. */
static inline struct ccp_op_outcome apply(struct fixture *f, enum ccp_op_event event,
					  const struct ccp_op_change *change)
{
	struct ccp_op_outcome outcome = { 0 };

	OK(ccp_db_begin(f->db.db, &db_err));
	OK(ccp_op_apply(f->db.db, &f->clock.clock, "a", event, change, &outcome, &db_err));
	OK(ccp_db_commit(f->db.db, &db_err));
	return outcome;
}

/* Applies what must lead to this step. */
static inline void step(struct fixture *f, enum ccp_op_event event,
			const struct ccp_op_change *change, enum ccp_step to)
{
	struct ccp_op_outcome outcome = apply(f, event, change);

	ck_assert(outcome.changed);
	ck_assert_int_eq(outcome.to, to);
	ccp_op_outcome_done(&outcome);
}

static inline void claim(struct fixture *f)
{
	const struct ccp_op_change change = { .epoch = EPOCH, .app_server_ready = true };

	step(f, CCP_OP_CLAIM, &change, CCP_STEP_IS_THREAD_SENT);
}

static inline void thread_ready(struct fixture *f, bool is_new)
{
	const struct ccp_op_change change = {
		.thread_id = "t",
		.thread_is_new = is_new,
		.instance = "i",
		.boot_id = "boot",
		.baseline_turn = "b",
		.baseline_count = 4,
		.effective_sandbox = "workspace-write",
		.effective_approval = "never",
		.effective_model = "m",
		.effective_effort = "high",
	};

	step(f, CCP_OP_THREAD_READY, &change, CCP_STEP_IS_TURN_SENT);
}

static inline struct ccp_op read_op(struct fixture *f)
{
	struct ccp_op op = { 0 };

	ck_assert_int_eq(ccp_op_get(f->db.db, "a", &op, &db_err), 1);
	return op;
}
