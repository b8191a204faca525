/*
 * Who is next: the oldest of the highest priority whose project, agent and thread have a slot left.
 * One claim at a time, so that each sees the slots that the one before has taken.
 */
#include <stdio.h>
#include <utlist.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/runner_internal.h"

/* When nothing has to be done at a point in time. */
#define DUE_MAX_MS 60000
/* Not every answer of app-server leads here: when too much is under way, this much later. */
#define CROWDED_MS 50

typedef const char *(*key_fn)(const struct ccp_op *op);

static const char *project_key(const struct ccp_op *op)
{
	return op->project_path;
}

static const char *agent_key(const struct ccp_op *op)
{
	return op->agent_id;
}

static const char *thread_key(const struct ccp_op *op)
{
	return op->thread_id;
}

/* The keys of which `limit` operations or more are live, as a JSON array for the query. */
static char *full_keys(const struct ccp_runner *runner, key_fn key, int64_t limit)
{
	json_auto_t *counts = json_object(), *full = json_array();
	struct ccp_live *live;

	DL_FOREACH (runner->live, live) {
		const char *name = key(&live->op);
		int64_t n = name ? ccp_json_int(counts, name, 0) + 1 : 0;

		if (!name)
			continue;
		ccp_json_set_int(&counts, name, n);
		if (n == limit)
			ccp_json_append_new(&full, json_string(name));
	}
	return full && counts ? ccp_json_dump(full, NULL) : NULL;
}

static int next_queued(struct ccp_runner *runner, int64_t now, struct ccp_op *ret_op,
		       struct codexcp_error *err)
{
	const struct ccp_limits *limits = &runner->options.limits;
	_cleanup_free_ char *projects = full_keys(runner, project_key, limits->project);
	_cleanup_free_ char *agents = full_keys(runner, agent_key, limits->agent);
	_cleanup_free_ char *threads = full_keys(runner, thread_key, limits->thread);

	if (!projects || !agents || !threads)
		return ccp_fail_oom(err);
	return ccp_op_next_queued(runner->options.db, now, projects, agents, threads, ret_op, err);
}

/* Wake up when the first operation that waits for a point in time is due. */
static void wait_for_due(struct ccp_runner *runner, int64_t now)
{
	struct ccp_op_quota quota = { 0 };
	int64_t at = 0;

	(void)ccp_op_quota(runner->options.db, &quota, NULL);
	if (quota.until > now)
		at = quota.until;
	else if (ccp_op_next_due(runner->options.db, now, &at, NULL) < 0)
		return;
	if (at)
		ccp_timer_start(runner->due_timer, CCP_CLAMP(at - now, 1, DUE_MAX_MS));
}

static int take_first(const char *id, void *data)
{
	snprintf(data, CCP_ID_SIZE, "%s", id);
	return 1;
}

/*
 * The operation that may be claimed now: 1 and its id, or 0. While the account is held, it is only
 * one of those that its limit has stopped, which had their slots when it did.
 */
static int next_one(struct ccp_runner *runner, int64_t now, char ret_id[static CCP_ID_SIZE],
		    struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op op = { 0 };
	struct ccp_op_quota quota;
	int r = ccp_op_quota(runner->options.db, &quota, err);

	if (r == 0 && !quota.waiting && !quota.trying) {
		r = next_queued(runner, now, &op, err);
		return r == 1 ? take_first(op.id, ret_id) : r;
	}
	if (r < 0 || quota.trying || now < quota.until)
		return r;
	r = ccp_op_each_waiting_for_quota(runner->options.db, take_first, ret_id, err);
	return r < 0 ? r : *ret_id != '\0';
}

void ccp_schedule(struct ccp_runner *runner)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	char id[CCP_ID_SIZE] = "";
	struct ccp_op_change change = { .epoch = runner->options.epoch };
	/* One look at the clock: what is not due now must be due later. */
	int64_t now = ccp_runner_now(runner);
	int r;

	if (runner->claiming || runner->adopting || runner->left)
		return;
	if (!runner->live && runner->options.app_server_idle_ms)
		ccp_timer_start(runner->idle_timer, runner->options.app_server_idle_ms);
	if ((int64_t)ccp_runner_active(runner) >= runner->options.limits.global)
		return;
	if ((int64_t)ccp_appserver_pending(runner->as) >= runner->options.limits.requests) {
		ccp_timer_start(runner->due_timer, CROWDED_MS);
		return;
	}
	r = next_one(runner, now, id, &err);
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
