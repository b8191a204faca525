/*
 * What app-server says, and what it means for the operations that run on it.
 */
#include <stdio.h>
#include <utlist.h>

#include "appserver/turn_error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/str.h"
#include "domain/runner_internal.h"
#include "domain/turn_id.h"
#include "store/journal_store.h"

/* After app-server has gone, it is started again this much later at the earliest. */
#define START_PAUSE_MS 1000
/* A lost connection is made again at once, then after growing pauses, and then the process is given
 * up: it may be ending. */
#define RECONNECTS   4
#define RECONNECT_MS 500
/* One that is there and does not answer takes several seconds each time. */
#define UNREACHABLE_MS 15000
/* What a lost line may have said is looked up this much later. */
#define CHECK_MS 1000

/* Lines of the journal that belong to no operation. */

struct note {
	char *category, *text, *data;
	int64_t at;
};

static void note_free(struct note *note)
{
	free(note->category);
	free(note->text);
	free(note->data);
	free(note);
}

static int note_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	const struct note *note = data;
	const struct ccp_journal_row row = { .at = note->at,
					     .category = note->category,
					     .severity = (char *)"warning",
					     .text = note->text,
					     .data = note->data };

	return ccp_journal_append(db, &row, err);
}

static void note_done(const struct codexcp_error *err, void *data)
{
	note_free(data);
}

/* Steals data. */
static void write_note(struct ccp_runner *runner, const char *category, const char *text,
		       json_t *data)
{
	struct note *note = calloc(1, sizeof(*note));

	if (note) {
		note->at = ccp_runner_now(runner);
		note->data = data ? ccp_json_dump(data, NULL) : NULL;
		if (!ccp_strdup_opt(category, &note->category) ||
		    !ccp_strdup_opt(text, &note->text) ||
		    ccp_txq_add(runner->options.txq, note_tx, note_done, note, CCP_TXQ_FOR_EVER,
				NULL) < 0)
			note_free(note);
	}
	json_decref(data);
}

static enum ccp_op_event end_event(const char *status)
{
	if (ccp_streq(status, "completed"))
		return CCP_OP_TURN_COMPLETED;
	return ccp_streq(status, "interrupted") ? CCP_OP_TURN_INTERRUPTED : CCP_OP_TURN_FAILED;
}

void ccp_turn_ended(struct ccp_live *live, const char *turn_id, const char *status,
		    json_t *codex_error, json_t *keep)
{
	_cleanup_error_ struct codexcp_error error = { 0 };
	struct ccp_op_change change = {
		.turn_id = live->op.turn_id ? NULL : turn_id,
		.instance = ccp_appserver_info(live->runner->as)->instance,
		.codex_lives = ccp_instance_fate(live->runner, live->op.instance) ==
			       CCP_INSTANCE_PRESENT,
	};
	enum ccp_op_event event = end_event(status);
	_cleanup_free_ char *terminals = NULL;

	if (event == CCP_OP_TURN_INTERRUPTED && ccp_terminals_hold(live, turn_id, keep))
		return;
	(void)ccp_strdup_opt(ccp_terminals_told(live), &terminals);
	change.terminals = terminals;

	if (event == CCP_OP_TURN_FAILED)
		change.error_class = ccp_codex_turn_error(codex_error, &error);
	if (error.code)
		change.error = &error;
	if (ccp_codex_is_usage_limit(change.error_class)) {
		event = CCP_OP_QUOTA_EXCEEDED;
		change.quota_limit = live->runner->quota.limit.id;
		change.quota_resets_at = live->runner->quota.limit.resets_at;
		change.quota_window = live->runner->quota.limit.window;
	}
	ccp_runner_apply(live->runner, live->op.id, event, &change, keep);
}

/* Before the answer to turn/start nobody knows whose turn this was. */
static void keep_end(struct ccp_live *live, json_t *params)
{
	json_decref(live->early_end);
	live->early_end = json_incref(params);
}

static void turn_completed(struct ccp_live *live, const struct ccp_event *event)
{
	ccp_turn_ended(live, event->turn_id, event->status, event->error, event->params);
}

