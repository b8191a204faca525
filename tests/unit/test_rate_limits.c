#include <ccp_check.h>

#include "appserver/rate_limits.h"
#include "base/str.h"

#define WINDOW(used, minutes, at)                                                                  \
	"{\"usedPercent\":" used ",\"windowDurationMins\":" minutes ",\"resetsAt\":" at "}"
#define FULL(at)       WINDOW("100", "60", at)
#define SOME(at)       WINDOW("3", "60", at)
#define LIMIT(members) "{\"rateLimits\":{" members "}}"
#define LIMITS(primary, secondary)                                                                 \
	LIMIT("\"limitId\":\"codex\",\"primary\":" primary ",\"secondary\":" secondary             \
	      ",\"credits\":null,\"individualLimit\":null,\"rateLimitReachedType\":null")
#define SPENT(percent)                                                                             \
	"\"individualLimit\":{\"limit\":\"10\",\"used\":\"10\",\"remainingPercent\":" percent      \
	",\"resetsAt\":12}"
#define REACHED "\"rateLimitReachedType\":\"workspace_member_credits_depleted\""
#define CREDITS(has, unlimited, balance)                                                           \
	"\"credits\":{\"hasCredits\":" has ",\"unlimited\":" unlimited ",\"balance\":" balance "}"
/* An answer to account/rateLimits/read: the usual limit twice, and another one. */
#define READ(codex, other, more)                                                                   \
	"{\"rateLimits\":{\"limitId\":\"codex\"," codex                                            \
	"},\"rateLimitsByLimitId\":{\"codex\":{" codex "},\"other\":{" other "}}" more "}"
#define PRIMARY(window)   "\"primary\":" window
#define SECONDARY(window) "\"secondary\":" window

static const struct {
	const char *message, *id;
	int told;
	struct ccp_rate_limit limit;
} reached[] = {
	/* as 0.169 said it before a turn failed */
	{ LIMITS(WINDOW("100", "300", "1795178853"), WINDOW("40", "10080", "1795179853")),
	  NULL,
	  1,
	  { "codex", 1795178853000, 300 } },
	{ LIMITS(WINDOW("40", "300", "1795178853"), WINDOW("100", "10080", "1795179853")),
	  NULL,
	  1,
	  { "codex", 1795179853000, 10080 } },
	/* both are reached: the later one decides */
	{ LIMITS(WINDOW("100", "300", "1795178853"), WINDOW("101", "10080", "1795179853")),
	  NULL,
	  1,
	  { "codex", 1795179853000, 10080 } },
	{ LIMITS(WINDOW("99", "300", "1795178853"), "null"), NULL, 1, { "" } },
	{ LIMITS(WINDOW("100", "null", "null"), "null"), NULL, 1, { "codex" } },
	/* 0.98 names none */
	{ LIMIT(PRIMARY(FULL("5"))), NULL, 1, { "codex", 5000, 60 } },
	/* nothing new: what was known stays */
	{ LIMITS("null", "null"), NULL, 0, { "x", 7, 7 } },
	{ "{}", NULL, 0, { "x", 7, 7 } },
	{ "{\"rateLimits\":null}", NULL, 0, { "x", 7, 7 } },
	{ LIMIT(CREDITS("true", "false", "\"5\"")), NULL, 0, { "x", 7, 7 } },
	/* one of several, at all or this one */
	{ READ(PRIMARY(SOME("5")), SECONDARY(FULL("9")), ""), NULL, 1, { "other", 9000, 60 } },
	{ READ(PRIMARY(SOME("5")), SECONDARY(FULL("9")), ""), "codex", 1, { "" } },
	{ READ(PRIMARY(SOME("5")), SECONDARY(FULL("9")), ""), "none", 0, { "x", 7, 7 } },
	{ READ(PRIMARY(FULL("5")), PRIMARY(FULL("9")), ""), NULL, 1, { "other", 9000, 60 } },
	{ READ(PRIMARY(FULL("5")), PRIMARY(FULL("9")), ""), "codex", 1, { "codex", 5000, 60 } },
	/* one that has its end later and is not reached is none */
	{ READ(PRIMARY(FULL("5")), PRIMARY(SOME("9")), ""), NULL, 1, { "codex", 5000, 60 } },
	/* the one that is called reached, though another one is full for longer */
	{ READ(PRIMARY(FULL("5")) "," REACHED, PRIMARY(FULL("9")), ""),
	  NULL,
	  1,
	  { "codex", 5000, 60 } },
	{ READ(PRIMARY(FULL("9")), PRIMARY(SOME("5")) "," REACHED, ""), NULL, 1, { "other" } },
	{ LIMIT("\"spendControlReached\":true"), NULL, 1, { "codex" } },
	{ LIMIT(SPENT("0")), NULL, 1, { "codex", 12000, 0 } },
	{ LIMIT(SPENT("1")), NULL, 1, { "" } },
	/* credits did not help whom it has stopped */
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("true", "false", "null")),
	  NULL,
	  1,
	  { "codex", 5000, 60 } },
};

