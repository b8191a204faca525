#include "appserver/rate_limits.h"

#include <stdio.h>

#include "base/json.h"
#include "base/str.h"

#define FULL_PERCENT 100
/* What a snapshot without an id is about. */
#define DEFAULT_ID "codex"

/* What is told of one limit. */
struct told {
	const char *id;
	bool said;  /* Codex calls it reached, */
	bool full;  /* or a window of it is full, */
	bool spent; /* or what a member may spend is spent */
	bool any;   /* something of this is told, at least that it is not so */
	bool credit;
	int64_t resets_at, window;
};

static void take_end(struct told *told, const json_t *window)
{
	int64_t at = ccp_json_int(window, "resetsAt", 0) * 1000;

	if (at <= told->resets_at)
		return;
	told->resets_at = at;
	told->window = ccp_json_int(window, "windowDurationMins", 0);
}

static void take_window(struct told *told, const json_t *window)
{
	told->any |= window != NULL;
	if (ccp_json_int(window, "usedPercent", 0) < FULL_PERCENT)
		return;
	told->full = true;
	take_end(told, window);
}

static void take_spending(struct told *told, const json_t *spending)
{
	told->any |= spending != NULL;
	if (ccp_json_int(spending, "remainingPercent", 1) > 0)
		return;
	told->spent = true;
	take_end(told, spending);
}

static bool has_credit(const json_t *credits)
{
	const char *balance = ccp_json_str(credits, "balance");

	return ccp_json_bool(credits, "unlimited", false) ||
	       (ccp_json_bool(credits, "hasCredits", false) &&
		(!balance || strtod(balance, NULL) > 0));
}

static struct told read_snapshot(const char *id, const json_t *snapshot)
{
	struct told told = { .id = id };

	told.said = ccp_json_str(snapshot, "rateLimitReachedType") ||
		    ccp_json_bool(snapshot, "spendControlReached", false);
	told.any = told.said;
	told.credit = has_credit(ccp_json_obj(snapshot, "credits"));
	take_window(&told, ccp_json_obj(snapshot, "primary"));
	take_window(&told, ccp_json_obj(snapshot, "secondary"));
	take_spending(&told, ccp_json_obj(snapshot, "individualLimit"));
	return told;
}

typedef void (*told_fn)(const struct told *told, void *data);

/* `only`: this one; NULL: all. The first is also among the others, where there are others. */
static void each_told(const json_t *message, const char *only, told_fn fn, void *data)
{
	const json_t *first = ccp_json_obj(message, "rateLimits");
	const char *id = ccp_json_str(first, "limitId");
	struct told told = read_snapshot(id ? id : DEFAULT_ID, first);
	json_t *snapshot;

	if (!only || ccp_streq(told.id, only))
		fn(&told, data);
	json_object_foreach (ccp_json_obj(message, "rateLimitsByLimitId"), id, snapshot) {
		told = read_snapshot(id, snapshot);
		if (!only || ccp_streq(id, only))
			fn(&told, data);
	}
}

struct choice {
	struct ccp_rate_limit limit;
	bool told, said;
};

static void choose(const struct told *told, void *data)
{
	struct choice *choice = data;
	bool reached = told->said || told->full || told->spent;
	bool better = told->said != choice->said
			      ? told->said
			      : !choice->limit.id[0] || told->resets_at > choice->limit.resets_at;

	choice->told |= told->any;
	if (!reached || !better)
		return;
	choice->said = told->said;
	choice->limit.resets_at = told->resets_at;
	choice->limit.window = told->window;
	snprintf(choice->limit.id, sizeof(choice->limit.id), "%s", told->id);
}

int ccp_rate_limit_parse(const json_t *message, const char *id, struct ccp_rate_limit *ret_limit)
{
	struct choice choice = { 0 };

	each_told(message, id, choose, &choice);
	if (choice.told)
		*ret_limit = choice.limit;
	return choice.told;
}

struct opening {
	const json_t *allowed; /* whether the backend permits ordinary usage, or NULL */
	bool told, stopped;
};

static void look_whether_open(const struct told *told, void *data)
{
	struct opening *opening = data;
	bool ordinary = ccp_streq(told->id, DEFAULT_ID) && json_is_boolean(opening->allowed);
	bool used_up = ordinary ? json_is_false(opening->allowed) : told->full;

	opening->told |= told->any || told->credit || ordinary;
	opening->stopped |= told->said || told->spent || (used_up && !told->credit);
}

bool ccp_rate_limit_is_open(const json_t *message, const char *id)
{
	struct opening opening = { .allowed = json_object_get(message, "ordinaryUsageAllowed") };

	each_told(message, id, look_whether_open, &opening);
	return opening.told && !opening.stopped;
}

bool ccp_is_login_change(const char *method, const json_t *params)
{
	if (ccp_streq(method, "account/login/completed"))
		return ccp_json_bool(params, "success", false);
	/* Without a mode it is a logout. */
	return ccp_streq(method, "account/updated") && ccp_json_str(params, "authMode");
}
