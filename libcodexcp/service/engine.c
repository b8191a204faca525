#include "service/engine.h"

#include "base/crash_point.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/process.h"
#include "service/app_server.h"
#include "service/engine_internal.h"
#include "service/starter.h"

#define LOCK_WAIT_MS  10000
#define LOCK_RETRY_MS 50
/* A lost ring costs at most this. */
#define POLL_MS             1000
#define POLLS_PER_HEARTBEAT 10
/* Nobody is in a hurry to replace a worker whose turns would end with it. */
#define HAND_OVER_MS (7 * 24 * 3600 * (int64_t)1000)

static int64_t now_ms(const struct ccp_engine *engine)
{
	return ccp_clock_boot(ccp_context_clock(engine->cp));
}

/* A worker ends, with this as the reason; an inline context goes on without executing. */
static void fail_run(struct ccp_engine *engine, const struct codexcp_error *err)
{
	if (engine->cp->mode == CODEXCP_MODE_INLINE) {
		ccp_fail_copy(&engine->failure, err);
		ccp_starter_engine_failed(engine->cp->starter);
		return;
	}
	ccp_fail_copy(&engine->cp->run_error, err);
	codexcp_stop(engine->cp);
}

/* Working */

static void on_changed(void *data)
{
	struct ccp_engine *engine = data;

	ccp_bell_changed(engine);
	ccp_engine_check_idle(engine);
}

static void on_changed_timer(void *data)
{
	ccp_bell_tell_changed(data);
}

static void on_app_server(const struct codexcp_error *why, void *data)
{
	ccp_report_app_server(data, why);
}

static void on_crowded(bool crowded, void *data)
{
	ccp_report_crowded(data, crowded);
}

static int new_runner(struct ccp_engine *engine, struct codexcp_error *err)
{
	static const struct ccp_runner_events events = { .changed = on_changed,
							 .app_server = on_app_server,
							 .crowded = on_crowded };
	struct codexcp *cp = engine->cp;
	_cleanup_free_ char *run_dir = ccp_state_run_dir(cp),
			    *log = ccp_state_path(cp, CCP_STATE_LOG_DIR "/app-server.log");
	_cleanup_(ccp_app_server_env_freep) char **envp = ccp_app_server_env(cp);
	const struct ccp_runner_options options = {
		.loop = cp->loop,
		.db = cp->db,
		.txq = cp->txq,
		.app_server = { .find = ccp_app_server_find,
				.find_data = cp,
				.cwd = run_dir,
				.envp = (const char *const *)envp,
				.transport = (enum ccp_appserver_transport)
						     cp->config->app_server_transport,
				.run_dir = run_dir,
				.log_path = log },
		.limits = ccp_context_limits(cp),
		.epoch = engine->row.epoch,
		.orderly = engine->orderly,
		.app_server_idle_ms = cp->config->app_server_idle_seconds * 1000,
		.check_ms = cp->config->turn_check_seconds * 1000,
		.stall_ms = cp->config->turn_stall_timeout_seconds * 1000,
		.interrupt_stalled = cp->config->stalled_turn_action == CCP_STALLED_INTERRUPT,
		.quota_check_ms = cp->config->quota_check_seconds * 1000,
	};

	if (!run_dir || !log || !envp)
		return ccp_fail_oom(err);
	return ccp_runner_new(&options, &events, engine, &engine->runner, err);
}

static void on_poll(void *data)
{
	struct ccp_engine *engine = data;
	int64_t version = ccp_db_data_version(engine->cp->db);
	bool changed = version != engine->seen_version;

	ccp_timer_start(engine->poll_timer, POLL_MS);
	engine->seen_version = version;
	if (changed)
		ccp_engine_look(engine);
	if (++engine->polls % POLLS_PER_HEARTBEAT == 0)
		ccp_report(engine);
}

static void go_to_work(struct ccp_engine *engine)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	int r = new_runner(engine, &err);

	if (r == 0)
		r = ccp_bell_open(engine, &err);
	if (r == 0)
		r = ccp_runner_adopt(engine->runner, &err);
	if (r == 0)
		r = ccp_context_new_upkeep(engine->cp, &engine->upkeep, &err);
	if (r < 0) {
		fail_run(engine, &err);
		return;
	}
	ccp_log(CCP_LOG_INFO, "worker ready", "worker", engine->row.id, "version", CCP_VERSION,
		NULL);
	if (engine->cp->ready)
		engine->cp->ready(engine->cp->ready_data);
	ccp_timer_start(engine->poll_timer, POLL_MS);
	ccp_engine_look(engine);
}

