/* The fake app-server's threads and turns. See fake.h. */
#include "fake.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#define DELTA 64

static json_t *fail(struct fake_error *error, const char *text, const char *id)
{
	error->code = FAKE_INVALID;
	snprintf(error->message, sizeof(error->message), "%s%s", text, id ? id : "");
	return NULL;
}

static json_t *seconds_now(void)
{
	return json_integer(fake_now() / 1000);
}

static json_t *new_id(void)
{
	char id[CCP_ID_SIZE];

	ccp_uuid_new(ccp_clock_system(), id);
	return json_string(id);
}

/* ---- threads ---- */

static json_t *turns_of(json_t *entry)
{
	return json_object_get(json_object_get(entry, "thread"), "turns");
}

static const char *id_of(json_t *entry)
{
	return ccp_json_str(json_object_get(entry, "thread"), "id");
}

static json_t *active_turn(json_t *entry)
{
	json_t *turns = turns_of(entry), *last = json_array_get(turns, json_array_size(turns) - 1);

	return ccp_streq(ccp_json_str(last, "status"), "inProgress") ? last : NULL;
}

static void save(struct fake *f, json_t *entry)
{
	_cleanup_free_ char *path = ccp_asprintf("%s/%s.json", f->state, id_of(entry));
	_cleanup_free_ char *text = NULL;
	size_t len;

	/* As with Codex, a thread that never had a turn is not stored. */
	if (!f->state || json_array_size(turns_of(entry)) == 0)
		return;
	text = ccp_json_dump(entry, &len);
	if (ccp_file_replace(path, text, len, 0600, NULL) < 0)
		exit(71);
}

/* A stored thread, its cut turn closed. NULL: none. A new reference. */
static json_t *load(struct fake *f, const char *id)
{
	_cleanup_free_ char *path = ccp_asprintf("%s/%s.json", f->state, id);
	json_t *entry = f->state ? json_load_file(path, 0, NULL) : NULL;
	json_t *cut = active_turn(entry);

	if (cut)
		json_object_set_new(cut, "status", json_string("interrupted"));
	json_object_del(entry, "endsAt");
	json_object_del(entry, "terminals");
	/* As with Codex, a new process knows the last model, effort and approval policy, but the
	 * first sandbox. */
	json_object_set(json_object_get(entry, "settings"), "sandbox",
			json_object_get(entry, "firstSandbox"));
	json_object_set_new(json_object_get(entry, "thread"), "status",
			    json_pack("{s:s}", "type", "notLoaded"));
	return entry;
}

