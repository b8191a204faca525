#include "runtime/lines.h"

#include <assert.h>
#include <string.h>

#define CHUNK (64 * 1024)
/* An empty buffer that is larger was grown by a long line and is not worth keeping. */
#define KEEP (4 * CHUNK)

static const char byte_order_mark[] = { '\xef', '\xbb', '\xbf' };

void ccp_lines_done(struct ccp_lines *lines)
{
	free(lines->data);
	lines->data = NULL;
	lines->cap = lines->start = lines->scanned = lines->len = 0;
}

/* A rest is moved only after a line was taken off, and is then smaller than what came last: linear.
 */
static void compact(struct ccp_lines *lines)
{
	size_t rest = lines->len - lines->start;

	if (!lines->start)
		return;
	memmove(lines->data, lines->data + lines->start, rest);
	lines->scanned -= lines->start;
	lines->start = 0;
	lines->len = rest;
}

static bool grow(struct ccp_lines *lines)
{
	size_t cap = CCP_MAX(lines->cap * 2, (size_t)CHUNK + 1);
	char *data = realloc(lines->data, cap);

	if (!data)
		return false;
	lines->data = data;
	lines->cap = cap;
	return true;
}

bool ccp_lines_reserve(struct ccp_lines *lines, char **ret_room, size_t *ret_len)
{
	compact(lines);
	if (!lines->len && lines->cap > KEEP)
		ccp_lines_done(lines);
	/* One byte stays free for the NUL behind a last line without newline. */
	if (lines->cap < lines->len + CHUNK / 2 + 1 && !grow(lines))
		return false;
	*ret_room = lines->data + lines->len;
	*ret_len = lines->cap - lines->len - 1;
	return true;
}

void ccp_lines_commit(struct ccp_lines *lines, size_t n)
{
	assert(!lines->eof && lines->len + n < lines->cap);
	lines->len += n;
}

void ccp_lines_eof(struct ccp_lines *lines)
{
	lines->eof = true;
}

/* False while it cannot be told yet whether the stream starts with a byte order mark. */
static bool skip_byte_order_mark(struct ccp_lines *lines)
{
	size_t n = CCP_MIN(lines->len, sizeof(byte_order_mark));

	if (lines->started)
		return true;
	if (n && memcmp(lines->data, byte_order_mark, n) == 0) {
		if (n < sizeof(byte_order_mark))
			return lines->eof;
		lines->start = lines->scanned = n;
	}
	lines->started = n > 0;
	return true;
}

static char *find_newline(struct ccp_lines *lines)
{
	char *newline;

	if (lines->scanned == lines->len)
		return NULL;
	newline = memchr(lines->data + lines->scanned, '\n', lines->len - lines->scanned);
	lines->scanned = newline ? (size_t)(newline - lines->data) + 1 : lines->len;
	return newline;
}

/* Takes off what was scanned; the line is its first `len` bytes. */
static enum ccp_lines_what take(struct ccp_lines *lines, size_t len, char **ret_line,
				size_t *ret_len)
{
	char *line = lines->data + lines->start;

	lines->start = lines->scanned;
	*ret_len = len;
	if (len > lines->max)
		return CCP_LINES_OVERLONG;
	line[len] = '\0';
	*ret_line = line;
	return CCP_LINES_LINE;
}

/* No newline is in sight. */
static enum ccp_lines_what take_rest(struct ccp_lines *lines, char **ret_line, size_t *ret_len)
{
	size_t len = lines->len - lines->start;

	if (lines->dropping) {
		lines->start = lines->len;
		return CCP_LINES_NONE;
	}
	if (lines->eof)
		return len ? take(lines, len, ret_line, ret_len) : CCP_LINES_NONE;
	/* One more than the ceiling may still turn out to be the "\r" of "\r\n". */
	if (len <= lines->max || len - lines->max <= 1)
		return CCP_LINES_NONE;
	lines->dropping = true;
	return take(lines, len, ret_line, ret_len);
}

static enum ccp_lines_what take_all(struct ccp_lines *lines, char **ret_line, size_t *ret_len)
{
	if (lines->start == lines->len)
		return CCP_LINES_NONE;
	lines->scanned = lines->len;
	return take(lines, lines->len - lines->start, ret_line, ret_len);
}

enum ccp_lines_what ccp_lines_next(struct ccp_lines *lines, char **ret_line, size_t *ret_len)
{
	char *newline;
	size_t len;

	if (lines->max == CCP_LINES_RAW)
		return take_all(lines, ret_line, ret_len);
	if (!skip_byte_order_mark(lines))
		return CCP_LINES_NONE;
	newline = find_newline(lines);
	if (newline && lines->dropping) {
		lines->dropping = false;
		lines->start = lines->scanned;
		newline = find_newline(lines);
	}
	if (!newline)
		return take_rest(lines, ret_line, ret_len);
	len = (size_t)(newline - lines->data) - lines->start;
	if (len && newline[-1] == '\r')
		len--;
	return take(lines, len, ret_line, ret_len);
}
