/*
 * The operation machine: a pure decision. Given where an operation stands, what happened, and what
 * is known, it says where it goes and which effects follow. It does no I/O; op_apply.h writes the
 * decision down and the runner carries the effects out, after the commit.
 *
 * The transitions are one table of rows (op_machine.c), tried from top to bottom; a (step, event)
 * pair that no row matches changes nothing, so a late or repeated event is harmless.
 * docs/STATE-MACHINES.md is printed from the table.
 */
#pragma once

#include "domain/status.h"

/* X(EVENT, name, meaning) */
#define CCP_OP_EVENTS(X)                                                                           \
	X(CLAIM, "claim", "the scheduler has a slot for it")                                       \
	X(APP_SERVER_READY, "app_server_ready", "app-server answers")                              \
	X(APP_SERVER_UNAVAILABLE, "app_server_unavailable", "app-server cannot be started")        \
	X(THREAD_READY, "thread_ready", "the thread is loaded in our app-server")                  \
	X(THREAD_BUSY, "thread_busy", "another turn runs in the thread")                           \
	X(THREAD_ELSEWHERE, "thread_elsewhere", "another process has the thread open")             \
	X(TURN_STARTED, "turn_started", "Codex accepted the turn, or it was found running")        \
	X(TURN_COMPLETED, "turn_completed", "the turn ended by itself")                            \
	X(TURN_FAILED, "turn_failed", "Codex gave the turn up")                                    \
	X(QUOTA_EXCEEDED, "quota_exceeded", "Codex gave the turn up: the account's usage limit")   \
	X(QUOTA_TOLD, "quota_told", "Codex says when the limit ends")                              \
	X(QUOTA_OVER, "quota_over", "another login, or another turn went through")                 \
	X(QUOTA_PASSED, "quota_passed", "the model answers again")                                 \
	X(TURN_INTERRUPTED, "turn_interrupted", "the turn was cut, on trusted evidence")           \
	X(APPROVAL_OPENED, "approval_opened", "Codex asks for an approval")                        \
	X(INPUT_OPENED, "input_opened", "Codex asks a question")                                   \
	X(ANSWERED, "answered", "nothing is open any more")                                        \
	X(REFUSED, "refused", "Codex refused the request: trying again is useless")                \
	X(OVERLOADED, "overloaded", "app-server is overloaded (-32001)")                           \
	X(TRANSIENT, "transient", "a failure that may pass; the turn does not run")                \
	X(OUTCOME_UNKNOWN, "outcome_unknown", "no answer came to a request that may have run")     \
	X(CONNECTION_LOST, "connection_lost", "app-server, or our connection to it, is gone")      \
	X(WORKER_LOST, "worker_lost", "a new worker found it half-way")                            \
	X(ABSENT, "absent", "evidence: the turn never ran")                                        \
	X(ABSENT_POWER_LOSS, "absent_power_loss",                                                  \
	  "no trace of the turn, but the machine was started again since")                         \
	X(STALLED, "stalled", "its turn tells nothing, and nothing that it waits for runs")        \
	X(GOES_ON, "goes_on", "there is news of a turn that was stalled")                          \
	X(NO_EVIDENCE, "no_evidence", "looked up in vain: nothing tells what became of it")        \
	X(INTERRUPT, "interrupt", "somebody wants it to stop")

enum ccp_op_event {
#define X(event, name, meaning) CCP_OP_##event,
	CCP_OP_EVENTS(X)
#undef X
};

/* X(EFFECT, bit, name): what the runner does after the commit. */
#define CCP_OP_EFFECTS(X)                                                                          \
	X(START_APP_SERVER, 0, "start app-server")                                                 \
	X(SEND_THREAD, 1, "send thread/start or thread/resume")                                    \
	X(SEND_TURN, 2, "send turn/start")                                                         \
	X(SEND_INTERRUPT, 3, "send turn/interrupt")                                                \
	X(LOOK_UP, 4, "look the outcome up")                                                       \
	X(WAIT_BACKOFF, 5, "wait with growing delay")                                              \
	X(WAIT_SHORT, 6, "look again soon")                                                        \
	X(FREE_ATTEMPT, 7, "does not count as an attempt")                                         \
	X(CLEAN_STEP, 8, "the counts of crashes and overloads start again")                        \
	X(FORGET_THREAD, 9, "the thread was never stored: take a new one")                         \
	X(CONTINUE, 10, "the next turn goes on where this one was cut")                            \
	X(COUNT_CONTINUATION, 11, "it is one of max_continuations")                                \
	X(WAIT_QUOTA, 12, "wait until the limit ends")                                             \
	X(READ_LIMITS, 13, "ask when the limit ends")                                              \
	X(LET_GO, 14, "what else waits for the limit may go on")                                   \
	X(COUNT_OVERLOAD, 15, "it is one of the overload retries")

enum ccp_op_effect {
#define X(effect, bit, name) CCP_EFFECT_##effect = 1 << (bit),
	CCP_OP_EFFECTS(X)
#undef X
};

/* Those that are a part of the row, and done with the commit. */
#define CCP_OP_ROW_EFFECTS                                                                         \
	(CCP_EFFECT_WAIT_BACKOFF | CCP_EFFECT_WAIT_SHORT | CCP_EFFECT_FREE_ATTEMPT |               \
	 CCP_EFFECT_CLEAN_STEP | CCP_EFFECT_FORGET_THREAD | CCP_EFFECT_CONTINUE |                  \
	 CCP_EFFECT_COUNT_CONTINUATION | CCP_EFFECT_WAIT_QUOTA | CCP_EFFECT_COUNT_OVERLOAD)

#define CCP_OP_MAX_ATTEMPTS 3
/*
 * Retries of one turn because of overload, beside its attempts: the process was busy and did
 * nothing. It drains its queue in seconds, or when the load of others has passed; with pauses that
 * grow to half a minute twenty retries last five minutes at least. What is overloaded for longer is
 * stuck, and the caller has to know.
 */
#define CCP_OP_MAX_OVERLOADS   20
#define CCP_OP_MAX_CRASHES     3
#define CCP_OP_MAX_QUOTA_WAITS 5

/* What a decision may depend on beside step and event. */
struct ccp_op_facts {
	bool app_server_ready;
	bool interrupt_asked;
	bool read_only;     /* the turn cannot write: running it twice harms nobody */
	bool thread_is_new; /* this operation started its thread, and it is not loaded any more */
	bool may_continue;  /* on_interruption, and continuations are left */
	bool codex_lives;   /* the app-server process that ran the turn still runs */
	bool quota_waits_left;
	bool quota_held;     /* nothing has gone through since the account's limit stopped it */
	int64_t attempt;     /* attempts begun, the present one included */
	int64_t overloads;   /* retries because of overload since a turn last began */
	int64_t crash_count; /* workers and app-servers that died with it before its turn ran */
};

struct ccp_op_decision {
	bool matched;
	enum ccp_step next;
	unsigned effects;
	enum ccp_queued_reason queued_reason; /* when next is QUEUED */
	const char *reason;                   /* for terminal steps: why; may be NULL */
};

struct ccp_op_decision ccp_op_decide(enum ccp_step step, enum ccp_op_event event,
				     const struct ccp_op_facts *facts);

const char *ccp_op_event_name(enum ccp_op_event event);
size_t ccp_op_event_count(void);
/* The page docs/STATE-MACHINES.md; NULL when memory ran out. */
char *ccp_op_machine_markdown(void);
