/*
 * What became of a turn whose end nobody saw. The outcome is looked up in the thread's own history,
 * after thread/resume: a list alone says "absent" for a while about turns that run. Absence counts
 * only when the process that was asked is proven dead, or after a second look; a machine that was
 * started again since may have lost the history itself.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/continuation.h"
#include "domain/runner_internal.h"
#include "domain/turn_id.h"

#define AGAIN_MS     1000
#define ELSEWHERE_MS 5000
/* An orphaned app-server ends by itself when its stdin closes (30 ms measured; 0.98 goes on to the
 * end of its turns); then it is ended. */
#define LINGER_MS    100
#define LINGER_LOOKS 50
/* Looks at a live process before absence is believed, and while a turn without our mark runs. */
#define ABSENT_LOOKS 2
#define ACTIVE_LOOKS 6
/* Looks at a live process before a turn that it calls cut is believed to be. */
#define CUT_LOOKS 3
/* Looks at the process that was asked and never answered: it may still do what it was asked. */
#define UNANSWERED_LOOKS 60
/* Looks for which Codex was not ready: that lasts a moment. They say nothing about the turn. */
#define UNREADY_LOOKS 60
/* Looks that fail for a reason that we do not know. */
#define REFUSED_LOOKS     10
#define RESUME_TIMEOUT_MS 60000

static void on_timer(void *data)
{
	ccp_look_up(data);
}

void ccp_look_up_later(struct ccp_live *live, int64_t delay_ms)
{
	if (!live->timer &&
	    ccp_timer_new(live->runner->options.loop, on_timer, live, &live->timer, NULL) < 0)
		return;
	ccp_timer_start(live->timer, delay_ms ? delay_ms : AGAIN_MS);
}

/* The turn that carries our mark; on versions without marks the first one after the baseline. */
static bool find_turn(const struct ccp_live *live, json_t *turns, struct ccp_turn *ret_turn)
{
	const struct ccp_codex_version *version = &ccp_appserver_info(live->runner->as)->version;
	bool marked = ccp_codex_has(version, CCP_CODEX_CLIENT_MESSAGE_ID);
	bool unique = ccp_codex_has(version, CCP_CODEX_UNIQUE_TURN_IDS);
	char mark[CCP_OP_MARK_SIZE];
	json_t *value;
	size_t i;

	ccp_op_mark(&live->op, mark);
	json_array_foreach (turns, i, value) {
		if (ccp_turn_parse(value, ret_turn) < 0)
			continue;
		if (ccp_turn_has_client_id(ret_turn, mark) ||
		    (unique && ccp_turn_id_is(live->op.turn_id, ret_turn->id)) ||
		    (!marked && (int64_t)i == live->op.baseline_count))
			return true;
	}
	return false;
}

/* A lost turn, or one of which a line may have been missed. */
static bool is_lost(const struct ccp_live *live)
{
	return ccp_streq(live->op.phase, "looking_up");
}

static bool is_running(const struct ccp_live *live)
{
	return live->op.turn_id && !is_lost(live);
}

/* Absence in the process that still has the request proves nothing, however often it is seen. */
static void unanswered(struct ccp_live *live)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	const struct ccp_op_change change = { .error = &err };

	if (++live->looks < UNANSWERED_LOOKS) {
		ccp_look_up_later(live, 0);
		return;
	}
	ccp_fail(&err, CODEXCP_E_TIMEOUT,
		 "Codex did not answer turn/start, and the thread's history has no such turn");
	ccp_runner_apply(live->runner, live->op.id, CCP_OP_NO_EVIDENCE, &change, NULL);
}

/* The process still has the request, unless it has answered it. When the connection on which it was
 * sent is lost it has not: then thread/resume tells what arrived (a second look, because it may lag
 * a moment behind). */
static bool may_still_arrive(const struct ccp_live *live, enum ccp_instance_fate fate)
{
	return fate == CCP_INSTANCE_PRESENT && !live->op.turn_id &&
	       live->connection == live->runner->connection;
}

static bool is_alive(enum ccp_instance_fate fate)
{
	return fate == CCP_INSTANCE_PRESENT || fate == CCP_INSTANCE_UNCLEAR;
}

