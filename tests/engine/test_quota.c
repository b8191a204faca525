/*
 * A usage limit that ends before its time: bought credits, a raised limit. Codex is asked again
 * while operations wait, and its answer decides.
 */
#include "engine_env.h"
#include "usage_limit.h"

#include "base/clock.h"

#define ASKED       "expect account/rateLimits/read\nreply "
#define DAY_SECONDS (24 * 60 * 60)
/* The year 2100 */
#define FAR_SECONDS INT64_C(4102444800)
#define WINDOW      "\"primary\":{\"usedPercent\":%d,\"windowDurationMins\":10080,\"resetsAt\":%lld}"

/* The limits "codex" and "other" with so much used; the other one ends a day later. */
struct limits {
	int used, others_used;
	int days;
};

static int64_t end_of(const struct limits *limits)
{
	return FAR_SECONDS + (int64_t)limits->days * DAY_SECONDS;
}

static char *limits_text(struct limits limits)
{
	long long at = (long long)end_of(&limits), later = at + DAY_SECONDS;

	return ccp_asprintf("{\"rateLimits\":{\"limitId\":\"codex\"," WINDOW
			    "},\"rateLimitsByLimitId\":{\"codex\":{" WINDOW "},\"other\":{" WINDOW
			    "}}}",
			    limits.used, at, limits.used, at, limits.others_used, later);
}

struct quota_env {
	struct engine_env e;
	struct codexcp *cp;
	char *op;
};

static void append(char **script, const char *line, const char *limits, const char *end)
{
	char *longer = ccp_asprintf("%s%s%s%s", *script ? *script : "", line, limits, end);

	free(*script);
	*script = longer;
}

/* The next read is answered so. */
static void add_answer(char **script, struct limits limits)
{
	_cleanup_free_ char *text = limits_text(limits);

	append(script, ASKED, text, "\n");
}

/* Codex says so unasked. */
static void add_update(char **script, struct limits limits)
{
	_cleanup_free_ char *text = limits_text(limits);

	append(script, "notify {\"method\":\"account/rateLimits/updated\",\"params\":", text,
	       "}\n");
}

static void add(char **script, const char *lines)
{
	append(script, lines, "", "");
}

/* A turn meets the limit of which Codex has told before. */
static void add_told_limit(char **script)
{
	add(script, BEGIN_TURN);
	add_update(script, (struct limits){ 100, 3, 7 });
	add(script, LIMIT);
}

/* An operation that the limit has stopped. */
static void stop(struct quota_env *q, const char *script, const char *check_seconds)
{
	env_setup(&q->e);
	env_set(&q->e, "CODEX_MCP_QUOTA_CHECK_SECONDS", check_seconds);
	env_script(&q->e, script);
	q->cp = env_open(&q->e, CODEXCP_MODE_INLINE);
	q->op = env_submit(&q->e, q->cp, NULL);
	env_reach(&q->e, q->cp, q->op, "status", "waiting_for_quota");
}

static void done(struct quota_env *q)
{
	free(q->op);
	env_teardown(&q->e);
}

/* It went on in one more turn, long before the limit's time. */
static void check_gone_on(struct quota_env *q, int waits)
{
	json_auto_t *status = env_end(&q->e, q->cp, q->op);

	env_is(status, "status", "completed");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "quotaWaits")), waits);
	ck_assert_int_eq(json_integer_value(json_object_get(status, "attemptCount")), 1);
	ck_assert_int_eq(env_number(&q->e, "SELECT count(*) FROM journal WHERE op_id = "
					   "(SELECT id FROM operations ORDER BY seq LIMIT 1) AND "
					   "data ->> 'event' = 'turn_started'"),
			 2);
}

/* Still waiting. What was asked decides at once; whoever it had let out would be asked for in a
 * moment. */
static void check_waits(struct quota_env *q)
{
	json_auto_t *status = NULL;

	for (int i = 0; i < 5; i++)
		env_step(&q->e);
	status = env_status(q->cp, q->op);
	env_is(status, "status", "waiting_for_quota");
	ck_assert_int_eq(env_count(&q->e, "turn/start"), 1);
}

/* Until it waits for this end. */
static void wait_for_end(struct quota_env *q, int days)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;
	char at[CCP_TIME_SIZE];

	ccp_time_format(end_of(&(struct limits){ .days = days }) * 1000, at);
	for (;;) {
		json_auto_t *status = env_status(q->cp, q->op);
		const char *told = ccp_json_str(json_object_get(status, "quota"), "resetsAt");

		if (told && ccp_streq(told, at))
			break;
		ck_assert_msg(env_now_ms() < until, "%s, not %s", told ? told : "no end", at);
		env_step(&q->e);
	}
	check_waits(q);
}

