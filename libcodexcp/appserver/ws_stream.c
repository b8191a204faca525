#include "appserver/ws_stream.h"

#include "appserver/websocket.h"
#include "runtime/stream.h"

struct ccp_ws_stream {
	struct ccp_stream *stream;
	struct ccp_ws *ws;
	const struct ccp_ws_stream_events *events;
	void *data;
	bool busy;  /* inside a callback, */
	bool freed; /* that has freed it */
	bool closed;
};

/* What the framing has for the other side. */
static int flush(struct ccp_ws_stream *self, struct codexcp_error *err)
{
	struct ccp_strbuf *out = ccp_ws_output(self->ws);
	int rc = 0;

	if (out->len)
		rc = ccp_stream_write(self->stream, out->data, out->len, err);
	ccp_strbuf_clear(out);
	return rc;
}

static void release(struct ccp_ws_stream *self)
{
	ccp_ws_free(self->ws);
	ccp_stream_free(self->stream);
	free(self);
}

static void tell_closed(struct ccp_ws_stream *self, const char *why)
{
	if (self->closed)
		return;
	self->closed = true;
	self->events->closed(why, self->data);
}

/* False when there is nothing more to be had. */
static bool deliver_one(struct ccp_ws_stream *self)
{
	const char *text;
	size_t len;

	switch (ccp_ws_next(self->ws, &text, &len)) {
	case CCP_WS_NONE:
		return false;
	case CCP_WS_OPEN:
		self->events->open(self->data);
		break;
	case CCP_WS_MESSAGE:
		self->events->message(text, len, self->data);
		break;
	case CCP_WS_OVERLONG:
		self->events->overlong(len, self->data);
		break;
	case CCP_WS_CLOSED:
		tell_closed(self, text);
		return false;
	}
	return !self->freed;
}

static void on_bytes(struct ccp_stream *stream, char *bytes, size_t len, void *data)
{
	struct ccp_ws_stream *self = data;

	self->busy = true;
	ccp_ws_feed(self->ws, bytes, len);
	(void)flush(self, NULL);
	while (deliver_one(self))
		;
	self->busy = false;
	if (self->freed)
		release(self);
}

static void on_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_ws_stream *self = data;

	self->busy = true;
	tell_closed(self, "");
	self->busy = false;
	if (self->freed)
		release(self);
}

static const struct ccp_stream_events stream_events = { .line = on_bytes, .end = on_end };

int ccp_ws_stream_open(struct ccp_loop *loop, int fd, size_t max_message,
		       const struct ccp_ws_stream_events *events, void *data,
		       struct ccp_ws_stream **ret_stream, struct codexcp_error *err)
{
	struct ccp_ws_stream *self = calloc(1, sizeof(*self));
	struct ccp_stream *stream;
	int rc = ccp_stream_open(loop, fd, CCP_STREAM_RAW, &stream_events, self, &stream, err);

	if (rc < 0 || !self) {
		free(self);
		if (rc == 0)
			ccp_stream_free(stream);
		return rc < 0 ? rc : ccp_fail_oom(err);
	}
	self->stream = stream;
	self->events = events;
	self->data = data;
	rc = ccp_ws_new(max_message, &self->ws, err);
	if (rc == 0) {
		ccp_ws_handshake(ccp_ws_output(self->ws));
		rc = flush(self, err);
	}
	if (rc < 0) {
		release(self);
		return rc;
	}
	*ret_stream = self;
	return 0;
}

int ccp_ws_stream_send(struct ccp_ws_stream *stream, const char *text, size_t len,
		       struct codexcp_error *err)
{
	int rc = ccp_ws_queue(stream->ws, text, len, err);

	return rc < 0 ? rc : flush(stream, err);
}

void ccp_ws_stream_free(struct ccp_ws_stream *stream)
{
	if (!stream || stream->freed)
		return;
	stream->freed = true;
	ccp_ws_close(stream->ws);
	(void)flush(stream, NULL);
	if (!stream->busy)
		release(stream);
}
