#include "domain/turn_track.h"

#include <string.h>
#include <utarray.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "domain/item_note.h"

/* The tail of a message in progress that is kept; status answers show 300 characters of it. */
#define LIVE_TEXT_MAX 1024

static void message_dtor(void *at)
{
	ccp_message_done(at);
}

static void journal_dtor(void *at)
{
	ccp_journal_row_done(at);
}

static const UT_icd message_icd = { sizeof(struct ccp_message), NULL, NULL, message_dtor };
static const UT_icd journal_icd = { sizeof(struct ccp_journal_row), NULL, NULL, journal_dtor };

struct ccp_track {
	char *op_id;
	struct ccp_turn_row turn; /* the members that changed since the last write */
	struct ccp_strbuf live;
	char *live_item;
	char *last_diff;
	UT_array messages, journal;
	unsigned messages_written, journal_written; /* by the write that is not committed yet */
	bool turn_dirty;
};

int ccp_track_new(const char *op_id, const char *thread_id, const char *turn_id,
		  const char *instance, struct ccp_track **ret_track, struct codexcp_error *err)
{
	struct ccp_track *track = calloc(1, sizeof(*track));

	if (!track)
		return ccp_fail_oom(err);
	utarray_init(&track->messages, &message_icd);
	utarray_init(&track->journal, &journal_icd);
	track->live = CCP_STRBUF(2 * LIVE_TEXT_MAX + 4096);
	if (!ccp_strdup_opt(op_id, &track->op_id) || !ccp_strdup_opt(op_id, &track->turn.op_id) ||
	    !ccp_strdup_opt(thread_id, &track->turn.thread_id) ||
	    !ccp_strdup_opt(turn_id, &track->turn.turn_id) ||
	    !ccp_strdup_opt(instance, &track->turn.instance)) {
		ccp_track_free(track);
		return ccp_fail_oom(err);
	}
	*ret_track = track;
	return 0;
}

void ccp_track_free(struct ccp_track *track)
{
	if (!track)
		return;
	ccp_turn_row_done(&track->turn);
	ccp_strbuf_done(&track->live);
	utarray_done(&track->messages);
	utarray_done(&track->journal);
	free(track->op_id);
	free(track->live_item);
	free(track->last_diff);
	free(track);
}

