#include "engine_env.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/process.h"

/* How long a pass waits when nothing happens: what other processes wrote is seen after this. */
#define STEP_MS 20

int64_t env_now_ms(void)
{
	return ccp_clock_boot(ccp_clock_system());
}

char *env_path(const struct engine_env *e, const char *name)
{
	char *path = ccp_asprintf("%s/%s", e->dir, name);

	ck_assert_ptr_nonnull(path);
	return path;
}

static char *make_dir(const struct engine_env *e, const char *name)
{
	char *path = env_path(e, name);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	return path;
}

void env_set(struct engine_env *e, const char *name, const char *value)
{
	size_t len = strlen(name), i = 0;

	while (e->variables[i] &&
	       (strncmp(e->variables[i], name, len) != 0 || e->variables[i][len] != '='))
		i++;
	ck_assert_uint_lt(i, ENV_VARIABLES);
	free(e->variables[i]);
	/* A variable that is empty counts as one that is not there. */
	e->variables[i] = ccp_asprintf("%s=%s", name, value ? value : "");
}

void env_setup(struct engine_env *e)
{
	_cleanup_free_ char *home = NULL, *state = NULL;

	*e = (struct engine_env){ .dir = ccp_test_make_dir(), .step_ms = STEP_MS };
	home = make_dir(e, "home");
	state = make_dir(e, "state");
	e->project = make_dir(e, "project");
	e->threads = make_dir(e, "threads");
	e->log = env_path(e, "log");
	e->state_db = env_path(e, "state/state.sqlite3");
	ck_assert_ptr_nonnull(getenv("CCP_FAKE_APPSERVER"));
	/* As programs do: processes die here while something is written to them. */
	signal(SIGPIPE, SIG_IGN);
	env_set(e, "PATH", "/usr/bin:/bin");
	env_set(e, "HOME", home);
	env_set(e, "CODEX_HOME", home);
	env_set(e, "CODEX_BINARY_PATH", getenv("CCP_FAKE_APPSERVER"));
	env_set(e, "CODEX_MCP_STATE_DB", e->state_db);
	env_set(e, "CODEX_ALLOWED_ROOTS", e->project);
	env_set(e, "CODEX_MCP_WORKER_IDLE_SECONDS", "1");
	env_set(e, "CODEX_MCP_APP_SERVER_TRANSPORT", "stdio");
	env_set(e, "CODEX_MCP_WORKER_DRAIN_SECONDS", "0");
	env_set(e, "CCP_FAKE_LOG", e->log);
	env_set(e, "CCP_FAKE_STATE", e->threads);
}

void env_script(struct engine_env *e, const char *lines)
{
	_cleanup_free_ char *path = env_path(e, "script");

	ck_assert_int_eq(ccp_file_replace(path, lines, strlen(lines), 0600, NULL), 0);
	env_set(e, "CCP_FAKE_SCRIPT", path);
}

char *env_run_dir(const struct engine_env *e)
{
	char *path = ccp_asprintf("%s.run", e->state_db);

	ck_assert_ptr_nonnull(path);
	return path;
}

