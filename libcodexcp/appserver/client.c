#include "appserver/client.h"

#include <stdio.h>
#include <string.h>

#include "appserver/answers.h"
#include "appserver/launch.h"
#include "appserver/methods.h"
#include "base/json.h"
#include "base/str.h"

/* What a process that failed to initialise gets to end by itself. */
#define FAILED_START_GRACE_MS 500
/* One that is there already answers at once, or not at all. */
#define ATTACH_TIMEOUT_MS 5000

const char *const ccp_appserver_transports[] = { "auto", "stdio", "unix", NULL };

struct ccp_appserver {
	struct ccp_loop *loop;
	struct ccp_appserver_events events;
	void *data;
	struct ccp_launch launch;

	enum ccp_appserver_state state;
	struct ccp_appserver_info info;
	bool attaching; /* to info.process, instead of starting one */
	struct ccp_transport *transport;
	struct ccp_peer *peer;
	struct ccp_timer *deadline; /* the next deadline of a call */
	struct ccp_timer *step;     /* from start or attach to doing it */
	struct codexcp_error why;   /* why it goes, where that is known before it has gone */

	unsigned depth; /* of callbacks that we are inside of */
	bool freed;     /* by one of them */
};

struct call {
	struct ccp_appserver *as;
	ccp_reply_fn fn;
	void *data;
};

/* Every open call is answered. */
static void drop_peer(struct ccp_appserver *as, const struct codexcp_error *why)
{
	struct ccp_peer *peer = TAKE_PTR(as->peer);

	if (!peer)
		return;
	ccp_peer_fail_all(peer, why);
	ccp_peer_free(peer);
}

static void release(struct ccp_appserver *as)
{
	_cleanup_error_ struct codexcp_error why = { 0 };

	as->freed = true;
	ccp_transport_free(as->transport);
	/* Nobody is told any more, but each call owns memory. */
	ccp_fail(&why, CODEXCP_E_CANCELLED, "released");
	drop_peer(as, &why);
	ccp_timer_free(as->deadline);
	ccp_timer_free(as->step);
	codexcp_error_done(&as->why);
	ccp_launch_done(&as->launch);
	free(as);
}

void ccp_appserver_free(struct ccp_appserver *as)
{
	if (!as)
		return;
	as->freed = true;
	if (as->depth == 0)
		release(as);
}

/* Everything that may call an event stands between enter() and leave(), so that the event may free
 * us. */
static void enter(struct ccp_appserver *as)
{
	as->depth++;
}

static void leave(struct ccp_appserver *as)
{
	if (--as->depth == 0 && as->freed)
		release(as);
}

static int64_t now_ms(const struct ccp_appserver *as)
{
	return ccp_clock_boot(ccp_loop_clock(as->loop));
}

static void arm_deadline(struct ccp_appserver *as)
{
	int64_t next = as->peer ? ccp_peer_next_deadline(as->peer) : 0;

	if (next)
		ccp_timer_start(as->deadline, CCP_MAX(next - now_ms(as), 0));
	else
		ccp_timer_stop(as->deadline);
}

static void on_deadline(void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->peer)
		ccp_peer_expire(as->peer, now_ms(as));
	if (!as->freed)
		arm_deadline(as);
	leave(as);
}

/* From here on a new instance can begin. */
static void wind_up(struct ccp_appserver *as, const struct codexcp_error *why)
{
	as->state = CCP_APPSERVER_STOPPING;
	ccp_timer_stop(as->deadline);
	ccp_timer_stop(as->step);
	ccp_transport_free(TAKE_PTR(as->transport));
	drop_peer(as, why);
	as->state = CCP_APPSERVER_STOPPED;
}

/* The end of an instance: every call is answered, then the owner hears of it. */
static void finish(struct ccp_appserver *as, const struct codexcp_error *why)
{
	wind_up(as, why);
	if (!as->freed)
		as->events.gone(why, as->data);
}

