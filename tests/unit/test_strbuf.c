#include "base/strbuf.h"

#include "ccp_check.h"

START_TEST(test_append)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(1024);
	_cleanup_free_ char *text = NULL;

	ck_assert_str_eq(ccp_strbuf_str(&sb), "");
	ccp_strbuf_append(&sb, "a");
	ccp_strbuf_append_n(&sb, "bcd", 2);
	ccp_strbuf_append_char(&sb, '-');
	ccp_strbuf_appendf(&sb, "%d%s", 12, "");
	ccp_strbuf_append_n(&sb, NULL, 0);
	ck_assert_str_eq(ccp_strbuf_str(&sb), "abc-12");
	ck_assert_uint_eq(sb.len, 6);
	text = ccp_strbuf_take(&sb);
	ck_assert_str_eq(text, "abc-12");
	ck_assert_uint_eq(sb.len, 0);
	ck_assert_ptr_null(sb.data);
}
END_TEST

START_TEST(test_grows)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);

	for (int i = 0; i < 100000; i++)
		ccp_strbuf_append(&sb, "0123456789");
	ck_assert(!sb.failed);
	ck_assert_uint_eq(sb.len, 1000000);
	ck_assert_uint_eq(strlen(ccp_strbuf_str(&sb)), 1000000);
}
END_TEST

START_TEST(test_ceiling)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(4);

	ccp_strbuf_append(&sb, "1234");
	ck_assert_str_eq(ccp_strbuf_str(&sb), "1234");
	ccp_strbuf_append_char(&sb, '5');
	ck_assert(sb.failed);
	ck_assert_str_eq(ccp_strbuf_str(&sb), "");
	ccp_strbuf_append(&sb, "");
	ck_assert(sb.failed);
	ck_assert_ptr_null(ccp_strbuf_take(&sb));
	ck_assert(!sb.failed);
	ccp_strbuf_appendf(&sb, "%s", "12345");
	ck_assert(sb.failed);
	ccp_strbuf_clear(&sb);
	ccp_strbuf_append(&sb, "ok");
	ck_assert_str_eq(ccp_strbuf_str(&sb), "ok");
}
END_TEST

START_TEST(test_take_empty)
{
	struct ccp_strbuf sb = CCP_STRBUF(4);
	_cleanup_free_ char *text = ccp_strbuf_take(&sb);

	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_consume)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(64);

	ccp_strbuf_consume(&sb, 0);
	ccp_strbuf_append(&sb, "abcdef");
	ccp_strbuf_consume(&sb, 2);
	ck_assert_str_eq(ccp_strbuf_str(&sb), "cdef");
	ccp_strbuf_consume(&sb, 4);
	ck_assert_str_eq(ccp_strbuf_str(&sb), "");
	ccp_strbuf_append(&sb, "x");
	ccp_strbuf_clear(&sb);
	ck_assert_str_eq(ccp_strbuf_str(&sb), "");
	ck_assert_uint_eq(sb.len, 0);
}
END_TEST

CCP_TEST_MAIN("strbuf", test_append, test_grows, test_ceiling, test_take_empty, test_consume)
