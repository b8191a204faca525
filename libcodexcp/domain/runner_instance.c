/*
 * The rows of app-server processes: written before anything is sent to one, asked when a turn was
 * lost.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "base/crash_point.h"
#include "base/str.h"
#include "domain/instance.h"
#include "domain/runner_internal.h"

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

/* What is written about the present instance. */
struct present {
	bool draining;
	int64_t ended_at;
	const char *end_reason;
};

static bool make_row(const struct ccp_runner *runner, const struct present *present,
		     struct ccp_instance_row *row)
{
	const struct ccp_appserver_info *info = ccp_appserver_info(runner->as);

	row->pid = info->process.pid;
	row->start_time = info->process.start_time;
	row->pid_namespace = info->process.pid_namespace;
	row->epoch = runner->options.epoch;
	row->draining = present->draining;
	row->started_at = info->started_at;
	row->ended_at = present->ended_at;
	return ccp_strdup_opt(info->instance, &row->id) &&
	       ccp_strdup_opt(info->process.boot, &row->boot_id) &&
	       ccp_strdup_opt(info->user_agent, &row->user_agent) &&
	       ccp_strdup_opt(ccp_appserver_transports[info->transport], &row->transport) &&
	       ccp_strdup_opt(present->end_reason, &row->end_reason);
}

static void put_present(struct ccp_runner *runner, const struct present *present)
{
	struct instance_job *job = calloc(1, sizeof(*job));

	if (!job)
		return;
	if (!make_row(runner, present, &job->row) ||
	    ccp_txq_add(runner->options.txq, put_tx, put_done, job, CCP_TXQ_FOR_EVER, NULL) < 0) {
		ccp_instance_row_done(&job->row);
		free(job);
	}
}

void ccp_instance_started(struct ccp_runner *runner)
{
	put_present(runner, &(struct present){ 0 });
}

void ccp_instance_draining(struct ccp_runner *runner)
{
	put_present(runner, &(struct present){ .draining = true });
}

void ccp_instance_leave_to_end(struct ccp_runner *runner)
{
	const struct ccp_process_id *process = &ccp_appserver_info(runner->as)->process;
	_cleanup_instance_row_ struct ccp_instance_row row = { 0 };
	struct ccp_db *db = runner->options.db;

	if (ccp_process_check(process) != CCP_PROCESS_ALIVE)
		return;
	if (make_row(runner, &(struct present){ .draining = true }, &row) &&
	    ccp_db_begin(db, NULL) == 0 &&
	    (ccp_instance_put(db, &row, NULL) < 0 || ccp_db_commit(db, NULL) < 0))
		ccp_db_rollback(db);
	ccp_process_signal(process, SIGTERM);
}

void ccp_instance_ended(struct ccp_runner *runner, const struct codexcp_error *why)
{
	/* One that never came up has no pid, and nothing was ever sent to it. */
	if (ccp_appserver_info(runner->as)->process.pid)
		put_present(runner, &(struct present){ .ended_at = ccp_runner_now(runner),
						       .end_reason = why->message });
}

/* The turns of an instance */

/* turn/start may have reached it, and no end is known. */
static bool has_turn_on(const struct ccp_op *op, const char *instance)
{
	return op->active && op->instance && ccp_streq(op->instance, instance) &&
	       !ccp_streq(op->phase, "queued") && !ccp_streq(op->phase, "claimed") &&
	       !ccp_streq(op->phase, "thread_start_sent") &&
	       !ccp_streq(op->phase, "waiting_for_quota");
}

bool ccp_instance_has_turns(const struct ccp_runner *runner)
{
	const char *instance = ccp_appserver_info(runner->as)->instance;
	struct ccp_live *live;

	DL_FOREACH (runner->live, live)
		if (has_turn_on(&live->op, instance))
			return true;
	return false;
}

bool ccp_instance_is_unwanted(const struct ccp_runner *runner)
{
	return runner->options.app_server.transport == CCP_APPSERVER_STDIO &&
	       ccp_appserver_info(runner->as)->transport == CCP_APPSERVER_UNIX &&
	       ccp_appserver_state(runner->as) == CCP_APPSERVER_READY;
}

/* Finding again what an earlier worker left */

struct finding {
	struct ccp_runner *runner;
	struct ccp_db *db;
	struct ccp_known_instance best; /* "" : none */
};