/* It runs but is of no use: it goes, and `closed` tells the rest; somebody else's stays. */
static void give_up(struct ccp_appserver *as, const struct codexcp_error *err)
{
	ccp_fail(&as->why, CODEXCP_E_APP_SERVER_UNAVAILABLE,
		 "codex app-server could not be initialised: %s", err->message);
	if (as->attaching) {
		as->info.alive = true;
		finish(as, &as->why);
		return;
	}
	as->state = CCP_APPSERVER_STOPPING;
	as->transport->ops->stop(as->transport, FAILED_START_GRACE_MS);
}

static void on_initialized(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_appserver *as = data;
	const char *user_agent = ccp_json_str(result, "userAgent");
	_cleanup_error_ struct codexcp_error local = { 0 };

	if (as->freed || as->state != CCP_APPSERVER_STARTING)
		return;
	if (err) {
		give_up(as, err);
		return;
	}
	snprintf(as->info.user_agent, sizeof(as->info.user_agent), "%s",
		 user_agent ? user_agent : "");
	ccp_codex_version_parse(user_agent, &as->info.version);
	if (ccp_peer_notify(as->peer, "initialized", NULL, &local) < 0) {
		give_up(as, &local);
		return;
	}
	as->state = CCP_APPSERVER_READY;
	as->events.ready(as->data);
}

static int64_t answer_timeout_ms(const struct ccp_appserver *as)
{
	return as->attaching ? ATTACH_TIMEOUT_MS : as->launch.initialize_timeout_ms;
}

static int initialize(struct ccp_appserver *as, struct codexcp_error *err)
{
	json_t *params = json_pack("{s:{s:s, s:s, s:s}, s:{s:b}}", "clientInfo", "name",
				   "codex-control-plane-mcp", "title", "Codex control plane",
				   "version", CCP_VERSION, "capabilities", "experimentalApi", 1);

	if (!params)
		return ccp_fail_oom(err);
	return ccp_peer_call(as->peer, "initialize", params, now_ms(as) + answer_timeout_ms(as),
			     on_initialized, as, err);
}

/* ---- what the transport brings ---- */

static void on_spawned(void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	as->info.process = as->transport->process;
	if (as->events.spawned)
		as->events.spawned(as->data);
	leave(as);
}

static void on_open(void *data)
{
	struct ccp_appserver *as = data;
	_cleanup_error_ struct codexcp_error err = { 0 };

	enter(as);
	as->info.process = as->transport->process;
	if (initialize(as, &err) < 0)
		give_up(as, &err);
	if (!as->freed)
		arm_deadline(as);
	leave(as);
}

static void on_message(const char *text, size_t len, void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->peer)
		ccp_peer_feed(as->peer, text, len);
	leave(as);
}

static void on_overlong(size_t len, void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->events.garbage)
		as->events.garbage(NULL, len, as->data);
	leave(as);
}

static void open_transport(struct ccp_appserver *as, enum ccp_appserver_transport transport);

static void on_closed(const struct ccp_transport_end *end, void *data)
{
	struct ccp_appserver *as = data;
	_cleanup_error_ struct codexcp_error why = { 0 };

	enter(as);
	as->info.process = as->transport->process;
	as->info.alive = end->alive;
	if (as->state == CCP_APPSERVER_STARTING && !ccp_peer_pending(as->peer) &&
	    ccp_launch_falls_back(&as->launch, end)) {
		ccp_transport_free(TAKE_PTR(as->transport));
		open_transport(as, CCP_APPSERVER_STDIO);
	} else {
		ccp_transport_describe(end, as->why.code ? as->why.message : NULL, &why);
		finish(as, &why);
	}
	leave(as);
}

static const struct ccp_transport_events transport_events = {
	.spawned = on_spawned,
	.open = on_open,
	.message = on_message,
	.overlong = on_overlong,
	.closed = on_closed,
};

static int peer_send(const char *text, size_t len, void *data, struct codexcp_error *err)
{
	struct ccp_appserver *as = data;

	return as->transport->ops->send(as->transport, text, len, err);
}

static void peer_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct ccp_appserver *as = data;

	if (!as->freed)
		as->events.request(id, method, params, as->data);
}

static void peer_notification(const char *method, json_t *params, void *data)
{
	struct ccp_appserver *as = data;

	if (!as->freed)
		as->events.notification(method, params, as->data);
}

