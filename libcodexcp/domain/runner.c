#include "domain/runner.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "base/crash_point.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "domain/runner_internal.h"
#include "domain/slots.h"
#include "domain/turn_id.h"

/* Streaming progress reaches the disk at most this late. */
#define FLUSH_MS 100
/* Codex ends at once when nothing runs. */
#define STOP_GRACE_MS 10000
/* Rows of the worker are never given up: txq.h. */
#define FOR_EVER CCP_TXQ_FOR_EVER

struct ccp_live *ccp_live_find(const struct ccp_runner *runner, const char *op_id)
{
	struct ccp_live *live;

	DL_FOREACH (runner->live, live)
		if (ccp_streq(live->op.id, op_id))
			return live;
	return NULL;
}

struct ccp_live *ccp_live_by_thread(const struct ccp_runner *runner, const char *thread_id)
{
	struct ccp_live *live;

	DL_FOREACH (runner->live, live)
		if (live->op.thread_id && ccp_streq(live->op.thread_id, thread_id))
			return live;
	return NULL;
}

void ccp_runner_trouble(const char *what, const char *op_id, const struct codexcp_error *err)
{
	ccp_log(CCP_LOG_ERROR, what, "operation", op_id, "code", codexcp_error_name(err->code),
		"error", err->message, NULL);
}

static void live_free(struct ccp_live *live)
{
	ccp_timer_free(live->timer);
	ccp_watch_done(live);
	ccp_terminals_done(live);
	ccp_track_free(live->track);
	json_decref(live->early_end);
	ccp_op_done(&live->op);
	free(live);
}

static void drop_live(struct ccp_live *live)
{
	DL_DELETE(live->runner->live, live);
	live_free(live);
}

/* Steals *op. NULL when memory ran out: the row is adopted by the next worker. */
static struct ccp_live *add_live(struct ccp_runner *runner, struct ccp_op *op)
{
	struct ccp_live *live = calloc(1, sizeof(*live));

	if (!live || ccp_track_new(op->id, op->thread_id, op->turn_id, op->instance, &live->track,
				   NULL) < 0) {
		free(live);
		ccp_op_done(op);
		return NULL;
	}
	live->runner = runner;
	live->walk = runner->walks;
	live->op = *op;
	*op = (struct ccp_op){ 0 };
	DL_APPEND(runner->live, live);
	ccp_watch_begin(live);
	return live;
}

/* Flushing: what the tracks have collected, all in one transaction. */

static int write_tracks(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_runner *runner = data;
	struct ccp_live *live;

	DL_FOREACH (runner->live, live) {
		int r = ccp_track_dirty(live->track) ? ccp_track_write(live->track, db, err) : 0;

		if (r < 0)
			return r;
	}
	CCP_CRASH_POINT("progress", "commit", "before");
	return 0;
}

static void tracks_written(const struct codexcp_error *err, void *data)
{
	struct ccp_runner *runner = data;
	struct ccp_live *live;

	CCP_CRASH_POINT("progress", "commit", "after");
	if (err) {
		if (err->code != CODEXCP_E_CANCELLED)
			ccp_runner_trouble("progress was not written", NULL, err);
		return;
	}
	DL_FOREACH (runner->live, live)
		ccp_track_written(live->track);
	runner->events.changed(runner->data);
}

static void on_flush(void *data)
{
	struct ccp_runner *runner = data;

	(void)ccp_txq_add(runner->options.txq, write_tracks, tracks_written, runner, FOR_EVER,
			  NULL);
}

void ccp_runner_flush_soon(struct ccp_runner *runner)
{
	if (!ccp_timer_active(runner->flush_timer))
		ccp_timer_start(runner->flush_timer, FLUSH_MS);
}

/* Applying events */

struct apply_job {
	struct ccp_runner *runner;
	char op_id[CCP_ID_SIZE];
	enum ccp_op_event event;
	struct ccp_op_change change;
	/* What no JSON holds: copies. */
	char turn_id[CCP_TURN_ID_SIZE], instance[CCP_ID_SIZE], limit[CCP_RATE_LIMIT_ID_SIZE];
	char *terminals;
	struct codexcp_error error;
	json_t *keep;
	struct ccp_op_outcome outcome;
};

static void job_free(struct apply_job *job)
{
	codexcp_error_done(&job->error);
	free(job->terminals);
	json_decref(job->keep);
	ccp_op_outcome_done(&job->outcome);
	free(job);
}

