#include "appserver/websocket.h"

#include <stdio.h>
#include <string.h>
#include <wslay/wslay.h>

#include "appserver/upgrade.h"
#include "base/ids.h"

/* A buffer that a long message has grown is not kept. */
#define KEEP (1u << 20)

/* A message that is complete and was not handed out. */
struct message {
	struct message *next;
	size_t len;
	char *text; /* NULL: too long */
};

struct ccp_ws {
	wslay_event_context_ptr wslay;
	size_t max_message, max_unfragmented;
	bool open, told_open;

	const char *in; /* what is being fed */
	size_t in_len;
	struct ccp_strbuf head;    /* the answer to the handshake so far */
	struct ccp_strbuf partial; /* the message that is coming */
	size_t partial_len;        /* with what was dropped of it */
	bool collecting;           /* it is text */
	struct message *first, **last;
	struct message *handed_out;

	struct ccp_strbuf out;
	char problem[200]; /* why it is closed, "" while it is not */
};

static void message_free(struct message *message)
{
	if (message)
		free(message->text);
	free(message);
}

static void fail(struct ccp_ws *ws, const char *why)
{
	if (!ws->problem[0])
		snprintf(ws->problem, sizeof(ws->problem), "%s", why);
}

/* ---- what wslay asks for ---- */

