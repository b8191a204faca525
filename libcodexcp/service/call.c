#include "service/call.h"

#include <string.h>
#include <utlist.h>

#include "base/json.h"
#include "base/str.h"
#include "service/recursion.h"
#include "service/tool.h"

/* A state database that others hold is tried this long before the call fails. */
#define OPEN_PATIENCE_MS 10000
#define OPEN_RETRY_MS    20

/* The token is a pointer that is never followed; any non-NULL address does. */
static const char token_place;
#define TOKEN ((const struct ccp_handled *)(const void *)&token_place)

static void call_free(struct ccp_call *call)
{
	if (call->done)
		call->done(call->state);
	ccp_timer_free(call->timer);
	json_decref(call->arguments);
	free(call->args);
	free(call->caller_thread_id);
	free(call->caller_sandbox);
	free(call);
}

struct ccp_call *ccp_call_ref(struct ccp_call *call)
{
	call->refs++;
	return call;
}

void ccp_call_unref(struct ccp_call *call)
{
	if (call && --call->refs == 0)
		call_free(call);
}

/* Takes the call off the list, with the list's reference. */
static void retire(struct ccp_call *call)
{
	call->answered = true;
	call->look = NULL;
	DL_DELETE(call->cp->calls, call);
	ccp_call_unref(call);
}

static const struct ccp_handled *answer(struct ccp_call *call, json_t *payload, bool ok)
{
	json_auto_t *owned = payload;
	_unused_ _cleanup_(ccp_call_unrefp) struct ccp_call *held = ccp_call_ref(call);

	if (call->answered)
		return TOKEN;
	/* null when not even the reason could be put together: nobody waits for ever. */
	if (!call->cancelled)
		call->fn(owned ? owned : json_null(), ok, call->data);
	/* The callback may have closed the context. */
	if (!call->answered)
		retire(call);
	return TOKEN;
}

static json_t *error_payload(const struct codexcp_error *err)
{
	json_t *payload = json_object();

	ccp_json_set_bool(&payload, "ok", false);
	/* Who has to act on another operation finds its id without looking into details. */
	ccp_json_set(&payload, "operationId", json_object_get(err->details, "operationId"));
	ccp_json_set_new(&payload, "error", ccp_error_json(err));
	return payload;
}

const struct ccp_handled *ccp_call_reply(struct ccp_call *call, json_t *payload)
{
	struct codexcp_error oom = { 0 };

	if (payload)
		return answer(call, payload, json_is_true(json_object_get(payload, "ok")));
	ccp_fail_oom(&oom);
	return ccp_call_fail(call, &oom);
}

/* Who could not even open the database for as long as a call waits has met no busy writer, but a
 * program that keeps it for itself. */
static bool is_kept_away(const struct ccp_call *call, const struct codexcp_error *err)
{
	bool read = call->tool->flags & CCP_TOOL_READ;

	return err->code == CODEXCP_E_STATE_BUSY && !(read ? call->cp->reader : call->cp->db) &&
	       ccp_streq(ccp_json_str(err->details, "reason"), "locked");
}

const struct ccp_handled *ccp_call_fail(struct ccp_call *call, const struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error kept_away = { 0 };

	if (!is_kept_away(call, err))
		return answer(call, error_payload(err), false);
	ccp_fail_copy(&kept_away, err);
	kept_away.code = CODEXCP_E_STATE_UNAVAILABLE;
	return answer(call, error_payload(&kept_away), false);
}

const struct ccp_handled *ccp_call_later(struct ccp_call *call)
{
	return TOKEN;
}

void ccp_call_progress(struct ccp_call *call, const char *message)
{
	if (call->progress && !call->cancelled && !call->answered)
		call->progress(message, call->data);
}

void ccp_calls_drop(struct codexcp *cp)
{
	while (cp->calls)
		retire(cp->calls);
}

/* Running a call */

static void run_call(void *data);

static void retry_later(struct ccp_call *call)
{
	if (!call->timer && ccp_timer_new(call->cp->loop, run_call, call, &call->timer, NULL) < 0)
		return;
	ccp_timer_start(call->timer, OPEN_RETRY_MS);
}

