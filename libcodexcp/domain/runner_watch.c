/*
 * Turns that tell nothing. One that has been quiet for a while is asked for, more and more seldom:
 * thread/read without its turns costs the same for any length of history and has no effect on the
 * thread. When it says that no turn runs, the end was missed, and is looked up. When it says that
 * the turn runs, and it has been quiet for too long, it may be stalled (stall.h); then the journal
 * and the status say so, and as configured it is interrupted.
 *
 * Quiet time is counted by ticks of a timer, so that neither the time without a worker counts nor
 * the time that the machine slept, nor what waits unread while this process was stopped: what
 * app-server said before it answers is read before its answer.
 */
#include <stdio.h>
#include <utlist.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/runner_internal.h"
#include "domain/stall.h"

#define TICKS           4
#define TICK_MIN_MS     50
#define TICK_MAX_MS     15000
#define READ_TIMEOUT_MS 10000
/* The pauses between looks double this often. */
#define DOUBLINGS 4

static int64_t tick_ms(const struct ccp_runner *runner)
{
	int64_t first = CCP_MIN(runner->options.check_ms, runner->options.stall_ms);

	return CCP_CLAMP(first / TICKS, TICK_MIN_MS, TICK_MAX_MS);
}

/* The next pause is twice as long as the last, but the limit is never slept over. */
static void plan_look(struct ccp_live *live)
{
	const struct ccp_runner_options *options = &live->runner->options;
	struct ccp_watch *watch = &live->watch;

	watch->look_ms = watch->quiet_ms + (options->check_ms << CCP_MIN(watch->looks, DOUBLINGS));
	if (watch->quiet_ms < options->stall_ms)
		watch->look_ms = CCP_MIN(watch->look_ms, options->stall_ms);
}

/* Its turn runs as far as we know, in an app-server that can say how its thread is. */
static bool is_watched(const struct ccp_live *live)
{
	const struct ccp_appserver *as = live->runner->as;

	return live->op.turn_id && !ccp_streq(live->op.phase, "looking_up") &&
	       ccp_appserver_state(as) == CCP_APPSERVER_READY &&
	       ccp_codex_has(&ccp_appserver_info(as)->version, CCP_CODEX_THREAD_STATUS);
}

/* What an interrupted turn says is how it ends. */
static void goes_on(struct ccp_live *live)
{
	if (!live->watch.stalled || live->interrupting)
		return;
	live->watch.stalled = false;
	ccp_runner_apply(live->runner, live->op.id, CCP_OP_GOES_ON, NULL, NULL);
}

static void tell(struct ccp_live *live, const struct ccp_stall_facts *facts)
{
	struct ccp_runner *runner = live->runner;
	const struct ccp_op_change change = {
		.stalled_at = ccp_runner_now(runner) - facts->quiet_ms,
		.stall_evidence = ccp_stall_evidence(facts),
	};

	live->watch.stalled = true;
	ccp_runner_apply(runner, live->op.id, CCP_OP_STALLED, &change, NULL);
}

static void interrupt(struct ccp_runner *runner, const char *op_id)
{
	const struct ccp_op_change change = { .interrupt_reason = "stalled" };

	ccp_runner_apply(runner, op_id, CCP_OP_INTERRUPT, &change, NULL);
}

static void stalled(struct ccp_live *live, const struct ccp_stall_facts *facts)
{
	struct ccp_runner *runner = live->runner;
	bool may_interrupt = runner->options.interrupt_stalled && !live->interrupting;
	char op_id[CCP_ID_SIZE];

	snprintf(op_id, sizeof(op_id), "%s", live->op.id);
	if (!live->watch.stalled)
		tell(live, facts);
	if (may_interrupt)
		interrupt(runner, op_id);
}

/* What the look has brought. */
static void conclude(struct ccp_live *live, const struct ccp_stall_facts *facts)
{
	enum ccp_stall_verdict verdict = ccp_stall_judge(facts);

	live->watch.looking = false;
	live->watch.looks++;
	plan_look(live);
	/* It runs, although it was told to stop long ago. */
	if (facts->thread == CCP_STALL_THREAD_ACTIVE && live->interrupting)
		ccp_send_interrupt(live, NULL, NULL);
	switch (verdict) {
	case CCP_STALL_NO:
		goes_on(live);
		return;
	case CCP_STALL_ENDED:
		ccp_look_up(live);
		return;
	case CCP_STALL_YES:
		stalled(live, facts);
		return;
	}
}

static struct ccp_stall_facts facts_of(const struct ccp_live *live)
{
	return (struct ccp_stall_facts){
		.quiet_ms = live->watch.quiet_ms,
		.limit_ms = live->runner->options.stall_ms,
		.waiting = !ccp_streq(live->op.phase, "running"),
		.work = (int64_t)json_object_size(live->watch.work),
	};
}

