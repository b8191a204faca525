#include "service/context.h"

#include <unistd.h>
#include <utlist.h>

#include "base/ids.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/process.h"
#include "service/call.h"
#include "service/engine.h"
#include "service/starter.h"

#define SERVER_NAME     "codex-control-plane-mcp"
#define CONFIG_VARIABLE "CODEX_CONTROL_PLANE_MCP_CONFIG"
/* A ring may be lost; a change in the database is not. */
#define WAKE_POLL_MS 1000
#define DAY_MS       (24 * 60 * 60 * (int64_t)1000)

extern char **environ;

const char *codexcp_version(void)
{
	return CCP_VERSION;
}

static void strings_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
}

/* The environment that this context and its worker see. A file named in the options is named there
 * too, so that the worker reads the same. */
static int copy_environment(struct codexcp *cp, const struct codexcp_options *options,
			    struct codexcp_error *err)
{
	const char *const *from = options->environment ? options->environment
						       : (const char *const *)environ;
	size_t n = 0, kept = 0;

	while (from && from[n])
		n++;
	cp->environment = calloc(n + 2, sizeof(char *));
	if (!cp->environment)
		return ccp_fail_oom(err);
	for (size_t i = 0; i < n; i++) {
		if (options->config_file && ccp_str_has_prefix(from[i], CONFIG_VARIABLE "="))
			continue;
		if (!ccp_strdup_opt(from[i], &cp->environment[kept++]))
			return ccp_fail_oom(err);
	}
	if (options->config_file)
		cp->environment[kept] = ccp_asprintf(CONFIG_VARIABLE "=%s", options->config_file);
	return options->config_file && !cp->environment[kept] ? ccp_fail_oom(err) : 0;
}

/* The server beside the running executable (an installed admin finds it there), else from PATH. */
static int find_worker(struct codexcp *cp, const char *given, struct codexcp_error *err)
{
	_cleanup_free_ char *self = NULL, *dir = NULL, *beside = NULL;

	if (given)
		return ccp_row_set(&cp->worker_path, given, err);
	if (ccp_process_executable(&self, NULL) == 0) {
		if (ccp_streq(ccp_path_base(self), SERVER_NAME))
			return ccp_row_set(&cp->worker_path, self, err);
		dir = ccp_path_parent(self);
		beside = dir ? ccp_path_join(dir, SERVER_NAME) : NULL;
	}
	return ccp_row_set(&cp->worker_path,
			   beside && access(beside, X_OK) == 0 ? beside : SERVER_NAME, err);
}

static enum codexcp_mode mode_of(const struct codexcp *cp, enum codexcp_mode asked)
{
	/* A front end that shares its configuration with a worker is none itself. */
	static const enum codexcp_mode modes[] = {
		[CCP_MODE_AUTO] = CODEXCP_MODE_AUTO,      [CCP_MODE_INLINE] = CODEXCP_MODE_INLINE,
		[CCP_MODE_CLIENT] = CODEXCP_MODE_CLIENT,  [CCP_MODE_WORKER] = CODEXCP_MODE_CLIENT,
		[CCP_MODE_OBSERVE] = CODEXCP_MODE_CLIENT,
	};

	if (asked != CODEXCP_MODE_CONFIGURED)
		return asked;
	return cp->config ? modes[cp->config->execution_mode] : CODEXCP_MODE_AUTO;
}

static int load_config(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	int r;

	r = ccp_config_load((const char *const *)cp->environment, NULL, cwd ? cwd : "/",
			    &cp->config, &cp->config_error);
	/* Told by every call instead. */
	return r == CODEXCP_E_NO_MEMORY ? ccp_fail_oom(err) : 0;
}

static bool is_worker(const struct codexcp *cp)
{
	return cp->mode == CODEXCP_MODE_WORKER || cp->mode == CODEXCP_MODE_OBSERVE;
}