/* Becoming the worker: the lock is ours, now the database has to know. */

static int epoch_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_engine *engine = data;
	_cleanup_worker_row_ struct ccp_worker_row last = { 0 };
	int r = ccp_state_check_home(db, engine->cp->config, err);

	if (r == 0)
		r = ccp_worker_latest(db, &last, err);
	engine->orderly = r == 1 && ccp_streq(last.status, "stopped");
	if (r >= 0)
		r = ccp_meta_next_epoch(db, &engine->row.epoch, err);
	if (r == 0)
		r = ccp_command_requeue(db, err);
	if (r >= 0)
		r = ccp_worker_put(db, &engine->row, err);
	CCP_CRASH_POINT("epoch", "commit", "before");
	return r;
}

static void epoch_done(const struct codexcp_error *err, void *data)
{
	struct ccp_engine *engine = data;

	CCP_CRASH_POINT("epoch", "commit", "after");
	if (!err)
		go_to_work(engine);
	else if (err->code != CODEXCP_E_CANCELLED)
		fail_run(engine, err);
}

static void begin(struct ccp_engine *engine)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	int r = ccp_state_open(engine->cp, &err);

	/* Another process is making the schema. */
	if (r == CODEXCP_E_STATE_BUSY && now_ms(engine) < engine->lock_until) {
		ccp_timer_start(engine->lock_timer, LOCK_RETRY_MS);
		return;
	}
	if (r == 0)
		r = ccp_txq_add(engine->cp->txq, epoch_tx, epoch_done, engine, LOCK_WAIT_MS, &err);
	if (r < 0)
		fail_run(engine, &err);
}

void ccp_engine_not_needed(struct ccp_engine *engine)
{
	ccp_log(CCP_LOG_INFO, "another worker is there", NULL);
	codexcp_stop(engine->cp);
}

/* Whoever has the lock is working, starting or ending: it is asked, and the lock tried again. */
static void on_lock_timer(void *data)
{
	struct ccp_engine *engine = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *path = ccp_state_lock_path(engine->cp);
	int r = engine->lock_fd >= 0 ? 1
		: path               ? ccp_lock_try(path, &engine->lock_fd, &err)
				     : ccp_fail_oom(&err);

	if (r == 1) {
		ccp_stream_free(TAKE_PTR(engine->holder));
		begin(engine);
		return;
	}
	if (r == 0 && now_ms(engine) > engine->lock_until)
		r = ccp_fail(&err, CODEXCP_E_BUSY,
			     "another process holds the worker lock and does not answer");
	if (r < 0) {
		fail_run(engine, &err);
		return;
	}
	if (!engine->holder)
		(void)ccp_bell_ring_holder(engine, NULL);
	ccp_timer_start(engine->lock_timer, LOCK_RETRY_MS);
}

static int take_lock_now(struct ccp_engine *engine, struct codexcp_error *err)
{
	_cleanup_free_ char *path = ccp_state_lock_path(engine->cp);
	int r = path ? ccp_lock_try(path, &engine->lock_fd, err) : ccp_fail_oom(err);

	return r == 0 ? ccp_fail(err, CODEXCP_E_BUSY, "another process is the worker")
		      : CCP_MIN(r, 0);
}

/* Leaving */

static void on_left(void *data)
{
	struct ccp_engine *engine = data;

	codexcp_stop(engine->cp);
}

static void leave(struct ccp_engine *engine, const char *why, int64_t drain_ms)
{
	ccp_log(CCP_LOG_INFO, "leaving", "why", why, NULL);
	ccp_timer_stop(engine->lock_timer);
	if (!engine->runner) {
		codexcp_stop(engine->cp);
		return;
	}
	ccp_runner_flush(engine->runner);
	ccp_runner_leave(engine->runner, drain_ms, on_left);
}

void ccp_engine_leave(struct ccp_engine *engine, const char *why)
{
	leave(engine, why, engine->cp->config->worker_drain_seconds * 1000);
}

void ccp_engine_hand_over(struct ccp_engine *engine)
{
	/* An inline context belongs to its client. */
	if (engine->cp->mode == CODEXCP_MODE_WORKER)
		leave(engine, "a newer version takes over", HAND_OVER_MS);
}