static void reach_app_server(struct ccp_runner *runner)
{
	struct ccp_known_instance lost = runner->lost;

	runner->lost.id[0] = '\0';
	if (lost.id[0])
		ccp_instance_attach(runner, &lost);
	else
		ccp_appserver_start(runner->as);
}

void ccp_runner_start_app_server(struct ccp_runner *runner)
{
	if (runner->has_left)
		return;
	ccp_timer_stop(runner->idle_timer);
	if (!ccp_timer_active(runner->start_timer))
		reach_app_server(runner);
}

static int apply_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct apply_job *job = data;
	struct ccp_live *live = ccp_live_find(job->runner, job->op_id);
	int r = 0;

	ccp_op_outcome_done(&job->outcome);
	job->outcome = (struct ccp_op_outcome){ 0 };
	if (live && job->change.turn_id)
		r = ccp_track_set_turn(live->track,
				       job->change.thread_id ? job->change.thread_id
							     : live->op.thread_id,
				       job->change.turn_id, job->change.instance,
				       ccp_runner_now(job->runner), err);
	if (r == 0 && live)
		r = ccp_track_write(live->track, db, err);
	if (r == 0)
		r = ccp_op_apply(db, ccp_loop_clock(job->runner->options.loop), job->op_id,
				 job->event, &job->change, &job->outcome, err);
	CCP_CRASH_POINT("commit", ccp_op_event_name(job->event), "before");
	return r;
}

/* Leaving */

void ccp_runner_stop_app_server(struct ccp_runner *runner)
{
	if (ccp_appserver_info(runner->as)->process.pid)
		ccp_instance_draining(runner);
	ccp_appserver_stop(runner->as, STOP_GRACE_MS);
	/* One that was only about to be started does not tell that it is gone. */
	runner->stopping = ccp_appserver_state(runner->as) != CCP_APPSERVER_STOPPED;
}

static bool is_on_socket(const struct ccp_runner *runner)
{
	return ccp_appserver_info(runner->as)->transport == CCP_APPSERVER_UNIX;
}

/* As long as the operations of an earlier worker have not come, any of them may have a turn. */
static bool outlives_us(const struct ccp_runner *runner)
{
	return is_on_socket(runner) && (runner->adopting || ccp_instance_has_turns(runner));
}

bool ccp_runner_has_left(struct ccp_runner *runner)
{
	if (runner->left && !runner->has_left) {
		runner->has_left = true;
		runner->left(runner->data);
	}
	return runner->has_left;
}

/* Nothing runs any more, or what runs has had its time. */
static void leave_now(struct ccp_runner *runner)
{
	if (runner->stopping)
		return;
	ccp_timer_stop(runner->leave_timer);
	ccp_timer_stop(runner->start_timer);
	if (outlives_us(runner))
		ccp_appserver_detach(runner->as);
	else if (ccp_appserver_state(runner->as) != CCP_APPSERVER_STOPPED)
		ccp_runner_stop_app_server(runner);
	if (!runner->stopping)
		ccp_runner_has_left(runner);
}

static void on_leave_timer(void *data)
{
	leave_now(data);
}

void ccp_runner_leave(struct ccp_runner *runner, int64_t drain_ms, void (*left)(void *data))
{
	bool wait = ccp_instance_has_turns(runner) && !is_on_socket(runner);

	runner->left = left;
	if (!runner->stopping)
		ccp_timer_start(runner->leave_timer, wait ? drain_ms : 0);
}

/* The thread is let go of, unless another operation has come to it. */
static void end_live(struct ccp_live *live)
{
	struct ccp_runner *runner = live->runner;
	_cleanup_free_ char *thread_id = TAKE_PTR(live->op.thread_id);

	drop_live(live);
	if (thread_id && !ccp_live_by_thread(runner, thread_id))
		ccp_send_unsubscribe(runner, thread_id);
	if (runner->left && !ccp_instance_has_turns(runner))
		leave_now(runner);
}

