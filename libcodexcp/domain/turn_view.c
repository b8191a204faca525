#include "domain/turn_view.h"

#include <string.h>

#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/utf8.h"
#include "store/journal_store.h"

/* The newest words in a compact status. */
#define NEWEST_CHARS     300
#define COMPACT_PROGRESS 3

/* Texts */

struct slice {
	json_t *text; /* owned string */
	size_t original_chars, returned_chars;
	bool truncated;
};

/* `max` characters from `offset` on, secrets hidden. */
static struct slice slice_text(const char *text, int64_t offset, int64_t max)
{
	size_t len = 0, from, to;
	_cleanup_free_ char *shown = ccp_redact(text, strlen(text), &len);
	struct slice slice = { 0 };

	if (!shown)
		return slice;
	from = ccp_utf8_clip(shown, len, (size_t)offset);
	to = from + ccp_utf8_clip(shown + from, len - from, (size_t)max);
	slice.text = ccp_json_string(shown + from, to - from);
	slice.original_chars = ccp_utf8_chars(shown, len);
	slice.returned_chars = ccp_utf8_chars(shown + from, to - from);
	slice.truncated = slice.returned_chars < slice.original_chars;
	return slice;
}

/* The call that brings the rest of a text that was cut. */
static json_t *read_full_pointer(const char *thread_id, const char *turn_id, size_t offset)
{
	json_t *arguments = json_object(), *pointer = json_object();

	ccp_json_set_str(&arguments, "turn_id", turn_id);
	ccp_json_set_str(&arguments, "thread_id", thread_id);
	ccp_json_set_int(&arguments, "message_max_chars", 200000);
	ccp_json_set_int(&arguments, "message_offset", (int64_t)offset);
	ccp_json_set_str(&pointer, "tool", "codex_get_turn_status");
	ccp_json_set_new(&pointer, "arguments", arguments);
	return pointer;
}

/* A text, and how much of it this is. */
static void set_text(json_t **obj, const char *key, const struct slice *slice)
{
	ccp_json_set_new(obj, key, slice->text);
	if (!slice->truncated)
		return;
	ccp_json_set_bool(obj, "truncated", true);
	ccp_json_set_int(obj, "originalChars", (int64_t)slice->original_chars);
	ccp_json_set_int(obj, "returnedChars", (int64_t)slice->returned_chars);
}

/* The same for a message, whose rest can be read. The last part of a text names no further one. */
static void set_slice(json_t **obj, const char *key, struct slice slice, const char *thread_id,
		      const char *turn_id, int64_t offset)
{
	size_t next = (size_t)offset + slice.returned_chars;

	set_text(obj, key, &slice);
	if (slice.truncated && next < slice.original_chars)
		ccp_json_set_new(obj, "readFullVia", read_full_pointer(thread_id, turn_id, next));
}

/* The final report: the text as it is, and its structure when it is JSON. */
static json_t *report_view(const struct ccp_message *message, const struct ccp_view *view)
{
	json_t *report = json_object(), *structured = ccp_json_from_report(message->text);

	set_slice(&report, "text",
		  slice_text(message->text, view->message_offset, view->message_max_chars),
		  message->thread_id, message->turn_id, view->message_offset);
	if (structured) {
		json_t *shown = ccp_redact_json(structured);

		json_decref(structured);
		ccp_json_set_new(&report, "structured", shown);
		ccp_json_set_str(&report, "structuredStatus", "parsed");
	}
	ccp_json_set_str(&report, "threadId", message->thread_id);
	ccp_json_set_str(&report, "turnId", message->turn_id);
	ccp_json_set_str(&report, "source", "live");
	return report;
}

/* Progress */

struct progress_list {
	const struct ccp_view *view;
	json_t *events;
};

/* A short view has no room for how to read on. */
static void set_progress_text(json_t **event, const struct ccp_journal_row *row,
			      const struct ccp_view *view)
{
	struct slice slice = slice_text(row->text, 0, view->progress_max_chars);

	if (view->full)
		set_text(event, "text", &slice);
	else
		ccp_json_set_new(event, "text", slice.text);
}