int ccp_track_set_turn(struct ccp_track *track, const char *thread_id, const char *turn_id,
		       const char *instance, int64_t now, struct codexcp_error *err)
{
	struct ccp_turn_row *turn = &track->turn;

	if (ccp_row_set(&turn->thread_id, thread_id, err) < 0 ||
	    ccp_row_set(&turn->turn_id, turn_id, err) < 0 ||
	    ccp_row_set(&turn->instance, instance, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	turn->updated_at = now;
	track->turn_dirty = true;
	/* The end of a turn may be known before its id is. */
	if (turn->completed_at)
		return 0;
	turn->started_at = now;
	return ccp_row_set(&turn->status, "running", err);
}

/* Steals text and data. */
static int add_journal(struct ccp_track *track, const char *category, const char *severity,
		       const char *item_id, char *text, json_t *data, int64_t now,
		       struct codexcp_error *err)
{
	struct ccp_journal_row row = { .at = now, .progress = 1, .text = text };

	if (data)
		row.data = ccp_json_dump(data, NULL);
	json_decref(data);
	if (!ccp_strdup_opt(track->op_id, &row.op_id) ||
	    !ccp_strdup_opt(track->turn.thread_id, &row.thread_id) ||
	    !ccp_strdup_opt(track->turn.turn_id, &row.turn_id) ||
	    !ccp_strdup_opt(item_id, &row.item_id) || !ccp_strdup_opt(category, &row.category) ||
	    !ccp_strdup_opt(severity, &row.severity)) {
		ccp_journal_row_done(&row);
		return ccp_fail_oom(err);
	}
	utarray_push_back(&track->journal, &row);
	return 0;
}

int ccp_track_note(struct ccp_track *track, const char *category, const char *severity,
		   const char *text, int64_t now, struct codexcp_error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return ccp_fail_oom(err);
	return add_journal(track, category, severity, NULL, copy, NULL, now, err);
}

static void clear_live(struct ccp_track *track)
{
	ccp_strbuf_clear(&track->live);
	free(TAKE_PTR(track->live_item));
	/* "" and not NULL: NULL would keep what the row has. */
	(void)ccp_row_set(&track->turn.live_text, "", NULL);
	track->turn_dirty = true;
}

static void add_live(struct ccp_track *track, const char *item_id, const char *text)
{
	if (!ccp_streq(track->live_item, item_id)) {
		clear_live(track);
		(void)ccp_strdup_opt(item_id, &track->live_item);
	}
	ccp_strbuf_append(&track->live, text);
	if (track->live.failed) {
		/* Longer than the buffer in one go: its end is all that is shown. */
		size_t len = strlen(text), from = len > LIVE_TEXT_MAX ? len - LIVE_TEXT_MAX : 0;

		ccp_strbuf_clear(&track->live);
		ccp_strbuf_append(&track->live, text + from);
	}
	if (track->live.len > 2 * LIVE_TEXT_MAX)
		ccp_strbuf_consume(&track->live, track->live.len - LIVE_TEXT_MAX);
	track->turn_dirty = true;
}

/* `turn_id`, which may be NULL, counts until the track's own is known. */
static int add_message(struct ccp_track *track, const char *turn_id, const json_t *item,
		       const char *role, int64_t now, struct codexcp_error *err)
{
	const char *text = ccp_item_text(item), *id = ccp_json_str(item, "id");
	struct ccp_message message = { .created_at = now };

	turn_id = track->turn.turn_id ? track->turn.turn_id : turn_id;
	if (!text || !*text || !turn_id || !track->turn.thread_id)
		return 0;
	if (!ccp_strdup_opt(track->turn.thread_id, &message.thread_id) ||
	    !ccp_strdup_opt(turn_id, &message.turn_id) ||
	    !ccp_strdup_opt(id ? id : role, &message.item_id) ||
	    !ccp_strdup_opt(role, &message.role) ||
	    !ccp_strdup_opt(ccp_json_str(item, "phase"), &message.phase) ||
	    !ccp_strdup_opt(text, &message.text)) {
		ccp_message_done(&message);
		return ccp_fail_oom(err);
	}
	utarray_push_back(&track->messages, &message);
	return 0;
}

/* Items whose text is a message; NULL for all others. */
static const char *message_role(const char *item_type)
{
	return ccp_streq(item_type, "agentMessage") ? "assistant"
	       : ccp_streq(item_type, "plan")       ? "plan"
						    : NULL;
}

static int item_event(struct ccp_track *track, const struct ccp_event *event, bool completed,
		      int64_t now, struct codexcp_error *err)
{
	const char *role = message_role(event->item_type);
	struct ccp_item_note note = { 0 };
	int r;

	if (role && completed) {
		if (ccp_streq(track->live_item, event->item_id) || !track->live_item)
			clear_live(track);
		r = add_message(track, event->turn_id, event->item, role, now, err);
		if (r < 0)
			return r;
	}
	r = ccp_item_note(event->item, completed, &note, err);
	if (r <= 0)
		return r;
	return add_journal(track, note.category, note.severity, event->item_id, note.text,
			   note.data, now, err);
}

static int diff_event(struct ccp_track *track, const struct ccp_event *event, int64_t now,
		      struct codexcp_error *err)
{
	struct ccp_item_note note = { 0 };
	int r = ccp_diff_note(event->text, &note, err);

	if (r <= 0)
		return r;
	if (ccp_streq(track->last_diff, note.text)) {
		ccp_item_note_done(&note);
		return 0;
	}
	r = ccp_row_set(&track->last_diff, note.text, err);
	if (r < 0) {
		ccp_item_note_done(&note);
		return r;
	}
	return add_journal(track, note.category, note.severity, NULL, note.text, note.data, now,
			   err);
}

static int put_usage(struct ccp_track *track, const struct ccp_event *event,
		     struct codexcp_error *err)
{
	json_t *usage = ccp_json_obj(event->params, "tokenUsage");
	_cleanup_free_ char *dump = usage ? ccp_json_dump(usage, NULL) : NULL;

	track->turn_dirty = true;
	return dump ? ccp_row_set(&track->turn.usage, dump, err) : 0;
}

static int other_event(struct ccp_track *track, const struct ccp_event *event, int64_t now,
		       struct codexcp_error *err)
{
	struct ccp_item_note note = { 0 };
	int r = ccp_event_note(event, &note, err);

	return r <= 0 ? r
		      : add_journal(track, note.category, note.severity, event->item_id, note.text,
				    note.data, now, err);
}

int ccp_track_event(struct ccp_track *track, const struct ccp_event *event, int64_t now,
		    struct codexcp_error *err)
{
	struct ccp_turn turn;

	track->turn.updated_at = now;
	switch (event->kind) {
	case CCP_EVENT_MESSAGE_DELTA:
		if (event->text)
			add_live(track, event->item_id, event->text);
		return 0;
	case CCP_EVENT_ITEM_STARTED:
		return item_event(track, event, false, now, err);
	case CCP_EVENT_ITEM_COMPLETED:
		return item_event(track, event, true, now, err);
	case CCP_EVENT_TOKEN_USAGE:
		return put_usage(track, event, err);
	case CCP_EVENT_DIFF_UPDATED:
		return diff_event(track, event, now, err);
	case CCP_EVENT_TURN_COMPLETED:
		return event->turn && ccp_turn_parse(event->turn, &turn) == 0
			       ? ccp_track_turn(track, &turn, now, err)
			       : 0;
	case CCP_EVENT_ERROR:
	case CCP_EVENT_PLAN_UPDATED:
	case CCP_EVENT_MODEL_REROUTED:
	case CCP_EVENT_WARNING:
		return other_event(track, event, now, err);
	case CCP_EVENT_TURN_STARTED:
	case CCP_EVENT_PLAN_DELTA:
	case CCP_EVENT_REASONING_SUMMARY:
	case CCP_EVENT_THREAD_STATUS:
	case CCP_EVENT_THREAD_CLOSED:
	case CCP_EVENT_REQUEST_RESOLVED:
	case CCP_EVENT_OTHER:
		return 0;
	}
	return 0;
}

static const char *turn_status(const char *codex)
{
	return ccp_streq(codex, "inProgress") ? "running" : codex;
}

int ccp_track_turn(struct ccp_track *track, const struct ccp_turn *turn, int64_t now,
		   struct codexcp_error *err)
{
	const char *status = turn_status(turn->status);
	_cleanup_free_ char *error = turn->error ? ccp_json_dump(turn->error, NULL) : NULL;
	json_t *item;
	size_t i;

	if (ccp_row_set(&track->turn.status, status, err) < 0 ||
	    ccp_row_set(&track->turn.error, error, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	if (turn->started_at)
		track->turn.started_at = turn->started_at;
	if (!ccp_streq(status, "running")) {
		track->turn.completed_at = turn->completed_at ? turn->completed_at : now;
		clear_live(track);
	}
	track->turn_dirty = true;
	json_array_foreach (turn->items, i, item) {
		const char *role = message_role(ccp_json_str(item, "type"));

		if (role && add_message(track, turn->id, item, role, now, err) < 0)
			return CODEXCP_E_NO_MEMORY;
	}
	return 0;
}

bool ccp_track_dirty(const struct ccp_track *track)
{
	return track->turn_dirty || utarray_len(&track->messages) || utarray_len(&track->journal);
}

static int write_turn(struct ccp_track *track, struct ccp_db *db, struct codexcp_error *err)
{
	struct ccp_turn_row *turn = &track->turn;

	if (!track->turn_dirty || !turn->thread_id || !turn->turn_id || !turn->status)
		return 0;
	if (track->live.len) {
		const char *live = ccp_strbuf_str(&track->live);
		_cleanup_free_ char *clean = ccp_utf8_sanitize(live, track->live.len, NULL);

		if (ccp_row_set(&turn->live_text, clean, err) < 0)
			return CODEXCP_E_NO_MEMORY;
	}
	return ccp_turn_put(db, turn, err);
}

int ccp_track_write(struct ccp_track *track, struct ccp_db *db, struct codexcp_error *err)
{
	int r = 0;

	track->messages_written = utarray_len(&track->messages);
	track->journal_written = utarray_len(&track->journal);
	for (unsigned i = 0; r == 0 && i < track->messages_written; i++)
		r = ccp_message_put(db, utarray_eltptr(&track->messages, i), err);
	for (unsigned i = 0; r == 0 && i < track->journal_written; i++)
		r = ccp_journal_append(db, utarray_eltptr(&track->journal, i), err);
	return r < 0 ? r : write_turn(track, db, err);
}

void ccp_track_written(struct ccp_track *track)
{
	if (track->messages_written)
		utarray_erase(&track->messages, 0, track->messages_written);
	if (track->journal_written)
		utarray_erase(&track->journal, 0, track->journal_written);
	track->messages_written = 0;
	track->journal_written = 0;
	track->turn_dirty = false;
}
