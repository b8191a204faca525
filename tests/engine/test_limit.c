/*
 * The account's usage limit: a turn that met it goes on when the limit has ended, once; others wait
 * until then.
 */
#include "engine_env.h"
#include "usage_limit.h"

#include "base/clock.h"

static json_t *wait_for_limit(struct engine_env *e, struct codexcp *cp, const char *op)
{
	return env_wait(e, cp, op, "status", "waiting_for_quota");
}

/* The time has come. */
static void end_limit(struct engine_env *e, struct codexcp *cp)
{
	db_exec(e->state_db, "UPDATE operations SET not_before = 1, version = version + 1 "
			     "WHERE phase = 'waiting_for_quota'");
	codexcp_look_for_work(cp);
}

static char *limits_text(int64_t resets_at)
{
	return ccp_asprintf(
		"{\"rateLimits\":{\"limitId\":\"codex\",\"primary\":{\"usedPercent\":"
		"100,\"windowDurationMins\":300,\"resetsAt\":%lld},\"secondary\":null}}",
		(long long)resets_at);
}

/* Codex says when the limit ends, before the turn fails or when it is asked. */
static void limit_told(bool asked)
{
	struct engine_env e;
	struct codexcp *cp;
	int64_t resets_at = ccp_clock_wall(ccp_clock_system()) / 1000 + 2;
	_cleanup_free_ char *op = NULL, *limits = limits_text(resets_at), *script = NULL,
			    *mark = NULL;
	json_auto_t *waiting = NULL, *done = NULL, *second = NULL;
	const json_t *quota;
	char at[CCP_TIME_SIZE];

	env_setup(&e);
	script = asked ? ccp_asprintf(MEET_LIMIT "expect account/rateLimits/read\nreply %s\n",
				      limits)
		       : ccp_asprintf(BEGIN_TURN
				      "notify {\"method\":"
				      "\"account/rateLimits/updated\",\"params\":%s}\n" LIMIT,
				      limits);
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, op);
	env_is(waiting, "phase", "waiting_for_quota");
	env_is(waiting, "nextRecommendedAction", "wait_for_quota");
	ck_assert_int_eq(ccp_json_int(waiting, "recommendedPollAfterSeconds", 0), 60);
	env_is(json_object_get(waiting, "error"), "class", "usageLimitExceeded");
	ck_assert(json_is_true(json_object_get(json_object_get(waiting, "error"), "retryable")));
	if (!asked) {
		quota = json_object_get(waiting, "quota");
		env_is(quota, "resetsAt", ccp_time_format(resets_at * 1000, at));
		ck_assert_int_eq(ccp_json_int(quota, "windowMinutes", 0), 300);
		ck_assert_str_ge(ccp_json_str(waiting, "nextAttemptAt"), at);
	}
	done = env_end(&e, cp, op);
	env_is(done, "status", "completed");
	ck_assert_ptr_null(json_object_get(done, "error"));
	ck_assert_int_ge(ccp_clock_wall(ccp_clock_system()), resets_at * 1000);
	ck_assert_int_eq(ccp_json_int(done, "quotaWaits", 0), 1);
	ck_assert_int_eq(ccp_json_int(done, "attemptCount", 0), 1);
	ck_assert_ptr_null(json_object_get(done, "continuations"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	ck_assert_int_eq(env_count(&e, "thread/start"), 1);
	ck_assert_int_eq(env_count(&e, "account/rateLimits/read"), asked);
	mark = ccp_asprintf("%s:1", op);
	second = env_logged(&e, "turn/start", 1);
	env_is(second, "clientUserMessageId", mark);
	env_teardown(&e);
}

START_TEST(test_limit_told)
{
	limit_told(false);
	limit_told(true);
}
END_TEST

/* Nobody knows when it ends. A worker that goes and one that comes change nothing. */
START_TEST(test_limit_not_told)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *waiting = NULL, *still = NULL;

	env_setup(&e);
	env_script(&e, MEET_LIMIT);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, op);
	ck_assert_ptr_null(json_object_get(waiting, "quota"));
	ck_assert_ptr_nonnull(json_object_get(waiting, "nextAttemptAt"));
	ck_assert_int_ge(env_number(&e, "SELECT not_before - updated_at FROM operations"),
			 5 * 60 * 1000);
	env_wait_count(&e, "account/rateLimits/read", 1);
	env_close(&e, cp);
	env_rewrite_script(&e, "");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_step(&e);
	still = env_status(cp, op);
	env_is(still, "status", "waiting_for_quota");
	env_is(still, "nextAttemptAt", ccp_json_str(waiting, "nextAttemptAt"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	end_limit(&e, cp);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* Others wait until the first has got through, and are not tried for nothing. */
START_TEST(test_held_queue)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	json_auto_t *waiting = NULL, *held = NULL, *running = NULL, *health = NULL, *queue = NULL;
	const json_t *work;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(
		&e, MEET_LIMIT
		"expect turn/start threadId\nreply {\"turn\":{\"id\":\"second\"}}\nawait answer\n"
		"notify {\"method\":\"item/agentMessage/delta\",\"params\":{\"threadId\":"
		"$threadId,\"turnId\":\"second\",\"itemId\":\"i\",\"delta\":\"so\"}}\n"
		"expect turn/start\ndefault\nfinish\n"
		"notify {\"method\":\"turn/completed\",\"params\":{\"threadId\":$threadId,"
		"\"turn\":{\"id\":\"second\",\"status\":\"completed\"}}}\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, first);
	second = env_submit(&e, cp, NULL);
	health = env_call(cp, "codex_health_summary", NULL);
	work = json_object_get(health, "activeWork");
	env_is(work, "accountHeldUntil", ccp_json_str(waiting, "nextAttemptAt"));
	ck_assert_int_eq(ccp_json_int(work, "queuedOperationCount", 0), 2);
	ck_assert_int_eq(ccp_json_int(work, "runningOperationCount", 0), 0);
	queue = env_call(cp, "codex_get_queue_status", NULL);
	ck_assert_int_eq(json_array_size(json_object_get(queue, "queuedOperations")), 2);
	ck_assert_int_eq(json_array_size(json_object_get(queue, "runningOperations")), 0);
	held = env_wait(&e, cp, second, "queuedReason", "waiting_for_quota");
	env_is(held, "nextRecommendedAction", "wait_for_quota");
	env_is(held, "nextAttemptAt", ccp_json_str(waiting, "nextAttemptAt"));
	end_limit(&e, cp);
	/* The first tries: the second still waits, although there are slots. */
	env_reach(&e, cp, first, "phase", "running");
	running = env_status(cp, second);
	env_is(running, "queuedReason", "waiting_for_quota");
	ck_assert_int_eq(env_count(&e, "thread/start"), 1);
	/* The model answers it, which is enough. */
	env_go(&e, "answer");
	env_ends(&e, cp, second, "completed", NULL);
	env_ends(&e, cp, first, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	env_teardown(&e);
}
END_TEST

/* Several were running when it came: they go on one after the other. */
START_TEST(test_several_wait)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[3];

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nexpect turn/start\ndefault\n" LIMIT
		       "expect turn/start threadId\nreply {\"turn\":{\"id\":\"third\"}}\nawait go\n"
		       "notify {\"method\":\"turn/completed\",\"params\":{\"threadId\":$threadId,"
		       "\"turn\":{\"id\":\"third\",\"status\":\"completed\"}}}\n"
		       "expect turn/start\ndefault\nfinish\nexpect turn/start\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (size_t i = 0; i < 2; i++)
		ops[i] = env_submit(&e, cp, NULL);
	for (size_t i = 0; i < 2; i++)
		env_reach(&e, cp, ops[i], "status", "waiting_for_quota");
	ops[2] = env_submit(&e, cp, NULL);
	/* The one that knows least waits for the one that knows of the latest end. */
	db_exec(e.state_db, "UPDATE operations SET not_before = 1, version = version + 1 "
			    "WHERE seq = 1");
	codexcp_look_for_work(cp);
	/* The look decides; whoever it had let out would be asked for in a moment. */
	for (int i = 0; i < 5; i++)
		env_step(&e);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	end_limit(&e, cp);
	env_wait_count(&e, "turn/start", 3);
	env_reach(&e, cp, ops[1], "status", "waiting_for_quota");
	env_go(&e, "go");
	for (size_t i = 0; i < 3; i++)
		env_ends(&e, cp, ops[i], "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 5);
	ck_assert_int_eq(env_number(&e, "SELECT max(quota_waits) FROM operations"), 1);
	for (size_t i = 0; i < 3; i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

START_TEST(test_login_change)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *waiting = NULL;

	env_setup(&e);
	env_script(&e, MEET_LIMIT "await login\nnotify {\"method\":\"account/updated\",\"params\":"
				  "{\"authMode\":\"chatgpt\",\"planType\":\"pro\"}}\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, op);
	env_go(&e, "login");
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* The limit is still there, again and again. */
START_TEST(test_limit_bounded)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	const json_t *error;

	env_setup(&e);
	env_script(&e, MEET_LIMIT MEET_LIMIT MEET_LIMIT MEET_LIMIT MEET_LIMIT MEET_LIMIT);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	for (int i = 0; i < 5; i++) {
		env_wait_count(&e, "turn/start", i + 1);
		env_reach(&e, cp, op, "status", "waiting_for_quota");
		end_limit(&e, cp);
	}
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	error = json_object_get(status, "error");
	env_is(error, "class", "usageLimitExceeded");
	ck_assert(json_is_true(json_object_get(error, "retryable")));
	ck_assert_int_eq(ccp_json_int(status, "quotaWaits", 0), 5);
	ck_assert_int_eq(ccp_json_int(status, "attemptCount", 0), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 6);
	env_teardown(&e);
}
END_TEST

/* Who does not want to wait need not, and then holds nobody. */
START_TEST(test_interrupt_while_waiting)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *other = NULL;
	json_auto_t *answer = NULL, *waiting = NULL;

	env_setup(&e);
	env_script(&e, MEET_LIMIT);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, op);
	other = env_submit(&e, cp, NULL);
	answer = env_call(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op));
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	env_ends(&e, cp, other, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("limit", test_limit_told, test_limit_not_told, test_held_queue, test_several_wait,
	      test_login_change, test_limit_bounded, test_interrupt_while_waiting)