/* The row as it is now becomes the live operation's, or the live operation ends. */
static void take_outcome(struct apply_job *job)
{
	struct ccp_runner *runner = job->runner;
	struct ccp_live *live = ccp_live_find(runner, job->op_id);
	bool runs = ccp_step_row(job->outcome.to)->flags & CCP_STEP_SLOT;

	if (live)
		ccp_track_written(live->track);
	if (!live && runs && job->outcome.changed)
		live = add_live(runner, &job->outcome.op);
	else if (live) {
		ccp_op_done(&live->op);
		live->op = job->outcome.op;
		job->outcome.op = (struct ccp_op){ 0 };
	}
	if (!live)
		return;
	if (job->outcome.to != CCP_STEP_IS_LOOKING_UP)
		live->looks = live->unready = 0;
	live->watch.stalled = live->op.stalled_at != 0;
	if (job->outcome.changed)
		ccp_carry_out(live, job->outcome.effects);
	if (runs)
		ccp_turn_known(live);
	else
		end_live(live);
}

static void apply_done(const struct codexcp_error *err, void *data)
{
	struct apply_job *job = data;
	struct ccp_runner *runner = job->runner;

	CCP_CRASH_POINT("commit", ccp_op_event_name(job->event), "after");
	if (job->event == CCP_OP_CLAIM)
		runner->claiming = false;
	if (!err) {
		take_outcome(job);
		runner->events.changed(runner->data);
		ccp_schedule(runner);
	} else if (err->code != CODEXCP_E_CANCELLED) {
		ccp_runner_trouble("an event was not recorded", job->op_id, err);
	}
	job_free(job);
}

static const char *keep_text(const char *text, char *out, size_t size)
{
	if (text)
		snprintf(out, size, "%s", text);
	return text ? out : NULL;
}

static void keep_change(struct apply_job *job, const struct ccp_op_change *change, json_t *keep)
{
	job->change = *change;
	job->keep = json_incref(keep);
	job->change.turn_id = keep_text(change->turn_id, job->turn_id, sizeof(job->turn_id));
	job->change.instance = keep_text(change->instance, job->instance, sizeof(job->instance));
	job->change.quota_limit = keep_text(change->quota_limit, job->limit, sizeof(job->limit));
	(void)ccp_strdup_opt(change->terminals, &job->terminals);
	job->change.terminals = job->terminals;
	if (change->error) {
		ccp_fail_copy(&job->error, change->error);
		job->change.error = &job->error;
	}
}

static void not_recorded(struct ccp_runner *runner, const char *op_id, enum ccp_op_event event,
			 const struct codexcp_error *err)
{
	if (event == CCP_OP_CLAIM)
		runner->claiming = false;
	ccp_runner_trouble("an event was not recorded", op_id, err);
}

void ccp_runner_apply(struct ccp_runner *runner, const char *op_id, enum ccp_op_event event,
		      const struct ccp_op_change *change, json_t *keep)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct apply_job *job = calloc(1, sizeof(*job));

	if (!job) {
		ccp_fail_oom(&err);
		not_recorded(runner, op_id, event, &err);
		return;
	}
	job->runner = runner;
	snprintf(job->op_id, sizeof(job->op_id), "%s", op_id);
	job->event = event;
	if (change)
		keep_change(job, change, keep);
	if (ccp_txq_add(runner->options.txq, apply_tx, apply_done, job, FOR_EVER, &err) < 0) {
		not_recorded(runner, op_id, event, &err);
		job_free(job);
	}
}

/* Life */

static void on_idle(void *data)
{
	struct ccp_runner *runner = data;

	if (runner->live || ccp_appserver_state(runner->as) == CCP_APPSERVER_STOPPED)
		return;
	ccp_runner_stop_app_server(runner);
}

static void on_due(void *data)
{
	ccp_schedule(data);
}

static void on_start_pause(void *data)
{
	struct ccp_runner *runner = data;

	if (runner->live || runner->lost.id[0])
		reach_app_server(runner);
	ccp_schedule(runner);
}

static int set_up(struct ccp_runner *runner, struct codexcp_error *err)
{
	struct ccp_loop *loop = runner->options.loop;
	struct ccp_process_id self;
	int r = ccp_process_self(&self, err);

	if (r < 0)
		return r;
	memcpy(runner->boot, self.boot, sizeof(runner->boot));
	r = ccp_appserver_new(loop, &runner->options.app_server, &ccp_runner_app_events, runner,
			      &runner->as, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_flush, runner, &runner->flush_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_due, runner, &runner->due_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_idle, runner, &runner->idle_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_start_pause, runner, &runner->start_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_leave_timer, runner, &runner->leave_timer, err);
	if (r == 0)
		r = ccp_quota_init(runner, err);
	return r < 0 ? r : ccp_watch_init(runner, err);
}

