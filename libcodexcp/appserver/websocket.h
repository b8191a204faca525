/*
 * Text messages over WebSocket, the client's side: bytes in, messages out, and the other way round.
 * No I/O.
 *
 *	ccp_ws_handshake(&out);				// send it, then feed what comes
 *	ccp_ws_feed(ws, bytes, len);
 *	while ((what = ccp_ws_next(ws, &text, &text_len)) != CCP_WS_NONE)
 *		...
 *	ccp_ws_queue(ws, text, len, err);
 *	send(ccp_ws_output(ws));			// after each feed and queue
 *
 * Only for sockets whose place proves who listens there: the accept header of the handshake is not
 * checked. Pings and close frames are answered by themselves.
 */
#pragma once

#include "base/error.h"
#include "base/strbuf.h"

struct ccp_ws;

enum ccp_ws_what {
	CCP_WS_NONE, /* more bytes are wanted */
	CCP_WS_OPEN, /* the handshake is done: once, before any message */
	CCP_WS_MESSAGE,
	CCP_WS_OVERLONG, /* a message longer than the ceiling was dropped: its length, no text */
	CCP_WS_CLOSED,   /* refused, broken, or closed by the other side: the text says why; for
			    good */
};

/* The other side may announce less than this for a message in one frame; it never is more. */
#define CCP_WS_UNFRAGMENTED_MAX (16u << 20)

int ccp_ws_new(size_t max_message, struct ccp_ws **ret_ws, struct codexcp_error *err);
void ccp_ws_free(struct ccp_ws *ws);
CCP_DEFINE_CLEANUP(struct ccp_ws, ccp_ws_free);

/* The request that asks for the upgrade. */
void ccp_ws_handshake(struct ccp_strbuf *out);
void ccp_ws_feed(struct ccp_ws *ws, const char *bytes, size_t len);
/* The text is valid until the next call of anything here. */
enum ccp_ws_what ccp_ws_next(struct ccp_ws *ws, const char **ret_text, size_t *ret_len);
/* Once open. Copies the text. */
int ccp_ws_queue(struct ccp_ws *ws, const char *text, size_t len, struct codexcp_error *err);
/* Says goodbye; nothing can be queued any more. */
void ccp_ws_close(struct ccp_ws *ws);
/* What has to be sent: take it with ccp_strbuf_consume() or _clear(). */
struct ccp_strbuf *ccp_ws_output(struct ccp_ws *ws);