/* app-server works there. */
void env_go(const struct engine_env *e, const char *name)
{
	_cleanup_free_ char *run = env_run_dir(e), *path = ccp_path_join(run, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

struct codexcp *env_open(struct engine_env *e, enum codexcp_mode mode)
{
	const struct codexcp_options options = {
		.environment = (const char *const *)e->variables,
		.worker_path = getenv("CCP_SERVER"),
		.mode = mode,
	};
	size_t i = 0;

	while (i < ENV_CONTEXTS && e->open[i])
		i++;
	ck_assert_uint_lt(i, ENV_CONTEXTS);
	ck_assert_int_eq(codexcp_open(&options, &e->open[i], NULL), 0);
	return e->open[i];
}

void env_close(struct engine_env *e, struct codexcp *cp)
{
	for (size_t i = 0; i < ENV_CONTEXTS; i++)
		if (e->open[i] == cp)
			e->open[i] = NULL;
	codexcp_close(cp);
}

static void end_worker(const struct engine_env *e)
{
	_cleanup_free_ char *lock = ccp_asprintf("%s.worker.lock", e->state_db);
	int64_t pid = 0, until = env_now_ms() + ENV_PATIENCE_MS;

	if (access(lock, F_OK) < 0)
		return;
	/* One that has just started has no row yet. */
	while (ccp_lock_is_held(lock, NULL) == 1 && pid <= 0) {
		ck_assert_int_lt(env_now_ms(), until);
		pid = env_number(e, "SELECT coalesce((SELECT pid FROM workers WHERE "
				    "status = 'running' ORDER BY epoch DESC LIMIT 1), 0)");
		poll(NULL, 0, pid > 0 ? 0 : STEP_MS);
	}
	if (pid <= 0)
		return;
	ck_assert_int_ne(pid, getpid());
	kill((pid_t)pid, SIGTERM);
	while (ccp_lock_is_held(lock, NULL) == 1) {
		ck_assert_int_lt(env_now_ms(), until);
		poll(NULL, 0, STEP_MS);
	}
}

/* Turns were left to them. A test may have spoiled the database. */
static void end_app_servers(const struct engine_env *e)
{
	sqlite3 *handle = NULL;
	sqlite3_stmt *stmt = NULL;
	struct ccp_process_id id;

	ck_assert_int_eq(sqlite3_open(e->state_db, &handle), SQLITE_OK);
	sqlite3_busy_timeout(handle, ENV_PATIENCE_MS);
	if (sqlite3_prepare_v2(handle, "SELECT pid, start_time FROM app_servers", -1, &stmt,
			       NULL) == SQLITE_OK)
		while (sqlite3_step(stmt) == SQLITE_ROW)
			if (ccp_process_identify(sqlite3_column_int64(stmt, 0), &id, NULL) == 0 &&
			    id.start_time == sqlite3_column_int64(stmt, 1))
				ccp_process_kill(&id);
	sqlite3_finalize(stmt);
	sqlite3_close(handle);
}

void env_teardown(struct engine_env *e)
{
	for (size_t i = 0; i < ENV_CONTEXTS; i++)
		codexcp_close(e->open[i]);
	end_worker(e);
	if (access(e->state_db, F_OK) == 0)
		end_app_servers(e);
	for (size_t i = 0; e->variables[i]; i++)
		free(e->variables[i]);
	free(e->project);
	free(e->state_db);
	free(e->log);
	free(e->threads);
	ccp_test_remove_dir(e->dir);
}

void env_rewrite_script(const struct engine_env *e, const char *lines)
{
	_cleanup_free_ char *path = env_path(e, "script");

	ck_assert_int_eq(ccp_file_replace(path, lines, strlen(lines), 0600, NULL), 0);
}

void env_step(struct engine_env *e)
{
	struct pollfd fds[ENV_CONTEXTS];
	int wait_ms = e->step_ms;
	nfds_t n = 0;

	for (size_t i = 0; i < ENV_CONTEXTS; i++) {
		int timeout = e->open[i] ? codexcp_timeout(e->open[i]) : -1;

		if (!e->open[i])
			continue;
		fds[n++] = (struct pollfd){ .fd = codexcp_fd(e->open[i]), .events = POLLIN };
		if (timeout >= 0)
			wait_ms = CCP_MIN(wait_ms, timeout);
	}
	poll(fds, n, wait_ms);
	for (size_t i = 0; i < ENV_CONTEXTS; i++)
		if (e->open[i])
			codexcp_dispatch(e->open[i]);
}

json_t *env_call(struct codexcp *cp, const char *tool, json_t *arguments)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *answer = NULL;

	(void)codexcp_call_wait(cp, tool, arguments, &answer, &err);
	ck_assert_msg(answer, "%s: %s", tool, err.message);
	json_decref(arguments);
	return answer;
}

json_t *env_call_fails(struct codexcp *cp, const char *tool, json_t *arguments, const char *code)
{
	json_t *answer = env_call(cp, tool, arguments);

	ck_assert(json_is_false(json_object_get(answer, "ok")));
	env_is(json_object_get(answer, "error"), "code", code);
	return answer;
}

void env_take_answer(json_t *payload, bool ok, void *data)
{
	struct env_answer *answer = data;

	ck_assert(ok == json_is_true(json_object_get(payload, "ok")));
	json_decref(answer->payload);
	answer->payload = json_incref(payload);
	answer->answers++;
}

static void count_progress(const char *message, void *data)
{
	struct env_answer *answer = data;

	ck_assert(*message);
	answer->told++;
}

struct codexcp_call *env_ask(struct codexcp *cp, const char *tool, json_t *arguments,
			     struct env_answer *answer)
{
	const struct codexcp_call_options options = { .progress = count_progress };
	struct codexcp_call *call = NULL;

	*answer = (struct env_answer){ 0 };
	ck_assert_int_eq(
		codexcp_call(cp, tool, arguments, &options, env_take_answer, answer, &call, NULL),
		0);
	json_decref(arguments);
	return call;
}

json_t *env_answered(struct engine_env *e, struct env_answer *answer)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (!answer->answers) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
	ck_assert_int_eq(answer->answers, 1);
	return answer->payload;
}

void env_answer_done(struct env_answer *answer)
{
	json_decref(answer->payload);
}

