/*
 * The account's usage limit. One database is one Codex home is one account, so the turn that met
 * the limit holds back all others: its operation waits until the limit ends, then goes on alone,
 * and the rest follows once the model has answered it.
 *
 * A limit may end before its time, with bought credits or a raised limit, and its time may be days
 * away. So while operations wait Codex is asked again: at a fixed pace (quota_check_ms) while an
 * app-server is up, and at least once an hour, for which one is started. When the limit that has
 * stopped an operation was told to be reached and is told not to be any more, the queue is let go.
 * What an update says is only a reason to ask: it may be what another turn heard before the limit
 * was met. Letting go costs one of the operation's waits when Codex was wrong, so with each wait
 * the pace is halved.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/runner_internal.h"

#define READ_TIMEOUT_MS 10000
/* Whoever waits has asked within this time. */
#define ASK_MAX_MS (60 * 60 * 1000)
/* Updates come in bursts. */
#define UPDATE_PAUSE_MS 10000
/* More often than operations wait for the limit. */
#define HALVINGS 8

static int64_t boot_now(const struct ccp_runner *runner)
{
	return ccp_clock_boot(ccp_loop_clock(runner->options.loop));
}

static int add_id(const char *id, void *data)
{
	return json_array_append_new(data, json_string(id));
}

/* A new reference, or NULL. */
static json_t *waiting_ids(struct ccp_runner *runner)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *ids = json_array();

	if (ids && ccp_op_each_waiting_for_quota(runner->options.db, add_id, ids, &err) == 0)
		return TAKE_PTR(ids);
	ccp_runner_trouble("what waits for the account's limit was not read", NULL, &err);
	return NULL;
}

void ccp_quota_over(struct ccp_runner *runner)
{
	json_auto_t *ids = waiting_ids(runner);
	json_t *id;
	size_t i;

	json_array_foreach (ids, i, id)
		ccp_runner_apply(runner, json_string_value(id), CCP_OP_QUOTA_OVER, NULL, NULL);
}

/* Asking */

/* What the answer says about all that wait. */
struct verdict {
	bool open, reached;
};

static void tell(struct ccp_runner *runner, const struct ccp_op *op,
		 const struct ccp_rate_limit *limit)
{
	const struct ccp_op_change change = {
		.epoch = op->epoch,
		.attempt = op->attempt,
		.quota_limit = limit->id,
		.quota_resets_at = limit->resets_at,
		.quota_window = limit->window,
	};

	ccp_runner_apply(runner, op->id, CCP_OP_QUOTA_TOLD, &change, NULL);
}

/* To be told begins the wait anew, so without an end it is told once. */
static bool is_news(const struct ccp_runner *runner, const struct ccp_op *op,
		    const struct ccp_rate_limit *limit)
{
	return limit->resets_at ? limit->resets_at > ccp_runner_now(runner) &&
					  limit->resets_at != op->quota_resets_at
				: !op->quota_limit;
}

static void judge(struct ccp_runner *runner, const char *op_id, const json_t *result,
		  struct verdict *verdict)
{
	_cleanup_op_ struct ccp_op op = { 0 };
	struct ccp_rate_limit limit = { 0 };

	if (ccp_op_get(runner->options.db, op_id, &op, NULL) != 1)
		return;
	/* A limit that is not mentioned any more has gone with the plan that had it. */
	if (op.quota_limit && (ccp_rate_limit_is_open(result, op.quota_limit) ||
			       ccp_rate_limit_is_open(result, NULL))) {
		verdict->open = true;
		return;
	}
	(void)ccp_rate_limit_parse(result, op.quota_limit, &limit);
	if (!limit.id[0])
		return;
	verdict->reached = true;
	if (is_news(runner, &op, &limit))
		tell(runner, &op, &limit);
}

static void on_limits(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_runner *runner = data;
	json_auto_t *ids = NULL;
	struct verdict verdict = { 0 };
	json_t *id;
	size_t i;

	runner->quota.asking = false;
	/* Without an account of OpenAI's there is nothing to read. */
	if (err)
		return;
	(void)ccp_rate_limit_parse(result, NULL, &runner->quota.limit);
	ids = waiting_ids(runner);
	json_array_foreach (ids, i, id)
		judge(runner, json_string_value(id), result, &verdict);
	if (verdict.open && !verdict.reached)
		ccp_quota_over(runner);
}