static int add_progress(const void *at, void *data)
{
	const struct ccp_journal_row *row = at;
	struct progress_list *list = data;
	json_t *event = json_object();

	ccp_json_set_time(&event, "createdAt", row->at);
	ccp_json_set_str(&event, "category", row->category);
	if (!ccp_streq(row->severity, "info"))
		ccp_json_set_str(&event, "severity", row->severity);
	if (row->text)
		set_progress_text(&event, row, list->view);
	if (list->view->full) {
		json_auto_t *metadata = NULL;

		ccp_json_set_int(&event, "id", row->id);
		ccp_json_set_str(&event, "itemId", row->item_id);
		if (row->data &&
		    ccp_json_parse(row->data, strlen(row->data), 0, &metadata, NULL) == 0)
			ccp_json_set(&event, "metadata", metadata);
	}
	ccp_json_append_new(&list->events, event);
	return 0;
}

int ccp_view_progress(json_t **obj, struct ccp_db *db, const char *op_id, const char *thread_id,
		      const char *turn_id, const struct ccp_view *view, struct codexcp_error *err)
{
	struct progress_list list = { view, json_array() };
	int64_t count = 0, latest = 0,
		limit = view->full ? view->progress_events
				   : CCP_MIN(view->progress_events, COMPACT_PROGRESS);
	int r = limit ? ccp_journal_each_progress(db, op_id, thread_id, turn_id, (int)limit,
						  add_progress, &list, err)
		      : 0;

	if (r == 0 && view->full)
		r = ccp_journal_count_progress(db, op_id, thread_id, turn_id, &count, &latest, err);
	if (view->full) {
		ccp_json_set_int(obj, "progressEventCount", count);
		ccp_json_set_time(obj, "latestProgressAt", latest);
	}
	if (view->full || json_array_size(list.events))
		ccp_json_set(obj, "progressEvents", list.events);
	json_decref(list.events);
	return r;
}

/* Token usage in coarse bands: enough to see growth, nothing to bill by. */
static const struct {
	int64_t below;
	const char *band;
} bands[] = {
	{ 1, "0" },
	{ 1000, "<1k" },
	{ 10000, "1k-10k" },
	{ 100000, "10k-100k" },
	{ 1000000, "100k-1m" },
	{ INT64_MAX, "1m+" },
};

static const char *band_of(int64_t tokens)
{
	size_t i = 0;

	while (tokens >= bands[i].below && i + 1 < CCP_ARRAY_SIZE(bands))
		i++;
	return bands[i].band;
}

void ccp_view_usage(json_t **obj, const struct ccp_turn_row *turn)
{
	json_auto_t *usage = NULL;
	json_t *total, *out = json_object();

	if (!turn->usage || ccp_json_parse(turn->usage, strlen(turn->usage), 0, &usage, NULL) < 0) {
		json_decref(out);
		return;
	}
	total = ccp_json_obj(usage, "total");
	ccp_json_set_str(&out, "precision", "coarse");
	ccp_json_set_str(&out, "totalTokensBand", band_of(ccp_json_int(total, "totalTokens", 0)));
	ccp_json_set_str(&out, "inputTokensBand", band_of(ccp_json_int(total, "inputTokens", 0)));
	ccp_json_set_str(&out, "outputTokensBand", band_of(ccp_json_int(total, "outputTokens", 0)));
	ccp_json_set_new(obj, "tokenUsage", out);
}

/* Messages */

struct message_list {
	const struct ccp_view *view;
	json_t *messages;
};

static int add_message(const void *at, void *data)
{
	const struct ccp_message *message = at;
	struct message_list *list = data;
	json_t *entry = json_object();
	int64_t max = list->view->full ? list->view->message_max_chars : NEWEST_CHARS;

	ccp_json_set_str(&entry, "role", message->role);
	ccp_json_set_time(&entry, "createdAt", message->created_at);
	ccp_json_set_str(&entry, "phase", message->phase);
	set_slice(&entry, "text", slice_text(message->text, 0, max), message->thread_id,
		  message->turn_id, 0);
	ccp_json_append_new(&list->messages, entry);
	return 0;
}

/* What is being written just now counts as the newest message: the end of it, cut after redaction,
 * since half a secret does not look like one. */
static void add_live_text(struct message_list *list, const struct ccp_turn_row *turn)
{
	json_t *entry = json_object();
	size_t len = 0;
	_cleanup_free_ char *shown = ccp_redact(turn->live_text, strlen(turn->live_text), &len);
	size_t chars = shown ? ccp_utf8_chars(shown, len) : 0;
	size_t skip = chars > NEWEST_CHARS ? ccp_utf8_clip(shown, len, chars - NEWEST_CHARS) : 0;

	ccp_json_set_str(&entry, "role", "assistant");
	ccp_json_set_bool(&entry, "inProgress", true);
	set_slice(&entry, "text", slice_text(shown ? shown + skip : "", 0, NEWEST_CHARS),
		  turn->thread_id, turn->turn_id, 0);
	ccp_json_append_new(&list->messages, entry);
}

