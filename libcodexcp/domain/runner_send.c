/*
 * Requests to Codex and what their answers mean. What is sent is on disk before (the row says
 * thread_start_sent or turn_start_sent); every answer carries the epoch and the attempt it belongs
 * to.
 */
#include <stdio.h>
#include <utlist.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/ceiling.h"
#include "domain/continuation.h"
#include "domain/project.h"
#include "domain/runner_internal.h"
#include "domain/turn_id.h"

#define INTERRUPT_TIMEOUT_MS     30000
#define SMALL_REQUEST_TIMEOUT_MS 10000

void ccp_send_done(struct ccp_send *send)
{
	DL_DELETE(send->runner->sends, send);
	free(send);
}

int ccp_send_start(struct ccp_live *live, const char *method, json_t *params, int64_t timeout_ms,
		   ccp_reply_fn fn, struct ccp_send **ret_send, struct codexcp_error *err)
{
	struct ccp_runner *runner = live->runner;
	struct ccp_send *send = calloc(1, sizeof(*send));
	int r;

	if (!send) {
		json_decref(params);
		return ccp_fail_oom(err);
	}
	send->runner = runner;
	snprintf(send->op_id, sizeof(send->op_id), "%s", live->op.id);
	send->epoch = live->op.epoch;
	send->attempt = live->op.attempt;
	DL_APPEND(runner->sends, send);
	r = ccp_appserver_call(runner->as, method, params, timeout_ms, fn, send, err);
	if (r < 0)
		ccp_send_done(send);
	else if (ret_send)
		*ret_send = send;
	return r;
}

static enum ccp_op_event event_of(enum ccp_codex_problem problem)
{
	switch (problem) {
	case CCP_PROBLEM_OVERLOADED:
		return CCP_OP_OVERLOADED;
	case CCP_PROBLEM_ELSEWHERE:
		return CCP_OP_THREAD_ELSEWHERE;
	case CCP_PROBLEM_TIMEOUT:
		return CCP_OP_OUTCOME_UNKNOWN;
	case CCP_PROBLEM_NOT_READY:
	case CCP_PROBLEM_EMPTY:
		return CCP_OP_TRANSIENT;
	case CCP_PROBLEM_GONE:
		return CCP_OP_CONNECTION_LOST;
	case CCP_PROBLEM_INVALID:
	case CCP_PROBLEM_NO_THREAD:
	case CCP_PROBLEM_ARCHIVED:
	case CCP_PROBLEM_NO_TURN:
	case CCP_PROBLEM_LOGIN:
		return CCP_OP_REFUSED;
	}
	return CCP_OP_REFUSED;
}

static void request_failed(struct ccp_send *send, const struct codexcp_error *err)
{
	enum ccp_codex_problem problem = ccp_codex_problem(err);
	const struct ccp_op_change change = { .epoch = send->epoch,
					      .attempt = send->attempt,
					      .error = err,
					      .error_class = ccp_codex_problem_class(problem) };

	/* The death of app-server is told to all its operations at once, by its own event. */
	if (problem == CCP_PROBLEM_GONE)
		return;
	ccp_runner_apply(send->runner, send->op_id, event_of(problem), &change, NULL);
}

/* Nothing was sent: the operation fails or goes back, as the machine says. */
static void not_sent(struct ccp_live *live, const struct codexcp_error *err)
{
	/* Nothing died with it. */
	struct ccp_op_change change = {
		.epoch = live->op.epoch, .attempt = live->op.attempt, .orderly = true, .error = err
	};
	enum ccp_op_event gone = ccp_streq(live->op.phase, "turn_start_sent")
					 ? CCP_OP_CONNECTION_LOST
					 : CCP_OP_APP_SERVER_UNAVAILABLE;
	enum ccp_op_event event = err->code == CODEXCP_E_APP_SERVER_UNAVAILABLE ? gone
				  : err->code == CODEXCP_E_NO_MEMORY            ? CCP_OP_TRANSIENT
										: CCP_OP_REFUSED;

	/* The connection is lost, and not told yet: its event is for all operations. */
	if (gone && ccp_appserver_state(live->runner->as) == CCP_APPSERVER_READY)
		return;
	ccp_runner_apply(live->runner, live->op.id, event, &change, NULL);
}

