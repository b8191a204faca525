#include "domain/op_apply.h"

#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "store/journal_store.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 30000
/* Something that others do: asked often at first, then less. */
#define SHORT_MIN_MS 1000
#define SHORT_MAX_MS 10000
/* Codex tells the end of a limit in whole seconds of another clock. */
#define QUOTA_SLACK_MS  1000
#define QUOTA_SPREAD_MS 1000
/* It did not tell: longer each time. */
#define QUOTA_MIN_MS (5 * 60 * 1000)
#define QUOTA_MAX_MS (60 * 60 * 1000)

void ccp_op_outcome_done(struct ccp_op_outcome *outcome)
{
	ccp_op_done(&outcome->op);
}

/* Grows with what it has waited so far; up to a quarter more, so that many do not come back
 * together. */
static int64_t spread_wait(int64_t wait, int64_t low, int64_t high)
{
	wait = CCP_CLAMP(wait, low, high);
	return wait + ccp_random_below((uint32_t)(wait / 4));
}

/* Until the limit ends, or as long as usual. */
static int64_t quota_wait_ms(const struct ccp_op *op, int64_t now)
{
	if (op->quota_resets_at)
		return op->quota_resets_at - now + QUOTA_SLACK_MS +
		       ccp_random_below(QUOTA_SPREAD_MS);
	return spread_wait(QUOTA_MIN_MS << CCP_CLAMP(op->quota_waits - 1, 0, 8), QUOTA_MIN_MS,
			   QUOTA_MAX_MS);
}

static int64_t wait_ms(const struct ccp_op *op, unsigned effects, int64_t now)
{
	int64_t age = now - op->started_at;

	return effects & CCP_EFFECT_WAIT_QUOTA ? quota_wait_ms(op, now)
	       : effects & CCP_EFFECT_WAIT_BACKOFF
		       ? spread_wait(age / 2, BACKOFF_MIN_MS, BACKOFF_MAX_MS)
	       : effects & CCP_EFFECT_WAIT_SHORT ? spread_wait(age / 8, SHORT_MIN_MS, SHORT_MAX_MS)
						 : 0;
}

static int journal(struct ccp_db *db, int64_t now, const struct ccp_op *op, const char *text,
		   enum ccp_op_event event, const char *reason, struct codexcp_error *err)
{
	json_auto_t *data = json_object();
	_cleanup_free_ char *dump = NULL;
	struct ccp_journal_row row = { .at = now,
				       .op_id = op->id,
				       .thread_id = op->thread_id,
				       .turn_id = op->turn_id,
				       .category = (char *)"operation_status",
				       .severity = (char *)"info",
				       .text = (char *)text };

	ccp_json_set_str(&data, "event", ccp_op_event_name(event));
	ccp_json_set_int(&data, "attempt", op->attempt);
	ccp_json_set_int(&data, "epoch", op->epoch);
	ccp_json_set_str(&data, "reason", reason);
	ccp_json_set_str(&data, "errorCode", op->error_code);
	if (event == CCP_OP_STALLED)
		ccp_json_set_str(&data, "evidence", op->stall_evidence);
	if (event == CCP_OP_INTERRUPT)
		ccp_json_set_str(&data, "interruptReason", op->interrupt_reason);
	ccp_json_set_str(&data, "continuedTurnId", op->continued_turn);
	dump = data ? ccp_json_dump(data, NULL) : NULL;
	if (!dump)
		return ccp_fail_oom(err);
	row.data = dump;
	return ccp_journal_append(db, &row, err);
}

static int copy_texts(struct ccp_op *op, const struct ccp_op_change *change,
		      struct codexcp_error *err)
{
	const struct {
		char **member;
		const char *value;
	} texts[] = {
		{ &op->thread_id, change->thread_id },
		{ &op->turn_id, change->turn_id },
		{ &op->instance, change->instance },
		{ &op->boot_id, change->boot_id },
		{ &op->baseline_turn, change->baseline_turn },
		{ &op->effective_sandbox, change->effective_sandbox },
		{ &op->effective_approval, change->effective_approval },
		{ &op->effective_model, change->effective_model },
		{ &op->effective_effort, change->effective_effort },
		{ &op->error_class, change->error_class },
		{ &op->stall_evidence, change->stall_evidence },
		{ &op->terminals, change->terminals },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(texts); i++)
		if (texts[i].value && ccp_row_set(texts[i].member, texts[i].value, err) < 0)
			return CODEXCP_E_NO_MEMORY;
	return 0;
}

