#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define BLANKS   " \t\n\v\f\r"
#define DIGITS   "0123456789"
#define WORD_MAX 64

bool ccp_str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool ccp_str_has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return n <= len && memcmp(s + len - n, suffix, n) == 0;
}

bool ccp_str_blank(const char *s)
{
	return !s || s[strspn(s, BLANKS)] == '\0';
}

char *ccp_asprintf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

static bool is_blank(char c)
{
	return c != '\0' && strchr(BLANKS, c);
}

char *ccp_strndup_trim(const char *s, size_t len)
{
	for (; len && is_blank(s[0]); len--)
		s++;
	while (len && is_blank(s[len - 1]))
		len--;
	return strndup(s, len);
}

bool ccp_strdup_opt(const char *s, char **ret)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		return false;
	*ret = copy;
	return true;
}

/* "7", "-7", ".5": what strtoll() and strtod() would skip or add in front is refused here. */
static bool starts_number(const char *s)
{
	return *s && strchr("-." DIGITS, *s) && strpbrk(s, DIGITS);
}

bool ccp_parse_i64(const char *s, int64_t *ret)
{
	long long value;
	char *end;

	if (!starts_number(s))
		return false;
	errno = 0;
	value = strtoll(s, &end, 10);
	if (end == s || *end || errno)
		return false;
	*ret = value;
	return true;
}

/* Edit distance of words of at most WORD_MAX bytes; swapped neighbours are one mistake, not two. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], n = strlen(b), i;

	for (size_t j = 0; j <= n; j++)
		rows[0][j] = j;
	for (i = 1; a[i - 1]; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3],
		       *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = CCP_MIN(above[j - 1] + (a[i - 1] != b[j - 1]),
					 CCP_MIN(row[j - 1], above[j]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = CCP_MIN(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[(i - 1) % 3][n];
}

const char *ccp_str_nearest(const char *word, const char *const *list)
{
	size_t len = strlen(word), best = CCP_MIN(CCP_MAX(len / 3, 1) + 1, len);
	const char *nearest = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (; *list; list++) {
		size_t distance;

		if (strlen(*list) > WORD_MAX)
			continue;
		distance = edit_distance(word, *list);
		if (distance < best) {
			best = distance;
			nearest = *list;
		}
	}
	return nearest;
}
