/*
 * Lines in, bytes out, over whatever a descriptor is: pipe, socket, terminal, regular file, null
 * device.
 *
 * A line is handed over without its "\n" or "\r\n", NUL-terminated, and may be changed in place; it
 * is valid during the callback. A line longer than the ceiling is dropped whole and reported once,
 * and the stream goes on. The last line needs no newline. A UTF-8 byte order mark at the very start
 * is skipped. With CCP_STREAM_RAW for a ceiling there are no lines: bytes are handed over as they
 * come.
 *
 * Descriptors become non-blocking, and that is a property of the open file: whoever shares it sees
 * it too, so give a private pipe or socket where that matters. Descriptors 0-2 are left open in the
 * end. Writing to a pipe whose reader has gone raises SIGPIPE: programs ignore it in main() and get
 * the `end` instead.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"

#define CCP_STREAM_RAW SIZE_MAX

struct ccp_stream;

struct ccp_stream_events {
	void (*line)(struct ccp_stream *stream, char *line, size_t len, void *data);
	/* A line of `len` bytes (so far known) passed the ceiling. Optional. */
	void (*overlong)(struct ccp_stream *stream, size_t len, void *data);
	/* End of input (error 0) or a read or write failure (negative, libuv's code). Once, and the
	 * last callback apart from `drained`. Optional. */
	void (*end)(struct ccp_stream *stream, int error, void *data);
	/* Everything written has left. Optional. */
	void (*drained)(struct ccp_stream *stream, void *data);
};

/* Takes the descriptor over, also on failure. `max_line` in bytes. Reading starts at once when
 * events->line is set, and never otherwise. */
int ccp_stream_open(struct ccp_loop *loop, int fd, size_t max_line,
		    const struct ccp_stream_events *events, void *data,
		    struct ccp_stream **ret_stream, struct codexcp_error *err);
/* Copies the bytes; they are sent in order. Writing to an ended stream does nothing. */
int ccp_stream_write(struct ccp_stream *stream, const char *bytes, size_t len,
		     struct codexcp_error *err);
/* The same for the bytes and a newline. */
int ccp_stream_write_line(struct ccp_stream *stream, const char *line, size_t len,
			  struct codexcp_error *err);
/* Bytes written but not yet taken by the other side. */
size_t ccp_stream_pending(const struct ccp_stream *stream);
/* No line comes between pause and resume, not even one that was read already; resuming calls
 * nothing by itself. */
void ccp_stream_pause(struct ccp_stream *stream);
void ccp_stream_resume(struct ccp_stream *stream);
/* Close at once, unsent bytes are dropped; no callback comes any more. */
void ccp_stream_free(struct ccp_stream *stream);
