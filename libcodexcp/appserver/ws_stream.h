/*
 * A connected local socket as a stream of WebSocket messages: websocket.c on a descriptor. For
 * transport_unix.c.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"

struct ccp_ws_stream;

/* A callback may free the stream. */
struct ccp_ws_stream_events {
	void (*open)(void *data); /* the handshake is done */
	void (*message)(const char *text, size_t len, void *data);
	void (*overlong)(size_t len, void *data);
	/* Once, and the last. `why` is "" when it simply ended. */
	void (*closed)(const char *why, void *data);
};

/* Takes the descriptor over, also on failure, and sends the handshake. */
int ccp_ws_stream_open(struct ccp_loop *loop, int fd, size_t max_message,
		       const struct ccp_ws_stream_events *events, void *data,
		       struct ccp_ws_stream **ret_stream, struct codexcp_error *err);
int ccp_ws_stream_send(struct ccp_ws_stream *stream, const char *text, size_t len,
		       struct codexcp_error *err);
/* Says goodbye when it is open; no callback comes any more. */
void ccp_ws_stream_free(struct ccp_ws_stream *stream);