static ssize_t give_input(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
			  void *data)
{
	struct ccp_ws *ws = data;
	size_t n = CCP_MIN(len, ws->in_len);

	if (!n) {
		wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(buf, ws->in, n);
	ws->in += n;
	ws->in_len -= n;
	return (ssize_t)n;
}

static ssize_t take_output(wslay_event_context_ptr wslay, const uint8_t *bytes, size_t len,
			   int flags, void *data)
{
	struct ccp_ws *ws = data;

	ccp_strbuf_append_n(&ws->out, (const char *)bytes, len);
	if (!ws->out.failed)
		return (ssize_t)len;
	wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int make_mask(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, void *data)
{
	ccp_random_bytes(buf, len);
	return 0;
}

static void on_frame(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_start_arg *frame, void *data)
{
	struct ccp_ws *ws = data;

	/* Control frames may stand between the fragments of a message. */
	ws->collecting = !wslay_is_ctrl_frame(frame->opcode);
}

static void on_chunk(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *data)
{
	struct ccp_ws *ws = data;

	if (!ws->collecting)
		return;
	ws->partial_len += chunk->data_length;
	if (ws->partial_len > ws->max_message)
		ccp_strbuf_done(&ws->partial);
	else
		ccp_strbuf_append_n(&ws->partial, (const char *)chunk->data, chunk->data_length);
}

static void on_message_end(struct ccp_ws *ws)
{
	struct message *message = calloc(1, sizeof(*message));
	bool whole = ws->partial_len <= ws->max_message;

	if (message) {
		message->len = ws->partial_len;
		message->text = whole ? ccp_strbuf_take(&ws->partial) : NULL;
	}
	if (!message || (whole && !message->text)) {
		message_free(message);
		fail(ws, "out of memory");
		return;
	}
	ws->partial_len = 0;
	*ws->last = message;
	ws->last = &message->next;
}

static void on_message(wslay_event_context_ptr wslay,
		       const struct wslay_event_on_msg_recv_arg *message, void *data)
{
	struct ccp_ws *ws = data;
	char why[64];

	if (message->opcode == WSLAY_CONNECTION_CLOSE) {
		snprintf(why, sizeof(why), "closed by the other side (%u)", message->status_code);
		fail(ws, why);
	} else if (!wslay_is_ctrl_frame(message->opcode)) {
		on_message_end(ws);
	}
}

static const struct wslay_event_callbacks callbacks = {
	.recv_callback = give_input,
	.send_callback = take_output,
	.genmask_callback = make_mask,
	.on_frame_recv_start_callback = on_frame,
	.on_frame_recv_chunk_callback = on_chunk,
	.on_msg_recv_callback = on_message,
};

/* ---- in ---- */

void ccp_ws_handshake(struct ccp_strbuf *out)
{
	ccp_upgrade_request(out);
}

static void flush(struct ccp_ws *ws)
{
	if (wslay_event_send(ws->wslay) < 0)
		fail(ws, "out of memory");
}

static void feed_frames(struct ccp_ws *ws, const char *bytes, size_t len)
{
	ws->in = bytes;
	ws->in_len = len;
	if (wslay_event_recv(ws->wslay) < 0)
		fail(ws, "it could not be read");
	ws->in_len = 0;
	flush(ws);
	/* wslay has said so to the other side. */
	if (!wslay_event_get_read_enabled(ws->wslay))
		fail(ws, "it broke the protocol");
}

static void feed_handshake(struct ccp_ws *ws, const char *bytes, size_t len)
{
	struct ccp_upgrade upgrade;

	ccp_strbuf_append_n(&ws->head, bytes, len);
	if (ws->head.failed) {
		fail(ws, "its answer to the upgrade is too long");
		return;
	}
	if (!ccp_upgrade_parse(ws->head.data, ws->head.len, &upgrade))
		return;
	if (upgrade.problem[0]) {
		fail(ws, upgrade.problem);
		return;
	}
	ws->open = true;
	if (upgrade.max_unfragmented)
		ws->max_unfragmented = CCP_MIN(upgrade.max_unfragmented, ws->max_unfragmented);
	feed_frames(ws, ws->head.data + upgrade.len, ws->head.len - upgrade.len);
	ccp_strbuf_done(&ws->head);
}

void ccp_ws_feed(struct ccp_ws *ws, const char *bytes, size_t len)
{
	if (ws->problem[0] || !len)
		return;
	if (ws->open)
		feed_frames(ws, bytes, len);
	else
		feed_handshake(ws, bytes, len);
}

enum ccp_ws_what ccp_ws_next(struct ccp_ws *ws, const char **ret_text, size_t *ret_len)
{
	message_free(TAKE_PTR(ws->handed_out));
	if (ws->open && !ws->told_open) {
		ws->told_open = true;
		return CCP_WS_OPEN;
	}
	if (ws->first) {
		ws->handed_out = ws->first;
		ws->first = ws->handed_out->next;
		if (!ws->first)
			ws->last = &ws->first;
		*ret_text = ws->handed_out->text;
		*ret_len = ws->handed_out->len;
		return ws->handed_out->text ? CCP_WS_MESSAGE : CCP_WS_OVERLONG;
	}
	if (!ws->problem[0])
		return CCP_WS_NONE;
	*ret_text = ws->problem;
	*ret_len = strlen(ws->problem);
	return CCP_WS_CLOSED;
}

/* ---- out ---- */

struct source {
	const char *text;
	size_t len;
};

static ssize_t next_fragment(wslay_event_context_ptr wslay, uint8_t *buf, size_t len,
			     const union wslay_event_msg_source *from, int *eof, void *data)
{
	struct source *source = from->data;
	size_t n = CCP_MIN(len, source->len);

	memcpy(buf, source->text, n);
	source->text += n;
	source->len -= n;
	*eof = source->len == 0;
	return (ssize_t)n;
}

int ccp_ws_queue(struct ccp_ws *ws, const char *text, size_t len, struct codexcp_error *err)
{
	struct source source = { text, len };
	const struct wslay_event_msg whole = { WSLAY_TEXT_FRAME, (const uint8_t *)text, len };
	const struct wslay_event_fragmented_msg fragmented = { WSLAY_TEXT_FRAME,
							       { .data = &source },
							       next_fragment };
	int rc;

	if (!ws->open || ws->problem[0])
		return ccp_fail(err, CODEXCP_E_BUSY, "the connection is not open");
	if (len <= ws->max_unfragmented)
		rc = wslay_event_queue_msg(ws->wslay, &whole);
	else
		rc = wslay_event_queue_fragmented_msg(ws->wslay, &fragmented);
	if (rc < 0)
		return ccp_fail_oom(err);
	/* All of it goes into `out` now: the source is ours only until we return. */
	flush(ws);
	return ws->problem[0] ? ccp_fail_oom(err) : 0;
}

void ccp_ws_close(struct ccp_ws *ws)
{
	if (!ws->open || ws->problem[0])
		return;
	(void)wslay_event_queue_close(ws->wslay, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
	flush(ws);
	fail(ws, "closed by us");
}

struct ccp_strbuf *ccp_ws_output(struct ccp_ws *ws)
{
	if (!ws->out.len && ws->out.cap > KEEP)
		ccp_strbuf_done(&ws->out);
	return &ws->out;
}

/* ---- life ---- */

int ccp_ws_new(size_t max_message, struct ccp_ws **ret_ws, struct codexcp_error *err)
{
	_cleanup_(ccp_ws_freep) struct ccp_ws *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return ccp_fail_oom(err);
	ws->max_message = max_message;
	ws->max_unfragmented = CCP_WS_UNFRAGMENTED_MAX;
	ws->last = &ws->first;
	ws->head = CCP_STRBUF(1u << 20);
	ws->partial = CCP_STRBUF(SIZE_MAX / 4);
	ws->out = CCP_STRBUF(SIZE_MAX / 4);
	if (wslay_event_context_client_init(&ws->wslay, &callbacks, ws) < 0)
		return ccp_fail_oom(err);
	/* We collect messages ourselves: wslay ends the connection for one that is too long. */
	wslay_event_config_set_no_buffering(ws->wslay, 1);
	wslay_event_config_set_max_recv_msg_length(ws->wslay, INT64_MAX);
	*ret_ws = TAKE_PTR(ws);
	return 0;
}

void ccp_ws_free(struct ccp_ws *ws)
{
	struct message *next;

	if (!ws)
		return;
	if (ws->wslay)
		wslay_event_context_free(ws->wslay);
	message_free(ws->handed_out);
	for (struct message *message = ws->first; message; message = next) {
		next = message->next;
		message_free(message);
	}
	ccp_strbuf_done(&ws->head);
	ccp_strbuf_done(&ws->partial);
	ccp_strbuf_done(&ws->out);
	free(ws);
}