static int count_turn(const struct ccp_op *op, void *data)
{
	const char **instance = data;

	if (*instance && has_turn_on(op, *instance))
		*instance = NULL;
	return 0;
}

static bool has_turns(const struct finding *finding, const char *instance)
{
	return ccp_op_each_active(finding->db, count_turn, &instance, NULL) < 0 || !instance;
}

/* Where no socket is wanted, a turn that runs on one is not cut for that. */
static bool is_ours(const struct finding *finding, const struct ccp_instance_row *row)
{
	return !row->draining && !finding->best.id[0] &&
	       (finding->runner->options.app_server.transport != CCP_APPSERVER_STDIO ||
		has_turns(finding, row->id));
}

static void take(struct ccp_known_instance *known, const struct ccp_instance_row *row)
{
	known->process = ccp_instance_process(row);
	known->started_at = row->started_at;
	snprintf(known->id, sizeof(known->id), "%s", row->id);
}

static void end_row(const struct finding *finding, const struct ccp_instance_row *row,
		    const char *why)
{
	(void)ccp_instance_end(finding->db, row->id, ccp_runner_now(finding->runner), why, NULL);
}

/* The newest that lives on its socket is ours again; another one is of no use to anybody. One on
 * stdio ends by itself: its stdin is closed. One of which nothing can be proven is left alone. */
static int judge(const void *data, void *self)
{
	struct finding *finding = self;
	const struct ccp_instance_row *row = data;
	const struct ccp_process_id id = ccp_instance_process(row);
	bool on_socket = ccp_streq(row->transport, ccp_appserver_transports[CCP_APPSERVER_UNIX]);

	if (ccp_process_is_gone(&id)) {
		end_row(finding, row, "found dead by a later worker");
	} else if (on_socket && ccp_process_check(&id) == CCP_PROCESS_ALIVE) {
		if (is_ours(finding, row)) {
			take(&finding->best, row);
			return 0;
		}
		ccp_process_kill(&id);
		end_row(finding, row, "of no use to a later worker, which ended it");
	}
	return 0;
}

static int find_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct finding *finding = data;

	finding->db = db;
	finding->best.id[0] = '\0';
	return ccp_instance_each_open(db, judge, finding, err);
}

/* A worker that dies may have started one before it could write the row. */
static void found(const struct codexcp_error *err, void *data)
{
	struct finding *finding = data;
	struct ccp_runner *runner = finding->runner;
	const struct ccp_known_instance *best = &finding->best;

	if (!err)
		ccp_appserver_end_others(runner->as, best->id[0] ? &best->process : NULL);
	if (!err && best->id[0])
		ccp_instance_attach(runner, best);
	free(finding);
}

int ccp_instance_find_again(struct ccp_runner *runner, struct codexcp_error *err)
{
	struct finding *finding = calloc(1, sizeof(*finding));
	int r;

	if (!finding)
		return ccp_fail_oom(err);
	finding->runner = runner;
	r = ccp_txq_add(runner->options.txq, find_tx, found, finding, CCP_TXQ_FOR_EVER, err);
	if (r < 0)
		free(finding);
	return r;
}

void ccp_instance_attach(struct ccp_runner *runner, const struct ccp_known_instance *instance)
{
	const struct ccp_appserver_known known = { .instance = instance->id,
						   .process = instance->process,
						   .started_at = instance->started_at };

	ccp_appserver_attach(runner->as, &known);
}

struct ccp_known_instance ccp_instance_present(const struct ccp_runner *runner)
{
	const struct ccp_appserver_info *info = ccp_appserver_info(runner->as);
	struct ccp_known_instance known = { .process = info->process,
					    .started_at = info->started_at };

	snprintf(known.id, sizeof(known.id), "%s", info->instance);
	return known;
}

/* What became of the one that had a turn */

/* 1 known, 0 not. */
static int identify(const struct ccp_runner *runner, const char *instance,
		    struct ccp_process_id *ret, bool *ret_ended)
{
	_cleanup_instance_row_ struct ccp_instance_row row = { 0 };

	if (!instance || ccp_instance_get(runner->options.db, instance, &row, NULL) != 1)
		return 0;
	*ret = ccp_instance_process(&row);
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