/* One writer a thread, across processes. The lock is held until we end. */
static bool lock_thread(struct fake *f, const char *id)
{
	_cleanup_free_ char *path = ccp_asprintf("%s/%s.lock", f->state, id);
	int fd = f->state ? ccp_file_open(path, O_RDWR | O_CREAT, 0600, NULL) : -1;

	return !f->state || (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
}

static void set_status(struct fake *f, json_t *entry, json_t *status)
{
	json_object_set(json_object_get(entry, "thread"), "status", status);
	fake_notify(f, "thread/status/changed",
		    json_pack("{s:s, s:o}", "threadId", id_of(entry), "status", status));
}

static json_t *policy_of_mode(const char *mode)
{
	const char *type = ccp_streq(mode, "danger-full-access") ? "dangerFullAccess"
			   : ccp_streq(mode, "workspace-write")  ? "workspaceWrite"
								 : "readOnly";

	return json_pack("{s:s}", "type", type);
}

static json_t *turn_view(json_t *turn, const char *view)
{
	json_t *copy = json_copy(turn), *items = json_object_get(turn, "items");
	json_t *last = json_array_get(items, json_array_size(items) - 1);

	json_object_set_new(copy, "itemsView", json_string(view));
	if (strcmp(view, "full") == 0)
		return copy;
	json_object_set_new(copy, "items", json_array());
	if (strcmp(view, "summary") == 0 && ccp_streq(ccp_json_str(last, "type"), "agentMessage"))
		json_array_append(json_object_get(copy, "items"), last);
	return copy;
}

static json_t *thread_view(json_t *entry, bool with_turns)
{
	json_t *copy = json_copy(json_object_get(entry, "thread")), *turns = json_array(), *turn;
	size_t i;

	if (with_turns)
		json_array_foreach (turns_of(entry), i, turn)
			json_array_append_new(turns, turn_view(turn, "full"));
	json_object_set_new(copy, "turns", turns);
	return copy;
}

/* The answer of thread/start and thread/resume. */
static json_t *thread_answer(json_t *entry, bool with_turns)
{
	json_t *answer = json_copy(json_object_get(entry, "settings"));

	json_object_set_new(answer, "thread", thread_view(entry, with_turns));
	return answer;
}

static json_t *new_thread(const json_t *params, json_t *id, const char *model, const char *cwd)
{
	json_int_t now = fake_now() / 1000;

	return json_pack(
		"{s:O, s:O, s:s, s:b, s:s, s:s, s:I, s:I, s:{s:s}, s:s, s:s, s:s, s:O?, s:[]}",
		"id", id, "sessionId", id, "preview", "", "ephemeral", 0, "modelProvider", "fake",
		"model", model, "createdAt", now, "updatedAt", now, "status", "type", "idle", "cwd",
		cwd, "cliVersion", "0.169.0", "source", "vscode", "threadSource",
		json_object_get(params, "threadSource"), "turns");
}

static json_t *thread_start(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_auto_t *id = new_id();
	const char *model = ccp_json_str(params, "model"), *cwd = ccp_json_str(params, "cwd");
	const char *approval = ccp_json_str(params, "approvalPolicy");
	json_t *entry, *thread, *settings;

	if (ccp_streq(approval, "on-failure"))
		return fail(error, "Invalid request: unknown variant `on-failure`", NULL);
	model = model ? model : "fake-model";
	cwd = cwd ? cwd : "/";
	thread = new_thread(params, id, model, cwd);
	settings = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:n}", "model", model, "modelProvider",
			     "fake", "cwd", cwd, "approvalPolicy",
			     approval ? approval : "on-request", "approvalsReviewer", "user",
			     "sandbox", policy_of_mode(ccp_json_str(params, "sandbox")),
			     "reasoningEffort");
	entry = json_pack("{s:o, s:o, s:O}", "thread", thread, "settings", settings, "firstSandbox",
			  json_object_get(settings, "sandbox"));
	json_object_set_new(f->threads, json_string_value(id), entry);
	lock_thread(f, json_string_value(id));
	fake_subscribe(f, json_string_value(id));
	fake_notify(f, "thread/started", json_pack("{s:o}", "thread", thread_view(entry, false)));
	return thread_answer(entry, false);
}

/* `answer` as it is while a turn ends. */
static json_t *make_uncertain(json_t *answer)
{
	json_t *thread = json_object_get(answer, "thread"),
	       *turns = json_object_get(thread, "turns");
	json_t *last = json_array_get(turns, json_array_size(turns) - 1);

	json_object_set_new(last, "status", json_string("interrupted"));
	json_object_set_new(thread, "status", json_pack("{s:s}", "type", "idle"));
	return answer;
}

static json_t *thread_resume(struct fake *f, const json_t *params, struct fake_error *error)
{
	const char *id = ccp_json_str(params, "threadId");
	json_t *entry = json_object_get(f->threads, id), *answer;

	if (!entry) {
		entry = load(f, id);
		if (entry && !lock_thread(f, id)) {
			json_decref(entry);
			error->code = FAKE_INVALID;
			snprintf(error->message, sizeof(error->message),
				 "thread %s already has an active writer", id);
			return NULL;
		}
		json_object_set_new(f->threads, id, entry);
		if (entry)
			set_status(f, entry, json_pack("{s:s}", "type", "idle"));
	}
	if (json_array_size(turns_of(entry)) == 0)
		return fail(error, "no rollout found for thread id ", id);
	fake_subscribe(f, id);
	answer = thread_answer(entry, !ccp_json_bool(params, "excludeTurns", false));
	if (!f->uncertain)
		return answer;
	f->uncertain = false;
	return make_uncertain(answer);
}