/* In doubt there is some. */
static bool is_work_left(struct ccp_db *db)
{
	_cleanup_command_ struct ccp_command command = { 0 };
	struct ccp_op_counts counts = { 0 };

	return ccp_op_count(db, &counts, NULL) < 0 || counts.active ||
	       ccp_command_next(db, &command, NULL) != 0;
}

static void on_idle(void *data)
{
	struct ccp_engine *engine = data;
	_cleanup_error_ struct codexcp_error err = { 0 };

	/* From here on nobody can connect; whoever came before is seen by this look. */
	ccp_bell_close(engine);
	if (!engine->bells && !is_work_left(engine->cp->db)) {
		ccp_engine_leave(engine, "nothing to do");
		return;
	}
	if (ccp_bell_open(engine, &err) < 0)
		fail_run(engine, &err);
	else
		ccp_engine_look(engine);
}

void ccp_engine_check_idle(struct ccp_engine *engine)
{
	int64_t idle_ms = engine->cp->config->worker_idle_seconds * 1000;
	bool busy = engine->bells || engine->commands ||
		    (engine->runner && ccp_runner_active(engine->runner));

	if (engine->cp->mode != CODEXCP_MODE_WORKER || engine->cp->stay)
		return;
	if (busy)
		ccp_timer_stop(engine->idle_timer);
	else if (!ccp_timer_active(engine->idle_timer))
		ccp_timer_start(engine->idle_timer, idle_ms);
}

bool ccp_engine_has_lock(const struct ccp_engine *engine)
{
	return engine->lock_fd >= 0;
}

const struct codexcp_error *ccp_engine_failure(const struct ccp_engine *engine)
{
	return engine->failure.code ? &engine->failure : NULL;
}

void ccp_engine_look(struct ccp_engine *engine)
{
	if (!engine->runner)
		return;
	ccp_commands_look(engine);
	ccp_runner_look(engine->runner);
	ccp_engine_check_idle(engine);
}

/* Only reports itself. */
static int observe(struct ccp_engine *engine, struct codexcp_error *err)
{
	int r = ccp_state_open(engine->cp, err);

	if (r < 0)
		return r;
	ccp_report(engine);
	ccp_timer_start(engine->poll_timer, POLL_MS);
	return 0;
}

static int set_up(struct ccp_engine *engine, struct codexcp_error *err)
{
	struct ccp_loop *loop = engine->cp->loop;
	int r = ccp_state_prepare(engine->cp, err);

	if (r == 0)
		r = ccp_report_init(engine, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_lock_timer, engine, &engine->lock_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_poll, engine, &engine->poll_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_idle, engine, &engine->idle_timer, err);
	if (r == 0)
		r = ccp_timer_new(loop, on_changed_timer, engine, &engine->changed_timer, err);
	if (r < 0)
		return r;
	if (engine->cp->mode == CODEXCP_MODE_OBSERVE)
		return observe(engine, err);
	engine->lock_until = now_ms(engine) + LOCK_WAIT_MS;
	if (engine->cp->mode == CODEXCP_MODE_INLINE)
		r = take_lock_now(engine, err);
	if (r == 0)
		ccp_timer_start(engine->lock_timer, 1);
	return r;
}

int ccp_engine_new(struct codexcp *cp, struct ccp_engine **ret_engine, struct codexcp_error *err)
{
	struct ccp_engine *engine = calloc(1, sizeof(*engine));
	int r;

	if (!engine)
		return ccp_fail_oom(err);
	engine->cp = cp;
	engine->lock_fd = -1;
	r = set_up(engine, err);
	if (r < 0) {
		ccp_engine_free(engine);
		return r;
	}
	*ret_engine = engine;
	return 0;
}

void ccp_engine_free(struct ccp_engine *engine)
{
	if (!engine)
		return;
	ccp_runner_free(engine->runner);
	ccp_upkeep_free(engine->upkeep);
	ccp_commands_free(engine);
	ccp_report_stopped(engine);
	ccp_bell_free(engine);
	ccp_timer_free(engine->lock_timer);
	ccp_timer_free(engine->poll_timer);
	ccp_timer_free(engine->idle_timer);
	ccp_timer_free(engine->changed_timer);
	ccp_worker_row_done(&engine->row);
	codexcp_error_done(&engine->failure);
	ccp_closep(&engine->lock_fd);
	free(engine);
}

void ccp_engine_flush(struct ccp_engine *engine)
{
	if (engine->runner)
		ccp_runner_flush(engine->runner);
}
