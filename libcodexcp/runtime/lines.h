/*
 * Bytes in, lines out: the framing of a stream. No I/O.
 *
 *	if (ccp_lines_reserve(&lines, &room, &room_len) == 0)
 *		ccp_lines_commit(&lines, read(fd, room, room_len));
 *	while ((what = ccp_lines_next(&lines, &line, &len)) != CCP_LINES_NONE)
 *		...
 *
 * Reading goes straight into the buffer, each byte is looked at once, and a line is handed out
 * where it lies. What a line is says runtime/stream.h.
 */
#pragma once

#include "base/macro.h"

struct ccp_lines {
	char *data;
	size_t cap;
	size_t start;   /* of the first line that was not handed out */
	size_t scanned; /* no newline stands before this */
	size_t len;
	size_t max;
	bool eof;
	bool dropping; /* inside an overlong line that was reported */
	bool started;  /* the place of the byte order mark is behind us */
};

#define CCP_LINES(max_line) ((struct ccp_lines){ .max = (max_line) })
/* As a ceiling: there are no lines, each "line" is all that has come and was not handed out. */
#define CCP_LINES_RAW SIZE_MAX

enum ccp_lines_what {
	CCP_LINES_NONE, /* more bytes are wanted, or all was handed out when there are none */
	CCP_LINES_LINE,
	CCP_LINES_OVERLONG, /* the length so far known; no text */
};

void ccp_lines_done(struct ccp_lines *lines);
/* Room for the next bytes; invalidates the last line. False when memory ran out. */
_must_check_ bool ccp_lines_reserve(struct ccp_lines *lines, char **ret_room, size_t *ret_len);
/* So many bytes were put there. */
void ccp_lines_commit(struct ccp_lines *lines, size_t n);
/* No more bytes come: what is left is a line. */
void ccp_lines_eof(struct ccp_lines *lines);
/* The next line, valid until the next ccp_lines_reserve(). */
enum ccp_lines_what ccp_lines_next(struct ccp_lines *lines, char **ret_line, size_t *ret_len);