/* A new reference to a thread that is loaded or stored. */
static json_t *look_up(struct fake *f, const json_t *params, struct fake_error *error)
{
	const char *id = ccp_json_str(params, "threadId");
	json_t *entry = json_object_get(f->threads, id);

	entry = entry ? json_incref(entry) : load(f, id);
	return entry ? entry : fail(error, "thread not loaded: ", id);
}

static json_t *thread_read(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_auto_t *entry = look_up(f, params, error);

	return entry ? json_pack("{s:o}", "thread",
				 thread_view(entry, ccp_json_bool(params, "includeTurns", false)))
		     : NULL;
}

static json_t *turns_list(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_auto_t *entry = look_up(f, params, error);
	const char *view = ccp_json_str(params, "itemsView");
	bool ascending = ccp_streq(ccp_json_str(params, "sortDirection"), "asc");
	int64_t limit = ccp_json_int(params, "limit", 25);
	json_t *data = json_array(), *turns = turns_of(entry);
	size_t n = json_array_size(turns);

	if (!entry)
		return NULL;
	for (size_t i = 0; i < n && (int64_t)i < limit; i++)
		json_array_append_new(data,
				      turn_view(json_array_get(turns, ascending ? i : n - 1 - i),
						view ? view : "summary"));
	return json_pack("{s:o, s:n, s:n}", "data", data, "nextCursor", "backwardsCursor");
}

/* ---- turns ---- */

static void notify_item(struct fake *f, const char *method, const char *at_key, json_t *entry,
			json_t *turn, json_t *item)
{
	fake_notify(f, method,
		    json_pack("{s:o, s:s, s:O, s:I}", "item", json_deep_copy(item), "threadId",
			      id_of(entry), "turnId", json_object_get(turn, "id"), at_key,
			      (json_int_t)fake_now()));
}

static void add_user_message(struct fake *f, json_t *entry, json_t *turn, const json_t *params)
{
	json_t *client_id = json_object_get(params, "clientUserMessageId");
	json_t *item = json_pack("{s:s, s:o, s:O, s:O}", "type", "userMessage", "id", new_id(),
				 "clientId", client_id ? client_id : json_null(), "content",
				 json_object_get(params, "input"));

	json_array_append_new(json_object_get(turn, "items"), item);
	fake_log("user-message", json_object_get(item, "clientId"));
	notify_item(f, "item/started", "startedAtMs", entry, turn, item);
	notify_item(f, "item/completed", "completedAtMs", entry, turn, item);
}

/* Commands that nothing ends but the client: as with Codex, neither the end of their turn nor an
 * interrupt. */
static void start_commands(struct fake *f, json_t *entry, json_t *turn)
{
	json_t *running = json_object_get(entry, "terminals");

	if (!running) {
		running = json_array();
		json_object_set_new(entry, "terminals", running);
	}
	for (int64_t i = 0; i < fake_env("CCP_FAKE_COMMANDS", 0); i++) {
		json_auto_t *id = new_id(), *process = new_id();
		json_auto_t *item = json_pack("{s:s, s:O, s:s, s:s, s:s, s:O}", "type",
					      "commandExecution", "id", id, "status", "inProgress",
					      "command", "sleep 1000", "cwd", "/tmp", "processId",
					      process);

		json_array_append_new(running,
				      json_pack("{s:O, s:O, s:s, s:s, s:n, s:n, s:n}", "itemId", id,
						"processId", process, "command", "sleep 1000",
						"cwd", "/tmp", "osPid", "cpuPercent", "rssKb"));
		notify_item(f, "item/started", "startedAtMs", entry, turn, item);
	}
}

static json_t *terminals_list(struct fake *f, const json_t *params, struct fake_error *error)
{
	const char *id = ccp_json_str(params, "threadId");
	json_t *entry = json_object_get(f->threads, id);
	json_t *running = json_object_get(entry, "terminals");

	if (!entry)
		return fail(error, "thread not found: ", id);
	return json_pack("{s:o, s:n}", "data", running ? json_deep_copy(running) : json_array(),
			 "nextCursor");
}

