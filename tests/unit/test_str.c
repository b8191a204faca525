#include "base/str.h"

#include "ccp_check.h"

START_TEST(test_affixes)
{
	ck_assert(ccp_str_has_prefix("thread", "thr"));
	ck_assert(ccp_str_has_prefix("thread", ""));
	ck_assert(!ccp_str_has_prefix("thr", "thread"));
	ck_assert(ccp_str_has_suffix("a.json", ".json"));
	ck_assert(ccp_str_has_suffix("a", ""));
	ck_assert(!ccp_str_has_suffix("json", ".json"));
	ck_assert(ccp_streq(NULL, NULL));
	ck_assert(!ccp_streq(NULL, ""));
}
END_TEST

START_TEST(test_blank)
{
	ck_assert(ccp_str_blank(NULL));
	ck_assert(ccp_str_blank(""));
	ck_assert(ccp_str_blank(" \t\r\n"));
	ck_assert(!ccp_str_blank(" x "));
}
END_TEST

START_TEST(test_copies)
{
	_cleanup_free_ char *text = ccp_asprintf("%s-%d", "a", 7);
	_cleanup_free_ char *trimmed = ccp_strndup_trim(" \n a b \t rest", 8);
	_cleanup_free_ char *empty = ccp_strndup_trim("   ", 3);
	char *none = text;

	ck_assert_str_eq(text, "a-7");
	ck_assert_str_eq(trimmed, "a b");
	ck_assert_str_eq(empty, "");
	ck_assert(ccp_strdup_opt(NULL, &none));
	ck_assert_ptr_null(none);
	ck_assert(ccp_strdup_opt("x", &none));
	ck_assert_str_eq(none, "x");
	free(none);
}
END_TEST

START_TEST(test_parse_i64)
{
	static const char *const bad[] = { "",   " 1",  "1 ", "+1", "1.0", "0x10",
					   "a",  "--1", "-",  ".",  "-.",  "9223372036854775808",
					   "1e3" };
	int64_t n = 42;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(bad); i++)
		ck_assert_msg(!ccp_parse_i64(bad[i], &n), "%s", bad[i]);
	ck_assert_int_eq(n, 42);
	ck_assert(ccp_parse_i64("-9223372036854775808", &n));
	ck_assert(n == INT64_MIN);
	ck_assert(ccp_parse_i64("0", &n));
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(test_nearest)
{
	static const char *const list[] = { "operation_id", "timeout_seconds", "cwd", NULL };
	char longer[80];

	ck_assert_str_eq(ccp_str_nearest("operationId", list), "operation_id");
	ck_assert_str_eq(ccp_str_nearest("timeout_secnods", list), "timeout_seconds");
	ck_assert_str_eq(ccp_str_nearest("cwe", list), "cwd");
	ck_assert_ptr_null(ccp_str_nearest("prompt", list));
	ck_assert_ptr_null(ccp_str_nearest("", list));
	ck_assert_ptr_null(ccp_str_nearest("xyz", list));
	memset(longer, 'c', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_ptr_null(ccp_str_nearest(longer, list));
}
END_TEST

CCP_TEST_MAIN("str", test_affixes, test_blank, test_copies, test_parse_i64, test_nearest)