void ccp_turn_known(struct ccp_live *live)
{
	json_auto_t *params = TAKE_PTR(live->early_end);
	struct ccp_event event;

	ccp_quota_known(live);
	if (!params || !live->op.turn_id)
		return;
	ccp_event_parse("turn/completed", params, &event);
	if (!ccp_turn_id_is(live->op.turn_id, event.turn_id))
		return;
	(void)ccp_track_event(live->track, &event, ccp_runner_now(live->runner), NULL);
	turn_completed(live, &event);
}

static void check_soon(struct ccp_live *live, const struct codexcp_error *why)
{
	/* Garbage that does not end must not put the look off for ever. */
	if (!live->timer || !ccp_timer_active(live->timer))
		ccp_look_up_later(live, CHECK_MS);
}

static void on_notification(const char *method, json_t *params, void *data)
{
	struct ccp_runner *runner = data;
	struct ccp_event event;
	struct ccp_live *live;

	ccp_quota_notification(runner, method, params);
	ccp_event_parse(method, params, &event);
	live = event.thread_id ? ccp_live_by_thread(runner, event.thread_id) : NULL;
	if (!live)
		return;
	/* Another turn of the thread (a continuation that Codex began, somebody else's) is not
	 * ours. */
	if (event.turn_id && live->op.turn_id && !ccp_turn_id_is(live->op.turn_id, event.turn_id)) {
		/* A thread runs one turn at a time: was the end of ours missed? */
		if (event.kind == CCP_EVENT_TURN_STARTED)
			check_soon(live, NULL);
		return;
	}
	ccp_watch_heard(live, &event);
	if (event.kind == CCP_EVENT_TURN_COMPLETED && !live->op.turn_id) {
		keep_end(live, params);
		return;
	}
	if (ccp_track_event(live->track, &event, ccp_runner_now(runner), NULL) < 0)
		ccp_log(CCP_LOG_ERROR, "progress was lost", "operation", live->op.id, NULL);
	ccp_quota_event(live, &event);
	if (event.kind == CCP_EVENT_TURN_COMPLETED && event.turn_id)
		turn_completed(live, &event);
	else if (ccp_track_dirty(live->track))
		ccp_runner_flush_soon(runner);
}

/* Nobody can answer yet: the safe answer at once, and a line in the journal. */
static void on_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct ccp_runner *runner = data;
	const char *thread_id = ccp_json_str(params, "threadId");
	struct ccp_live *live = thread_id ? ccp_live_by_thread(runner, thread_id) : NULL;
	bool answered = ccp_appserver_answer_safely(runner->as, id, method, params);
	_cleanup_free_ char *text = ccp_asprintf("%s: %s", method,
						 answered ? "answered safely" : "refused");

	if (!text)
		return;
	if (!live)
		write_note(runner, "interaction", text, NULL);
	else if (ccp_track_note(live->track, "interaction", "warning", text, ccp_runner_now(runner),
				NULL) == 0)
		ccp_runner_flush_soon(runner);
}

static struct ccp_live *next_unvisited(const struct ccp_runner *runner, unsigned walk)
{
	struct ccp_live *live;

	DL_FOREACH (runner->live, live)
		if (live->walk != walk)
			return live;
	return NULL;
}

/* Calls fn for each that is live when its turn comes: fn may end any of them. */
static void each_live(struct ccp_runner *runner,
		      void (*fn)(struct ccp_live *live, const struct codexcp_error *why),
		      const struct codexcp_error *why)
{
	unsigned walk = ++runner->walks;
	struct ccp_live *live;

	while ((live = next_unvisited(runner, walk))) {
		live->walk = walk;
		fn(live, why);
	}
}

static void app_server_ready(struct ccp_live *live, const struct codexcp_error *why)
{
	if (ccp_streq(live->op.phase, "claimed")) {
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_APP_SERVER_READY, NULL, NULL);
		return;
	}
	if (!ccp_streq(live->op.phase, "looking_up"))
		return;
	/* What was seen on an earlier connection says nothing about what that one brought. */
	live->looks = 0;
	ccp_look_up_later(live, 1);
}

/* It could not be started for those that wait for it; for the others the process is gone, be it
 * after its connection: then they are looked up already. */