static void ask(struct ccp_runner *runner)
{
	if (runner->quota.asking || ccp_appserver_state(runner->as) != CCP_APPSERVER_READY)
		return;
	runner->quota.wanted = false;
	runner->quota.asked_at = boot_now(runner);
	runner->quota.asking = ccp_appserver_call(runner->as, "account/rateLimits/read",
						  json_object(), READ_TIMEOUT_MS, on_limits, runner,
						  NULL) == 0;
}

void ccp_quota_read(struct ccp_live *live)
{
	/* It waits as long as usual when nobody can be asked. */
	if (!live->op.quota_resets_at)
		ask(live->runner);
}

static bool was_asked_within(const struct ccp_runner *runner, int64_t ms)
{
	return runner->quota.asked_at && boot_now(runner) - runner->quota.asked_at < ms;
}

static void on_time(void *data)
{
	struct ccp_runner *runner = data;

	if (runner->left)
		return;
	if (ccp_appserver_state(runner->as) == CCP_APPSERVER_READY) {
		ask(runner);
	} else if (!was_asked_within(runner, ASK_MAX_MS)) {
		/* Where none can be started that is tried no more often than this, either. */
		runner->quota.asked_at = boot_now(runner);
		runner->quota.wanted = true;
		ccp_runner_start_app_server(runner);
	}
	ccp_schedule(runner);
}

int ccp_quota_init(struct ccp_runner *runner, struct codexcp_error *err)
{
	return ccp_timer_new(runner->options.loop, on_time, runner, &runner->quota.timer, err);
}

void ccp_quota_ready(struct ccp_runner *runner)
{
	if (runner->quota.wanted)
		ask(runner);
}

void ccp_quota_watch(struct ccp_runner *runner, const struct ccp_op_quota *quota)
{
	int64_t pause = runner->options.quota_check_ms
			<< CCP_CLAMP(quota->most_waits - 1, 0, HALVINGS);

	if (!quota->waiting)
		ccp_timer_stop(runner->quota.timer);
	else if (!ccp_timer_active(runner->quota.timer))
		ccp_timer_start(runner->quota.timer, CCP_MIN(pause, ASK_MAX_MS));
}

/* Hearing */

static void updated(struct ccp_runner *runner, const json_t *params)
{
	(void)ccp_rate_limit_parse(params, NULL, &runner->quota.limit);
	if (ccp_timer_active(runner->quota.timer) && ccp_rate_limit_is_open(params, NULL) &&
	    !was_asked_within(runner, UPDATE_PAUSE_MS))
		ask(runner);
}

void ccp_quota_notification(struct ccp_runner *runner, const char *method, const json_t *params)
{
	if (ccp_streq(method, "account/rateLimits/updated")) {
		updated(runner, params);
	} else if (ccp_is_login_change(method, params)) {
		runner->quota.limit = (struct ccp_rate_limit){ 0 };
		ccp_quota_over(runner);
	}
}

/* What only a model can have said. */
static bool is_answer(const struct ccp_event *event)
{
	return event->kind == CCP_EVENT_MESSAGE_DELTA ||
	       ((event->kind == CCP_EVENT_ITEM_STARTED ||
		 event->kind == CCP_EVENT_ITEM_COMPLETED) &&
		!ccp_streq(event->item_type, "userMessage"));
}

void ccp_quota_event(struct ccp_live *live, const struct ccp_event *event)
{
	live->answered |= is_answer(event);
	ccp_quota_known(live);
}

void ccp_quota_known(struct ccp_live *live)
{
	/* It may come before the answer to turn/start does. */
	if (!live->answered || !live->op.quota_held || !ccp_streq(live->op.phase, "running"))
		return;
	/* Said once. */
	live->op.quota_held = 0;
	ccp_runner_apply(live->runner, live->op.id, CCP_OP_QUOTA_PASSED, NULL, NULL);
}