json_t *env_submit_arguments(struct engine_env *e, json_t *more)
{
	json_t *arguments = json_pack("{s:s, s:s, s:o}", "operation_type", "start_chat", "cwd",
				      e->project, "message", json_sprintf("task %d", ++e->prompts));

	if (more)
		json_object_update(arguments, more);
	json_decref(more);
	return arguments;
}

char *env_submit(struct engine_env *e, struct codexcp *cp, json_t *more)
{
	json_auto_t *answer = env_call(cp, "codex_submit_task", env_submit_arguments(e, more));
	_cleanup_free_ char *text = json_dumps(answer, 0);
	const char *id = ccp_json_str(answer, "operationId");

	ck_assert_msg(json_is_true(json_object_get(answer, "ok")) && id, "%s", text);
	return strdup(id);
}

json_t *env_status(struct codexcp *cp, const char *op)
{
	return env_call(cp, "codex_get_operation_status",
			json_pack("{s:s, s:s, s:b}", "operation_id", op, "detail", "full",
				  "include_events", 1));
}

/* A key of which nothing is wanted: the end. */
static bool is_reached(const json_t *status, const char *key, const char *value)
{
	return key ? ccp_streq(ccp_json_str(status, key), value)
		   : json_object_get(status, "completedAt") != NULL;
}

json_t *env_wait(struct engine_env *e, struct codexcp *cp, const char *op, const char *key,
		 const char *value)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	for (;;) {
		json_t *status = env_status(cp, op);
		_cleanup_free_ char *text = NULL;

		if (is_reached(status, key, value))
			return status;
		text = json_dumps(status, JSON_INDENT(1));
		json_decref(status);
		ck_assert_msg(env_now_ms() < until, "%s never became %s: %s", key ? key : "end",
			      value ? value : "", text);
		env_step(e);
	}
}

void env_reach(struct engine_env *e, struct codexcp *cp, const char *op, const char *key,
	       const char *value)
{
	json_decref(env_wait(e, cp, op, key, value));
}

void env_wait_problem(struct engine_env *e, struct codexcp *cp, const char *op, const char *text)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	for (;;) {
		json_auto_t *status = env_status(cp, op);
		const char *problem = ccp_json_str(json_object_get(status, "workerState"),
						   "problem");

		if (problem && strstr(problem, text))
			return;
		ck_assert_msg(env_now_ms() < until, "%s", problem ? problem : "no problem");
		env_step(e);
	}
}

json_t *env_end(struct engine_env *e, struct codexcp *cp, const char *op)
{
	return env_wait(e, cp, op, NULL, NULL);
}

void env_ends(struct engine_env *e, struct codexcp *cp, const char *op, const char *status,
	      const char *reason)
{
	json_auto_t *answer = env_end(e, cp, op);
	_cleanup_free_ char *text = json_dumps(answer, JSON_INDENT(1));

	ck_assert_msg(ccp_streq(ccp_json_str(answer, "status"), status) &&
			      ccp_streq(ccp_json_str(answer, "reason"), reason),
		      "not %s (%s): %s", status, reason ? reason : "", text);
}

void env_end_all(struct engine_env *envs, size_t n)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;
	size_t ended = 0;

	while (ended < n) {
		ended = 0;
		for (size_t i = 0; i < n; i++) {
			envs[i].step_ms = 1;
			env_step(&envs[i]);
			ended += env_number(&envs[i], "SELECT sum(active) FROM operations") == 0;
		}
		ck_assert_msg(env_now_ms() < until, "only %zu of %zu have ended", ended, n);
	}
}

json_t *env_logged(const struct engine_env *e, const char *method, int index)
{
	_cleanup_free_ char *line = NULL;
	FILE *file = fopen(e->log, "re");
	size_t size = 0, len = strlen(method);
	json_t *found = NULL;
	ssize_t n;

	while (file && !found && (n = getline(&line, &size, file)) > 0)
		if (strncmp(line, method, len) == 0 && line[len] == ' ' && index-- == 0 &&
		    line[n - 1] == '\n')
			found = json_loads(line + len + 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (file)
		fclose(file);
	return found;
}

int env_count(const struct engine_env *e, const char *method)
{
	json_t *params;
	int n = 0;

	for (; (params = env_logged(e, method, n)); n++)
		json_decref(params);
	return n;
}

void env_wait_count(struct engine_env *e, const char *method, int count)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (env_count(e, method) < count) {
		ck_assert_msg(env_now_ms() < until, "%s was not asked %d times", method, count);
		env_step(e);
	}
}

int64_t env_number(const struct engine_env *e, const char *sql)
{
	_cleanup_free_ char *text = db_query(e->state_db, sql);

	return strtoll(text, NULL, 10);
}