/* The thread */

static const char *newest_turn(const json_t *turns)
{
	size_t n = json_array_size(turns);

	return n ? ccp_json_str(json_array_get(turns, n - 1), "id") : NULL;
}

/* What a continuation goes on from: versions that number turns anew know it by its place. */
static bool shows_request(const struct ccp_live *live, const json_t *turns)
{
	bool unique = ccp_codex_has(&ccp_appserver_info(live->runner->as)->version,
				    CCP_CODEX_UNIQUE_TURN_IDS);
	json_t *value, *item;
	struct ccp_turn turn;
	size_t i, k;

	json_array_foreach (turns, i, value) {
		if (ccp_turn_parse(value, &turn) < 0 ||
		    !(unique ? ccp_turn_id_is(live->op.continued_turn, turn.id)
			     : (int64_t)i == live->op.baseline_count))
			continue;
		json_array_foreach (turn.items, k, item)
			if (ccp_streq(ccp_json_str(item, "type"), "userMessage"))
				return true;
	}
	return false;
}

static void thread_ready(struct ccp_send *send, json_t *result, bool is_new)
{
	struct ccp_runner *runner = send->runner;
	struct ccp_live *live = ccp_live_find(runner, send->op_id);
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_thread_answer answer;
	struct ccp_op_change change = { .epoch = send->epoch, .attempt = send->attempt };

	if (ccp_thread_answer_parse(result, &answer, &err) < 0) {
		request_failed(send, &err);
		return;
	}
	change.thread_id = answer.thread_id;
	change.thread_is_new = is_new;
	change.instance = ccp_appserver_info(runner->as)->instance;
	change.boot_id = runner->boot;
	change.effective_sandbox = ccp_sandbox_name(answer.sandbox);
	change.effective_approval = answer.approval;
	change.effective_model = answer.model;
	change.effective_effort = answer.effort;
	change.baseline_turn = newest_turn(answer.turns);
	change.baseline_count = (int64_t)json_array_size(answer.turns);
	if (live)
		live->request_shown = shows_request(live, answer.turns);
	ccp_runner_apply(runner, send->op_id,
			 answer.active && !is_new ? CCP_OP_THREAD_BUSY : CCP_OP_THREAD_READY,
			 &change, result);
}

static void on_thread_started(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;

	if (err)
		request_failed(send, err);
	else
		thread_ready(send, result, true);
	ccp_send_done(send);
}

static void start_thread(struct ccp_live *live)
{
	struct ccp_runner *runner = live->runner;
	_cleanup_free_ char *source = ccp_asprintf("codexcp:%s", live->op.id);
	_cleanup_error_ struct codexcp_error err = { 0 };
	const struct ccp_thread_start start = {
		.cwd = live->op.cwd,
		.model = live->op.model,
		.approval = live->op.approval,
		.sandbox = ccp_sandbox_parse(live->op.sandbox),
		.source = source,
	};
	const struct ccp_codex_version *version = &ccp_appserver_info(runner->as)->version;

	if (ccp_send_start(live, "thread/start", ccp_thread_start_params(version, &start),
			   live->op.request_timeout_ms, on_thread_started, NULL, &err) < 0)
		not_sent(live, &err);
}

static bool was_never_stored(enum ccp_codex_problem problem)
{
	return problem == CCP_PROBLEM_NO_THREAD || problem == CCP_PROBLEM_EMPTY;
}

static void on_thread_resumed(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);

	if (!err)
		thread_ready(send, result, false);
	else if (live && live->op.thread_is_new && was_never_stored(ccp_codex_problem(err)))
		/* Our own thread of an earlier app-server, which never had a turn, was never
		 * stored. */
		start_thread(live);
	else
		request_failed(send, err);
	ccp_send_done(send);
}

json_t *ccp_send_resume_params(struct ccp_live *live)
{
	const struct ccp_codex_version *version = &ccp_appserver_info(live->runner->as)->version;
	_cleanup_op_ struct ccp_op op = { 0 };
	struct ccp_thread_policy policy = { .sandbox = CCP_SANDBOX_UNSET };

	if (!ccp_codex_has(version, CCP_CODEX_THREAD_POLICY) &&
	    ccp_op_get_thread_policy(live->runner->options.db, live->op.thread_id, &op, NULL) == 1)
		policy = (struct ccp_thread_policy){ .sandbox = ccp_op_sandbox(&op),
						     .approval = ccp_op_approval(&op) };
	return ccp_thread_resume_params(version, live->op.thread_id, true, &policy);
}

