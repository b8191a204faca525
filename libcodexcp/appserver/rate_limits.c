#include "appserver/rate_limits.h"

#include "base/json.h"
#include "base/str.h"

#define FULL_PERCENT 100

static void take_later(struct ccp_rate_limit *limit, const json_t *window, bool reached)
{
	int64_t at = ccp_json_int(window, "resetsAt", 0) * 1000;

	if (!reached || at <= limit->resets_at)
		return;
	limit->resets_at = at;
	limit->window = ccp_json_int(window, "windowDurationMins", 0);
}

/* One kind of limit: two windows that are counted side by side, and what a member may spend. */
static bool take_snapshot(struct ccp_rate_limit *limit, const json_t *snapshot)
{
	static const char *const windows[] = { "primary", "secondary" };
	const json_t *spend = ccp_json_obj(snapshot, "individualLimit");
	bool told = spend;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(windows); i++) {
		const json_t *window = ccp_json_obj(snapshot, windows[i]);

		told |= window != NULL;
		take_later(limit, window, ccp_json_int(window, "usedPercent", 0) >= FULL_PERCENT);
	}
	take_later(limit, spend, ccp_json_int(spend, "remainingPercent", 1) <= 0);
	return told;
}

int ccp_rate_limit_parse(const json_t *message, struct ccp_rate_limit *ret_limit)
{
	struct ccp_rate_limit limit = { 0 };
	bool told = take_snapshot(&limit, ccp_json_obj(message, "rateLimits"));
	const char *id;
	json_t *snapshot;

	json_object_foreach (ccp_json_obj(message, "rateLimitsByLimitId"), id, snapshot)
		told |= take_snapshot(&limit, snapshot);
	if (told)
		*ret_limit = limit;
	return told;
}

bool ccp_is_login_change(const char *method, const json_t *params)
{
	if (ccp_streq(method, "account/login/completed"))
		return ccp_json_bool(params, "success", false);
	/* Without a mode it is a logout. */
	return ccp_streq(method, "account/updated") && ccp_json_str(params, "authMode");
}
