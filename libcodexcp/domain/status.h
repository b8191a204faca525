/*
 * Where an operation can stand. One table: the machine's step (clients see it as `phase`), the
 * status that clients steer by, and what they are told to do about it. docs/STATE-MACHINES.md is
 * printed from it.
 */
#pragma once

#include "base/macro.h"

/*
 * X(STEP, phase, status, flags, next recommended action, poll after seconds, meaning)
 * T terminal, S takes a slot, A needs attention.
 */
#define CCP_STEPS(X)                                                                               \
	X(QUEUED, "queued", "queued", 0, "wait_for_background_worker", 2,                          \
	  "committed; waits for a worker, a slot, its thread or a point in time (queuedReason)")   \
	X(WAITING_FOR_QUOTA, "waiting_for_quota", "waiting_for_quota", 0, "wait_for_quota", 60,    \
	  "the account's usage limit cut the turn; it goes on by itself when the limit ends")      \
	X(CLAIMED, "claimed", "starting_app_server", CCP_STEP_SLOT, "poll_operation_status", 2,    \
	  "the worker has it; app-server is being started")                                        \
	X(THREAD_SENT, "thread_start_sent", "starting_thread", CCP_STEP_SLOT,                      \
	  "poll_operation_status", 2, "thread/start or thread/resume is under way")                \
	X(TURN_SENT, "turn_start_sent", "starting_turn", CCP_STEP_SLOT, "poll_operation_status",   \
	  2, "turn/start may have reached Codex")                                                  \
	X(LOOKING_UP, "looking_up", "running", CCP_STEP_SLOT, "poll_operation_status", 2,          \
	  "app-server was lost; the outcome is looked up in the thread's history")                 \
	X(RUNNING, "running", "running", CCP_STEP_SLOT, "poll_turn_status", 15, "the turn runs")   \
	X(WAITING_FOR_APPROVAL, "waiting_for_approval", "waiting_for_approval",                    \
	  CCP_STEP_SLOT | CCP_STEP_ATTENTION, "answer_pending_interaction", 10,                    \
	  "the turn waits for an approval")                                                        \
	X(WAITING_FOR_USER_INPUT, "waiting_for_user_input", "waiting_for_user_input",              \
	  CCP_STEP_SLOT | CCP_STEP_ATTENTION, "answer_pending_interaction", 10,                    \
	  "the turn waits for an answer")                                                          \
	X(COMPLETED, "completed", "completed", CCP_STEP_TERMINAL, "read_final_report", 0,          \
	  "the turn ended; finalReport is its answer")                                             \
	X(FAILED, "failed", "failed", CCP_STEP_TERMINAL, "inspect_diagnostics", 0,                 \
	  "it cannot succeed; error says why and whether to try again")                            \
	X(INTERRUPTED, "interrupted", "interrupted", CCP_STEP_TERMINAL, "inspect_diagnostics", 0,  \
	  "somebody interrupted it, or the app-server process that ran it died (reason)")          \
	X(UNKNOWN, "unknown_after_app_server_exit", "unknown_after_app_server_exit",               \
	  CCP_STEP_TERMINAL, "inspect_diagnostics", 0,                                             \
	  "whether the turn ran cannot be found out; never counts as success")

enum ccp_step_flags {
	CCP_STEP_TERMINAL = 1,
	CCP_STEP_SLOT = 2,
	CCP_STEP_ATTENTION = 4,
};

enum ccp_step {
#define X(step, phase, status, flags, action, poll, meaning) CCP_STEP_IS_##step,
	CCP_STEPS(X)
#undef X
};

struct ccp_step_row {
	const char *name, *phase, *status;
	unsigned flags;
	const char *action;
	int poll_seconds;
	const char *meaning;
};

/* The row of a step; static. */
const struct ccp_step_row *ccp_step_row(enum ccp_step step);
size_t ccp_step_count(void);
/* From the `phase` of a row of the store. False when there is no such phase (a newer program's). */
_must_check_ bool ccp_step_parse(const char *phase, enum ccp_step *ret_step);

/*
 * Why a queued operation waits: X(NAME, queuedReason, next action that replaces the step's or NULL,
 * meaning).
 */
#define CCP_QUEUED_REASONS(X)                                                                      \
	X(WORKER, "waiting_for_worker", NULL, "its turn comes as soon as a worker looks")          \
	X(GLOBAL, "global_slot_limit", "wait_for_worker_slot",                                     \
	  "as many operations run as may run at all")                                              \
	X(PROJECT, "project_slot_limit", "wait_for_worker_slot",                                   \
	  "as many run in its project as may")                                                     \
	X(AGENT, "agent_slot_limit", "wait_for_worker_slot", "as many run for its agent as may")   \
	X(THREAD, "thread_slot_limit", "wait_for_worker_slot",                                     \
	  "another turn runs in its thread, or goes before it")                                    \
	X(LOCK, "resource_lock_conflict", "wait_for_resource_lock",                                \
	  "one that runs has a lock on what it would write")                                       \
	X(WRITE, "write_project_slot_limit", "wait_for_resource_lock",                             \
	  "as many turns write in its project as may")                                             \
	X(BACKPRESSURE, "app_server_backpressure", "inspect_worker_health",                        \
	  "app-server owes as many answers as it may")                                             \
	X(ELSEWHERE, "thread_open_elsewhere", NULL, "another Codex process has its thread open")   \
	X(APP_SERVER, "app_server_unavailable", "inspect_worker_health",                           \
	  "app-server could not be started; tried again with growing pauses")                      \
	X(OVERLOAD, "app_server_overloaded", NULL,                                                 \
	  "app-server was overloaded; tried again with growing pauses")                            \
	X(RETRY, "retry_after_worker_error", NULL,                                                 \
	  "it failed for a passing reason; tried again with growing pauses")                       \
	X(CONTINUING, "continuing", NULL, "its turn was cut; the next one goes on from there")     \
	X(QUOTA, "waiting_for_quota", "wait_for_quota",                                            \
	  "the account's usage limit holds everything until it ends")

enum ccp_queued_reason {
#define X(reason, text, action, meaning) CCP_QUEUED_##reason,
	CCP_QUEUED_REASONS(X)
#undef X
};
const char *ccp_queued_reason_name(enum ccp_queued_reason reason);
const char *ccp_queued_reason_meaning(enum ccp_queued_reason reason);
size_t ccp_queued_reason_count(void);
/* The action for a queuedReason, or NULL when the step's own action stands. */
const char *ccp_queued_reason_action(const char *reason);