static void resume_thread(struct ccp_live *live)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (ccp_send_start(live, "thread/resume", ccp_send_resume_params(live),
			   live->op.request_timeout_ms, on_thread_resumed, NULL, &err) < 0)
		not_sent(live, &err);
}

/* "on-failure" is refused by newer versions only after the thread was made: say it before. */
static int check_version(const struct ccp_live *live, struct codexcp_error *err)
{
	const struct ccp_codex_version *version = &ccp_appserver_info(live->runner->as)->version;

	return ccp_streq(live->op.approval, "on-failure")
		       ? ccp_codex_require(version, CCP_CODEX_APPROVAL_ON_FAILURE, err)
		       : 0;
}

void ccp_send_thread(struct ccp_live *live)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (ccp_place_check(live->op.cwd, live->op.allowed_root, &err) < 0 ||
	    check_version(live, &err) < 0)
		not_sent(live, &err);
	else if (!live->op.thread_id)
		start_thread(live);
	else
		/* One that we have started before, too: since then it was let go of, or the
		 * connection is another, and turn/start alone does not let us hear of its turn. */
		resume_thread(live);
}

void ccp_send_unsubscribe(struct ccp_runner *runner, const char *thread_id)
{
	json_t *params = json_pack("{s:s}", "threadId", thread_id);

	/* Lets go of the thread, so that the desktop or the terminal can open it; older versions do
	 * not know the method, and nothing depends on the answer. */
	(void)ccp_appserver_call(runner->as, "thread/unsubscribe", params, SMALL_REQUEST_TIMEOUT_MS,
				 NULL, NULL, NULL);
}

/* The turn */

/* What people see in Codex's own lists. A thread can be named once it has a turn, and only ours
 * are. */
static void name_thread(struct ccp_live *live)
{
	if (live && live->op.title && live->op.thread_is_new)
		(void)ccp_appserver_call(live->runner->as, "thread/name/set",
					 json_pack("{s:s, s:s}", "threadId", live->op.thread_id,
						   "name", live->op.title),
					 SMALL_REQUEST_TIMEOUT_MS, NULL, NULL, NULL);
}

static void on_turn_started(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	_cleanup_error_ struct codexcp_error bad = { 0 };
	const struct ccp_appserver_info *info = ccp_appserver_info(send->runner->as);
	const struct ccp_live *live = ccp_live_find(send->runner, send->op_id);
	const char *turn_id = NULL;
	char kept[CCP_TURN_ID_SIZE], mark[CCP_OP_MARK_SIZE];
	struct ccp_op_change change = {
		.epoch = send->epoch,
		.attempt = send->attempt,
		.instance = info->instance,
	};

	if (!err && ccp_turn_start_parse(result, &turn_id, &bad) < 0)
		err = &bad;
	if (err) {
		request_failed(send, err);
	} else {
		change.turn_id = ccp_turn_id_keep(&info->version, turn_id,
						  live ? ccp_op_mark(&live->op, mark) : send->op_id,
						  kept);
		ccp_runner_apply(send->runner, send->op_id, CCP_OP_TURN_STARTED, &change, result);
		name_thread(ccp_live_find(send->runner, send->op_id));
	}
	ccp_send_done(send);
}

static int parse_opt(const char *text, json_t **ret, struct codexcp_error *err)
{
	return text ? ccp_json_parse(text, strlen(text), 0, ret, err) : 0;
}

/* What the thread has anyway is not sent: its policy may say more than a mode does. */
static enum ccp_sandbox sandbox_sent(const struct ccp_op *op)
{
	enum ccp_sandbox sandbox = ccp_op_sandbox(op);

	return op->sandbox || sandbox != ccp_sandbox_parse(op->effective_sandbox)
		       ? sandbox
		       : CCP_SANDBOX_UNSET;
}

static const char *approval_sent(const struct ccp_op *op)
{
	const char *approval = ccp_op_approval(op);

	return op->approval || !ccp_streq(approval, op->effective_approval) ? approval : NULL;
}