static json_t *terminal_end(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_t *entry = json_object_get(f->threads, ccp_json_str(params, "threadId"));
	json_t *running = json_object_get(entry, "terminals"), *terminal;
	size_t i;

	json_array_foreach (running, i, terminal)
		if (json_equal(json_object_get(terminal, "processId"),
			       json_object_get(params, "processId"))) {
			json_array_remove(running, i);
			return json_pack("{s:b}", "terminated", 1);
		}
	return json_pack("{s:b}", "terminated", 0);
}

static json_t *terminals_clean(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_t *entry = json_object_get(f->threads, ccp_json_str(params, "threadId"));

	json_array_clear(json_object_get(entry, "terminals"));
	return json_object();
}

static char *report_of(json_t *turn)
{
	json_t *user = json_array_get(json_object_get(turn, "items"), 0);
	const char *text = ccp_json_str(json_array_get(json_object_get(user, "content"), 0),
					"text");
	size_t len = text ? ccp_utf8_clip(text, strlen(text), 40) : 0;
	struct ccp_strbuf sb = CCP_STRBUF(64u << 20);

	ccp_strbuf_appendf(&sb, "fake report: %.*s", (int)len, text ? text : "");
	while ((int64_t)sb.len < fake_env("CCP_FAKE_STREAM_BYTES", 0))
		ccp_strbuf_append_char(&sb, '.');
	return ccp_strbuf_take(&sb);
}

static json_t *agent_message(json_t *turn, const char *text)
{
	return json_pack("{s:s, s:o, s:s, s:n, s:n}", "type", "agentMessage", "id",
			 json_sprintf("%s-message", ccp_json_str(turn, "id")), "text", text,
			 "phase", "memoryCitation");
}

static void stream_report(struct fake *f, json_t *entry, json_t *turn)
{
	_cleanup_free_ char *text = report_of(turn);
	json_auto_t *item = agent_message(turn, "");
	size_t len = strlen(text), n;

	notify_item(f, "item/started", "startedAtMs", entry, turn, item);
	for (size_t at = 0; at < len; at += n) {
		n = CCP_MIN(len - at, (size_t)DELTA);
		while (at + n < len && (text[at + n] & 0xc0) == 0x80)
			n--;
		fake_notify(f, "item/agentMessage/delta",
			    json_pack("{s:s, s:O, s:O, s:s%}", "threadId", id_of(entry), "turnId",
				      json_object_get(turn, "id"), "itemId",
				      json_object_get(item, "id"), "delta", text + at, n));
	}
}

/* Sticky, as in Codex: the mode's model and effort win over those beside it. */
static void keep_settings(json_t *entry, const json_t *params)
{
	json_t *kept = json_object_get(entry, "settings");
	json_t *mode = ccp_json_path(params, "collaborationMode.settings");
	json_t *effort = json_object_get(mode ? mode : params,
					 mode ? "reasoning_effort" : "effort");
	json_t *model = json_object_get(mode ? mode : params, "model");

	ccp_json_set(&kept, "approvalPolicy", json_object_get(params, "approvalPolicy"));
	ccp_json_set(&kept, "sandbox", json_object_get(params, "sandboxPolicy"));
	ccp_json_set(&kept, "model", model);
	ccp_json_set(&kept, "reasoningEffort", mode && !effort ? json_null() : effort);
}

static void log_running(struct fake *f)
{
	json_auto_t *n = json_integer(0);
	const char *id;
	json_t *entry;

	json_object_foreach (f->threads, id, entry)
		json_integer_set(n, json_integer_value(n) + (active_turn(entry) != NULL));
	fake_log("running-turns", n);
}

