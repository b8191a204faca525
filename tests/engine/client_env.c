#include "client_env.h"

bool on_socket(void)
{
	return ccp_streq(getenv("CCP_TRANSPORT"), "unix");
}

void set_env(struct fixture *f, const char *name, const char *value)
{
	f->owned[f->n_env] = ccp_asprintf("%s=%s", name, value);
	f->env[f->n_env] = f->owned[f->n_env];
	f->n_env++;
	ck_assert_uint_lt(f->n_env, ENV_MAX);
}

char *path_in(struct fixture *f, const char *name)
{
	return ccp_asprintf("%s/%s", f->dir, name);
}

void set_script(struct fixture *f, const char *text)
{
	_cleanup_free_ char *path = path_in(f, "script");

	ck_assert_int_eq(ccp_file_replace(path, text, strlen(text), 0600, NULL), 0);
	set_env(f, "CCP_FAKE_SCRIPT", path);
}

void free_appserver(struct fixture *f)
{
	if (f->as)
		f->left = ccp_appserver_info(f->as)->process;
	ccp_appserver_free(TAKE_PTR(f->as));
}

static void on_ready(void *data)
{
	struct fixture *f = data;

	f->ready++;
	ccp_strbuf_append(&f->log, "ready\n");
	ccp_loop_stop(f->loop);
	if (f->free_when_ready)
		free_appserver(f);
}

static void on_gone(const struct codexcp_error *why, void *data)
{
	struct fixture *f = data;

	f->gone++;
	codexcp_error_done(&f->why);
	ccp_fail_copy(&f->why, why);
	ccp_strbuf_append(&f->log, "gone\n");
	ccp_loop_stop(f->loop);
	if (f->free_when_gone)
		free_appserver(f);
}

void on_notification(const char *method, json_t *params, void *data)
{
	struct fixture *f = data;
	struct ccp_event e;

	ccp_strbuf_appendf(&f->log, "%s\n", method);
	ccp_event_parse(method, params, &e);
	if (e.kind != CCP_EVENT_OTHER && e.kind != CCP_EVENT_WARNING)
		ccp_strbuf_appendf(&f->kinds, "%s %s %s\n", method, e.status ? e.status : "-",
				   e.item_type ? e.item_type : "-");
	f->turn_completed |= e.kind == CCP_EVENT_TURN_COMPLETED;
	ccp_loop_stop(f->loop);
}

static void on_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct fixture *f = data;
	json_t *answer = ccp_request_safe_answer(method, params, 0);

	ccp_strbuf_appendf(&f->log, "request %s\n", method);
	if (f->ignore_requests) {
		json_decref(answer);
		return;
	}
	if (answer)
		ck_assert_int_eq(ccp_appserver_reply(f->as, id, answer, NULL), 0);
	else
		ck_assert_int_eq(ccp_appserver_reply_error(f->as, id, -32601, "no", NULL), 0);
}

static void on_late(int64_t id, json_t *result, json_t *error, void *data)
{
	struct fixture *f = data;

	ck_assert_ptr_nonnull(result);
	f->late++;
	ccp_loop_stop(f->loop);
}

static void on_garbage(const char *line, size_t len, void *data)
{
	struct fixture *f = data;

	if (line)
		ccp_strbuf_appendf(&f->log, "garbage %s\n", line);
	else
		ccp_strbuf_append(&f->log, "overlong\n");
}

static const struct ccp_appserver_events events = {
	.ready = on_ready,
	.gone = on_gone,
	.notification = on_notification,
	.request = on_request,
	.late = on_late,
	.garbage = on_garbage,
};

void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(1 << 20), .kinds = CCP_STRBUF(1 << 20) };
	f->dir = ccp_test_make_dir();
	f->options = (struct ccp_appserver_options){
		.binary = getenv("CCP_FAKE_APPSERVER"),
		.cwd = f->dir,
		.envp = f->env,
	};
	if (on_socket()) {
		f->run_dir = path_in(f, "run");
		f->log_path = path_in(f, "app-server.log");
		ck_assert_int_eq(ccp_dir_make(f->run_dir, 0700, NULL), 0);
		f->options.run_dir = f->run_dir;
		f->options.log_path = f->log_path;
		f->options.transport = CCP_APPSERVER_UNIX;
	}
	ck_assert_ptr_nonnull(f->options.binary);
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
}