/* A continuation says what was asked for only when the thread does not. */
static int set_words(const struct ccp_live *live, struct ccp_op_request *request,
		     struct codexcp_error *err)
{
	bool shown = live->request_shown;
	char *text;

	if (!ccp_op_is_continuation(&live->op))
		return 0;
	text = ccp_continuation_prompt(shown ? NULL : request->message);
	if (!text)
		return ccp_fail_oom(err);
	free(request->message);
	request->message = text;
	return shown ? ccp_row_set(&request->input_items, NULL, err) : 0;
}

static int turn_params(struct ccp_live *live, json_t **ret_params, struct codexcp_error *err)
{
	struct ccp_runner *runner = live->runner;
	_cleanup_op_request_ struct ccp_op_request request = { 0 };
	json_auto_t *images = NULL, *schema = NULL;
	char mark[CCP_OP_MARK_SIZE];
	struct ccp_turn_start start = {
		.thread_id = live->op.thread_id,
		.client_message_id = ccp_op_mark(&live->op, mark),
		.cwd = live->op.cwd,
		.model = live->op.model,
		.effort = live->op.effort,
		.summary = live->op.summary,
		.approval = approval_sent(&live->op),
		.sandbox = sandbox_sent(&live->op),
		.mode = live->op.mode ? live->op.mode : "default",
		.mode_model = live->op.effective_model,
		.mode_effort = live->op.effective_effort,
	};
	int r = ccp_op_get_request(runner->options.db, live->op.id, &request, err);

	if (r == 0)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "operation %s has no request",
				live->op.id);
	if (r > 0)
		r = set_words(live, &request, err);
	if (r == 0)
		r = parse_opt(request.input_items, &images, err);
	if (r == 0)
		r = parse_opt(request.output_schema, &schema, err);
	if (r < 0)
		return r;
	start.text = request.message;
	start.images = images;
	start.output_schema = schema;
	*ret_params = ccp_turn_start_params(&ccp_appserver_info(runner->as)->version, &start);
	return *ret_params ? 0 : ccp_fail_oom(err);
}

void ccp_send_turn(struct ccp_live *live)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *params = NULL;

	live->connection = live->runner->connection;
	if (ccp_place_check(live->op.cwd, live->op.allowed_root, &err) < 0 ||
	    turn_params(live, &params, &err) < 0 ||
	    ccp_send_start(live, "turn/start", params, live->op.request_timeout_ms, on_turn_started,
			   NULL, &err) < 0)
		not_sent(live, &err);
}

/* Interrupting */

static void on_interrupted(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_send *send = data;
	struct ccp_live *live = ccp_live_find(send->runner, send->op_id);
	bool ended = err && ccp_codex_problem(err) == CCP_PROBLEM_NO_TURN;
	/* The turn was cut with its process; its end is being looked up. */
	bool cut = err && ccp_codex_problem(err) == CCP_PROBLEM_GONE;

	/* The turn has ended by itself, and its event is on the way, or was lost with a
	 * connection. */
	if (ended && live)
		ccp_look_up_later(live, 0);
	if (err && !ended && !cut)
		ccp_runner_trouble("a turn could not be interrupted", send->op_id, err);
	if (send->fn)
		send->fn(ended || cut ? NULL : err, send->fn_data);
	ccp_send_done(send);
}

void ccp_send_interrupt(struct ccp_live *live, ccp_interrupt_fn fn, void *fn_data)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_send *send = NULL;
	char turn_id[CCP_TURN_ID_SIZE];
	json_t *params = ccp_turn_interrupt_params(live->op.thread_id,
						   ccp_turn_id_codex(live->op.turn_id, turn_id));

	ccp_terminals_list(live);
	live->interrupting = true;
	if (ccp_send_start(live, "turn/interrupt", params, INTERRUPT_TIMEOUT_MS, on_interrupted,
			   &send, &err) < 0) {
		/* With the connection gone the row remembers the wish. */
		if (fn)
			fn(ccp_codex_problem(&err) == CCP_PROBLEM_GONE ? NULL : &err, fn_data);
		return;
	}
	send->fn = fn;
	send->fn_data = fn_data;
}