static void app_server_gone(struct ccp_live *live, const struct codexcp_error *why)
{
	const struct ccp_op_change change = { .error = why };
	bool was_its = ccp_streq(live->op.instance, ccp_appserver_info(live->runner->as)->instance);

	if (ccp_streq(live->op.phase, "claimed") ||
	    (ccp_streq(live->op.phase, "looking_up") && !was_its))
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_APP_SERVER_UNAVAILABLE, &change,
				 NULL);
	else
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_CONNECTION_LOST, NULL, NULL);
}

/* Before it answers: should we die until then, the next worker is to know of it. */
static void on_spawned(void *data)
{
	ccp_instance_started(data);
}

static void on_ready(void *data)
{
	struct ccp_runner *runner = data;

	runner->connection++;
	/* On disk before anything is sent to it. */
	ccp_instance_started(runner);
	runner->events.app_server(NULL, runner->data);
	each_live(runner, app_server_ready, NULL);
	ccp_quota_ready(runner);
	/* Attached to without work, it is idle. */
	ccp_schedule(runner);
}

/* What waits for app-server goes on waiting; what was under way is looked up. No crash. */
static void connection_lost(struct ccp_live *live, const struct codexcp_error *why)
{
	const struct ccp_op_change change = { .orderly = true };

	if (!ccp_streq(live->op.phase, "claimed") && !ccp_streq(live->op.phase, "looking_up"))
		ccp_runner_apply(live->runner, live->op.id, CCP_OP_CONNECTION_LOST, &change, NULL);
}

/* The process lives: attach to it again. False when that was tried often enough: then it is
 * ended. */
static bool reconnect(struct ccp_runner *runner, const struct codexcp_error *why)
{
	const struct ccp_known_instance present = ccp_instance_present(runner);
	int64_t now = ccp_clock_boot(ccp_loop_clock(runner->options.loop));

	if (ccp_appserver_info(runner->as)->answered)
		runner->reconnects = 0;
	if (!runner->reconnects)
		runner->lost_at = now;
	if (runner->reconnects++ == RECONNECTS || now - runner->lost_at >= UNREACHABLE_MS) {
		ccp_process_kill(&present.process);
		return false;
	}
	ccp_log(CCP_LOG_WARNING, "the connection to app-server is lost", "why", why->message, NULL);
	runner->lost = present;
	if (runner->reconnects == 1)
		ccp_runner_start_app_server(runner);
	else
		ccp_timer_start(runner->start_timer, RECONNECT_MS * runner->reconnects);
	each_live(runner, connection_lost, why);
	return true;
}

static void on_gone(const struct codexcp_error *why, void *data)
{
	struct ccp_runner *runner = data;
	bool asked = runner->stopping;

	runner->stopping = false;
	if (!asked && ccp_appserver_info(runner->as)->alive && reconnect(runner, why))
		return;
	runner->reconnects = 0;
	ccp_instance_ended(runner, why);
	if (ccp_runner_has_left(runner))
		return;
	runner->events.app_server(asked ? NULL : why, runner->data);
	if (asked) {
		/* What came while it was stopping waits for the next one. */
		if (runner->live)
			ccp_runner_start_app_server(runner);
		return;
	}
	ccp_timer_start(runner->start_timer, START_PAUSE_MS);
	each_live(runner, app_server_gone, why);
}

/* It may have been the end of a turn: what it said is not kept, and the turns are looked at. */
static void on_garbage(const char *line, size_t len, void *data)
{
	struct ccp_runner *runner = data;
	json_t *details = json_object();
	char hash[CCP_SHA256_HEX];

	ccp_json_set_int(&details, "bytes", (int64_t)len);
	if (line) {
		ccp_sha256_hex(line, len, hash);
		ccp_json_set_str(&details, "sha256", hash);
	}
	write_note(runner, "app_server_line", "a line of app-server could not be read", details);
	each_live(runner, check_soon, NULL);
}

const struct ccp_appserver_events ccp_runner_app_events = {
	.spawned = on_spawned,
	.ready = on_ready,
	.gone = on_gone,
	.notification = on_notification,
	.request = on_request,
	.garbage = on_garbage,
};
