#include "base/utf8.h"

#include "ccp_check.h"

#define BAD "\xef\xbf\xbd"

/* in -> out; a valid text is its own output */
static const struct {
	const char *in;
	size_t len;
	const char *out;
} rows[] = {
#define ROW(in, out)                                                                               \
	{                                                                                          \
		in, sizeof(in) - 1, out                                                            \
	}
	ROW("", ""),
	ROW("plain", "plain"),
	ROW("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
	    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
	ROW("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf"),
	ROW("a\0b", "a" BAD "b"),
	ROW("\x80", BAD),
	ROW("\xff\xfe", BAD BAD),
	ROW("\xc0\xaf", BAD BAD),                 /* overlong */
	ROW("\xe0\x80\xaf", BAD BAD BAD),         /* overlong */
	ROW("\xed\xa0\x80", BAD BAD BAD),         /* surrogate */
	ROW("\xf4\x90\x80\x80", BAD BAD BAD BAD), /* past U+10FFFF */
	ROW("\xe2\x82", BAD),                     /* cut */
	ROW("\xf0\x9f\x98x", BAD "x"),            /* cut */
	ROW("\xc3", BAD),
#undef ROW
};

START_TEST(test_sanitize)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		size_t len = 999;
		_cleanup_free_ char *out = ccp_utf8_sanitize(rows[i].in, rows[i].len, &len);
		bool same = len == rows[i].len && memcmp(out, rows[i].in, len) == 0;

		ck_assert_msg(strcmp(out, rows[i].out) == 0, "row %zu: %s", i, out);
		ck_assert_uint_eq(len, strlen(rows[i].out));
		ck_assert_msg(ccp_utf8_valid(rows[i].in, rows[i].len) == same, "row %zu", i);
		ck_assert(ccp_utf8_valid(out, len));
	}
}
END_TEST

START_TEST(test_chars)
{
	const char *s = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80";

	ck_assert_uint_eq(ccp_utf8_chars(s, strlen(s)), 4);
	ck_assert_uint_eq(ccp_utf8_chars("", 0), 0);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 0), 0);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 1), 1);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 2), 3);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 3), 6);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 4), 10);
	ck_assert_uint_eq(ccp_utf8_clip(s, strlen(s), 5), 10);
}
END_TEST

CCP_TEST_MAIN("utf8", test_sanitize, test_chars)
