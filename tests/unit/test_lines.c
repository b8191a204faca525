#include <ccp_check.h>

#include "base/strbuf.h"
#include "runtime/lines.h"

/* Feeds text in pieces of `step` bytes and writes down "[line]" and "{overlong}". */
static char *frame(const char *text, size_t len, size_t max, size_t step)
{
	struct ccp_lines lines = CCP_LINES(max);
	struct ccp_strbuf log = CCP_STRBUF(1024 * 1024);
	bool more = true;

	while (more) {
		enum ccp_lines_what what;
		char *room, *line;
		size_t n = CCP_MIN(step, len), line_len;

		ck_assert(ccp_lines_reserve(&lines, &room, &line_len));
		ck_assert_uint_ge(line_len, n);
		memcpy(room, text, n);
		if (n)
			ccp_lines_commit(&lines, n);
		else
			ccp_lines_eof(&lines);
		text += n;
		len -= n;
		more = n > 0;
		while ((what = ccp_lines_next(&lines, &line, &line_len)) != CCP_LINES_NONE) {
			if (what == CCP_LINES_OVERLONG) {
				ck_assert_uint_gt(line_len, max);
				ccp_strbuf_append(&log, "{overlong}");
				continue;
			}
			ck_assert_int_eq(line[line_len], '\0');
			ccp_strbuf_append(&log, "[");
			ccp_strbuf_append_n(&log, line, line_len);
			ccp_strbuf_append(&log, "]");
			memset(line, '!', line_len + 1); /* may be changed in place */
		}
	}
	ccp_lines_done(&lines);
	ccp_strbuf_append(&log, "");
	return ccp_strbuf_take(&log);
}

static void check(const char *text, size_t max, const char *expected)
{
	for (size_t step = 1; step <= strlen(text) + 1; step++) {
		char *seen = frame(text, strlen(text), max, step);

		ck_assert_msg(strcmp(seen ? seen : "", expected) == 0, "%s by %zu: %s", text, step,
			      seen);
		free(seen);
	}
}

START_TEST(test_framing)
{
	check("", 5, "");
	check("a\nbb\r\nccc", 5, "[a][bb][ccc]");
	check("\n\r\n\n", 5, "[][][]");
	check("a\rb\n", 5, "[a\rb]");
	check("a\r", 5, "[a\r]");
	check("\xef\xbb\xbf"
	      "a\nb\xef\xbb\xbf\n",
	      5, "[a][b\xef\xbb\xbf]");
	check("\xef\xbb\xbf", 5, "");
	check("\xef\xbb", 5, "[\xef\xbb]");
	check("\xef\xbb\n", 5, "[\xef\xbb]");
	check("\xef"
	      "ab\n",
	      5,
	      "[\xef"
	      "ab]");
}
END_TEST

START_TEST(test_ceiling)
{
	check("abc\nabcd\nabc\n", 3, "[abc]{overlong}[abc]");
	check("abc\r\nabcd\r\nx", 3, "[abc]{overlong}[x]");
	check("abcdefghijklmnop\nabc", 3, "{overlong}[abc]");
	check("abcdefghijklmnop", 3, "{overlong}");
	check("abcd", 3, "{overlong}");
	check("\n\nabcd\n\n", 0, "[][]{overlong}[]");
	check("\xef\xbb\xbf"
	      "abc\n",
	      3, "[abc]");
}
END_TEST

START_TEST(test_nul_bytes)
{
	char *seen = frame("a\0b\nc", 5, 10, 2);

	/* ccp_strbuf_take() gives text; what stands behind the NUL is still there. */
	ck_assert_mem_eq(seen, "[a\0b][c]", 9);
	free(seen);
}
END_TEST

START_TEST(test_long_lines)
{
	const size_t len = 16 * 1024 * 1024;
	struct ccp_lines lines = CCP_LINES(len);
	size_t fed = 0, line_len;
	char *room, *line;

	for (int round = 0; round < 2; round++, fed = 0) {
		while (fed < len) {
			ck_assert_int_eq(ccp_lines_next(&lines, &line, &line_len), CCP_LINES_NONE);
			ck_assert(ccp_lines_reserve(&lines, &room, &line_len));
			line_len = CCP_MIN(line_len, CCP_MIN(len - fed, (size_t)65536));
			memset(room, 'x', line_len);
			ccp_lines_commit(&lines, line_len);
			fed += line_len;
		}
		ck_assert(ccp_lines_reserve(&lines, &room, &line_len));
		memcpy(room, "\r\n", 2);
		ccp_lines_commit(&lines, 2);
		ck_assert_int_eq(ccp_lines_next(&lines, &line, &line_len), CCP_LINES_LINE);
		ck_assert_uint_eq(line_len, len);
		ck_assert_int_eq(ccp_lines_next(&lines, &line, &line_len), CCP_LINES_NONE);
	}
	/* The memory of a long line is not kept. */
	ck_assert(ccp_lines_reserve(&lines, &room, &line_len));
	ck_assert_uint_lt(lines.cap, 1024 * 1024);
	ccp_lines_done(&lines);
}
END_TEST

START_TEST(test_raw)
{
	char *seen = frame("\xef\xbb\xbf"
			   "a\nb\r\nc",
			   9, CCP_LINES_RAW, 4);

	ck_assert_str_eq(seen, "[\xef\xbb\xbf"
			       "a][\nb\r\n][c]");
	free(seen);
}
END_TEST

CCP_TEST_MAIN("lines", test_raw, test_framing, test_ceiling, test_nul_bytes, test_long_lines)