static json_t *turn_start(struct fake *f, const json_t *params, struct fake_error *error)
{
	const char *id = ccp_json_str(params, "threadId");
	json_t *entry = json_object_get(f->threads, id), *turn = active_turn(entry);
	json_auto_t *turn_id = new_id();
	int64_t turn_ms = fake_env("CCP_FAKE_TURN_MS", 0);

	if (f->overloads > 0) {
		f->overloads--;
		fail(error, "Server overloaded; retry later.", NULL);
		error->code = -32001;
		return NULL;
	}
	if (!entry)
		return fail(error, "thread not found: ", id);
	if (turn) { /* steers: no second turn, no error */
		add_user_message(f, entry, turn, params);
		return json_pack("{s:o}", "turn", turn_view(turn, "notLoaded"));
	}
	turn = json_pack("{s:O, s:O, s:[], s:s, s:s, s:n, s:o, s:n, s:n}", "id", turn_id,
			 "rootTurnId", turn_id, "items", "itemsView", "full", "status",
			 "inProgress", "error", "startedAt", seconds_now(), "completedAt",
			 "durationMs");
	json_array_append_new(turns_of(entry), turn);
	log_running(f);
	json_object_set(f->vars, "turnId", turn_id);
	keep_settings(entry, params);
	set_status(f, entry, json_pack("{s:s, s:[]}", "type", "active", "activeFlags"));
	fake_notify(f, "turn/started",
		    json_pack("{s:s, s:o}", "threadId", id, "turn", turn_view(turn, "notLoaded")));
	add_user_message(f, entry, turn, params);
	start_commands(f, entry, turn);
	save(f, entry);
	stream_report(f, entry, turn);
	json_object_set_new(entry, "endsAt",
			    json_integer(turn_ms < 0 ? LLONG_MAX : fake_now() + turn_ms));
	return json_pack("{s:o}", "turn", turn_view(turn, "notLoaded"));
}

static void notify_usage(struct fake *f, json_t *entry, json_t *turn)
{
	json_t *sum = json_pack("{s:i, s:i, s:i, s:i, s:i}", "totalTokens", 15, "inputTokens", 10,
				"cachedInputTokens", 0, "outputTokens", 5, "reasoningOutputTokens",
				0);

	fake_notify(f, "thread/tokenUsage/updated",
		    json_pack("{s:s, s:O, s:{s:o, s:O, s:i}}", "threadId", id_of(entry), "turnId",
			      json_object_get(turn, "id"), "tokenUsage", "total", sum, "last", sum,
			      "modelContextWindow", 258400));
}

static void end_turn(struct fake *f, json_t *entry, const char *status)
{
	json_t *turn = active_turn(entry);

	json_object_del(entry, "endsAt");
	json_object_set_new(turn, "status", json_string(status));
	json_object_set_new(turn, "completedAt", seconds_now());
	json_object_set_new(turn, "durationMs", json_integer(fake_env("CCP_FAKE_TURN_MS", 0)));
	if (strcmp(status, "completed") == 0) {
		_cleanup_free_ char *text = report_of(turn);
		json_t *item = agent_message(turn, text);

		json_array_append_new(json_object_get(turn, "items"), item);
		notify_item(f, "item/completed", "completedAtMs", entry, turn, item);
		notify_usage(f, entry, turn);
	} else if (strcmp(status, "failed") == 0) {
		json_t *error = f->failure
					? json_incref(f->failure)
					: json_pack("{s:s, s:s, s:n}", "message", "fake failure",
						    "codexErrorInfo", "other", "additionalDetails");

		json_object_set_new(turn, "error", error);
		fake_notify(f, "error",
			    json_pack("{s:O, s:b, s:s, s:O}", "error", error, "willRetry", 0,
				      "threadId", id_of(entry), "turnId",
				      json_object_get(turn, "id")));
	}
	save(f, entry);
	fake_log("turn-ended", json_object_get(turn, "status"));
	set_status(f, entry, json_pack("{s:s}", "type", "idle"));
	fake_notify(f, "turn/completed",
		    json_pack("{s:s, s:o}", "threadId", id_of(entry), "turn",
			      turn_view(turn, strcmp(status, "completed") == 0 ? "summary"
									       : "notLoaded")));
}

static json_t *turn_interrupt(struct fake *f, const json_t *params, struct fake_error *error)
{
	json_t *entry = json_object_get(f->threads, ccp_json_str(params, "threadId"));
	json_t *turn = active_turn(entry);

	if (!turn || !ccp_streq(ccp_json_str(turn, "id"), ccp_json_str(params, "turnId")))
		return fail(error, "no active turn to interrupt", NULL);
	end_turn(f, entry, "interrupted");
	return json_object();
}

int64_t fake_run_turns(struct fake *f)
{
	const char *id;
	json_t *entry;
	int64_t next = 0;

	json_object_foreach (f->threads, id, entry) {
		int64_t at = ccp_json_int(entry, "endsAt", 0);

		if (at && at <= fake_now())
			end_turn(f, entry, "completed");
		else if (at && at != LLONG_MAX)
			next = next ? CCP_MIN(next, at) : at;
	}
	return next;
}

