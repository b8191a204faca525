/*
 * The one place where an operation's status changes: load the row, let the machine decide, write
 * the row back if nobody was faster, append to the journal. Runs inside the caller's transaction;
 * the effects are the runner's, after the commit.
 */
#pragma once

#include "base/clock.h"
#include "domain/op_machine.h"
#include "store/op_store.h"

/* What an event brings along. Members that are NULL (or 0) leave the row's as they are. All
 * borrowed. */
struct ccp_op_change {
	/* The send this answers: when epoch is not 0 and (epoch, attempt) are not the row's, the
	 * event is about an earlier life of the operation; it is journaled and changes nothing. */
	int64_t epoch, attempt;
	bool app_server_ready;
	bool orderly; /* what was lost is no crash: a worker that had said goodbye, a connection */
	bool thread_here; /* app-server has the thread: thread/resume says so */

	const char *thread_id, *turn_id, *instance, *boot_id, *baseline_turn;
	int64_t baseline_count;
	bool thread_is_new;
	const char *effective_sandbox, *effective_approval, *effective_model, *effective_effort;
	const struct codexcp_error *error;
	const char *error_class;
	int64_t stalled_at; /* of STALLED, with why */
	const char *stall_evidence;
	const char *interrupt_reason; /* of INTERRUPT: who wants it; NULL: a caller */
	const char *terminals;        /* of the end of a turn that was interrupted */
	bool codex_lives;             /* the process that ran the turn still runs */
	/* Which of the account's limits stopped it, when that ends, as Codex says, and the minutes
	 * it is counted over. */
	const char *quota_limit;
	int64_t quota_resets_at, quota_window;
	/* Replaces the queued reason of the machine (a finer one). */
	const char *queued_reason;
};

struct ccp_op_outcome {
	bool changed;
	enum ccp_step from, to;
	unsigned effects;
	struct ccp_op op; /* as it is now; owned */
};
void ccp_op_outcome_done(struct ccp_op_outcome *outcome);

/* 0 also when the event changed nothing. CODEXCP_E_INVALID_ARGUMENT when there is no such
 * operation. */
int ccp_op_apply(struct ccp_db *db, const struct ccp_clock *clock, const char *id,
		 enum ccp_op_event event, const struct ccp_op_change *change,
		 struct ccp_op_outcome *ret_outcome, struct codexcp_error *err);
