#include "domain/op_machine.h"

#include "base/strbuf.h"

/* Conditions of rows: one word each, so that the table reads. */
#define CCP_GUARDS(X)                                                                              \
	X(ALWAYS, "", true)                                                                        \
	X(READY, "app-server is ready", f->app_server_ready)                                       \
	X(INTERRUPT_ASKED, "an interrupt was asked for", f->interrupt_asked)                       \
	X(READ_ONLY, "the turn cannot write", f->read_only)                                        \
	X(NEW_THREAD, "it was the thread's first turn, and the thread is gone", f->thread_is_new)  \
	X(READ_ONLY_NEW, "the turn cannot write, was the thread's first, and the thread is gone",  \
	  f->read_only && f->thread_is_new)                                                        \
	X(MAY_CONTINUE, "on_interruption is continue, and continuations are left",                 \
	  f->may_continue)                                                                         \
	X(CODEX_LIVES, "the process that ran it still runs", f->codex_lives)                       \
	X(QUOTA_WAITS_LEFT, "quota waits are left", f->quota_waits_left)                           \
	X(QUOTA_HELD, "nothing went through since the limit", f->quota_held)                       \
	X(ATTEMPTS_LEFT, "attempts are left", f->attempt < CCP_OP_MAX_ATTEMPTS)                    \
	X(OVERLOADS_LEFT, "overload retries are left", f->overloads < CCP_OP_MAX_OVERLOADS)        \
	X(CRASHED_TOO_OFTEN, "processes died with it too often",                                   \
	  f->crash_count >= CCP_OP_MAX_CRASHES)

enum guard {
#define X(name, words, test) WHEN_##name,
	CCP_GUARDS(X)
#undef X
};

static bool holds(enum guard guard, const struct ccp_op_facts *f)
{
	switch (guard) {
#define X(name, words, test)                                                                       \
	case WHEN_##name:                                                                          \
		return test;
		CCP_GUARDS(X)
#undef X
	}
	return false;
}

#define IN(step) (1u << CCP_STEP_IS_##step)
#define WAITING  (IN(QUEUED) | IN(WAITING_FOR_QUOTA))
#define STARTING (IN(CLAIMED) | IN(THREAD_SENT))
#define LIVE     (IN(RUNNING) | IN(WAITING_FOR_APPROVAL) | IN(WAITING_FOR_USER_INPUT))
/* The turn may have reached Codex and has not ended as far as we know. */
#define SENT       (IN(TURN_SENT) | IN(LOOKING_UP) | LIVE)
#define DO(effect) CCP_EFFECT_##effect
#define TO(step)   CCP_STEP_IS_##step

struct transition {
	unsigned from;
	enum ccp_op_event event;
	enum guard when;
	enum ccp_step to;
	unsigned effects;
	enum ccp_queued_reason queued;
	const char *reason;
};