static void absent(struct ccp_live *live, enum ccp_instance_fate fate, bool thread_here)
{
	struct ccp_op_change change = { .epoch = live->op.epoch,
					.attempt = live->op.attempt,
					.thread_here = thread_here &&
						       fate == CCP_INSTANCE_PRESENT };

	if (may_still_arrive(live, fate)) {
		unanswered(live);
		return;
	}
	if (is_alive(fate) && ++live->looks < ABSENT_LOOKS) {
		ccp_look_up_later(live, 0);
		return;
	}
	ccp_runner_apply(live->runner, live->op.id,
			 fate == CCP_INSTANCE_POWER_LOSS ? CCP_OP_ABSENT_POWER_LOSS : CCP_OP_ABSENT,
			 &change, NULL);
}

static void outcome_not_told(struct ccp_live *live)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	const struct ccp_op_change change = { .error = &err };

	ccp_fail(&err, CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION,
		 "the turn began, and this Codex version does not record how it ended");
	ccp_runner_apply(live->runner, live->op.id, CCP_OP_NO_EVIDENCE, &change, NULL);
}

/* While a turn begins or ends its history says for a moment that it was cut, though the process
 * that runs it lives, and nobody asked for that. */
static bool may_not_be_cut(struct ccp_live *live, const struct ccp_turn *turn)
{
	return ccp_streq(turn->status, "interrupted") && !live->op.interrupt_at &&
	       is_alive(ccp_instance_fate(live->runner, live->op.instance)) &&
	       ++live->looks < CUT_LOOKS;
}

static void found(struct ccp_live *live, const struct ccp_turn *turn,
		  const struct ccp_thread_answer *thread, json_t *keep)
{
	const struct ccp_appserver_info *info = ccp_appserver_info(live->runner->as);
	const char *outcome = ccp_turn_outcome(&info->version, turn, thread,
					       ccp_streq(live->op.instance, info->instance));
	bool in_progress = ccp_streq(turn->status, "inProgress");
	char kept[CCP_TURN_ID_SIZE], mark[CCP_OP_MARK_SIZE];
	const struct ccp_op_change change = {
		.turn_id = ccp_turn_id_keep(&info->version, turn->id, ccp_op_mark(&live->op, mark),
					    kept),
		.instance = info->instance,
	};

	if (may_not_be_cut(live, turn)) {
		ccp_look_up_later(live, 0);
		return;
	}
	if (!outcome) {
		outcome_not_told(live);
		return;
	}
	/* What it said while nobody listened is in the history. */
	(void)ccp_track_set_turn(live->track, live->op.thread_id, change.turn_id, change.instance,
				 ccp_runner_now(live->runner), NULL);
	(void)ccp_track_turn(live->track, turn, ccp_runner_now(live->runner), NULL);
	if (!in_progress)
		ccp_turn_ended(live, change.turn_id, outcome, turn->error, keep);
	else if (is_lost(live))
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_TURN_STARTED, &change, keep);
}

/* A history that is empty stays so unless the process that is to write it lives. */
static void empty(struct ccp_live *live)
{
	enum ccp_instance_fate fate = ccp_instance_fate(live->runner, live->op.instance);

	if (fate == CCP_INSTANCE_LINGERS)
		ccp_look_up_later(live, 0);
	else
		absent(live, fate, false);
}

/* Somebody else has the thread open. Told once; then it is only looked at again. */
static void elsewhere(struct ccp_live *live)
{
	if (!ccp_streq(live->op.reason, "thread_open_elsewhere"))
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_THREAD_ELSEWHERE, NULL, NULL);
	else
		ccp_look_up_later(live, ELSEWHERE_MS);
}

static bool is_dead(enum ccp_instance_fate fate)
{
	return fate == CCP_INSTANCE_DEAD || fate == CCP_INSTANCE_POWER_LOSS;
}

static void on_history(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);
	struct ccp_thread_answer answer;
	struct ccp_turn turn;

	if (!live || !is_lost(live))
		; /* It has ended, or gone on, meanwhile. */
	else if (err || ccp_thread_answer_parse(result, &answer, NULL) < 0)
		elsewhere(live);
	else if (!find_turn(live, answer.turns, &turn))
		absent(live, ccp_instance_fate(live->runner, live->op.instance), false);
	else if (ccp_streq(turn.status, "inProgress"))
		elsewhere(live);
	else
		found(live, &turn, &answer, result);
	ccp_send_done(send);
}

/* The process that ran the turn is dead, so its history will not change: it can be read, whoever
 * has the thread open by now. */
static void read_history(struct ccp_live *live)
{
	json_t *params = json_pack("{s:s, s:b}", "threadId", live->op.thread_id, "includeTurns", 1);

	if (ccp_send_start(live, "thread/read", params, RESUME_TIMEOUT_MS, on_history, NULL, NULL) <
	    0)
		elsewhere(live);
}

