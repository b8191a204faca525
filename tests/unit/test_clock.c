#include "base/clock.h"

#include "ccp_check.h"

START_TEST(test_format)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 951826154321, "2000-02-29T12:09:14.321Z" },
		{ 1795165200000, "2026-11-20T09:00:00.000Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
		{ INT64_MIN, "0000-01-01T00:00:00.000Z" },
	};
	char text[CCP_TIME_SIZE];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++)
		ck_assert_str_eq(ccp_time_format(rows[i].ms, text), rows[i].text);
}
END_TEST

START_TEST(test_parse)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "2026-11-20T09:00:00.000Z", 1795165200000 },
		{ "2026-11-20T10:30:00.5+01:30", 1795165200500 },
		{ "2026-11-20t04:00:00.123456789-05:00", 1795165200123 },
		{ "2026-11-20 09:00:00z", 1795165200000 },
		{ "2000-02-29T12:09:14.321Z", 951826154321 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		int64_t ms = 42;

		ck_assert_msg(ccp_time_parse(rows[i].text, &ms), "%s", rows[i].text);
		ck_assert_int_eq(ms, rows[i].ms);
	}
}
END_TEST

START_TEST(test_parse_bad)
{
	static const char *const bad[] = {
		"",
		"2026-11-20",
		"2026-11-20T09:00:00",
		"2026-11-20T09:00Z",
		"2026-11-20T09:00:00.Z",
		"2026-11-20T09:00:00Z ",
		" 2026-11-20T09:00:00Z",
		"2026-11-20T09:00:00+01",
		"2026-11-20T09:00:00+0100",
		"2026-11-20T09:00:00+24:00",
		"2026-13-20T09:00:00Z",
		"2026-02-29T09:00:00Z",
		"2026-04-31T09:00:00Z",
		"2026-00-10T09:00:00Z",
		"2026-11-20T24:00:00Z",
		"2026-11-20T09:60:00Z",
		"26-11-20T09:00:00Z",
		"2026-1-20T09:00:00Z",
	};
	int64_t ms = 42;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(bad); i++)
		ck_assert_msg(!ccp_time_parse(bad[i], &ms), "%s", bad[i]);
	ck_assert_int_eq(ms, 42);
}
END_TEST

START_TEST(test_round_trip)
{
	char text[CCP_TIME_SIZE];

	for (int64_t ms = -62167219200000; ms <= 253402300799999; ms += 86399999987 / 7) {
		int64_t back;

		ck_assert(ccp_time_parse(ccp_time_format(ms, text), &back));
		ck_assert_int_eq(back, ms);
	}
}
END_TEST

START_TEST(test_system)
{
	const struct ccp_clock *clock = ccp_clock_system();
	int64_t boot = ccp_clock_boot(clock);

	ck_assert_int_gt(ccp_clock_wall(clock), 1600000000000);
	ck_assert_int_gt(boot, 0);
	ck_assert_int_ge(ccp_clock_boot(clock), boot);
}
END_TEST

CCP_TEST_MAIN("clock", test_format, test_parse, test_parse_bad, test_round_trip, test_system)
