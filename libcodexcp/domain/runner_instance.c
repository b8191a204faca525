/*
 * The rows of app-server processes: written before anything is sent to one, asked when a turn was
 * lost.
 */
#include <stdio.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/str.h"
#include "domain/runner_internal.h"
#include "store/worker_store.h"

struct instance_job {
	struct ccp_instance_row row;
};

static int put_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct instance_job *job = data;
	int r = ccp_instance_put(db, &job->row, err);

	CCP_CRASH_POINT("instance", "commit", "before");
	return r;
}

static void put_done(const struct codexcp_error *err, void *data)
{
	struct instance_job *job = data;

	CCP_CRASH_POINT("instance", "commit", "after");
	if (err && err->code != CODEXCP_E_CANCELLED)
		ccp_runner_trouble("an app-server instance was not recorded", NULL, err);
	ccp_instance_row_done(&job->row);
	free(job);
}

static void put_instance(struct ccp_runner *runner, int64_t ended_at, const char *reason)
{
	const struct ccp_appserver_info *info = ccp_appserver_info(runner->as);
	struct instance_job *job = calloc(1, sizeof(*job));
	struct ccp_instance_row *row;

	if (!job)
		return;
	row = &job->row;
	row->pid = info->process.pid;
	row->start_time = info->process.start_time;
	row->pid_namespace = info->process.pid_namespace;
	row->epoch = runner->options.epoch;
	row->started_at = info->started_at;
	row->ended_at = ended_at;
	if (!ccp_strdup_opt(info->instance, &row->id) ||
	    !ccp_strdup_opt(info->process.boot, &row->boot_id) ||
	    !ccp_strdup_opt(info->user_agent, &row->user_agent) ||
	    !ccp_strdup_opt(reason, &row->end_reason) ||
	    ccp_txq_add(runner->options.txq, put_tx, put_done, job, CCP_TXQ_FOR_EVER, NULL) < 0) {
		ccp_instance_row_done(row);
		free(job);
	}
}

void ccp_instance_started(struct ccp_runner *runner)
{
	put_instance(runner, 0, NULL);
}

void ccp_instance_ended(struct ccp_runner *runner, const struct codexcp_error *why)
{
	/* One that never came up has no pid, and nothing was ever sent to it. */
	if (ccp_appserver_info(runner->as)->process.pid)
		put_instance(runner, ccp_runner_now(runner), why->message);
}

/* 1 known, 0 not. */
static int identify(const struct ccp_runner *runner, const char *instance,
		    struct ccp_process_id *ret, bool *ret_ended)
{
	_cleanup_instance_row_ struct ccp_instance_row row = { 0 };

	if (!instance || ccp_instance_get(runner->options.db, instance, &row, NULL) != 1)
		return 0;
	*ret = (struct ccp_process_id){ .pid = row.pid,
					.start_time = row.start_time,
					.pid_namespace = row.pid_namespace };
	snprintf(ret->boot, sizeof(ret->boot), "%s", row.boot_id ? row.boot_id : "");
	*ret_ended = row.ended_at != 0;
	return 1;
}

enum ccp_instance_fate ccp_instance_fate(const struct ccp_runner *runner, const char *instance)
{
	struct ccp_process_id id;
	bool ended;

	if (ccp_streq(instance, ccp_appserver_info(runner->as)->instance) &&
	    ccp_appserver_state(runner->as) == CCP_APPSERVER_READY)
		return CCP_INSTANCE_PRESENT;
	if (!identify(runner, instance, &id, &ended))
		return CCP_INSTANCE_UNCLEAR;
	switch (ccp_process_check(&id)) {
	case CCP_PROCESS_ALIVE:
		return CCP_INSTANCE_LINGERS;
	case CCP_PROCESS_DEAD:
		return CCP_INSTANCE_DEAD;
	case CCP_PROCESS_LOST:
		return CCP_INSTANCE_POWER_LOSS;
	case CCP_PROCESS_UNKNOWN:
		return ended ? CCP_INSTANCE_DEAD : CCP_INSTANCE_UNCLEAR;
	}
	return CCP_INSTANCE_UNCLEAR;
}

void ccp_instance_kill(const struct ccp_runner *runner, const char *instance)
{
	struct ccp_process_id id;
	bool ended;

	if (identify(runner, instance, &id, &ended))
		ccp_process_kill(&id);
}
