/*
 * turn/interrupt ends what the model does. The commands that it has begun, the one that it was
 * waiting for included, go on: they are listed before, and when the turn has ended those that it
 * began are ended one by one, and listed again. The operation has ended when that is done, so what
 * it left is known to whoever waits for its end. Commands of earlier turns of the thread are left
 * alone.
 *
 *	turn/interrupt  ->  turn/completed  ->  list  ->  terminate ...  ->  list  ->  the end
 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/runner_internal.h"
#include "domain/terminals.h"
#include "domain/turn_id.h"
#include "store/journal_store.h"

#define TIMEOUT_MS 10000

struct ccp_sweep {
	struct ccp_terminals_report report; /* owns its JSON */
	/* The end that waits. */
	char turn_id[CCP_TURN_ID_SIZE];
	json_t *keep;
	bool holding;
	size_t ending; /* asked to end, and not answered yet */
	bool done;
	char *told;
};

void ccp_terminals_done(struct ccp_live *live)
{
	struct ccp_sweep *sweep = TAKE_PTR(live->sweep);

	if (!sweep)
		return;
	json_decref(sweep->report.before);
	json_decref(sweep->report.remaining);
	json_decref(sweep->keep);
	free(sweep->told);
	free(sweep);
}

const char *ccp_terminals_told(const struct ccp_live *live)
{
	const char *told = live->sweep ? live->sweep->told : NULL;

	return told && *told ? told : NULL;
}

static bool has(const struct ccp_live *live, enum ccp_codex_feature feature)
{
	return ccp_codex_has(&ccp_appserver_info(live->runner->as)->version, feature);
}

static struct ccp_sweep *sweep_of(struct ccp_live *live)
{
	if (!live->sweep)
		live->sweep = calloc(1, sizeof(*live->sweep));
	return live->sweep;
}

json_t *ccp_terminals_own(const struct ccp_live *live, const json_t *result)
{
	struct ccp_db *db = live->runner->options.db;
	json_t *own = json_array(), *value;
	struct ccp_terminal terminal;
	size_t i;

	json_array_foreach (ccp_json_arr(result, "data"), i, value)
		if (ccp_terminal_parse(value, &terminal) == 0 &&
		    (!terminal.item_id ||
		     ccp_journal_item_of_other(db, live->op.thread_id, live->op.turn_id,
					       terminal.item_id, NULL) != 1))
			ccp_json_append_new(&own, json_incref(value));
	return own;
}

static int list(struct ccp_live *live, ccp_reply_fn fn)
{
	return ccp_send_start(live, "thread/backgroundTerminals/list",
			      ccp_terminals_list_params(live->op.thread_id), TIMEOUT_MS, fn, NULL,
			      NULL);
}

/* The live operation that an answer belongs to, if its sweep is still that. */
static struct ccp_live *swept(struct ccp_send *send)
{
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);

	return live && live->sweep && !live->sweep->done ? live : NULL;
}

static void conclude(struct ccp_sweep *sweep)
{
	sweep->done = true;
	sweep->told = ccp_terminals_text(&sweep->report);
}

static bool is_gone(const struct codexcp_error *err)
{
	return err && ccp_codex_problem(err) == CCP_PROBLEM_GONE;
}

/* The end that has waited. When app-server has gone there is none to tell: what became of the turn
 * is looked up, and its commands with it. */
static void finish(struct ccp_live *live, const struct codexcp_error *err)
{
	struct ccp_sweep *sweep = live->sweep;
	json_auto_t *keep = NULL;
	char turn_id[CCP_TURN_ID_SIZE];

	if (is_gone(err)) {
		ccp_terminals_done(live);
		return;
	}
	if (err)
		sweep->report.how = CCP_TERMINALS_UNKNOWN;
	conclude(sweep);
	keep = TAKE_PTR(sweep->keep);
	snprintf(turn_id, sizeof(turn_id), "%s", sweep->turn_id);
	ccp_turn_ended(live, turn_id, "interrupted", NULL, keep);
}