/* The live operation of an answer, when it is still of interest. */
static struct ccp_live *asked_for(struct ccp_send *send)
{
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);

	if (!live || is_watched(live))
		return live;
	live->watch.looking = false;
	return NULL;
}

/* A worker that came later does not know of commands that began before it: app-server does. */
static void on_terminals(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = asked_for(send);

	if (live) {
		json_auto_t *own = ccp_terminals_own(live, result);
		struct ccp_stall_facts facts = facts_of(live);

		facts.thread = err ? CCP_STALL_THREAD_UNKNOWN : CCP_STALL_THREAD_ACTIVE;
		facts.work += (int64_t)json_array_size(own);
		conclude(live, &facts);
	}
	ccp_send_done(send);
}

static bool ask_for_terminals(struct ccp_live *live)
{
	const struct ccp_codex_version *version = &ccp_appserver_info(live->runner->as)->version;

	return ccp_codex_has(version, CCP_CODEX_TERMINALS_LIST) &&
	       ccp_send_start(live, "thread/backgroundTerminals/list",
			      ccp_terminals_list_params(live->op.thread_id), READ_TIMEOUT_MS,
			      on_terminals, NULL, NULL) == 0;
}

static enum ccp_stall_thread thread_of(const json_t *result, const struct codexcp_error *err,
				       bool *ret_waiting)
{
	struct ccp_thread_state state;

	if (err)
		return ccp_codex_problem(err) == CCP_PROBLEM_TIMEOUT ? CCP_STALL_THREAD_MUTE
								     : CCP_STALL_THREAD_UNKNOWN;
	if (ccp_thread_state_parse(result, &state, NULL) < 0)
		return CCP_STALL_THREAD_UNKNOWN;
	*ret_waiting |= state.waiting;
	return state.active ? CCP_STALL_THREAD_ACTIVE : CCP_STALL_THREAD_IDLE;
}

static void on_read(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = asked_for(send);

	if (live) {
		struct ccp_stall_facts facts = facts_of(live);

		facts.thread = thread_of(result, err, &facts.waiting);
		if (facts.thread != CCP_STALL_THREAD_ACTIVE ||
		    ccp_stall_judge(&facts) != CCP_STALL_YES || !ask_for_terminals(live))
			conclude(live, &facts);
	}
	ccp_send_done(send);
}

static void look(struct ccp_live *live)
{
	live->watch.looking = true;
	if (ccp_send_start(live, "thread/read", ccp_thread_params(live->op.thread_id),
			   READ_TIMEOUT_MS, on_read, NULL, NULL) < 0) {
		live->watch.looking = false;
		plan_look(live);
	}
}

static void on_tick(void *data)
{
	struct ccp_runner *runner = data;
	struct ccp_live *live;

	DL_FOREACH (runner->live, live) {
		if (!is_watched(live))
			continue;
		live->watch.quiet_ms += tick_ms(runner);
		if (live->watch.quiet_ms >= live->watch.look_ms && !live->watch.looking)
			look(live);
	}
	if (runner->live)
		ccp_timer_start(runner->watch_timer, tick_ms(runner));
}

int ccp_watch_init(struct ccp_runner *runner, struct codexcp_error *err)
{
	return ccp_timer_new(runner->options.loop, on_tick, runner, &runner->watch_timer, err);
}

void ccp_watch_begin(struct ccp_live *live)
{
	struct ccp_runner *runner = live->runner;

	live->watch.stalled = live->op.stalled_at != 0;
	plan_look(live);
	if (!ccp_timer_active(runner->watch_timer))
		ccp_timer_start(runner->watch_timer, tick_ms(runner));
}

void ccp_watch_done(struct ccp_live *live)
{
	json_decref(live->watch.work);
}

static void note_work(struct ccp_watch *watch, const struct ccp_event *event)
{
	if (!event->item_id)
		return;
	if (event->kind == CCP_EVENT_ITEM_COMPLETED && watch->work)
		json_object_del(watch->work, event->item_id);
	if (event->kind != CCP_EVENT_ITEM_STARTED || !ccp_stall_is_work(event->item_type))
		return;
	if (!watch->work)
		watch->work = json_object();
	ccp_json_set_bool(&watch->work, event->item_id, true);
}

void ccp_watch_heard(struct ccp_live *live, const struct ccp_event *event)
{
	struct ccp_watch *watch = &live->watch;

	note_work(watch, event);
	watch->quiet_ms = 0;
	watch->looks = 0;
	plan_look(live);
	goes_on(live);
}
