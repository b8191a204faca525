/*
 * Commands: what front ends want of the worker beside the queue. A command is a row; it is marked
 * running before it is carried out, and answered in the row. One that a worker was carrying out
 * when it died is carried out again by the next: every kind must be one that does no harm twice.
 */
#include <string.h>
#include <utlist.h>

#include "base/crash_point.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "service/engine_internal.h"

struct ccp_command_job {
	struct ccp_engine *engine;
	struct ccp_command command;
	struct ccp_command_job *next, *prev;
};

static void job_free(struct ccp_command_job *job)
{
	DL_DELETE(job->engine->commands, job);
	ccp_command_done(&job->command);
	free(job);
}

/* Whoever asked was told that it would not be begun any more. */
static void give_up_when_late(struct ccp_command *command)
{
	if (!command->deadline || command->updated_at <= command->deadline)
		return;
	(void)ccp_row_set(&command->status, "timed_out", NULL);
	command->completed_at = command->updated_at;
}

static int update_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_command_job *job = data;

	job->command.updated_at = ccp_clock_wall(ccp_context_clock(job->engine->cp));
	return CCP_MIN(ccp_command_update(db, &job->command, err), 0);
}

static int begin_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_command_job *job = data;

	job->command.updated_at = ccp_clock_wall(ccp_context_clock(job->engine->cp));
	give_up_when_late(&job->command);
	return CCP_MIN(ccp_command_update(db, &job->command, err), 0);
}

static void finished(const struct codexcp_error *err, void *data)
{
	struct ccp_command_job *job = data;
	struct ccp_engine *engine = job->engine;

	if (err && err->code == CODEXCP_E_CANCELLED)
		return;
	job_free(job);
	ccp_bell_changed(engine);
	ccp_commands_look(engine);
	ccp_engine_check_idle(engine);
}

static void finish(struct ccp_command_job *job, const struct codexcp_error *failure)
{
	struct ccp_command *command = &job->command;
	json_auto_t *error = failure ? ccp_error_json(failure) : NULL;
	_cleanup_free_ char *text = error ? ccp_json_dump(error, NULL) : NULL;

	(void)ccp_row_set(&command->status, failure ? "failed" : "completed", NULL);
	(void)ccp_row_set(&command->error, text, NULL);
	command->completed_at = ccp_clock_wall(ccp_context_clock(job->engine->cp));
	/* Without memory the row stays `running`, and the next worker takes it up. */
	if (ccp_txq_add(job->engine->txq, update_tx, finished, job, CCP_TXQ_FOR_EVER, NULL) < 0)
		job_free(job);
}

/* Interrupts: of the operation's own turn, which ends once. */

static void interrupted(const struct codexcp_error *err, void *data)
{
	finish(data, err);
}

static void run_interrupt(struct ccp_command_job *job)
{
	ccp_runner_interrupt(job->engine->runner, job->command.op_id, interrupted, job);
}

static const struct {
	const char *kind;
	void (*run)(struct ccp_command_job *job);
} kinds[] = {
	{ "interrupt", run_interrupt },
};

const char *ccp_command_kind(size_t i)
{
	return i < CCP_ARRAY_SIZE(kinds) ? kinds[i].kind : NULL;
}

static void carry_out(struct ccp_command_job *job)
{
	_cleanup_error_ struct codexcp_error unknown = { 0 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(kinds); i++)
		if (ccp_streq(kinds[i].kind, job->command.kind)) {
			CCP_CRASH_POINT("command", kinds[i].kind, "before");
			kinds[i].run(job);
			CCP_CRASH_POINT("command", kinds[i].kind, "after");
			return;
		}
	ccp_fail(&unknown, CODEXCP_E_INVALID_ARGUMENT, "this worker knows no command %s",
		 job->command.kind);
	finish(job, &unknown);
}

/* Its row is still queued: the next poll takes it again, not this callback without end. */
static void not_begun(struct ccp_command_job *job, const struct codexcp_error *why)
{
	ccp_log(CCP_LOG_ERROR, "a command cannot be begun", "command", job->command.id, "why",
		why->message, NULL);
	job->engine->seen_version = CCP_NEVER_SEEN;
	job_free(job);
}

static void run(const struct codexcp_error *err, void *data)
{
	struct ccp_command_job *job = data;
	struct ccp_engine *engine = job->engine;

	if (err && err->code == CODEXCP_E_CANCELLED)
		return;
	engine->beginning = false;
	if (err) {
		not_begun(job, err);
	} else {
		if (job->command.completed_at)
			job_free(job);
		else
			carry_out(job);
		ccp_commands_look(engine);
	}
	ccp_engine_check_idle(engine);
}

/* One is begun at a time, the next when its row says running; they end in any order. */
void ccp_commands_look(struct ccp_engine *engine)
{
	struct ccp_command command = { 0 };
	struct ccp_command_job *job;

	if (engine->beginning || ccp_command_next(engine->cp->db, &command, NULL) != 1)
		return;
	job = calloc(1, sizeof(*job));
	if (!job) {
		ccp_command_done(&command);
		return;
	}
	job->engine = engine;
	job->command = command;
	DL_APPEND(engine->commands, job);
	(void)ccp_row_set(&job->command.status, "running", NULL);
	engine->beginning = true;
	if (ccp_txq_add(engine->txq, begin_tx, run, job, CCP_TXQ_FOR_EVER, NULL) < 0) {
		engine->beginning = false;
		job_free(job);
	}
}

void ccp_commands_free(struct ccp_engine *engine)
{
	while (engine->commands)
		job_free(engine->commands);
}
