#include "appserver/client.h"

#include <stdio.h>
#include <string.h>

#include "appserver/answers.h"
#include "appserver/methods.h"
#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"

#define DEFAULT_INITIALIZE_MS 30000
#define DEFAULT_MAX_LINE      (64u << 20)
/* What a process that failed to initialise gets to end by itself. */
#define FAILED_START_GRACE_MS 500
/* How much of the last words of stderr goes into a message. */
#define TAIL_IN_MESSAGE 300

struct ccp_appserver {
	struct ccp_loop *loop;
	struct ccp_appserver_events events;
	void *data;
	char *binary, *cwd;
	int (*find)(char **ret_binary, void *data, struct codexcp_error *err);
	void *find_data;
	char **envp;
	int64_t initialize_timeout_ms;
	size_t max_line;

	enum ccp_appserver_state state;
	struct ccp_appserver_info info;
	struct ccp_child *child;
	struct ccp_peer *peer;
	struct ccp_timer *deadline; /* the next deadline of a call */
	struct ccp_timer *step;     /* STARTING: spawn; STOPPING: signals */
	int64_t kill_after_ms;
	struct codexcp_error why; /* why it goes, where that is known before it has gone */

	unsigned depth; /* of callbacks that we are inside of */
	bool freed;     /* by one of them */
};

struct call {
	struct ccp_appserver *as;
	ccp_reply_fn fn;
	void *data;
};

static void release(struct ccp_appserver *as)
{
	struct codexcp_error why = { 0 };

	as->freed = true;
	ccp_child_free(as->child);
	if (as->peer) {
		/* Nobody is told any more, but each call owns memory. */
		ccp_fail(&why, CODEXCP_E_CANCELLED, "released");
		ccp_peer_fail_all(as->peer, &why);
		ccp_peer_free(as->peer);
		codexcp_error_done(&why);
	}
	ccp_timer_free(as->deadline);
	ccp_timer_free(as->step);
	codexcp_error_done(&as->why);
	for (char **e = as->envp; e && *e; e++)
		free(*e);
	free(as->envp);
	free(as->binary);
	free(as->cwd);
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

/* The end of an instance: every call is answered, then the owner hears of it. */
static void finish(struct ccp_appserver *as, const struct codexcp_error *why)
{
	struct ccp_peer *peer = TAKE_PTR(as->peer);

	as->state = CCP_APPSERVER_STOPPING;
	ccp_timer_stop(as->deadline);
	ccp_timer_stop(as->step);
	if (peer) {
		ccp_peer_fail_all(peer, why);
		ccp_peer_free(peer);
	}
	as->state = CCP_APPSERVER_STOPPED;
	if (!as->freed)
		as->events.gone(why, as->data);
}

/* One line of at most TAIL_IN_MESSAGE bytes, the last ones, without secrets. NULL when there is
 * none. */
static char *message_tail(const char *stderr_tail)
{
	size_t len = stderr_tail ? strlen(stderr_tail) : 0;
	_cleanup_free_ char *clean = len ? ccp_redact(stderr_tail, len, &len) : NULL;
	const char *start = clean;

	if (!clean)
		return NULL;
	if (len > TAIL_IN_MESSAGE) {
		start = clean + len - TAIL_IN_MESSAGE;
		while ((*start & 0xc0) == 0x80)
			start++;
	}
	for (char *c = clean; *c; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
	return ccp_strndup_trim(start, strlen(start));
}

static void describe_end(const struct ccp_appserver *as, int status, const char *stderr_tail,
			 struct codexcp_error *ret_why)
{
	_cleanup_free_ char *tail = message_tail(stderr_tail);
	char how[64];

	if (status < 0)
		snprintf(how, sizeof(how), "was killed by signal %d", -status);
	else
		snprintf(how, sizeof(how), "ended with status %d", status);
	if (as->why.code)
		ccp_fail(ret_why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "%s%s%s", as->why.message,
			 tail ? ": " : "", tail ? tail : "");
	else
		ccp_fail(ret_why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "codex app-server %s%s%s", how,
			 tail ? ": " : "", tail ? tail : "");
	ccp_error_add(ret_why, status < 0 ? "signal" : "exitStatus",
		      json_integer(status < 0 ? -status : status));
}

/* It runs but is of no use: it goes, and `exited` tells the rest. */
static void give_up(struct ccp_appserver *as, const struct codexcp_error *err)
{
	ccp_fail(&as->why, CODEXCP_E_APP_SERVER_UNAVAILABLE,
		 "codex app-server could not be initialised: %s", err->message);
	as->state = CCP_APPSERVER_STOPPING;
	ccp_child_stop(as->child, FAILED_START_GRACE_MS);
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

static int initialize(struct ccp_appserver *as, struct codexcp_error *err)
{
	json_t *params = json_pack("{s:{s:s, s:s, s:s}, s:{s:b}}", "clientInfo", "name",
				   "codex-control-plane-mcp", "title", "Codex control plane",
				   "version", CCP_VERSION, "capabilities", "experimentalApi", 1);

	if (!params)
		return ccp_fail_oom(err);
	return ccp_peer_call(as->peer, "initialize", params, now_ms(as) + as->initialize_timeout_ms,
			     on_initialized, as, err);
}

static void on_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->peer)
		ccp_peer_feed(as->peer, line, len);
	leave(as);
}

static void on_overlong(struct ccp_child *child, size_t len, void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->events.garbage)
		as->events.garbage(NULL, len, as->data);
	leave(as);
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct ccp_appserver *as = data;
	_cleanup_error_ struct codexcp_error why = { 0 };

	enter(as);
	describe_end(as, status, stderr_tail, &why);
	as->child = NULL;
	ccp_child_free(child);
	finish(as, &why);
	leave(as);
}