START_TEST(test_reached)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(reached); i++) {
		json_auto_t *message = json_loads(reached[i].message, 0, NULL);
		struct ccp_rate_limit limit = { "x", 7, 7 };

		ck_assert_msg(message != NULL, "%s", reached[i].message);
		ck_assert_int_eq(ccp_rate_limit_parse(message, reached[i].id, &limit),
				 reached[i].told);
		ck_assert_msg(ccp_streq(limit.id, reached[i].limit.id) &&
				      limit.resets_at == reached[i].limit.resets_at &&
				      limit.window == reached[i].limit.window,
			      "%s: %s %lld", reached[i].message, limit.id,
			      (long long)limit.resets_at);
	}
}
END_TEST

static const struct {
	const char *message, *id;
	bool open;
} rooms[] = {
	{ LIMITS(SOME("5"), "null"), NULL, true },
	{ LIMITS(SOME("5"), "null"), "codex", true },
	{ LIMITS(SOME("5"), FULL("9")), NULL, false },
	/* Of this one nothing is told. */
	{ LIMITS(SOME("5"), "null"), "other", false },
	{ LIMITS("null", "null"), NULL, false },
	{ "{}", NULL, false },
	{ READ(PRIMARY(SOME("5")), PRIMARY(FULL("9")), ""), "codex", true },
	{ READ(PRIMARY(SOME("5")), PRIMARY(FULL("9")), ""), "other", false },
	{ READ(PRIMARY(SOME("5")), PRIMARY(FULL("9")), ""), NULL, false },
	{ READ(PRIMARY(SOME("5")) "," REACHED, PRIMARY(SOME("9")), ""), "codex", false },
	{ LIMIT(PRIMARY(SOME("5")) ",\"spendControlReached\":true"), NULL, false },
	{ LIMIT(PRIMARY(SOME("5")) "," SPENT("0")), NULL, false },
	/* credits were bought */
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("true", "false", "\"12.5\"")), NULL, true },
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("true", "false", "null")), NULL, true },
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("false", "true", "null")), NULL, true },
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("true", "false", "\"0\"")), NULL, false },
	{ LIMIT(PRIMARY(FULL("5")) "," CREDITS("false", "false", "null")), NULL, false },
	{ LIMIT(REACHED "," CREDITS("true", "false", "\"1\"")), NULL, false },
	{ LIMIT(SPENT("0") "," CREDITS("true", "false", "\"1\"")), NULL, false },
	/* 0.169 says it of ordinary usage: of the usual limit */
	{ READ(PRIMARY(FULL("5")), PRIMARY(SOME("9")), ",\"ordinaryUsageAllowed\":true"), "codex",
	  true },
	{ READ(PRIMARY(SOME("5")), PRIMARY(SOME("9")), ",\"ordinaryUsageAllowed\":false"), "codex",
	  false },
	{ READ(PRIMARY(SOME("5")), PRIMARY(SOME("9")), ",\"ordinaryUsageAllowed\":false"), "other",
	  true },
	{ READ(PRIMARY(SOME("5")), PRIMARY(SOME("9")), ",\"ordinaryUsageAllowed\":null"), "codex",
	  true },
	{ READ(PRIMARY(FULL("5")) "," CREDITS("true", "false", "\"1\""), PRIMARY(SOME("9")),
	       ",\"ordinaryUsageAllowed\":false"),
	  "codex", true },
};

START_TEST(test_open)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rooms); i++) {
		json_auto_t *message = json_loads(rooms[i].message, 0, NULL);

		ck_assert_msg(message != NULL, "%s", rooms[i].message);
		ck_assert_msg(ccp_rate_limit_is_open(message, rooms[i].id) == rooms[i].open,
			      "%s of %s", rooms[i].message, rooms[i].id ? rooms[i].id : "any");
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

CCP_TEST_MAIN("rate_limits", test_reached, test_open, test_login)
