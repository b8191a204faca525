/*
 * UTF-8: jansson and the MCP wire want it valid and without NUL, while command output, transcripts
 * and hooks bring anything. Lengths named `chars` count code points.
 */
#pragma once

#include "base/macro.h"

/* Whether ccp_utf8_sanitize() would change nothing: NUL is not valid here. */
bool ccp_utf8_valid(const char *s, size_t len);
/* A NUL-terminated copy: bad sequences and NUL become U+FFFD. NULL when memory ran out. */
char *ccp_utf8_sanitize(const char *s, size_t len, size_t *ret_len);
size_t ccp_utf8_chars(const char *s, size_t len);
/* The largest byte length <= len that holds at most max_chars code points (of valid UTF-8). */
size_t ccp_utf8_clip(const char *s, size_t len, size_t max_chars);