void create(struct fixture *f)
{
	ck_assert_int_eq(ccp_appserver_new(f->loop, &f->options, &events, f, &f->as, NULL), 0);
}

void await(struct fixture *f, const int *counter, int want)
{
	while (*counter < want)
		ccp_loop_run(f->loop);
	ck_assert_int_eq(*counter, want);
}

void start(struct fixture *f)
{
	int ready = f->ready;

	if (!f->as)
		create(f);
	ccp_appserver_start(f->as);
	ck_assert_int_eq(f->ready, ready);
	await(f, &f->ready, ready + 1);
	ck_assert_int_eq(ccp_appserver_state(f->as), CCP_APPSERVER_READY);
}

void teardown(struct fixture *f)
{
	free_appserver(f);
	ccp_process_kill(&f->left);
	ccp_loop_free(f->loop);
	codexcp_error_done(&f->why);
	codexcp_error_done(&f->reply_err);
	json_decref(f->reply);
	ccp_strbuf_done(&f->log);
	ccp_strbuf_done(&f->kinds);
	for (size_t i = 0; i < f->n_env; i++)
		free(f->owned[i]);
	free(f->run_dir);
	free(f->log_path);
	ccp_test_remove_dir(f->dir);
}

void on_reply(json_t *result, const struct codexcp_error *err, void *data)
{
	struct fixture *f = data;

	f->replies++;
	ccp_strbuf_append(&f->log, err ? "failed\n" : "reply\n");
	json_decref(f->reply);
	f->reply = json_incref(result);
	codexcp_error_done(&f->reply_err);
	if (err)
		ccp_fail_copy(&f->reply_err, err);
	ccp_loop_stop(f->loop);
	if (f->free_in_reply && f->as)
		free_appserver(f);
}

void call(struct fixture *f, const char *method, json_t *params)
{
	ck_assert_int_eq(ccp_appserver_call(f->as, method, params, 0, on_reply, f, NULL), 0);
}

void ask(struct fixture *f, const char *method, json_t *params)
{
	int replies = f->replies;

	call(f, method, params);
	await(f, &f->replies, replies + 1);
}

char *new_thread(struct fixture *f)
{
	const struct ccp_thread_start params = { .cwd = "/w", .sandbox = CCP_SANDBOX_UNSET };
	struct ccp_thread_answer answer;

	ask(f, "thread/start",
	    ccp_thread_start_params(&ccp_appserver_info(f->as)->version, &params));
	ck_assert_int_eq(ccp_thread_answer_parse(f->reply, &answer, NULL), 0);
	return strdup(answer.thread_id);
}

json_t *turn_params(struct fixture *f, const char *thread, const char *text)
{
	const struct ccp_turn_start params = { .thread_id = thread,
					       .client_message_id = "op-1",
					       .text = text,
					       .sandbox = CCP_SANDBOX_UNSET };

	return ccp_turn_start_params(&ccp_appserver_info(f->as)->version, &params);
}

void await_turn(struct fixture *f)
{
	while (!f->turn_completed)
		ccp_loop_run(f->loop);
	f->turn_completed = false;
}

int count_lines(struct fixture *f, const char *name, const char *prefix)
{
	_cleanup_free_ char *path = path_in(f, name), *text = NULL;
	char *rest = NULL;
	int n = 0;

	ck_assert_int_eq(ccp_file_read(path, 1 << 20, &text, NULL, NULL), 1);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		n += ccp_str_has_prefix(line, prefix);
	return n;
}

void check_dead(int64_t pid)
{
	ck_assert_int_eq(kill((pid_t)pid, 0), -1);
	ck_assert_int_eq(errno, ESRCH);
}