static int peer_send(const char *line, size_t len, void *data, struct codexcp_error *err)
{
	struct ccp_appserver *as = data;

	return ccp_child_write_line(as->child, line, len, err);
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

static const struct ccp_child_events child_events = {
	.line = on_line,
	.overlong = on_overlong,
	.exited = on_exited,
};

/* Looked for anew each time: it may have been installed or replaced since. */
static int find_binary(struct ccp_appserver *as, struct codexcp_error *err)
{
	char *found = NULL;
	int r = as->find ? as->find(&found, as->find_data, err) : 0;

	if (r < 0 || !found)
		return r;
	free(as->binary);
	as->binary = found;
	return 0;
}

static int spawn_child(struct ccp_appserver *as, struct codexcp_error *err)
{
	const char *const argv[] = { as->binary, "app-server", NULL };
	const struct ccp_child_options options = {
		.file = as->binary,
		.argv = argv,
		.envp = (const char *const *)as->envp,
		.cwd = as->cwd,
		.max_line = as->max_line,
	};
	int r;

	r = ccp_peer_new(&peer_events, as, &as->peer, err);
	if (r < 0)
		return r;
	r = ccp_child_spawn(as->loop, &options, &child_events, as, &as->child, err);
	if (r < 0)
		return r;
	as->info.started_at = ccp_clock_wall(ccp_loop_clock(as->loop));
	if (ccp_process_identify(ccp_child_pid(as->child), &as->info.process, NULL) < 0)
		as->info.process = (struct ccp_process_id){ .pid = ccp_child_pid(as->child) };
	return 0;
}

static void start_now(struct ccp_appserver *as)
{
	_cleanup_error_ struct codexcp_error err = { 0 }, why = { 0 };

	if (find_binary(as, &err) < 0) {
		finish(as, &err);
		return;
	}
	if (spawn_child(as, &err) < 0) {
		ccp_fail(&why, CODEXCP_E_APP_SERVER_UNAVAILABLE,
			 "codex app-server could not be started: %s", err.message);
		ccp_error_add_str(&why, "binary", as->binary);
		finish(as, &why);
		return;
	}
	if (initialize(as, &err) < 0)
		give_up(as, &err);
	arm_deadline(as);
}

static void on_step(void *data)
{
	struct ccp_appserver *as = data;

	enter(as);
	if (as->state == CCP_APPSERVER_STARTING && !as->child)
		start_now(as);
	else if (as->state == CCP_APPSERVER_STOPPING && as->child)
		ccp_child_stop(as->child, as->kill_after_ms);
	leave(as);
}

void ccp_appserver_start(struct ccp_appserver *as)
{
	if (as->state != CCP_APPSERVER_STOPPED)
		return;
	as->state = CCP_APPSERVER_STARTING;
	as->info = (struct ccp_appserver_info){ 0 };
	codexcp_error_done(&as->why);
	ccp_uuid_new(ccp_loop_clock(as->loop), as->info.instance);
	ccp_timer_start(as->step, 0);
}

void ccp_appserver_stop(struct ccp_appserver *as, int64_t grace_ms)
{
	if (as->child) {
		as->state = CCP_APPSERVER_STOPPING;
		as->kill_after_ms = grace_ms - grace_ms / 2;
		ccp_child_close_stdin(as->child);
		ccp_timer_start(as->step, grace_ms / 2);
	} else if (as->state == CCP_APPSERVER_STARTING) {
		ccp_timer_stop(as->step);
		as->state = CCP_APPSERVER_STOPPED;
	}
}

enum ccp_appserver_state ccp_appserver_state(const struct ccp_appserver *as)
{
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

	if (as->state != CCP_APPSERVER_READY)
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
	if (!as->child || !as->peer)
		return unavailable(result, err);
	return ccp_peer_reply(as->peer, id, result, err);
}

int ccp_appserver_reply_error(struct ccp_appserver *as, json_t *id, int code, const char *message,
			      struct codexcp_error *err)
{
	if (!as->child || !as->peer)
		return unavailable(NULL, err);
	return ccp_peer_reply_error(as->peer, id, code, message, err);
}

static char **copy_strings(const char *const *strings)
{
	size_t n = 0;
	char **copy;

	while (strings[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (copy[i])
			continue;
		while (i > 0)
			free(copy[--i]);
		free(copy);
		return NULL;
	}
	return copy;
}

static int copy_options(struct ccp_appserver *as, const struct ccp_appserver_options *options,
			struct codexcp_error *err)
{
	as->initialize_timeout_ms = options->initialize_timeout_ms ? options->initialize_timeout_ms
								   : DEFAULT_INITIALIZE_MS;
	as->max_line = options->max_line ? options->max_line : DEFAULT_MAX_LINE;
	as->find = options->find;
	as->find_data = options->find_data;
	if (!ccp_strdup_opt(options->binary, &as->binary) ||
	    !ccp_strdup_opt(options->cwd, &as->cwd))
		return ccp_fail_oom(err);
	if (options->envp) {
		as->envp = copy_strings(options->envp);
		if (!as->envp)
			return ccp_fail_oom(err);
	}
	return 0;
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
	r = copy_options(as, options, err);
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