/* clang-format off */
static const struct transition transitions[] = {
	/* to a turn */
	{ WAITING, CCP_OP_CLAIM, WHEN_READY, TO(THREAD_SENT), DO(SEND_THREAD) },
	{ WAITING, CCP_OP_CLAIM, WHEN_ALWAYS, TO(CLAIMED), DO(START_APP_SERVER) },
	{ IN(CLAIMED), CCP_OP_APP_SERVER_READY, WHEN_ALWAYS, TO(THREAD_SENT), DO(SEND_THREAD) },
	{ IN(THREAD_SENT), CCP_OP_THREAD_READY, WHEN_ALWAYS, TO(TURN_SENT), DO(SEND_TURN) },
	{ IN(TURN_SENT) | IN(LOOKING_UP), CCP_OP_TURN_STARTED, WHEN_INTERRUPT_ASKED, TO(RUNNING), DO(SEND_INTERRUPT) | DO(CLEAN_STEP) },
	{ IN(TURN_SENT) | IN(LOOKING_UP), CCP_OP_TURN_STARTED, WHEN_ALWAYS, TO(RUNNING), DO(CLEAN_STEP) },

	/* waiting for something that is not the turn */
	{ STARTING, CCP_OP_APP_SERVER_UNAVAILABLE, WHEN_ALWAYS, TO(QUEUED), DO(WAIT_BACKOFF) | DO(FREE_ATTEMPT), CCP_QUEUED_APP_SERVER },
	{ IN(THREAD_SENT), CCP_OP_THREAD_BUSY, WHEN_ALWAYS, TO(QUEUED), DO(WAIT_SHORT) | DO(FREE_ATTEMPT), CCP_QUEUED_THREAD },
	{ IN(TURN_SENT), CCP_OP_THREAD_ELSEWHERE, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ IN(THREAD_SENT) | IN(TURN_SENT), CCP_OP_THREAD_ELSEWHERE, WHEN_ALWAYS, TO(QUEUED), DO(WAIT_SHORT) | DO(FREE_ATTEMPT), CCP_QUEUED_ELSEWHERE },
	{ IN(LOOKING_UP), CCP_OP_THREAD_ELSEWHERE, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP), 0, "thread_open_elsewhere" },
	{ IN(LOOKING_UP), CCP_OP_THREAD_BUSY, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP) },
	{ LIVE, CCP_OP_APPROVAL_OPENED, WHEN_ALWAYS, TO(WAITING_FOR_APPROVAL), 0 },
	{ LIVE, CCP_OP_INPUT_OPENED, WHEN_ALWAYS, TO(WAITING_FOR_USER_INPUT), 0 },
	{ LIVE, CCP_OP_ANSWERED, WHEN_ALWAYS, TO(RUNNING), 0 },

	/* the end of a turn: whatever we believed, Codex's own word counts */
	{ SENT, CCP_OP_TURN_COMPLETED, WHEN_ALWAYS, TO(COMPLETED), 0 },
	{ SENT, CCP_OP_TURN_FAILED, WHEN_ALWAYS, TO(FAILED), 0 },
	{ SENT, CCP_OP_TURN_INTERRUPTED, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ SENT, CCP_OP_QUOTA_EXCEEDED, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ SENT, CCP_OP_QUOTA_EXCEEDED, WHEN_QUOTA_WAITS_LEFT, TO(WAITING_FOR_QUOTA), DO(CONTINUE) | DO(FREE_ATTEMPT) | DO(WAIT_QUOTA) | DO(READ_LIMITS) },
	{ SENT, CCP_OP_QUOTA_EXCEEDED, WHEN_ALWAYS, TO(FAILED), 0 },
	{ IN(LOOKING_UP), CCP_OP_TURN_INTERRUPTED, WHEN_CODEX_LIVES, TO(INTERRUPTED), 0, 0, "interrupted_in_codex" },
	{ IN(LOOKING_UP), CCP_OP_TURN_INTERRUPTED, WHEN_MAY_CONTINUE, TO(QUEUED), DO(CONTINUE) | DO(COUNT_CONTINUATION) | DO(FREE_ATTEMPT), CCP_QUEUED_CONTINUING },
	{ IN(LOOKING_UP), CCP_OP_TURN_INTERRUPTED, WHEN_ALWAYS, TO(INTERRUPTED), 0, 0, "app_server_exit" },
	{ SENT, CCP_OP_TURN_INTERRUPTED, WHEN_ALWAYS, TO(INTERRUPTED), 0, 0, "interrupted_in_codex" },

	/* the account's usage limit */
	{ IN(WAITING_FOR_QUOTA), CCP_OP_QUOTA_TOLD, WHEN_ALWAYS, TO(WAITING_FOR_QUOTA), DO(WAIT_QUOTA) },
	{ IN(WAITING_FOR_QUOTA), CCP_OP_QUOTA_OVER, WHEN_ALWAYS, TO(WAITING_FOR_QUOTA), 0 },
	{ IN(RUNNING), CCP_OP_QUOTA_PASSED, WHEN_QUOTA_HELD, TO(RUNNING), DO(LET_GO) },

	/* failures before and at sending */
	{ STARTING | IN(TURN_SENT), CCP_OP_REFUSED, WHEN_ALWAYS, TO(FAILED), 0 },
	{ IN(TURN_SENT), CCP_OP_OVERLOADED, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ STARTING | IN(TURN_SENT), CCP_OP_OVERLOADED, WHEN_OVERLOADS_LEFT, TO(QUEUED), DO(WAIT_BACKOFF) | DO(FREE_ATTEMPT) | DO(COUNT_OVERLOAD), CCP_QUEUED_OVERLOAD },
	{ STARTING | IN(TURN_SENT), CCP_OP_OVERLOADED, WHEN_ALWAYS, TO(FAILED), 0 },
	{ IN(TURN_SENT), CCP_OP_TRANSIENT, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ STARTING | IN(TURN_SENT), CCP_OP_TRANSIENT, WHEN_ATTEMPTS_LEFT, TO(QUEUED), DO(WAIT_BACKOFF), CCP_QUEUED_RETRY },
	{ STARTING | IN(TURN_SENT), CCP_OP_TRANSIENT, WHEN_ALWAYS, TO(FAILED), 0 },
	{ STARTING, CCP_OP_OUTCOME_UNKNOWN, WHEN_ATTEMPTS_LEFT, TO(QUEUED), DO(WAIT_BACKOFF), CCP_QUEUED_RETRY },
	{ STARTING, CCP_OP_OUTCOME_UNKNOWN, WHEN_ALWAYS, TO(FAILED), 0 },
	{ IN(TURN_SENT), CCP_OP_OUTCOME_UNKNOWN, WHEN_ALWAYS, TO(LOOKING_UP), DO(LOOK_UP) },
	{ IN(LOOKING_UP), CCP_OP_OUTCOME_UNKNOWN, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP) },
	{ IN(LOOKING_UP), CCP_OP_OVERLOADED, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP) },
	{ IN(LOOKING_UP), CCP_OP_TRANSIENT, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP) },

	/* processes that died */
	{ STARTING, CCP_OP_WORKER_LOST, WHEN_CRASHED_TOO_OFTEN, TO(FAILED), 0 },
	{ SENT, CCP_OP_WORKER_LOST, WHEN_CRASHED_TOO_OFTEN, TO(UNKNOWN), 0, 0, "worker_crashed" },
	{ STARTING, CCP_OP_WORKER_LOST, WHEN_ALWAYS, TO(QUEUED), DO(FREE_ATTEMPT), CCP_QUEUED_WORKER },
	{ STARTING, CCP_OP_CONNECTION_LOST, WHEN_CRASHED_TOO_OFTEN, TO(FAILED), 0 },
	{ STARTING, CCP_OP_CONNECTION_LOST, WHEN_ALWAYS, TO(QUEUED), DO(FREE_ATTEMPT), CCP_QUEUED_WORKER },
	{ SENT, CCP_OP_WORKER_LOST, WHEN_ALWAYS, TO(LOOKING_UP), DO(LOOK_UP) },
	{ SENT, CCP_OP_CONNECTION_LOST, WHEN_ALWAYS, TO(LOOKING_UP), DO(LOOK_UP) },
	{ IN(LOOKING_UP), CCP_OP_APP_SERVER_UNAVAILABLE, WHEN_ALWAYS, TO(LOOKING_UP), DO(WAIT_SHORT) | DO(LOOK_UP) },

	/* what the look brought */
	{ IN(LOOKING_UP), CCP_OP_ABSENT, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ IN(LOOKING_UP), CCP_OP_ABSENT, WHEN_CRASHED_TOO_OFTEN, TO(FAILED), 0 },
	{ IN(LOOKING_UP), CCP_OP_ABSENT, WHEN_NEW_THREAD, TO(QUEUED), DO(FREE_ATTEMPT) | DO(FORGET_THREAD), CCP_QUEUED_WORKER },
	{ IN(LOOKING_UP), CCP_OP_ABSENT, WHEN_ALWAYS, TO(QUEUED), DO(FREE_ATTEMPT), CCP_QUEUED_WORKER },
	{ IN(LOOKING_UP), CCP_OP_ABSENT_POWER_LOSS, WHEN_INTERRUPT_ASKED, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ IN(LOOKING_UP), CCP_OP_ABSENT_POWER_LOSS, WHEN_READ_ONLY_NEW, TO(QUEUED), DO(FREE_ATTEMPT) | DO(FORGET_THREAD), CCP_QUEUED_WORKER },
	{ IN(LOOKING_UP), CCP_OP_ABSENT_POWER_LOSS, WHEN_READ_ONLY, TO(QUEUED), DO(FREE_ATTEMPT), CCP_QUEUED_WORKER },
	{ IN(LOOKING_UP), CCP_OP_ABSENT_POWER_LOSS, WHEN_ALWAYS, TO(UNKNOWN), 0, 0, "power_loss" },
	{ IN(LOOKING_UP), CCP_OP_NO_EVIDENCE, WHEN_ALWAYS, TO(UNKNOWN), 0, 0, "no_evidence" },

	/* supervision of the turn that runs */
	{ IN(RUNNING), CCP_OP_STALLED, WHEN_ALWAYS, TO(RUNNING), 0 },
	{ IN(RUNNING), CCP_OP_GOES_ON, WHEN_ALWAYS, TO(RUNNING), 0 },

	/* somebody wants it to stop */
	{ WAITING | STARTING, CCP_OP_INTERRUPT, WHEN_ALWAYS, TO(INTERRUPTED), 0, 0, "interrupted_by_request" },
	{ LIVE, CCP_OP_INTERRUPT, WHEN_ALWAYS, TO(RUNNING), DO(SEND_INTERRUPT) },
	{ IN(TURN_SENT), CCP_OP_INTERRUPT, WHEN_ALWAYS, TO(TURN_SENT), 0 },
	{ IN(LOOKING_UP), CCP_OP_INTERRUPT, WHEN_ALWAYS, TO(LOOKING_UP), 0 },
};
/* clang-format on */