int ccp_runner_new(const struct ccp_runner_options *options, const struct ccp_runner_events *events,
		   void *data, struct ccp_runner **ret_runner, struct codexcp_error *err)
{
	struct ccp_runner *runner = calloc(1, sizeof(*runner));
	int r;

	if (!runner)
		return ccp_fail_oom(err);
	runner->options = *options;
	runner->events = *events;
	runner->data = data;
	r = set_up(runner, err);
	if (r < 0) {
		ccp_runner_free(runner);
		return r;
	}
	*ret_runner = runner;
	return 0;
}

void ccp_runner_free(struct ccp_runner *runner)
{
	struct ccp_live *live, *next;

	if (!runner)
		return;
	/* It would be left running with nothing to do. */
	if (runner->as && is_on_socket(runner) && !outlives_us(runner))
		ccp_instance_leave_to_end(runner);
	ccp_appserver_free(runner->as);
	while (runner->sends)
		ccp_send_done(runner->sends);
	DL_FOREACH_SAFE (runner->live, live, next)
		drop_live(live);
	ccp_timer_free(runner->flush_timer);
	ccp_timer_free(runner->due_timer);
	ccp_timer_free(runner->idle_timer);
	ccp_timer_free(runner->start_timer);
	ccp_timer_free(runner->leave_timer);
	ccp_timer_free(runner->watch_timer);
	ccp_timer_free(runner->quota.timer);
	free(runner);
}

static int adopt_one(const struct ccp_op *op, void *data)
{
	json_t *ids = data;

	return ccp_op_holds_slot(op) ? json_array_append_new(ids, json_string(op->id)) : 0;
}

static int adopted_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	return 0;
}

/* All that stood before it in the queue have their slots back: now others may be claimed. */
static void adopted(const struct codexcp_error *err, void *data)
{
	struct ccp_runner *runner = data;

	/* At our end they have not come: what they have is left to the next worker. */
	if (err)
		return;
	runner->adopting = false;
	ccp_schedule(runner);
}

int ccp_runner_adopt(struct ccp_runner *runner, struct codexcp_error *err)
{
	const struct ccp_op_change change = { .epoch = runner->options.epoch,
					      .orderly = runner->options.orderly };
	json_auto_t *ids = json_array();
	json_t *id;
	size_t i;
	int r = ids ? ccp_op_each_active(runner->options.db, adopt_one, ids, err)
		    : ccp_fail_oom(err);

	/* Before the operations ask for an app-server. */
	if (r == 0)
		r = ccp_instance_find_again(runner, err);
	if (r < 0)
		return r;
	runner->adopting = true;
	json_array_foreach (ids, i, id)
		ccp_runner_apply(runner, json_string_value(id), CCP_OP_WORKER_LOST, &change, NULL);
	return ccp_txq_add(runner->options.txq, adopted_tx, adopted, runner, FOR_EVER, err);
}

void ccp_runner_look(struct ccp_runner *runner)
{
	ccp_schedule(runner);
}

void ccp_runner_flush(struct ccp_runner *runner)
{
	struct ccp_db *db = runner->options.db;

	if (ccp_db_begin(db, NULL) < 0)
		return;
	if (write_tracks(db, runner, NULL) < 0 || ccp_db_commit(db, NULL) < 0)
		ccp_db_rollback(db);
	else
		tracks_written(NULL, runner);
}

void ccp_runner_interrupt(struct ccp_runner *runner, const char *op_id, ccp_interrupt_fn fn,
			  void *data)
{
	struct ccp_live *live = ccp_live_find(runner, op_id);

	/* It has ended, or its turn is not known or being looked up: the row remembers the wish. */
	if (!live || !live->op.turn_id || ccp_streq(live->op.phase, "looking_up") ||
	    ccp_appserver_state(runner->as) != CCP_APPSERVER_READY)
		fn(NULL, data);
	else
		ccp_send_interrupt(live, fn, data);
}

size_t ccp_runner_active(const struct ccp_runner *runner)
{
	struct ccp_live *live;
	size_t n = 0;

	DL_COUNT(runner->live, live, n);
	return n;
}

const struct ccp_appserver *ccp_runner_app_server(const struct ccp_runner *runner)
{
	return runner->as;
}