/* It is asked again and again; the queue follows. */
START_TEST(test_raised)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL, *other = NULL;

	add(&script, MEET_LIMIT);
	add_answer(&script, (struct limits){ 100, 3, 7 });
	add_answer(&script, (struct limits){ 100, 3, 7 });
	add(&script, "await second\n");
	add_answer(&script, (struct limits){ 100, 3, 5 });
	add(&script, "await third\n");
	add_answer(&script, (struct limits){ 3, 3, 5 });
	stop(&q, script, "1");
	env_wait_count(&q.e, "account/rateLimits/read", 2);
	wait_for_end(&q, 7);
	other = env_submit(&q.e, q.cp, NULL);
	/* What has changed is taken over. */
	env_go(&q.e, "second");
	wait_for_end(&q, 5);
	ck_assert_int_eq(env_number(&q.e, "SELECT count(*) FROM journal WHERE "
					  "data ->> 'event' = 'quota_told'"),
			 2);
	env_go(&q.e, "third");
	check_gone_on(&q, 1);
	env_ends(&q.e, q.cp, other, "completed", NULL);
	ck_assert_int_eq(env_count(&q.e, "turn/start"), 3);
	done(&q);
}
END_TEST

/* An update is a reason to ask at once. */
START_TEST(test_update)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL;

	add_told_limit(&script);
	add(&script, "await raised\n");
	add_update(&script, (struct limits){ 3, 3, 7 });
	add_answer(&script, (struct limits){ 3, 3, 7 });
	stop(&q, script, "3600");
	wait_for_end(&q, 7);
	env_go(&q.e, "raised");
	check_gone_on(&q, 1);
	ck_assert_int_eq(env_count(&q.e, "account/rateLimits/read"), 1);
	done(&q);
}
END_TEST

/* It may be what another turn heard before the limit was met: the answer counts. */
START_TEST(test_late_update)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL;

	add_told_limit(&script);
	add(&script, "await late\n");
	add_update(&script, (struct limits){ 97, 3, 7 });
	add_answer(&script, (struct limits){ 100, 3, 6 });
	/* And the next one soon after is none. */
	add_update(&script, (struct limits){ 98, 3, 7 });
	stop(&q, script, "3600");
	wait_for_end(&q, 7);
	env_go(&q.e, "late");
	env_wait_count(&q.e, "account/rateLimits/read", 1);
	wait_for_end(&q, 6);
	ck_assert_int_eq(env_count(&q.e, "account/rateLimits/read"), 1);
	done(&q);
}
END_TEST

/* The account's other limits hold nobody whom they have not stopped. */
START_TEST(test_other_limit)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL;

	add(&script, MEET_LIMIT);
	add_answer(&script, (struct limits){ 100, 3, 7 });
	add(&script, "await other\n");
	add_answer(&script, (struct limits){ 100, 100, 6 });
	add(&script, "await raised\n");
	add_answer(&script, (struct limits){ 3, 100, 7 });
	stop(&q, script, "1");
	wait_for_end(&q, 7);
	env_go(&q.e, "other");
	wait_for_end(&q, 6);
	env_go(&q.e, "raised");
	check_gone_on(&q, 1);
	done(&q);
}
END_TEST

/* None was ever told to be reached, so that none is says nothing. */
START_TEST(test_not_told)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL;

	add(&script, MEET_LIMIT);
	add_answer(&script, (struct limits){ 3, 3, 7 });
	add_answer(&script, (struct limits){ 3, 3, 7 });
	stop(&q, script, "1");
	env_wait_count(&q.e, "account/rateLimits/read", 2);
	check_waits(&q);
	done(&q);
}
END_TEST

/* A worker that comes while no app-server is up has one started for it; who has been tried in vain
 * is asked for half as often. */
START_TEST(test_new_worker)
{
	struct quota_env q;
	_cleanup_free_ char *script = NULL, *later = NULL;
	int64_t began;

	add(&script, MEET_LIMIT);
	add_answer(&script, (struct limits){ 100, 3, 7 });
	stop(&q, script, "1");
	wait_for_end(&q, 7);
	env_close(&q.e, q.cp);
	add_answer(&later, (struct limits){ 3, 3, 7 });
	env_rewrite_script(&q.e, later);
	db_exec(q.e.state_db, "UPDATE operations SET quota_waits = 2, version = version + 1");
	began = env_now_ms();
	q.cp = env_open(&q.e, CODEXCP_MODE_INLINE);
	check_gone_on(&q, 2);
	ck_assert_int_ge(env_now_ms() - began, 2000);
	ck_assert_int_eq(env_count(&q.e, "initialize"), 2);
	done(&q);
}
END_TEST

CCP_TEST_MAIN("quota", test_raised, test_update, test_late_update, test_other_limit, test_not_told,
	      test_new_worker)