struct ccp_op_decision ccp_op_decide(enum ccp_step step, enum ccp_op_event event,
				     const struct ccp_op_facts *facts)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(transitions); i++) {
		const struct transition *t = &transitions[i];

		if ((t->from & (1u << step)) && t->event == event && holds(t->when, facts))
			return (struct ccp_op_decision){ .matched = true,
							 .next = t->to,
							 .effects = t->effects,
							 .queued_reason = t->queued,
							 .reason = t->reason };
	}
	return (struct ccp_op_decision){ .matched = false, .next = step };
}

static const struct {
	const char *name, *meaning;
} events[] = {
#define X(event, name, meaning) { name, meaning },
	CCP_OP_EVENTS(X)
#undef X
};

const char *ccp_op_event_name(enum ccp_op_event event)
{
	return events[event].name;
}

size_t ccp_op_event_count(void)
{
	return CCP_ARRAY_SIZE(events);
}

/* The page */

static const struct {
	unsigned bit;
	const char *name;
} effect_names[] = {
#define X(effect, bit, name) { 1u << (bit), name },
	CCP_OP_EFFECTS(X)
#undef X
};

static const char *guard_words(enum guard guard)
{
	switch (guard) {
#define X(name, words, test)                                                                       \
	case WHEN_##name:                                                                          \
		return words;
		CCP_GUARDS(X)
#undef X
	}
	return "";
}