static void on_wake_timer(void *data)
{
	struct codexcp *cp = data;

	ccp_timer_start(cp->wake_timer, WAKE_POLL_MS);
	if (ccp_state_refresh(cp))
		ccp_context_wake(cp);
	if (!cp->reader || !cp->calls)
		return;
	if (ccp_db_data_version(cp->reader) != cp->seen_version)
		ccp_context_wake(cp);
	ccp_context_need_worker(cp);
}

static int set_up(struct codexcp *cp, const struct codexcp_options *options,
		  struct codexcp_error *err)
{
	int r = ccp_loop_new(options->loop, &cp->loop, err);

	if (r == 0 && ccp_random_init() < 0)
		r = ccp_fail(err, CODEXCP_E_INTERNAL, "no source of random bytes");
	if (r == 0)
		r = copy_environment(cp, options, err);
	if (r == 0)
		r = load_config(cp, err);
	if (r == 0)
		r = find_worker(cp, options->worker_path, err);
	if (r < 0)
		return r;
	cp->mode = mode_of(cp, options->mode);
	cp->ready = options->ready;
	cp->ready_data = options->ready_data;
	cp->stay = options->stay;
	if (is_worker(cp))
		return 0;
	r = ccp_timer_new(cp->loop, on_wake_timer, cp, &cp->wake_timer, err);
	if (r < 0)
		return r;
	/* On a loop of our own nothing else may be active, and libuv would not wait at all. */
	if (options->loop)
		ccp_timer_set_background(cp->wake_timer);
	ccp_timer_start(cp->wake_timer, WAKE_POLL_MS);
	return ccp_starter_new(cp, &cp->starter, err);
}

int codexcp_open(const struct codexcp_options *options, struct codexcp **ret_cp,
		 struct codexcp_error *err)
{
	static const struct codexcp_options defaults = { 0 };
	struct codexcp *cp = calloc(1, sizeof(*cp));
	int r;

	if (!cp)
		return ccp_fail_oom(err);
	r = set_up(cp, options ? options : &defaults, err);
	if (r < 0) {
		codexcp_close(cp);
		return r;
	}
	*ret_cp = cp;
	return 0;
}

void codexcp_close(struct codexcp *cp)
{
	if (!cp)
		return;
	ccp_calls_drop(cp);
	ccp_starter_free(cp->starter);
	ccp_engine_free(cp->engine);
	ccp_txq_free(cp->txq);
	ccp_timer_free(cp->wake_timer);
	ccp_db_close(cp->reader);
	ccp_db_close(cp->db);
	if (cp->loop)
		ccp_loop_free(cp->loop);
	ccp_config_free(cp->config);
	codexcp_error_done(&cp->config_error);
	codexcp_error_done(&cp->run_error);
	codexcp_error_done(&cp->state_trouble);
	strings_free(cp->environment);
	free(cp->worker_path);
	free(cp);
}

int codexcp_run(struct codexcp *cp, struct codexcp_error *err)
{
	int r = 0;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	if (is_worker(cp))
		r = ccp_engine_new(cp, &cp->engine, err);
	if (r < 0)
		return r;
	while (!cp->stopped)
		ccp_loop_step(cp->loop);
	cp->stopped = false;
	return cp->run_error.code ? ccp_fail_copy(err, &cp->run_error) : 0;
}

void codexcp_stop(struct codexcp *cp)
{
	cp->stopped = true;
}

void codexcp_drain(struct codexcp *cp)
{
	if (cp->engine)
		ccp_engine_leave(cp->engine, "told to");
	else
		codexcp_stop(cp);
}

int codexcp_fd(const struct codexcp *cp)
{
	return ccp_loop_fd(cp->loop);
}

int codexcp_timeout(const struct codexcp *cp)
{
	return ccp_loop_timeout(cp->loop);
}

void codexcp_dispatch(struct codexcp *cp)
{
	ccp_loop_dispatch(cp->loop);
}

/* The first that this wake has not looked at. */
static struct ccp_call *next_waiting(const struct codexcp *cp)
{
	struct ccp_call *call;

	DL_FOREACH (cp->calls, call)
		if (call->look && call->wake != cp->wake)
			return call;
	return NULL;
}