int ccp_view_messages(json_t **obj, struct ccp_db *db, const struct ccp_turn_row *turn,
		      const struct ccp_view *view, struct codexcp_error *err)
{
	struct message_list list = { view, json_array() };
	bool live = turn->live_text && *turn->live_text && !turn->completed_at;
	int64_t limit = view->full ? view->last_messages : 1;
	int r = live && limit == 1 ? 0
				   : ccp_message_each(db, turn->thread_id, turn->turn_id,
						      (int)limit, add_message, &list, err);

	if (r == 0 && live)
		add_live_text(&list, turn);
	if (view->full || json_array_size(list.messages))
		ccp_json_set(obj, "latestMessages", list.messages);
	json_decref(list.messages);
	return r;
}

int ccp_view_report(json_t **obj, struct ccp_db *db, const char *thread_id, const char *turn_id,
		    const struct ccp_view *view, struct codexcp_error *err)
{
	_cleanup_message_ struct ccp_message message = { 0 };
	int r = ccp_message_final(db, thread_id, turn_id, &message, err);

	if (r == 1)
		ccp_json_set_new(obj, "finalReport", report_view(&message, view));
	return r;
}

/* The turn */

static void set_turn_error(json_t **obj, const struct ccp_turn_row *turn)
{
	json_auto_t *error = NULL;
	_cleanup_free_ char *shown = NULL;
	const char *message;

	if (!turn->error || ccp_json_parse(turn->error, strlen(turn->error), 0, &error, NULL) < 0)
		return;
	message = ccp_json_str(error, "message");
	shown = message ? ccp_redact(message, strlen(message), NULL) : NULL;
	ccp_json_set_str(obj, "lastError", shown);
}

static int set_final_message(json_t **obj, struct ccp_db *db, const struct ccp_turn_row *turn,
			     const struct ccp_view *view, struct codexcp_error *err)
{
	_cleanup_message_ struct ccp_message message = { 0 };
	int r = ccp_message_final(db, turn->thread_id, turn->turn_id, &message, err);

	if (r == 1)
		set_slice(obj, "finalMessage",
			  slice_text(message.text, view->message_offset, view->message_max_chars),
			  turn->thread_id, turn->turn_id, view->message_offset);
	return r;
}

json_t *ccp_turn_view(struct ccp_db *db, const struct ccp_clock *clock,
		      const struct ccp_turn_row *turn, const struct ccp_view *view,
		      struct codexcp_error *err)
{
	json_auto_t *obj = json_object();
	bool ended = turn->completed_at != 0;
	int r;

	ccp_json_set_bool(&obj, "ok", true);
	ccp_json_set_str(&obj, "threadId", turn->thread_id);
	ccp_json_set_str(&obj, "turnId", turn->turn_id);
	ccp_json_set_str(&obj, "operationId", turn->op_id);
	ccp_json_set_str(&obj, "status", turn->status);
	ccp_json_set_bool(&obj, "completionObserved", turn->completed_at != 0);
	ccp_json_set_time(&obj, "startedAt", turn->started_at);
	ccp_json_set_time(&obj, "updatedAt", turn->updated_at);
	ccp_json_set_time(&obj, "completedAt", turn->completed_at);
	ccp_json_set_str(&obj, "source", turn->completed_at ? "storage" : "live");
	ccp_json_set_str(&obj, "appServerInstance", turn->instance);
	ccp_json_set_int(&obj, "stalenessSeconds",
			 CCP_MAX(ccp_clock_wall(clock) - turn->updated_at, 0) / 1000);
	set_turn_error(&obj, turn);
	ccp_view_usage(&obj, turn);
	r = ccp_view_messages(&obj, db, turn, view, err);
	if (r >= 0 && ended)
		r = set_final_message(&obj, db, turn, view, err);
	if (r >= 0)
		r = ccp_view_progress(&obj, db, NULL, turn->thread_id, turn->turn_id, view, err);
	if (r < 0)
		return NULL;
	if (!obj)
		ccp_fail_oom(err);
	return json_incref(obj);
}