static void print_phases(struct ccp_strbuf *sb, unsigned set)
{
	const char *separator = "";

	for (size_t i = 0; i < ccp_step_count(); i++) {
		if (!(set & (1u << i)))
			continue;
		ccp_strbuf_appendf(sb, "%s%s", separator, ccp_step_row((enum ccp_step)i)->phase);
		separator = ", ";
	}
}

static void print_effects(struct ccp_strbuf *sb, const struct transition *t)
{
	const char *separator = "";

	for (size_t i = 0; i < CCP_ARRAY_SIZE(effect_names); i++) {
		if (!(t->effects & effect_names[i].bit))
			continue;
		ccp_strbuf_appendf(sb, "%s%s", separator, effect_names[i].name);
		separator = ", ";
	}
}

static void print_steps(struct ccp_strbuf *sb)
{
	ccp_strbuf_append(sb, "| phase | status | takes a slot | next action | meaning |\n"
			      "|---|---|---|---|---|\n");
	for (size_t i = 0; i < ccp_step_count(); i++) {
		const struct ccp_step_row *row = ccp_step_row((enum ccp_step)i);

		ccp_strbuf_appendf(sb, "| %s | %s | %s | %s | %s |\n", row->phase, row->status,
				   row->flags & CCP_STEP_TERMINAL ? "terminal"
				   : row->flags & CCP_STEP_SLOT   ? "yes"
								  : "no",
				   row->action, row->meaning);
	}
}

static void print_queued_reasons(struct ccp_strbuf *sb)
{
	ccp_strbuf_append(sb, "| queuedReason | next action | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < ccp_queued_reason_count(); i++) {
		enum ccp_queued_reason reason = (enum ccp_queued_reason)i;
		const char *name = ccp_queued_reason_name(reason);
		const char *action = ccp_queued_reason_action(name);

		ccp_strbuf_appendf(sb, "| %s | %s | %s |\n", name,
				   action ? action : ccp_step_row(CCP_STEP_IS_QUEUED)->action,
				   ccp_queued_reason_meaning(reason));
	}
}

static void print_transitions(struct ccp_strbuf *sb)
{
	ccp_strbuf_append(sb, "| from | event | when | to | then |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(transitions); i++) {
		const struct transition *t = &transitions[i];

		ccp_strbuf_append(sb, "| ");
		print_phases(sb, t->from);
		ccp_strbuf_appendf(sb, " | %s | %s | %s | ", events[t->event].name,
				   guard_words(t->when), ccp_step_row(t->to)->phase);
		print_effects(sb, t);
		ccp_strbuf_append(sb, " |\n");
	}
}

char *ccp_op_machine_markdown(void)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(256 * 1024);

	ccp_strbuf_append(&sb, "# State machines\n\n"
			       "Printed from the tables of `libcodexcp/domain/status.h` and "
			       "`op_machine.c`; a test compares.\n\n## Steps of an operation\n\n");
	print_steps(&sb);
	ccp_strbuf_append(&sb, "\n## What a queued operation waits for\n\n");
	print_queued_reasons(&sb);
	ccp_strbuf_append(&sb, "\n## Events\n\n| event | meaning |\n|---|---|\n");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(events); i++)
		ccp_strbuf_appendf(&sb, "| %s | %s |\n", events[i].name, events[i].meaning);
	ccp_strbuf_append(&sb, "\n## Transitions\n\nThe first row that matches decides. A pair of "
			       "step and event that no row matches changes nothing.\n\n");
	print_transitions(&sb);
	return ccp_strbuf_take(&sb);
}
