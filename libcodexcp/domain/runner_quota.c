/*
 * The account's usage limit. One database is one Codex home is one account, so the turn that met
 * the limit holds back all others: its operation waits until the limit ends, then goes on alone,
 * and the rest follows once the model has answered it.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/runner_internal.h"

#define READ_TIMEOUT_MS 10000

static int add_id(const char *id, void *data)
{
	return json_array_append_new(data, json_string(id));
}

void ccp_quota_over(struct ccp_runner *runner)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *ids = json_array();
	json_t *id;
	size_t i;

	if (!ids || ccp_op_each_waiting_for_quota(runner->options.db, add_id, ids, &err) < 0) {
		ccp_runner_trouble("what waits for the account's limit was not read", NULL, &err);
		return;
	}
	json_array_foreach (ids, i, id)
		ccp_runner_apply(runner, json_string_value(id), CCP_OP_QUOTA_OVER, NULL, NULL);
}

void ccp_quota_notification(struct ccp_runner *runner, const char *method, const json_t *params)
{
	if (ccp_streq(method, "account/rateLimits/updated")) {
		(void)ccp_rate_limit_parse(params, &runner->limit);
	} else if (ccp_is_login_change(method, params)) {
		runner->limit = (struct ccp_rate_limit){ 0 };
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

static void on_limits(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_runner *runner = send->runner;
	struct ccp_op_change change = { .epoch = send->epoch, .attempt = send->attempt };

	/* Without an account of OpenAI's there is nothing to read. */
	if (!err && ccp_rate_limit_parse(result, &runner->limit) && runner->limit.resets_at) {
		change.quota_resets_at = runner->limit.resets_at;
		change.quota_window = runner->limit.window;
		ccp_runner_apply(runner, send->op_id, CCP_OP_QUOTA_TOLD, &change, NULL);
	}
	ccp_send_done(send);
}

void ccp_quota_read(struct ccp_live *live)
{
	/* It waits as long as usual when nobody can be asked. */
	if (!live->op.quota_resets_at &&
	    ccp_appserver_state(live->runner->as) == CCP_APPSERVER_READY)
		(void)ccp_send_start(live, "account/rateLimits/read", json_object(),
				     READ_TIMEOUT_MS, on_limits, NULL, NULL);
}
