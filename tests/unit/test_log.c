#include "base/log.h"

#include "ccp_check.h"

static char *last;
static int calls;

static void remember(enum ccp_log_level level, const char *line, void *data)
{
	ck_assert_ptr_eq(data, &calls);
	free(last);
	last = strdup(line);
	calls++;
}

static void install(enum ccp_log_level threshold)
{
	ccp_log_set(remember, &calls, threshold);
}

START_TEST(test_pairs)
{
	install(CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_INFO, "operation started", "operation", "cmd_1", "gone", NULL, "n", "3",
		NULL);
	ck_assert_str_eq(last, "msg=\"operation started\" operation=cmd_1 n=3");
	ccp_log(CCP_LOG_INFO, "x", NULL);
	ck_assert_str_eq(last, "msg=\"x\"");
}
END_TEST

START_TEST(test_quotes)
{
	install(CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_INFO, "a \"b\"\nc", "empty", "", "blank", "a b", "eq", "a=b", "back",
		"a\\b", "control", "\x1b[m\r", "bad", "\xff", NULL);
	ck_assert_str_eq(last, "msg=\"a \\\"b\\\"\\nc\" empty=\"\" blank=\"a b\" eq=\"a=b\" "
			       "back=\"a\\\\b\" control=\"\\x1b[m\\x0d\" bad=\xef\xbf\xbd");
}
END_TEST

START_TEST(test_redacts)
{
	install(CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_INFO, "DB_PASSWORD=hunter2hunter2", "key",
		"ghp_0123456789abcdefghijABCDEFGHIJ012345", NULL);
	ck_assert_str_eq(last, "msg=\"DB_PASSWORD=[redacted]\" key=[redacted]");
}
END_TEST

START_TEST(test_bounds)
{
	char big[9001], expected[4096];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	snprintf(expected, sizeof(expected), "msg=\"m\" big=%.2000s n=1", big);
	install(CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_INFO, "m", "big", big, "n", "1", NULL);
	ck_assert_str_eq(last, expected);
}
END_TEST

START_TEST(test_too_long)
{
	char big[2001];

	memset(big, '\x01', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	install(CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_INFO, big, "a", big, "b", big, "c", big, "d", big, "e", big, "f", big, "g",
		big, "h", big, NULL);
	ck_assert_str_eq(last, "msg=\"a log line was lost\"");
}
END_TEST

START_TEST(test_threshold)
{
	ccp_log(CCP_LOG_ERROR, "nobody listens", NULL);
	install(CCP_LOG_WARNING);
	ccp_log(CCP_LOG_INFO, "low", NULL);
	ck_assert_int_eq(calls, 0);
	ccp_log(CCP_LOG_WARNING, "high", NULL);
	ck_assert_int_eq(calls, 1);
	ccp_log_set(NULL, NULL, CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_ERROR, "off", NULL);
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(test_to_file)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	ccp_log_set(ccp_log_to_file, file, CCP_LOG_DEBUG);
	ccp_log(CCP_LOG_WARNING, "hello", "a", "1", NULL);
	fclose(file);
	ck_assert_uint_gt(size, 24);
	ck_assert_str_eq(text + 24, " warning msg=\"hello\" a=1\n");
	ck_assert_int_eq(text[23], 'Z');
}
END_TEST

CCP_TEST_MAIN("log", test_pairs, test_quotes, test_redacts, test_bounds, test_too_long,
	      test_threshold, test_to_file)