/* 1 go on, 0 answered or waiting. */
static int prepare(struct ccp_call *call, struct codexcp_error *err)
{
	struct codexcp *cp = call->cp;
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	(void)ccp_state_refresh(cp);
	if (!call->args) {
		call->args = calloc(1, *call->tool->args_size);
		r = call->args ? ccp_field_bind(call->tool->input, call->arguments, call->args,
						*call->tool->args_size, err)
			       : ccp_fail_oom(err);
		if (r < 0)
			return r;
	}
	if (call->tool->flags & (CCP_TOOL_READ | CCP_TOOL_NO_STATE))
		return 1;
	r = ccp_state_open(cp, err);
	return r < 0 ? r : 1;
}

static void run_call(void *data)
{
	struct ccp_call *call = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	int r;

	if (call->answered)
		return;
	r = prepare(call, &err);
	if (r == CODEXCP_E_STATE_BUSY &&
	    ccp_clock_boot(ccp_context_clock(call->cp)) < call->open_until) {
		retry_later(call);
		return;
	}
	if (r > 0 && !(call->tool->flags & CCP_TOOL_READ))
		r = ccp_recursion_check(call, &err);
	ccp_handled(r < 0 ? ccp_call_fail(call, &err) : call->tool->fn(call->cp, call, call->args));
}

static void run_deferred(void *data)
{
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = data;

	run_call(call);
}

static int set_options(struct ccp_call *call, const struct codexcp_call_options *options,
		       struct codexcp_error *err)
{
	const char *thread = options ? options->caller_thread_id : NULL;

	/* A program that Codex itself started has it in its environment. */
	if (!thread)
		thread = ccp_environment_get((const char *const *)call->cp->environment,
					     "CODEX_THREAD_ID");
	if (!ccp_strdup_opt(thread, &call->caller_thread_id) ||
	    !ccp_strdup_opt(options ? options->caller_sandbox : NULL, &call->caller_sandbox))
		return ccp_fail_oom(err);
	call->progress = options ? options->progress : NULL;
	return 0;
}

static int fail_unknown(const char *tool, const char *near, struct codexcp_error *err)
{
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s: unknown tool%s%s", tool,
		 near ? "; did you mean " : "", near ? near : "");
	ccp_error_add_str(err, "didYouMean", near);
	return CODEXCP_E_INVALID_ARGUMENT;
}

int codexcp_call(struct codexcp *cp, const char *tool, const json_t *arguments,
		 const struct codexcp_call_options *options, codexcp_result_fn fn, void *data,
		 struct codexcp_call **ret_call, struct codexcp_error *err)
{
	const char *near = NULL;
	const struct ccp_tool *row = ccp_tool_find(tool, &near);
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = NULL;

	if (!row)
		return fail_unknown(tool, near, err);
	call = calloc(1, sizeof(*call));
	if (!call)
		return ccp_fail_oom(err);
	*call = (struct ccp_call){ .cp = cp, .tool = row, .refs = 1, .fn = fn, .data = data };
	call->arguments = arguments ? json_incref((json_t *)arguments) : NULL;
	call->started_ms = ccp_clock_boot(ccp_context_clock(cp));
	call->open_until = call->started_ms + OPEN_PATIENCE_MS;
	if (set_options(call, options, err) < 0 ||
	    ccp_loop_defer(cp->loop, run_deferred, call, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	/* One reference for the deferred run, one for the list. */
	ccp_call_ref(call);
	DL_APPEND(cp->calls, call);
	if (ret_call)
		*ret_call = (struct codexcp_call *)call;
	TAKE_PTR(call);
	return 0;
}

void codexcp_cancel(struct codexcp_call *handle)
{
	struct ccp_call *call = (struct ccp_call *)handle;

	call->cancelled = true;
	retire(call);
}

int codexcp_calls_pending(const struct codexcp *cp)
{
	const struct ccp_call *call;
	int n = 0;

	DL_COUNT(cp->calls, call, n);
	return n;
}

/* The answer that a blocking call waits for. */
struct awaited {
	json_t *payload;
	bool ok;
};

static void take_answer(json_t *payload, bool ok, void *data)
{
	struct awaited *awaited = data;

	awaited->payload = json_incref(payload);
	awaited->ok = ok;
}

int codexcp_call_wait(struct codexcp *cp, const char *tool, const json_t *arguments,
		      json_t **ret_payload, struct codexcp_error *err)
{
	struct awaited awaited = { 0 };
	int r = codexcp_call(cp, tool, arguments, NULL, take_answer, &awaited, NULL, err);

	if (r < 0)
		return r;
	while (!awaited.payload)
		ccp_loop_step(cp->loop);
	r = awaited.ok ? 0 : ccp_error_from_json(ccp_json_obj(awaited.payload, "error"), err);
	*ret_payload = awaited.payload;
	return r;
}