static int copy_error(struct ccp_op *op, const struct codexcp_error *from,
		      struct codexcp_error *err)
{
	if (!from || !from->code)
		return 0;
	op->error_retryable = from->retryable;
	if (ccp_row_set(&op->error_code, codexcp_error_name(from->code), err) < 0)
		return CODEXCP_E_NO_MEMORY;
	return ccp_row_set(&op->error_message, from->message, err);
}

/* A worker takes the operation over: what follows is its own. */
static bool begins_anew(enum ccp_op_event event)
{
	return event == CCP_OP_CLAIM || event == CCP_OP_WORKER_LOST;
}

/* The first wish counts. */
static int ask_interrupt(struct ccp_op *op, enum ccp_op_event event, int64_t now,
			 const struct ccp_op_change *change, struct codexcp_error *err)
{
	if (event != CCP_OP_INTERRUPT || op->interrupt_at)
		return 0;
	op->interrupt_at = now;
	return ccp_row_set(&op->interrupt_reason, change->interrupt_reason, err);
}

/* A time that has passed says nothing about a limit that is still there. */
static int take_quota(struct ccp_op *op, const struct ccp_op_change *change, int64_t now,
		      struct codexcp_error *err)
{
	bool told = change->quota_resets_at > now;
	bool known = (told || !change->quota_resets_at) && change->quota_limit &&
		     *change->quota_limit;

	op->quota_resets_at = told ? change->quota_resets_at : 0;
	op->quota_window = told ? change->quota_window : 0;
	return ccp_row_set(&op->quota_limit, known ? change->quota_limit : NULL, err);
}