static void peer_late(int64_t id, json_t *result, json_t *error, void *data)
{
	struct ccp_appserver *as = data;

	if (!as->freed && as->events.late)
		as->events.late(id, result, error, as->data);
}

static void peer_garbage(const char *line, size_t len, void *data)
{
	struct ccp_appserver *as = data;

	if (!as->freed && as->events.garbage)
		as->events.garbage(line, len, as->data);
}

static const struct ccp_peer_events peer_events = {
	.send = peer_send,
	.request = peer_request,
	.notification = peer_notification,
	.late = peer_late,
	.garbage = peer_garbage,
};

/* ---- start and stop ---- */

static int make_transport(struct ccp_appserver *as, struct codexcp_error *err)
{
	struct ccp_transport_options options = ccp_launch_options(&as->launch);

	options.open_timeout_ms = answer_timeout_ms(as);
	if (as->attaching)
		return ccp_transport_unix_attach(as->loop, &options, &as->info.process,
						 &transport_events, as, &as->transport, err);
	if (as->info.transport == CCP_APPSERVER_UNIX)
		return ccp_transport_unix_start(as->loop, &options, &transport_events, as,
						&as->transport, err);
	return ccp_transport_stdio_start(as->loop, &options, &transport_events, as, &as->transport,
					 err);
}

static void open_transport(struct ccp_appserver *as, enum ccp_appserver_transport transport)
{
	_cleanup_error_ struct codexcp_error err = { 0 }, why = { 0 };

	as->info.transport = transport;
	if (make_transport(as, &err) == 0) {
		as->info.process = as->transport->process;
		return;
	}
	if (as->attaching)
		as->info.alive = !ccp_process_is_gone(&as->info.process);
	ccp_fail(&why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server could not be %s: %s",
		 as->attaching ? "reached" : "started", err.message);
	ccp_error_add_str(&why, "binary", as->launch.binary);
	finish(as, &why);
}

static void on_step(void *data)
{
	struct ccp_appserver *as = data;
	_cleanup_error_ struct codexcp_error err = { 0 };

	enter(as);
	if ((!as->attaching && ccp_launch_find(&as->launch, &err) < 0) ||
	    ccp_peer_new(&peer_events, as, &as->peer, &err) < 0)
		finish(as, &err);
	else
		open_transport(as,
			       as->attaching ? CCP_APPSERVER_UNIX : ccp_launch_choose(&as->launch));
	leave(as);
}

static bool begin(struct ccp_appserver *as)
{
	if (as->state != CCP_APPSERVER_STOPPED)
		return false;
	as->state = CCP_APPSERVER_STARTING;
	as->info = (struct ccp_appserver_info){ 0 };
	codexcp_error_done(&as->why);
	ccp_timer_start(as->step, 0);
	return true;
}

void ccp_appserver_start(struct ccp_appserver *as)
{
	if (!begin(as))
		return;
	as->attaching = false;
	as->info.started_at = ccp_clock_wall(ccp_loop_clock(as->loop));
	ccp_uuid_new(ccp_loop_clock(as->loop), as->info.instance);
}

void ccp_appserver_attach(struct ccp_appserver *as, const struct ccp_appserver_known *known)
{
	struct ccp_appserver_info info = { .process = known->process,
					   .started_at = known->started_at,
					   .transport = CCP_APPSERVER_UNIX };

	snprintf(info.instance, sizeof(info.instance), "%s", known->instance);
	if (!begin(as))
		return;
	as->attaching = true;
	as->info = info;
}

void ccp_appserver_stop(struct ccp_appserver *as, int64_t grace_ms)
{
	if (as->transport) {
		as->state = CCP_APPSERVER_STOPPING;
		as->transport->ops->stop(as->transport, grace_ms);
	} else if (as->state == CCP_APPSERVER_STARTING) {
		ccp_timer_stop(as->step);
		as->state = CCP_APPSERVER_STOPPED;
	}
}

void ccp_appserver_end_others(const struct ccp_appserver *as, const struct ccp_process_id *but)
{
	if (as->launch.run_dir)
		ccp_transport_unix_vacate(as->launch.run_dir, but);
}

