/*
 * The worker seen and controlled from outside: the inside of <codexcp/worker.h>.
 */
#include <codexcp/worker.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/socket.h"
#include "runtime/watch.h"
#include "service/doorbell.h"
#include "service/starter.h"
#include "service/worker_info.h"

/* How often the lock is tried: nothing tells when it is let go. */
#define LOOK_MS  50
#define START_MS 30000
/* Beside the time that running work is given. */
#define STOP_MS 15000

int codexcp_worker_running(struct codexcp *cp, struct codexcp_error *err)
{
	return cp->config ? ccp_worker_lock_is_held(cp, err)
			  : ccp_fail_copy(err, &cp->config_error);
}

/* Describing */

static void set_rows(json_t **o, struct ccp_db *db, int64_t now)
{
	_cleanup_worker_row_ struct ccp_worker_row row = { 0 };
	struct ccp_op_counts counts = { 0 };

	if (ccp_op_count(db, &counts, NULL) == 0)
		ccp_json_set_new(o, "operations", ccp_counts_json(&counts));
	if (ccp_worker_latest(db, &row, NULL) == 1)
		ccp_json_set_new(o, "worker", ccp_worker_json(&row, now, CCP_WORKER_WHOLE));
	ccp_json_set_new(o, "appServer", ccp_app_server_json(db));
}

/* Not the context's own connection: looking must not bring about a migration. 1 open, 0 there is no
 * database. */
static int open_to_look(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err)
{
	int r = ccp_state_check_place(cp, err);

	if (r <= 0 || access(cp->config->state_db_path, F_OK) < 0)
		return CCP_MIN(r, 0);
	r = ccp_db_open(cp->config->state_db_path, CCP_DB_READ, ret_db, err);
	return r < 0 ? r : 1;
}

static json_t *describe(struct codexcp *cp, bool running)
{
	_cleanup_free_ char *lock = ccp_state_lock_path(cp),
			    *log = ccp_state_path(cp, CCP_STATE_LOG);
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	_cleanup_error_ struct codexcp_error why = { 0 };
	json_t *o = json_object();

	ccp_json_set_bool(&o, "running", running);
	ccp_json_set_str(&o, "stateDb", cp->config->state_db_path);
	ccp_json_set_str(&o, "lock", lock);
	ccp_json_set_str(&o, "logPath", log);
	if (open_to_look(cp, &db, &why) < 0)
		ccp_json_set_new(&o, "stateProblem", ccp_error_json(&why));
	if (db)
		set_rows(&o, db, ccp_clock_wall(ccp_context_clock(cp)));
	return o;
}

int codexcp_worker_describe(struct codexcp *cp, json_t **ret_description, struct codexcp_error *err)
{
	int held = codexcp_worker_running(cp, err);
	json_t *description;

	if (held < 0)
		return held;
	description = describe(cp, held);
	if (!description)
		return ccp_fail_oom(err);
	*ret_description = description;
	return held;
}

/* Stopping */

struct stopping {
	struct codexcp *cp;
	struct ccp_timer *timer;
	struct ccp_watch *watch; /* of the one that was told to end */
	struct ccp_process_id id;
	json_t *worker;
	bool ended;
};

static void stopping_done(struct stopping *stopping)
{
	ccp_watch_free(stopping->watch);
	ccp_timer_free(stopping->timer);
	json_decref(stopping->worker);
}

static void on_ended(void *data)
{
	struct stopping *stopping = data;

	stopping->ended = true;
}

static void on_look(void *data)
{
}

static int fail_unseen(const struct ccp_worker_row *holder, struct codexcp_error *err)
{
	return ccp_fail(err, CODEXCP_E_BUSY,
			"the worker runs as process %" PRId64
			", which cannot be seen from here: stop "
			"it where it was started (another container?)",
			holder->pid);
}

static int fail_inline(const struct ccp_worker_row *holder, struct codexcp_error *err)
{
	return ccp_fail(err, CODEXCP_E_BUSY,
			"there is no worker of its own: process %" PRId64
			" executes operations itself (execution mode inline), as long as it runs",
			holder->pid);
}

/* Who answers the doorbell; 0: nobody, or it cannot be seen from here. */
static int64_t listening_pid(const struct codexcp *cp)
{
	_cleanup_free_ char *dir = ccp_state_run_dir(cp);
	_cleanup_close_ int fd = dir ? ccp_socket_connect(dir, CCP_DOORBELL_NAME, NULL) : -1;

	return fd >= 0 ? ccp_socket_peer_pid(fd) : 0;
}

/* Without its row nothing tells a worker from a client that executes by itself, which is not ours
 * to end: whoever asked is told how. */
static int fail_unread(const struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *log = ccp_state_path(cp, CCP_STATE_LOG);
	int64_t pid = listening_pid(cp);
	char process[64] = "its process (fuser(1) on the lock says which)";

	if (!err)
		return CODEXCP_E_STATE_UNAVAILABLE;
	if (pid)
		snprintf(process, sizeof(process), "kill %" PRId64, pid);
	ccp_error_prefix(err,
			 "the worker cannot be looked up in its database; end it with %s, or "
			 "systemctl --user stop where systemd keeps it; its log is %s",
			 process, log ? log : CCP_STATE_LOG);
	ccp_error_add(err, "pid", pid ? json_integer(pid) : NULL);
	return err->code;
}

