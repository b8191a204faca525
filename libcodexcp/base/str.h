/*
 * Small questions about strings, and strict parsing of numbers from text.
 *
 * Parsers take the whole string or nothing: no leading blanks, no trailing rest, no silent
 * clamping.
 */
#pragma once

#include <string.h>

#include "base/macro.h"

static inline bool ccp_streq(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ccp_str_has_prefix(const char *s, const char *prefix);
bool ccp_str_has_suffix(const char *s, const char *suffix);
/* NULL or only white space. */
bool ccp_str_blank(const char *s);

/* An allocation, or NULL when memory ran out. */
char *ccp_asprintf(const char *fmt, ...) _printf_(1, 2);
char *ccp_strndup_trim(const char *s, size_t len);
/* strdup() that passes NULL through: *ret is NULL for NULL. False when memory ran out. */
bool ccp_strdup_opt(const char *s, char **ret);

_must_check_ bool ccp_parse_i64(const char *s, int64_t *ret);

/*
 * The word of a NULL-terminated list that is nearest to `word` by edit distance, or NULL when none
 * is near enough to be worth a "did you mean". Words longer than 64 bytes have no neighbours.
 */
const char *ccp_str_nearest(const char *word, const char *const *list);
