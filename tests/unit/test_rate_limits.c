#include <ccp_check.h>

#include "appserver/rate_limits.h"

#define WINDOW(used, minutes, at)                                                                  \
	"{\"usedPercent\":" used ",\"windowDurationMins\":" minutes ",\"resetsAt\":" at "}"
#define LIMITS(primary, secondary)                                                                 \
	"{\"rateLimits\":{\"limitId\":\"codex\",\"primary\":" primary ",\"secondary\":" secondary  \
	",\"credits\":null,\"individualLimit\":null}}"

static const struct {
	const char *message;
	int told;
	struct ccp_rate_limit limit;
} rows[] = {
	/* as 0.169 said it before a turn failed */
	{ LIMITS(WINDOW("100", "300", "1795178853"), WINDOW("40", "10080", "1795179853")),
	  1,
	  { 1795178853000, 300 } },
	{ LIMITS(WINDOW("40", "300", "1795178853"), WINDOW("100", "10080", "1795179853")),
	  1,
	  { 1795179853000, 10080 } },
	/* both are reached: the later one decides */
	{ LIMITS(WINDOW("100", "300", "1795178853"), WINDOW("101", "10080", "1795179853")),
	  1,
	  { 1795179853000, 10080 } },
	{ LIMITS(WINDOW("99", "300", "1795178853"), "null"), 1, { 0, 0 } },
	{ LIMITS(WINDOW("100", "null", "null"), "null"), 1, { 0, 0 } },
	/* nothing new: what was known stays */
	{ LIMITS("null", "null"), 0, { 7, 7 } },
	{ "{}", 0, { 7, 7 } },
	{ "{\"rateLimits\":null}", 0, { 7, 7 } },
	/* of account/rateLimits/read */
	{ "{\"rateLimits\":{\"primary\":" WINDOW(
		  "3", "300", "5") "},\"rateLimitsByLimitId\":"
				   "{\"codex\":{\"primary\":" WINDOW(
					   "3", "300",
					   "5") "},\"other\":{\"secondary\":" WINDOW("100", "60",
										     "9") "}}}",
	  1,
	  { 9000, 60 } },
	{ "{\"rateLimits\":{\"individualLimit\":{\"limit\":\"10\",\"used\":\"10\","
	  "\"remainingPercent\":0,\"resetsAt\":12}}}",
	  1,
	  { 12000, 0 } },
	{ "{\"rateLimits\":{\"individualLimit\":{\"remainingPercent\":1,\"resetsAt\":12}}}",
	  1,
	  { 0, 0 } },
};

START_TEST(test_limits)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		json_auto_t *message = json_loads(rows[i].message, 0, NULL);
		struct ccp_rate_limit limit = { 7, 7 };

		ck_assert_msg(message != NULL, "%s", rows[i].message);
		ck_assert_int_eq(ccp_rate_limit_parse(message, &limit), rows[i].told);
		ck_assert_msg(limit.resets_at == rows[i].limit.resets_at &&
				      limit.window == rows[i].limit.window,
			      "%s", rows[i].message);
	}
}
END_TEST

START_TEST(test_login)
{
	static const struct {
		const char *method, *params;
		bool changed;
	} logins[] = {
		/* as 0.169 said it after account/login/start */
		{ "account/login/completed", "{\"loginId\":null,\"success\":true,\"error\":null}",
		  true },
		{ "account/updated", "{\"authMode\":\"apikey\",\"planType\":null}", true },
		{ "account/login/completed", "{\"loginId\":null,\"success\":false}", false },
		{ "account/updated", "{\"authMode\":null,\"planType\":null}", false },
		{ "account/rateLimits/updated", "{\"authMode\":\"apikey\"}", false },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(logins); i++) {
		json_auto_t *params = json_loads(logins[i].params, 0, NULL);

		ck_assert_int_eq(ccp_is_login_change(logins[i].method, params), logins[i].changed);
	}
}
END_TEST

CCP_TEST_MAIN("rate_limits", test_limits, test_login)
