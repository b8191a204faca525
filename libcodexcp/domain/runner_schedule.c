/*
 * When somebody is next: queue.h says who. One claim at a time, so that each sees the slots that
 * the one before has taken.
 */
#include <utlist.h>

#include "base/str.h"
#include "domain/queue.h"
#include "domain/runner_internal.h"

/* When nothing has to be done at a point in time. */
#define DUE_MAX_MS 60000
/* Not every answer of app-server leads here: when too much is under way, this much later. */
#define CROWDED_MS 50
/* Bursts are usual and not worth telling. */
#define CROWDED_TOLD_MS 500

/* Wake up when the first operation that waits for a point in time is due. */
static void wait_for_due(struct ccp_runner *runner, int64_t now)
{
	struct ccp_op_quota quota = { 0 };
	int64_t at = 0;

	int r = ccp_op_quota(runner->options.db, &quota, NULL);

	if (r == 0)
		ccp_quota_watch(runner, &quota);
	if (r == 0 && quota.until > now)
		at = quota.until;
	else if (r == 0)
		r = ccp_op_next_due(runner->options.db, now, &at, NULL);
	/* What cannot be read now is read again. */
	if (r < 0)
		at = now + DUE_MAX_MS;
	if (at)
		ccp_timer_start(runner->due_timer, CCP_CLAMP(at - now, 1, DUE_MAX_MS));
}

/* Nothing runs. */
static void rest(struct ccp_runner *runner)
{
	if (ccp_instance_is_unwanted(runner))
		ccp_runner_stop_app_server(runner);
	else if (runner->options.app_server_idle_ms && !ccp_timer_active(runner->idle_timer))
		ccp_timer_start(runner->idle_timer, runner->options.app_server_idle_ms);
}

static void tell_crowded(struct ccp_runner *runner, bool crowded)
{
	if (runner->crowded_told == crowded)
		return;
	runner->crowded_told = crowded;
	runner->events.crowded(crowded, runner->data);
}

static bool is_starting(const struct ccp_live *live)
{
	enum ccp_step step;

	return ccp_step_parse(live->op.phase, &step) &&
	       (step == CCP_STEP_IS_CLAIMED || step == CCP_STEP_IS_THREAD_SENT ||
		step == CCP_STEP_IS_TURN_SENT);
}

static bool has_request(const struct ccp_live *live)
{
	const struct ccp_send *send;

	DL_FOREACH (live->runner->sends, send)
		if (ccp_streq(send->op_id, live->op.id))
			return true;
	return false;
}

/* Turns that run are not requests. What counts is what app-server has not answered, and what is
 * about to be sent: an operation between two of its requests, or before the first. */
static int64_t requests(const struct ccp_runner *runner)
{
	int64_t n = (int64_t)ccp_appserver_pending(runner->as);
	const struct ccp_live *live;

	DL_FOREACH (runner->live, live)
		n += is_starting(live) && !has_request(live);
	return n;
}

static bool is_crowded(struct ccp_runner *runner)
{
	int64_t now = ccp_clock_boot(ccp_loop_clock(runner->options.loop));

	if (requests(runner) < runner->options.limits.requests) {
		runner->crowded_since = 0;
		tell_crowded(runner, false);
		return false;
	}
	if (!runner->crowded_since)
		runner->crowded_since = now;
	if (now - runner->crowded_since >= CROWDED_TOLD_MS)
		tell_crowded(runner, true);
	ccp_timer_start(runner->due_timer, CROWDED_MS);
	return true;
}

static int next_queued(struct ccp_runner *runner, int64_t now, char ret_id[static CCP_ID_SIZE],
		       struct codexcp_error *err)
{
	const struct ccp_limits *limits = &runner->options.limits;
	struct ccp_db *db = runner->options.db;
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	int r = ccp_queue_slots(db, limits, now, &slots, err);

	return r < 0 ? r : ccp_queue_next(db, limits, &slots, now, ret_id, err);
}

void ccp_schedule(struct ccp_runner *runner)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_op_change change = { .epoch = runner->options.epoch };
	/* One look at the clock: what is not due now must be due later. */
	int64_t now = ccp_runner_now(runner);
	char id[CCP_ID_SIZE];
	int r;

	if (runner->claiming || runner->adopting || runner->left)
		return;
	if (!runner->live)
		rest(runner);
	if (is_crowded(runner))
		return;
	r = next_queued(runner, now, id, &err);
	if (r < 0 && r != CODEXCP_E_STATE_BUSY)
		ccp_runner_trouble("the queue could not be read", NULL, &err);
	if (r <= 0) {
		wait_for_due(runner, now);
		return;
	}
	runner->claiming = true;
	change.app_server_ready = ccp_appserver_state(runner->as) == CCP_APPSERVER_READY;
	ccp_timer_stop(runner->idle_timer);
	ccp_runner_apply(runner, id, CCP_OP_CLAIM, &change, NULL);
}