/* What an event changes beside the step. */
static int take_change(struct ccp_op *op, enum ccp_op_event event, int64_t now,
		       const struct ccp_op_change *change, struct codexcp_error *err)
{
	if (event == CCP_OP_THREAD_READY)
		op->baseline_count = change->baseline_count;
	if (change->thread_is_new)
		op->thread_is_new = 1;
	if (begins_anew(event))
		op->epoch = change->epoch;
	if (event == CCP_OP_CLAIM)
		op->attempt++;
	if (event == CCP_OP_CLAIM && !op->started_at)
		op->started_at = now;
	if ((event == CCP_OP_WORKER_LOST || event == CCP_OP_CONNECTION_LOST) && !change->orderly)
		op->crash_count++;
	if (event == CCP_OP_STALLED)
		op->stalled_at = change->stalled_at;
	if ((event == CCP_OP_QUOTA_EXCEEDED || event == CCP_OP_QUOTA_TOLD) &&
	    take_quota(op, change, now, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	if (change->error)
		(void)ccp_row_set(&op->error_class, NULL, NULL);
	if (ask_interrupt(op, event, now, change, err) < 0 || copy_texts(op, change, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	return copy_error(op, change->error, err);
}

static int forget_turn(struct ccp_op *op, bool thread_too, struct codexcp_error *err)
{
	if (thread_too) {
		op->thread_is_new = 0;
		op->baseline_count = 0;
		(void)ccp_row_set(&op->thread_id, NULL, NULL);
		(void)ccp_row_set(&op->baseline_turn, NULL, NULL);
	}
	return ccp_row_set(&op->turn_id, NULL, err);
}

/* The turn that was cut stays in the thread, which has been spoken in now. */
static int continue_turn(struct ccp_op *op, unsigned effects, struct codexcp_error *err)
{
	int r = ccp_row_set(&op->continued_turn, op->turn_id, err);

	op->thread_is_new = 0;
	if (effects & CCP_EFFECT_COUNT_CONTINUATION)
		op->continuations++;
	else
		op->quota_waits++;
	return r < 0 ? r : forget_turn(op, false, err);
}

/*
 * Who waits for the account's limit, or is the first to try after it, holds the others back; not
 * when something else comes in its way.
 */
static void hold_account(struct ccp_op *op, const struct ccp_op_decision *decision)
{
	switch (decision->next) {
	case CCP_STEP_IS_WAITING_FOR_QUOTA:
		op->quota_held = 1;
		return;
	case CCP_STEP_IS_CLAIMED:
	case CCP_STEP_IS_THREAD_SENT:
	case CCP_STEP_IS_TURN_SENT:
	case CCP_STEP_IS_RUNNING:
		if (decision->effects & CCP_EFFECT_LET_GO)
			op->quota_held = 0;
		return;
	case CCP_STEP_IS_QUEUED:
	case CCP_STEP_IS_LOOKING_UP:
	case CCP_STEP_IS_WAITING_FOR_APPROVAL:
	case CCP_STEP_IS_WAITING_FOR_USER_INPUT:
	case CCP_STEP_IS_COMPLETED:
	case CCP_STEP_IS_FAILED:
	case CCP_STEP_IS_INTERRUPTED:
	case CCP_STEP_IS_UNKNOWN:
		op->quota_held = 0;
		return;
	}
}

static int end(struct ccp_op *op, int64_t now, struct codexcp_error *err)
{
	op->active = 0;
	op->completed_at = now;
	op->not_before = 0;
	return ccp_row_set(&op->queued_reason, NULL, err);
}

/* What went wrong on the way to a turn that runs, or to an end that is no failure, is in the
 * journal. */
static void forget_error(struct ccp_op *op, enum ccp_step next)
{
	if (next != CCP_STEP_IS_RUNNING && next != CCP_STEP_IS_COMPLETED &&
	    next != CCP_STEP_IS_INTERRUPTED)
		return;
	(void)ccp_row_set(&op->error_code, NULL, NULL);
	(void)ccp_row_set(&op->error_message, NULL, NULL);
	(void)ccp_row_set(&op->error_class, NULL, NULL);
	op->error_retryable = 0;
}

/* Whatever else happens to a turn than being interrupted says that it is not stalled. */
static void forget_stall(struct ccp_op *op, enum ccp_op_event event, enum ccp_step next)
{
	if (event == CCP_OP_STALLED || event == CCP_OP_INTERRUPT || next == CCP_STEP_IS_INTERRUPTED)
		return;
	op->stalled_at = 0;
	(void)ccp_row_set(&op->stall_evidence, NULL, NULL);
}

/* Who interrupted it. */
static const char *reason_of(const struct ccp_op *op, const struct ccp_op_decision *decision)
{
	return ccp_streq(decision->reason, "interrupted_by_request") &&
			       ccp_streq(op->interrupt_reason, "stalled")
		       ? "interrupted_stalled"
		       : decision->reason;
}

/* Write the decision into the row. */
static int take_decision(struct ccp_op *op, const struct ccp_op_decision *decision, int64_t now,
			 const char *queued_reason, struct codexcp_error *err)
{
	const struct ccp_step_row *row = ccp_step_row(decision->next);
	int r = ccp_row_set(&op->phase, row->phase, err);
	int64_t wait;

	if (r == 0)
		r = ccp_row_set(&op->status, row->status, err);
	if (r == 0)
		r = ccp_row_set(&op->reason, reason_of(op, decision), err);
	if (decision->effects & CCP_EFFECT_FREE_ATTEMPT)
		op->attempt = CCP_MAX(op->attempt - 1, 0);
	if (decision->effects & CCP_EFFECT_COUNT_OVERLOAD)
		op->overloads++;
	if (decision->effects & CCP_EFFECT_CLEAN_STEP)
		op->crash_count = op->overloads = 0;
	forget_error(op, decision->next);
	hold_account(op, decision);
	if (r == 0 && decision->effects & CCP_EFFECT_CONTINUE)
		r = continue_turn(op, decision->effects, err);
	wait = wait_ms(op, decision->effects, now);
	op->not_before = wait ? now + wait : 0;
	if (r == 0 && row->flags & CCP_STEP_TERMINAL)
		return end(op, now, err);
	if (r == 0 && decision->next == CCP_STEP_IS_QUEUED)
		r = forget_turn(op, decision->effects & CCP_EFFECT_FORGET_THREAD, err);
	if (r == 0)
		r = ccp_row_set(&op->queued_reason,
				decision->next != CCP_STEP_IS_QUEUED ? NULL : queued_reason, err);
	return r;
}

static struct ccp_op_facts facts_of(const struct ccp_op *op, const struct ccp_op_change *change)
{
	return (struct ccp_op_facts){
		.app_server_ready = change->app_server_ready,
		.interrupt_asked = op->interrupt_at != 0,
		.read_only = ccp_op_sandbox(op) == CCP_SANDBOX_READ_ONLY,
		.thread_is_new = op->thread_is_new && !change->thread_here,
		.may_continue = ccp_streq(op->on_interruption, "continue") &&
				op->continuations < op->max_continuations,
		.codex_lives = change->codex_lives,
		.quota_waits_left = op->quota_waits < CCP_OP_MAX_QUOTA_WAITS,
		.quota_held = op->quota_held,
		.attempt = op->attempt,
		.overloads = op->overloads,
		.crash_count = op->crash_count,
	};
}

/* What makes workers or app-servers die again and again must not be tried for ever. */
static const struct {
	enum ccp_op_event event;
	int code;
	const char *what;
} crashes[] = {
	{ CCP_OP_WORKER_LOST, CODEXCP_E_WORKER_CRASHED, "the worker" },
	{ CCP_OP_CONNECTION_LOST, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server" },
	{ CCP_OP_ABSENT, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server" },
};

static int name_loss(struct ccp_op *op, enum ccp_op_event event, enum ccp_step next,
		     struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error crashed = { 0 };

	if (next != CCP_STEP_IS_FAILED && next != CCP_STEP_IS_UNKNOWN)
		return 0;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(crashes); i++)
		if (crashes[i].event == event)
			ccp_fail(&crashed, crashes[i].code,
				 "%s died %d times while it began this operation", crashes[i].what,
				 (int)op->crash_count);
	if (event == CCP_OP_ABSENT_POWER_LOSS)
		ccp_fail(&crashed, CODEXCP_E_APP_SERVER_UNAVAILABLE,
			 "the machine was started again, and Codex's history of the thread has no "
			 "trace of the turn, which may have been lost with it");
	if (copy_error(op, &crashed, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	/* It may have run: whether to ask again is not for a program to decide. */
	if (next == CCP_STEP_IS_UNKNOWN)
		op->error_retryable = 0;
	return 0;
}

static int write_decision(struct ccp_db *db, struct ccp_op *op, enum ccp_op_event event,
			  int64_t now, const struct ccp_op_decision *decision,
			  const char *queued_reason, struct codexcp_error *err)
{
	_cleanup_free_ char *text = ccp_asprintf("%s -> %s", op->phase,
						 ccp_step_row(decision->next)->phase);
	int r = text ? 0 : ccp_fail_oom(err);

	op->updated_at = now;
	if (r == 0)
		r = take_decision(op, decision, now, queued_reason, err);
	forget_stall(op, event, decision->next);
	if (r == 0)
		r = name_loss(op, event, decision->next, err);
	if (r == 0)
		r = ccp_op_update(db, op, err);
	if (r == 0)
		return ccp_fail(err, CODEXCP_E_STATE_BUSY, "operation %s was changed meanwhile",
				op->id);
	return r < 0 ? r : journal(db, now, op, text, event, op->reason, err);
}

/* An event that changes nothing leaves nothing of what it brought either. */
static int read_again(struct ccp_db *db, const char *id, struct ccp_op *op,
		      struct codexcp_error *err)
{
	ccp_op_done(op);
	return CCP_MIN(ccp_op_get(db, id, op, err), 0);
}

int ccp_op_apply(struct ccp_db *db, const struct ccp_clock *clock, const char *id,
		 enum ccp_op_event event, const struct ccp_op_change *change,
		 struct ccp_op_outcome *ret_outcome, struct codexcp_error *err)
{
	static const struct ccp_op_change nothing = { 0 };
	_cleanup_(ccp_op_outcome_done) struct ccp_op_outcome outcome = { 0 };
	struct ccp_op *op = &outcome.op;
	int64_t now = ccp_clock_wall(clock);
	struct ccp_op_decision decision;
	struct ccp_op_facts facts;
	int r;

	change = change ? change : &nothing;
	r = ccp_op_get(db, id, op, err);
	if (r < 0)
		return r;
	if (r == 0 || !ccp_step_parse(op->phase, &outcome.from))
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "no operation %s", id);
	outcome.to = outcome.from;
	if (!begins_anew(event) && change->epoch &&
	    (change->epoch != op->epoch || change->attempt != op->attempt))
		r = journal(db, now, op, "late answer of an earlier attempt", event, NULL, err);
	else if ((r = take_change(op, event, now, change, err)) == 0) {
		facts = facts_of(op, change);
		decision = ccp_op_decide(outcome.from, event, &facts);
		outcome.changed = decision.matched;
		outcome.to = decision.next;
		outcome.effects = decision.effects;
		if (decision.matched)
			r = write_decision(db, op, event, now, &decision,
					   change->queued_reason
						   ? change->queued_reason
						   : ccp_queued_reason_name(decision.queued_reason),
					   err);
		else
			r = read_again(db, id, op, err);
	}
	if (r < 0)
		return r;
	*ret_outcome = outcome;
	outcome = (struct ccp_op_outcome){ 0 };
	return 0;
}
