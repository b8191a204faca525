#include "base/strbuf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAP_MIN 64

/* Room for `extra` more bytes and the NUL. */
static bool reserve(struct ccp_strbuf *sb, size_t extra)
{
	size_t need, cap = sb->cap;
	char *data;

	if (sb->failed || extra >= SIZE_MAX - sb->len || sb->len + extra > sb->max) {
		sb->failed = true;
		return false;
	}
	need = sb->len + extra + 1;
	if (need <= cap)
		return true;
	cap = CCP_MAX(need, CCP_MAX(CAP_MIN, cap <= SIZE_MAX / 2 ? cap * 2 : need));
	data = realloc(sb->data, cap);
	if (!data) {
		sb->failed = true;
		return false;
	}
	sb->data = data;
	sb->cap = cap;
	return true;
}

void ccp_strbuf_done(struct ccp_strbuf *sb)
{
	free(sb->data);
	*sb = CCP_STRBUF(sb->max);
}

void ccp_strbuf_append(struct ccp_strbuf *sb, const char *text)
{
	ccp_strbuf_append_n(sb, text, strlen(text));
}

void ccp_strbuf_append_n(struct ccp_strbuf *sb, const char *data, size_t len)
{
	if (!len || !reserve(sb, len))
		return;
	memcpy(sb->data + sb->len, data, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

void ccp_strbuf_append_char(struct ccp_strbuf *sb, char c)
{
	ccp_strbuf_append_n(sb, &c, 1);
}

void ccp_strbuf_appendf(struct ccp_strbuf *sb, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		sb->failed = true;
	if (!reserve(sb, n < 0 ? 0 : (size_t)n))
		return;
	va_start(args, fmt);
	vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, args);
	va_end(args);
	sb->len += (size_t)n;
}

void ccp_strbuf_consume(struct ccp_strbuf *sb, size_t n)
{
	assert(n <= sb->len);
	if (!n)
		return;
	sb->len -= n;
	memmove(sb->data, sb->data + n, sb->len + 1);
}

void ccp_strbuf_clear(struct ccp_strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
	if (sb->data)
		sb->data[0] = '\0';
}

const char *ccp_strbuf_str(const struct ccp_strbuf *sb)
{
	return sb->failed || !sb->data ? "" : sb->data;
}

char *ccp_strbuf_take(struct ccp_strbuf *sb)
{
	char *text = NULL;

	if (!sb->failed)
		text = sb->data ? TAKE_PTR(sb->data) : strdup("");
	ccp_strbuf_done(sb);
	return text;
}
