/*
 * A growing string with a ceiling and a sticky failure: append as often as needed, check once.
 *
 *	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(64 * 1024);
 *
 *	ccp_strbuf_appendf(&sb, "%s: %d", name, n);
 *	text = ccp_strbuf_take(&sb);	// NULL when memory ran out or the ceiling was passed
 */
#pragma once

#include "base/macro.h"

struct ccp_strbuf {
	char *data; /* NUL-terminated once something was appended */
	size_t len, cap, max;
	bool failed;
};

#define CCP_STRBUF(ceiling) ((struct ccp_strbuf){ .max = (ceiling) })

void ccp_strbuf_done(struct ccp_strbuf *sb);
void ccp_strbuf_append(struct ccp_strbuf *sb, const char *text);
void ccp_strbuf_append_n(struct ccp_strbuf *sb, const char *data, size_t len);
void ccp_strbuf_append_char(struct ccp_strbuf *sb, char c);
void ccp_strbuf_appendf(struct ccp_strbuf *sb, const char *fmt, ...) _printf_(2, 3);
/* Drop the first n bytes (n <= len). */
void ccp_strbuf_consume(struct ccp_strbuf *sb, size_t n);
void ccp_strbuf_clear(struct ccp_strbuf *sb);
/* The text so far, "" when empty or failed; valid until the next call. */
const char *ccp_strbuf_str(const struct ccp_strbuf *sb);
/* The text as an allocation of the caller's; NULL when failed. Leaves the buffer empty. */
char *ccp_strbuf_take(struct ccp_strbuf *sb);