void ccp_context_wake(struct codexcp *cp)
{
	struct ccp_call *call;

	if (cp->reader)
		cp->seen_version = ccp_db_data_version(cp->reader);
	cp->wake++;
	/* An answer may make its owner cancel any other call, or wake again. */
	while ((call = next_waiting(cp))) {
		call->wake = cp->wake;
		call->look(call);
	}
}

void codexcp_finish_waiting(struct codexcp *cp)
{
	cp->finishing = true;
	if (cp->starter)
		ccp_starter_finish(cp->starter);
	ccp_context_wake(cp);
}

void ccp_context_ring(struct codexcp *cp)
{
	if (cp->engine)
		ccp_engine_look(cp->engine);
	else if (cp->starter)
		ccp_starter_ring(cp->starter);
}

void ccp_context_need_worker(struct codexcp *cp)
{
	if (!ccp_context_worker_alive(cp))
		ccp_context_ring(cp);
}

void codexcp_look_for_work(struct codexcp *cp)
{
	struct ccp_op_counts counts = { 0 };
	struct ccp_db *db = NULL;

	if (cp->config && ccp_state_reader(cp, &db, NULL) == 1 &&
	    ccp_op_count(db, &counts, NULL) == 0 && counts.active)
		ccp_context_ring(cp);
}

const char *ccp_context_trouble(struct codexcp *cp)
{
	if (cp->state_trouble.code)
		return cp->state_trouble.message;
	return cp->starter ? ccp_starter_trouble(cp->starter) : NULL;
}

bool ccp_context_worker_alive(struct codexcp *cp)
{
	return cp->engine || (cp->starter && ccp_starter_connected(cp->starter));
}

struct ccp_retention_rule ccp_context_retention(const struct codexcp *cp)
{
	const struct ccp_config *config = cp->config;

	return (struct ccp_retention_rule){
		.age_ms = config->retention_days * DAY_MS,
		.operations = config->retention_operations,
		.journal_age_ms = config->retention_journal_days * DAY_MS,
		.journal_rows = config->retention_journal_rows,
		.key_window_ms = config->idempotency_days * DAY_MS,
	};
}

int ccp_context_new_upkeep(struct codexcp *cp, struct ccp_txq *txq, struct ccp_upkeep **ret_upkeep,
			   struct codexcp_error *err)
{
	const struct ccp_upkeep_options options = {
		.loop = cp->loop, .db = cp->db, .txq = txq, .rule = ccp_context_retention(cp)
	};

	return ccp_upkeep_new(&options, ret_upkeep, err);
}

const char *ccp_context_mode_name(const struct codexcp *cp)
{
	static const char *const names[] = {
		[CODEXCP_MODE_CONFIGURED] = "auto", [CODEXCP_MODE_AUTO] = "auto",
		[CODEXCP_MODE_INLINE] = "inline",   [CODEXCP_MODE_CLIENT] = "client",
		[CODEXCP_MODE_WORKER] = "worker",   [CODEXCP_MODE_OBSERVE] = "observe",
	};

	return names[cp->mode];
}

struct ccp_limits ccp_context_limits(const struct codexcp *cp)
{
	const struct ccp_config *config = cp->config;

	return (struct ccp_limits){
		.global = config->max_active_turns_global,
		.project = config->max_active_turns_per_project,
		.agent = config->max_active_turns_per_agent,
		.thread = config->max_active_turns_per_thread,
		.write = config->max_active_write_turns_per_project,
		.requests = config->max_app_server_pending_requests,
	};
}

struct ccp_project_places ccp_context_places(const struct codexcp *cp)
{
	const struct ccp_config *config = cp->config;

	return (struct ccp_project_places){
		.allowed_roots = (const char *const *)config->allowed_roots,
		.roots_configured = config->roots_configured,
		.projects_root = config->projects_root,
		.registry_path = config->projects_registry_path,
		.cwd = config->cwd,
		.home = ccp_environment_get((const char *const *)cp->environment, "HOME"),
	};
}