/* 5. what is left */
static void on_left(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = swept(send);

	if (live) {
		if (!err)
			live->sweep->report.remaining = json_incref(ccp_json_arr(result, "data"));
		finish(live, err);
	}
	ccp_send_done(send);
}

/* 4. one has ended */
static void on_ended(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = swept(send);

	if (live) {
		live->sweep->report.terminated += ccp_json_bool(result, "terminated", false);
		if (--live->sweep->ending == 0 && (is_gone(err) || list(live, on_left) < 0))
			finish(live, err);
	}
	ccp_send_done(send);
}

static void end_each(struct ccp_live *live, const json_t *own)
{
	struct ccp_terminal terminal;
	json_t *value;
	size_t i;

	json_array_foreach (own, i, value)
		if (ccp_terminal_parse(value, &terminal) == 0 &&
		    ccp_send_start(live, "thread/backgroundTerminals/terminate",
				   ccp_terminal_end_params(live->op.thread_id, terminal.process_id),
				   TIMEOUT_MS, on_ended, NULL, NULL) == 0)
			live->sweep->ending++;
}

/* 3. what the turn has left */
static void on_listed(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = swept(send);

	if (live && !err) {
		struct ccp_terminals_report *report = &live->sweep->report;
		json_auto_t *own = ccp_terminals_own(live, result);

		if (!report->before)
			report->before = json_incref(ccp_json_arr(result, "data"));
		end_each(live, own);
		if (!live->sweep->ending) {
			report->remaining = json_incref(ccp_json_arr(result, "data"));
			finish(live, NULL);
		}
	} else if (live) {
		finish(live, err);
	}
	ccp_send_done(send);
}

static void on_cleaned(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = swept(send);

	if (live)
		finish(live, err);
	ccp_send_done(send);
}

/* 2. the turn has ended: is there anything to do before that is told? */
static bool begin(struct ccp_live *live)
{
	struct ccp_sweep *sweep = live->sweep;

	if (has(live, CCP_CODEX_TERMINALS_LIST))
		return list(live, on_listed) == 0;
	sweep->report.how = CCP_TERMINALS_CLEAN;
	if (has(live, CCP_CODEX_TERMINALS_CLEAN))
		return ccp_send_start(live, "thread/backgroundTerminals/clean",
				      ccp_thread_params(live->op.thread_id), TIMEOUT_MS, on_cleaned,
				      NULL, NULL) == 0;
	sweep->report.how = CCP_TERMINALS_UNSUPPORTED;
	conclude(sweep);
	return false;
}

bool ccp_terminals_hold(struct ccp_live *live, const char *turn_id, json_t *keep)
{
	struct ccp_sweep *sweep;

	/* What was not interrupted by us is as Codex left it; a process that has ended has taken
	 * its commands with it. */
	if ((!live->op.interrupt_at && !live->interrupting) || !live->op.thread_id ||
	    ccp_instance_fate(live->runner, live->op.instance) != CCP_INSTANCE_PRESENT)
		return false;
	sweep = sweep_of(live);
	if (!sweep || sweep->done)
		return false;
	if (sweep->holding)
		return true;
	sweep->holding = begin(live);
	snprintf(sweep->turn_id, sizeof(sweep->turn_id), "%s", turn_id ? turn_id : "");
	sweep->keep = sweep->holding ? json_incref(keep) : NULL;
	return sweep->holding;
}

/* 1. */
static void on_before(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = swept(send);

	if (live && !err && !live->sweep->report.before)
		live->sweep->report.before = json_incref(ccp_json_arr(result, "data"));
	ccp_send_done(send);
}

void ccp_terminals_list(struct ccp_live *live)
{
	if (has(live, CCP_CODEX_TERMINALS_LIST) && sweep_of(live))
		(void)list(live, on_before);
}