/* Who holds the lock. 1; 0, it has not written its row yet, or is about to end. */
static int find_holder(struct stopping *stopping, struct ccp_worker_row *holder,
		       struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	int r = open_to_look(stopping->cp, &db, err);

	if (r == 1)
		r = ccp_worker_latest(db, holder, err);
	if (r == CODEXCP_E_STATE_UNAVAILABLE)
		return fail_unread(stopping->cp, err);
	if (r <= 0)
		return r == CODEXCP_E_STATE_BUSY ? 0 : r;
	if (ccp_streq(holder->status, "stopped"))
		return 0;
	stopping->id = ccp_worker_process(holder);
	switch (ccp_process_check(&stopping->id)) {
	case CCP_PROCESS_ALIVE:
		return ccp_streq(holder->role, "inline") ? fail_inline(holder, err) : 1;
	case CCP_PROCESS_DEAD:
	case CCP_PROCESS_LOST:
		return 0;
	case CCP_PROCESS_UNKNOWN:
		break;
	}
	return fail_unseen(holder, err);
}

static json_t *stopped_json(const struct ccp_worker_row *holder)
{
	json_t *o = json_object();

	ccp_json_set_int(&o, "pid", holder->pid);
	ccp_json_set_int(&o, "epoch", holder->epoch);
	ccp_json_set_str(&o, "version", holder->version);
	return o;
}

/* Tells the holder, once; 0 also when it is not known yet. */
static int tell_holder(struct stopping *stopping, struct codexcp_error *err)
{
	_cleanup_worker_row_ struct ccp_worker_row holder = { 0 };
	int r = find_holder(stopping, &holder, err);

	if (r != 1)
		return r;
	stopping->worker = stopped_json(&holder);
	if (!stopping->worker)
		return ccp_fail_oom(err);
	r = ccp_watch_new(stopping->cp->loop, &stopping->id, on_ended, stopping, &stopping->watch,
			  err);
	if (r == 0)
		ccp_process_signal(&stopping->id, SIGTERM);
	/* It has ended since. */
	if (r == CODEXCP_E_BUSY)
		stopping->ended = true;
	return r == CODEXCP_E_BUSY ? 0 : r;
}

static int fail_late(const struct stopping *stopping, struct codexcp_error *err)
{
	_cleanup_free_ char *log = ccp_state_path(stopping->cp, CCP_STATE_LOG);

	if (!stopping->worker)
		return ccp_fail(err, CODEXCP_E_TIMEOUT,
				"the worker lock is held, and its holder has not reported itself; "
				"see %s",
				log);
	ccp_fail(err, CODEXCP_E_TIMEOUT,
		 "the worker (process %" PRId64
		 ") was told to end and has not ended in time; see %s",
		 stopping->id.pid, log);
	ccp_error_add(err, "worker", json_incref(stopping->worker));
	return CODEXCP_E_TIMEOUT;
}

/* 1 it has ended, 0 none ran. */
static int stop_holder(struct stopping *stopping, int64_t until, struct codexcp_error *err)
{
	struct codexcp *cp = stopping->cp;
	int r = 0;

	while (!stopping->ended) {
		int held = ccp_worker_lock_is_held(cp, err);

		/* A worker lets go of its lock shortly before its process ends. */
		if (held == 0 && !stopping->watch)
			return 0;
		if (held == 1 && !stopping->watch)
			r = tell_holder(stopping, err);
		if (held < 0 || r < 0)
			return CCP_MIN(held, r);
		if (ccp_clock_boot(ccp_context_clock(cp)) >= until)
			return fail_late(stopping, err);
		ccp_timer_start(stopping->timer, LOOK_MS);
		if (!stopping->ended)
			ccp_loop_step(cp->loop);
	}
	return 1;
}

int codexcp_worker_stop(struct codexcp *cp, int timeout_ms, json_t **ret_stopped,
			struct codexcp_error *err)
{
	_cleanup_(stopping_done) struct stopping stopping = { .cp = cp };
	int r = codexcp_worker_running(cp, err);
	int64_t patience_ms;

	if (r <= 0)
		return r;
	patience_ms = timeout_ms ? timeout_ms : cp->config->worker_drain_seconds * 1000 + STOP_MS;
	r = ccp_timer_new(cp->loop, on_look, NULL, &stopping.timer, err);
	if (r == 0)
		r = stop_holder(&stopping, ccp_clock_boot(ccp_context_clock(cp)) + patience_ms,
				err);
	if (r == 1)
		*ret_stopped = TAKE_PTR(stopping.worker);
	return r;
}

/* Starting */

int codexcp_worker_start(struct codexcp *cp, int timeout_ms, struct codexcp_error *err)
{
	int64_t until = ccp_clock_boot(ccp_context_clock(cp)) +
			(timeout_ms ? timeout_ms : START_MS);
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	if (!cp->starter)
		return ccp_fail(err, CODEXCP_E_BUSY, "this context is a worker itself");
	/* Where its log is to stand. */
	r = ccp_state_prepare(cp, err);
	if (r < 0)
		return r;
	ccp_starter_ring(cp->starter);
	while (!ccp_starter_connected(cp->starter)) {
		const char *trouble = ccp_starter_trouble(cp->starter);
		bool late = ccp_clock_boot(ccp_context_clock(cp)) >= until;

		if (late || ccp_starter_failed(cp->starter))
			return ccp_fail(err, late ? CODEXCP_E_TIMEOUT : CODEXCP_E_BUSY, "%s",
					trouble ? trouble : "the worker does not answer");
		ccp_loop_step(cp->loop);
	}
	return 0;
}