bool fake_is_idle(struct fake *f)
{
	const char *id;
	json_t *entry;

	json_object_foreach (f->threads, id, entry) {
		if (active_turn(entry))
			return false;
	}
	return true;
}

void fake_set_flag(struct fake *f, const char *flag)
{
	const char *id;
	json_t *entry;

	json_object_foreach (f->threads, id, entry) {
		json_t *flags = *flag ? json_pack("[s]", flag) : json_array();

		if (active_turn(entry))
			set_status(f, entry,
				   json_pack("{s:s, s:o}", "type", "active", "activeFlags", flags));
		else
			json_decref(flags);
	}
}

void fake_finish_turns(struct fake *f, const char *status)
{
	const char *id;
	json_t *entry;

	json_object_foreach (f->threads, id, entry) {
		if (active_turn(entry))
			end_turn(f, entry, status);
	}
}

void fake_say_in_turns(struct fake *f, const char *text)
{
	const char *id;
	json_t *entry;

	json_object_foreach (f->threads, id, entry) {
		json_t *turn = active_turn(entry), *item = turn ? agent_message(turn, text) : NULL;

		if (!turn)
			continue;
		json_object_set_new(item, "id", new_id());
		json_array_append_new(json_object_get(turn, "items"), item);
		notify_item(f, "item/completed", "completedAtMs", entry, turn, item);
	}
}

static json_t *thread_unsubscribe(struct fake *f, const json_t *params, struct fake_error *error)
{
	fake_unsubscribe(f, ccp_json_str(params, "threadId"));
	return json_pack("{s:s}", "status", "unsubscribed");
}

/* ---- methods ---- */

static json_t *initialize(struct fake *f, const json_t *params, struct fake_error *error)
{
	const char *version = getenv("CCP_FAKE_VERSION");

	if (!fake_initialize(f))
		return fail(error, "Already initialized", NULL);
	return json_pack("{s:o, s:s, s:s, s:s}", "userAgent",
			 json_sprintf("codex_cli_rs/%s (Fake)", version ? version : "0.169.0"),
			 "codexHome", "/nonexistent", "platformFamily", "unix", "platformOs",
			 "linux");
}

/* There is no account. */
static json_t *read_limits(struct fake *f, const json_t *params, struct fake_error *error)
{
	return fail(error, "codex account authentication required to read rate limits", NULL);
}

static const struct {
	const char *method;
	json_t *(*run)(struct fake *f, const json_t *params, struct fake_error *error);
	const char *text; /* the answer of methods without a function */
} methods[] = {
	{ "initialize", initialize, NULL },
	{ "thread/start", thread_start, NULL },
	{ "thread/resume", thread_resume, NULL },
	{ "thread/read", thread_read, NULL },
	{ "thread/turns/list", turns_list, NULL },
	{ "turn/start", turn_start, NULL },
	{ "turn/interrupt", turn_interrupt, NULL },
	{ "thread/backgroundTerminals/list", terminals_list, NULL },
	{ "thread/backgroundTerminals/terminate", terminal_end, NULL },
	{ "thread/backgroundTerminals/clean", terminals_clean, NULL },
	{ "account/rateLimits/read", read_limits, NULL },
	{ "thread/name/set", NULL, "{}" },
	{ "thread/unsubscribe", thread_unsubscribe, NULL },
	{ "account/read", NULL, "{\"account\":null,\"requiresOpenaiAuth\":false}" },
	{ "model/list", NULL, "{\"data\":[],\"nextCursor\":null}" },
};

json_t *fake_answer(struct fake *f, const char *method, const json_t *params,
		    struct fake_error *ret_error)
{
	if (!fake_initialized(f) && strcmp(method, "initialize") != 0)
		return fail(ret_error, "Not initialized", NULL);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].method, method) != 0)
			continue;
		return methods[i].run ? methods[i].run(f, params, ret_error)
				      : json_loads(methods[i].text, 0, NULL);
	}
	return fail(ret_error, "Invalid request: unknown variant `", method);
}
