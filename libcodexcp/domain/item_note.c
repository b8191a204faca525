#include "domain/item_note.h"

#include <string.h>

#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"

/* A command line is shown clipped: enough to recognise it. */
#define COMMAND_CHARS 120
#define NOTE_MAX      4096

void ccp_item_note_done(struct ccp_item_note *note)
{
	free(note->text);
	json_decref(note->data);
	*note = (struct ccp_item_note){ 0 };
}

static int finish(struct ccp_strbuf *sb, const char *category, const char *severity, json_t *data,
		  struct ccp_item_note *ret_note, struct codexcp_error *err)
{
	char *text = ccp_strbuf_take(sb);

	if (!text) {
		json_decref(data);
		return ccp_fail_oom(err);
	}
	*ret_note = (struct ccp_item_note){ category, severity, text, data };
	return 1;
}

/* Redacted first: a secret that is cut in two would not be recognised. */
void ccp_item_append_clipped(struct ccp_strbuf *sb, const char *text, size_t max_chars)
{
	size_t line = strcspn(text, "\n"), len = 0, shown;
	_cleanup_free_ char *clean = ccp_redact(text, line, &len);

	shown = clean ? ccp_utf8_clip(clean, len, max_chars) : 0;
	ccp_strbuf_append_n(sb, clean, shown);
	if (shown < len || text[line])
		ccp_strbuf_append(sb, "...");
}

static int command_note(const json_t *item, bool completed, struct ccp_item_note *ret_note,
			struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *command = ccp_json_str(item, "command"), *status = ccp_json_str(item, "status");
	int64_t exit_code = ccp_json_int(item, "exitCode", -1);
	json_t *data = json_object();

	ccp_strbuf_appendf(&sb, "command %s: ", status ? status : completed ? "ended" : "started");
	ccp_item_append_clipped(&sb, command ? command : "?", COMMAND_CHARS);
	ccp_json_set_str(&data, "status", status);
	if (completed) {
		const char *output = ccp_json_str(item, "aggregatedOutput");

		ccp_strbuf_appendf(&sb, " (exit %d)", (int)exit_code);
		ccp_json_set_int(&data, "exitCode", exit_code);
		ccp_json_set_int(&data, "durationMs", ccp_json_int(item, "durationMs", 0));
		ccp_json_set_int(&data, "outputBytes", output ? (int64_t)strlen(output) : 0);
	}
	return finish(&sb, "command_status", completed && exit_code != 0 ? "warning" : "info", data,
		      ret_note, err);
}

static int file_note(const json_t *item, struct ccp_item_note *ret_note, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const json_t *changes = ccp_json_arr(item, "changes");
	const char *status = ccp_json_str(item, "status");

	ccp_strbuf_appendf(&sb, "file change %s: %d file(s)", status ? status : "",
			   (int)json_array_size(changes));
	for (size_t i = 0; i < CCP_MIN(json_array_size(changes), (size_t)3); i++) {
		const char *path = ccp_json_str(json_array_get(changes, i), "path");

		ccp_strbuf_append(&sb, i ? ", " : " ");
		ccp_item_append_clipped(&sb, path ? path : "?", COMMAND_CHARS);
	}
	return finish(&sb, "item_status", ccp_streq(status, "failed") ? "warning" : "info", NULL,
		      ret_note, err);
}

static int tool_note(const json_t *item, struct ccp_item_note *ret_note, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *server = ccp_json_str(item, "server"), *tool = ccp_json_str(item, "tool"),
		   *status = ccp_json_str(item, "status");

	ccp_strbuf_appendf(&sb, "tool %s/%s: %s", server ? server : "?", tool ? tool : "?",
			   status ? status : "?");
	return finish(&sb, "item_status", ccp_streq(status, "failed") ? "warning" : "info", NULL,
		      ret_note, err);
}

static int message_note(const json_t *item, struct ccp_item_note *ret_note,
			struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *text = ccp_item_text(item);
	size_t chars = text ? ccp_utf8_chars(text, strlen(text)) : 0;
	json_t *data = json_object();

	ccp_strbuf_appendf(&sb, "assistant message, %zu characters", chars);
	ccp_json_set_int(&data, "deltaChars", (int64_t)chars);
	return finish(&sb, "assistant_delta_summary", "info", data, ret_note, err);
}

/* Codex's own summaries of its reasoning; the reasoning itself is never told. */
static int reasoning_note(const json_t *item, struct ccp_item_note *ret_note,
			  struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(64 * 1024);
	const json_t *summary = ccp_json_arr(item, "summary");
	json_t *part;
	size_t i;

	json_array_foreach (summary, i, part) {
		const char *text = json_is_string(part) ? json_string_value(part)
							: ccp_json_str(part, "text");

		if (text)
			ccp_strbuf_appendf(&sb, "%s%s", sb.len ? "\n" : "", text);
	}
	if (!sb.len)
		return 0;
	return finish(&sb, "reasoning_summary", "info", NULL, ret_note, err);
}