/* Nothing that is said again and again is waited for without end. */
static void look_again(struct ccp_live *live, int *failed, int most,
		       const struct ccp_op_change *change)
{
	if (++*failed < most)
		ccp_look_up_later(live, 0);
	else
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_NO_EVIDENCE, change, NULL);
}

static void look_failed(struct ccp_live *live, const struct codexcp_error *err)
{
	const struct ccp_op_change change = { .epoch = live->op.epoch,
					      .attempt = live->op.attempt,
					      .error = err };
	struct ccp_runner *runner = live->runner;

	switch (ccp_codex_problem(err)) {
	case CCP_PROBLEM_NO_THREAD:
		absent(live, ccp_instance_fate(runner, live->op.instance), false);
		return;
	case CCP_PROBLEM_ELSEWHERE:
		if (is_dead(ccp_instance_fate(runner, live->op.instance)))
			read_history(live);
		else
			elsewhere(live);
		return;
	case CCP_PROBLEM_EMPTY:
		empty(live);
		return;
	case CCP_PROBLEM_GONE:
		return;
	case CCP_PROBLEM_OVERLOADED:
	case CCP_PROBLEM_TIMEOUT:
		ccp_look_up_later(live, 0);
		return;
	case CCP_PROBLEM_NOT_READY:
		look_again(live, &live->unready, UNREADY_LOOKS, &change);
		return;
	case CCP_PROBLEM_INVALID:
	case CCP_PROBLEM_NO_TURN:
	case CCP_PROBLEM_LOGIN:
		look_again(live, &live->looks, REFUSED_LOOKS, &change);
		return;
	case CCP_PROBLEM_ARCHIVED:
		ccp_runner_apply(runner, live->op.id, CCP_OP_NO_EVIDENCE, &change, NULL);
		return;
	}
}

static void look_at(struct ccp_live *live, json_t *result)
{
	struct ccp_thread_answer answer;
	struct ccp_turn turn;

	if (ccp_thread_answer_parse(result, &answer, NULL) < 0)
		ccp_look_up_later(live, 0);
	else if (find_turn(live, answer.turns, &turn))
		found(live, &turn, &answer, result);
	else if (answer.active && ++live->looks < ACTIVE_LOOKS)
		ccp_look_up_later(live, 0);
	else
		absent(live, ccp_instance_fate(live->runner, live->op.instance), true);
}

/* A turn that runs as far as we know: only its end is news. */
static void check(struct ccp_live *live, json_t *result, const struct codexcp_error *err)
{
	const struct ccp_op_change lost = { .orderly = true };
	struct ccp_thread_answer answer = { 0 };
	struct ccp_turn turn;

	/* The death of the process is told by its own event. */
	if (err && ccp_codex_problem(err) == CCP_PROBLEM_GONE)
		return;
	if (!err && ccp_thread_answer_parse(result, &answer, NULL) == 0 &&
	    find_turn(live, answer.turns, &turn))
		found(live, &turn, &answer, result);
	else if (++live->looks < REFUSED_LOOKS)
		ccp_look_up_later(live, 0);
	else if (!err && !answer.active)
		/* The thread is at rest and does not know the turn: it is lost. */
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_CONNECTION_LOST, &lost, NULL);
	/* else it is looked at again when it has been quiet for long: runner_watch.c */
}

static void on_resumed(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);

	/* It may have ended, or gone on, while the answer was under way. */
	if (live && is_lost(live)) {
		if (err)
			look_failed(live, err);
		else
			look_at(live, result);
	} else if (live && is_running(live)) {
		check(live, result, err);
	}
	ccp_send_done(send);
}

void ccp_look_up(struct ccp_live *live)
{
	struct ccp_runner *runner = live->runner;
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (ccp_appserver_state(runner->as) != CCP_APPSERVER_READY)
		return;
	/* The answer to turn/start is still under way. */
	if (!is_lost(live) && !is_running(live)) {
		ccp_look_up_later(live, 0);
		return;
	}
	if (is_lost(live) && ccp_instance_fate(runner, live->op.instance) == CCP_INSTANCE_LINGERS) {
		if (++live->looks == LINGER_LOOKS)
			ccp_instance_kill(runner, live->op.instance);
		ccp_look_up_later(live, LINGER_MS);
		return;
	}
	if (ccp_send_start(live, "thread/resume", ccp_send_resume_params(live), RESUME_TIMEOUT_MS,
			   on_resumed, NULL, &err) < 0 &&
	    is_lost(live))
		look_failed(live, &err);
}