void ccp_appserver_detach(struct ccp_appserver *as)
{
	_cleanup_error_ struct codexcp_error why = { 0 };

	ccp_fail(&why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server was left alone");
	enter(as);
	wind_up(as, &why);
	leave(as);
}

enum ccp_appserver_state ccp_appserver_state(const struct ccp_appserver *as)
{
	/* It is about to tell that it is gone. */
	if (as->state == CCP_APPSERVER_READY && as->transport && as->transport->lost)
		return CCP_APPSERVER_STARTING;
	return as->state;
}

const struct ccp_appserver_info *ccp_appserver_info(const struct ccp_appserver *as)
{
	return &as->info;
}

size_t ccp_appserver_pending(const struct ccp_appserver *as)
{
	return as->peer ? ccp_peer_pending(as->peer) : 0;
}

static void on_answer(json_t *result, const struct codexcp_error *err, void *data)
{
	struct call call = *(struct call *)data;
	_cleanup_error_ struct codexcp_error meant = { 0 };

	free(data);
	if (call.as->freed)
		return;
	if (err)
		ccp_codex_error(&meant, err);
	else
		call.as->info.answered = true;
	if (call.fn)
		call.fn(result, err ? &meant : NULL, call.data);
}

static int unavailable(json_t *unused, struct codexcp_error *err)
{
	json_decref(unused);
	return ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server is not running");
}

int ccp_appserver_call(struct ccp_appserver *as, const char *method, json_t *params,
		       int64_t timeout_ms, ccp_reply_fn fn, void *data, struct codexcp_error *err)
{
	_cleanup_free_ struct call *call = NULL;
	int r;

	if (ccp_appserver_state(as) != CCP_APPSERVER_READY)
		return unavailable(params, err);
	call = malloc(sizeof(*call));
	if (!call) {
		json_decref(params);
		return ccp_fail_oom(err);
	}
	*call = (struct call){ as, fn, data };
	r = ccp_peer_call(as->peer, method, params, timeout_ms ? now_ms(as) + timeout_ms : 0,
			  on_answer, call, err);
	if (r < 0)
		return r;
	call = NULL;
	arm_deadline(as);
	return 0;
}

int ccp_appserver_reply(struct ccp_appserver *as, json_t *id, json_t *result,
			struct codexcp_error *err)
{
	if (!as->transport || !as->peer)
		return unavailable(result, err);
	return ccp_peer_reply(as->peer, id, result, err);
}

int ccp_appserver_reply_error(struct ccp_appserver *as, json_t *id, int code, const char *message,
			      struct codexcp_error *err)
{
	if (!as->transport || !as->peer)
		return unavailable(NULL, err);
	return ccp_peer_reply_error(as->peer, id, code, message, err);
}

int ccp_appserver_new(struct ccp_loop *loop, const struct ccp_appserver_options *options,
		      const struct ccp_appserver_events *events, void *data,
		      struct ccp_appserver **ret_as, struct codexcp_error *err)
{
	_cleanup_(ccp_appserver_freep) struct ccp_appserver *as = calloc(1, sizeof(*as));
	int r;

	if (!as)
		return ccp_fail_oom(err);
	as->loop = loop;
	as->events = *events;
	as->data = data;
	r = ccp_launch_init(&as->launch, options, err);
	if (r == 0 && options->transport == CCP_APPSERVER_UNIX && !options->run_dir)
		r = ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "a socket needs a run_dir");
	if (r < 0)
		return r;
	r = ccp_timer_new(loop, on_deadline, as, &as->deadline, err);
	if (r < 0)
		return r;
	r = ccp_timer_new(loop, on_step, as, &as->step, err);
	if (r < 0)
		return r;
	*ret_as = TAKE_PTR(as);
	return 0;
}

bool ccp_appserver_answer_safely(struct ccp_appserver *as, json_t *id, const char *method,
				 const json_t *params)
{
	json_t *answer = ccp_request_safe_answer(method, params,
						 ccp_clock_wall(ccp_loop_clock(as->loop)));

	if (!answer) {
		(void)ccp_appserver_reply_error(as, id, CCP_RPC_METHOD_NOT_FOUND,
						"not supported by this client", NULL);
		return false;
	}
	(void)ccp_appserver_reply(as, id, answer, NULL);
	return true;
}