static int other_note(const json_t *item, struct ccp_item_note *ret_note, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *type = ccp_json_str(item, "type"), *status = ccp_json_str(item, "status");

	ccp_strbuf_appendf(&sb, "%s %s", type ? type : "item", status ? status : "completed");
	return finish(&sb, "item_status", ccp_streq(status, "failed") ? "warning" : "info", NULL,
		      ret_note, err);
}

int ccp_item_note(const json_t *item, bool completed, struct ccp_item_note *ret_note,
		  struct codexcp_error *err)
{
	const char *type = ccp_json_str(item, "type");

	if (ccp_streq(type, "commandExecution"))
		return command_note(item, completed, ret_note, err);
	if (!completed || ccp_streq(type, "userMessage"))
		return 0;
	if (ccp_streq(type, "fileChange"))
		return file_note(item, ret_note, err);
	if (ccp_streq(type, "mcpToolCall"))
		return tool_note(item, ret_note, err);
	if (ccp_streq(type, "agentMessage"))
		return message_note(item, ret_note, err);
	if (ccp_streq(type, "reasoning"))
		return reasoning_note(item, ret_note, err);
	return other_note(item, ret_note, err);
}

int ccp_diff_note(const char *diff, struct ccp_item_note *ret_note, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	int64_t added = 0, removed = 0, files = 0;
	json_t *data = json_object();

	for (const char *line = diff; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (ccp_str_has_prefix(line, "+++ "))
			files++;
		else if (*line == '+')
			added++;
		else if (*line == '-' && !ccp_str_has_prefix(line, "--- "))
			removed++;
	}
	ccp_strbuf_appendf(&sb, "diff: %d file(s), +%d -%d lines", (int)files, (int)added,
			   (int)removed);
	ccp_json_set_int(&data, "fileMarkerCount", files);
	ccp_json_set_int(&data, "addedLineCount", added);
	ccp_json_set_int(&data, "removedLineCount", removed);
	return finish(&sb, "diff_updated", "info", data, ret_note, err);
}

static int error_note(const struct ccp_event *event, struct ccp_item_note *ret_note,
		      struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *message = ccp_json_str(event->error, "message");
	json_t *data = json_object();

	ccp_item_append_clipped(&sb, message ? message : "error", 1000);
	ccp_json_set_bool(&data, "willRetry", event->will_retry);
	return finish(&sb, "error", event->will_retry ? "warning" : "error", data, ret_note, err);
}

static int reroute_note(const struct ccp_event *event, struct ccp_item_note *ret_note,
			struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const char *from = ccp_json_str(event->params, "fromModel"),
		   *to = ccp_json_str(event->params, "toModel");
	json_t *data = json_object();

	ccp_strbuf_appendf(&sb, "model %s -> %s", from ? from : "?", to ? to : "?");
	ccp_json_set_str(&data, "fromModel", from);
	ccp_json_set_str(&data, "toModel", to);
	ccp_json_set(&data, "reason", json_object_get(event->params, "reason"));
	return finish(&sb, "model_reroute", "info", data, ret_note, err);
}

/* "step 2 of 5: run the tests" */
static int steps_note(const struct ccp_event *event, struct ccp_item_note *ret_note,
		      struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);
	const json_t *plan = ccp_json_arr(event->params, "plan");
	json_t *step;
	size_t i;

	json_array_foreach (plan, i, step) {
		const char *text = ccp_json_str(step, "step");

		if (!ccp_streq(ccp_json_str(step, "status"), "inProgress"))
			continue;
		ccp_strbuf_appendf(&sb, "step %zu of %zu: ", i + 1, json_array_size(plan));
		ccp_item_append_clipped(&sb, text ? text : "?", 200);
		return finish(&sb, "plan_step", "info", NULL, ret_note, err);
	}
	return 0;
}

int ccp_event_note(const struct ccp_event *event, struct ccp_item_note *ret_note,
		   struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(NOTE_MAX);

	if (event->kind == CCP_EVENT_ERROR)
		return error_note(event, ret_note, err);
	if (event->kind == CCP_EVENT_MODEL_REROUTED)
		return reroute_note(event, ret_note, err);
	if (event->kind == CCP_EVENT_PLAN_UPDATED)
		return steps_note(event, ret_note, err);
	if (event->kind != CCP_EVENT_WARNING || !event->text)
		return 0;
	ccp_item_append_clipped(&sb, event->text, 1000);
	return finish(&sb, "warning", "warning", NULL, ret_note, err);
}
