/*
 * What goes on after it was cut: a turn whose process died, when that was asked for; a turn that
 * met the account's usage limit, when the limit has ended. Each time one turn more, in the same
 * thread, and never two for one cut.
 */
#include "engine_env.h"

#include "base/clock.h"
#include "base/file.h"

#define CONTINUE "on_interruption", "continue"
#define LIMIT                                                                                      \
	"fail {\"message\":\"You've hit your usage limit.\",\"codexErrorInfo\":"                   \
	"\"usageLimitExceeded\",\"additionalDetails\":null}\n"
#define MEET_LIMIT "expect turn/start\ndefault\n" LIMIT

/* For processes that start from now on, and for the one that reads it line by line. */
static void rewrite_script(struct engine_env *e, const char *lines)
{
	_cleanup_free_ char *path = env_path(e, "script");

	ck_assert_int_eq(ccp_file_replace(path, lines, strlen(lines), 0600, NULL), 0);
}

static void check_mark(const struct engine_env *e, int index, const char *op, int n)
{
	json_auto_t *start = env_logged(e, "turn/start", index);
	_cleanup_free_ char *mark = n ? ccp_asprintf("%s:%d", op, n) : strdup(op);

	env_is(start, "clientUserMessageId", mark);
}

static const char *sent_text(const json_t *start)
{
	return ccp_json_str(json_array_get(json_object_get(start, "input"), 0), "text");
}

static bool has_event(const json_t *status, const char *text)
{
	json_t *event;
	size_t i;

	json_array_foreach (json_object_get(status, "events"), i, event)
		if (ccp_streq(ccp_json_str(event, "text"), text))
			return true;
	return false;
}

static int64_t number(const json_t *status, const char *key)
{
	return json_integer_value(json_object_get(status, key));
}

/* Cut with its process. */

START_TEST(test_continued)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *first = NULL, *second = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_DIE_AFTER", "turn/started");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp,
			json_pack("{s:s, s:{s:s, s:{}, s:[], s:b}}", CONTINUE, "output_schema",
				  "type", "object", "properties", "required",
				  "additionalProperties", 0));
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	ck_assert_int_eq(env_count(&e, "thread/start"), 1);
	ck_assert_int_eq(env_count(&e, "running-turns"), 2);
	check_mark(&e, 0, op, 0);
	check_mark(&e, 1, op, 1);
	first = env_logged(&e, "turn/start", 0);
	second = env_logged(&e, "turn/start", 1);
	env_is(second, "threadId", ccp_json_str(first, "threadId"));
	/* The thread shows what was asked for; the form of the answer is told again. */
	ck_assert_ptr_nonnull(strstr(sent_text(second), "finish the task"));
	ck_assert_ptr_null(strstr(sent_text(second), sent_text(first)));
	ck_assert(json_equal(json_object_get(second, "outputSchema"),
			     json_object_get(first, "outputSchema")));
	ck_assert(json_equal(json_object_get(second, "collaborationMode"),
			     json_object_get(first, "collaborationMode")));
	ck_assert_int_eq(number(status, "continuations"), 1);
	ck_assert_int_eq(number(status, "maxContinuations"), 1);
	ck_assert_int_eq(number(status, "attemptCount"), 1);
	ck_assert_str_ne(ccp_json_str(status, "continuedTurnId"), ccp_json_str(status, "turnId"));
	ck_assert(has_event(status, "looking_up -> queued"));
	ck_assert_int_eq(env_number(&e, "SELECT baseline_count FROM operations"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM turns WHERE status = 'interrupted'"),
			 1);
	env_teardown(&e);
}
END_TEST

/* Killed before the thread had a word of it: what was asked for is said again. */
START_TEST(test_asked_again)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *first = NULL, *second = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nawait go\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s}", CONTINUE));
	env_wait_count(&e, "turn/start", 1);
	rewrite_script(&e, "expect thread/resume\ndefault\nexpect thread/resume threadId\n"
			   "reply {\"thread\":{\"id\":$threadId,\"status\":{\"type\":\"idle\"},"
			   "\"turns\":[]},\"model\":\"m\",\"approvalPolicy\":\"never\","
			   "\"sandbox\":{\"type\":\"readOnly\"}}\n"
			   "expect turn/start\ndefault\nfinish\n");
	env_go(&e, "go");
	env_ends(&e, cp, op, "completed", NULL);
	first = env_logged(&e, "turn/start", 0);
	second = env_logged(&e, "turn/start", 1);
	ck_assert_ptr_nonnull(strstr(sent_text(second), "finish the task"));
	ck_assert_ptr_nonnull(strstr(sent_text(second), sent_text(first)));
	env_teardown(&e);
}
END_TEST

/* A process that dies in every turn: so many more turns as were allowed. */
START_TEST(test_bounded)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\ndefault\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:i}", CONTINUE, "max_continuations", 2));
	status = env_end(&e, cp, op);
	env_is(status, "status", "interrupted");
	env_is(status, "reason", "app_server_exit");
	ck_assert_int_eq(number(status, "continuations"), 2);
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	check_mark(&e, 2, op, 2);
	env_teardown(&e);
}
END_TEST

/* The worker is lost on the way to the continuation: it is begun once, under one mark. */
struct way {
	const char *script, *method, *phase;
	int seen, asked; /* method before the end, turn/start in all */
};

static const struct way ways[] = {
	{ "expect thread/resume\ndefault\nexpect thread/resume\nawait never\n", "thread/resume",
	  "thread_start_sent", 2, 2 },
	{ "expect turn/start\nawait never\n", "turn/start", "turn_start_sent", 2, 3 },
};

START_TEST(test_worker_lost_on_the_way)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ways); i++) {
		const struct way *way = &ways[i];
		struct engine_env e;
		struct codexcp *cp;
		_cleanup_free_ char *op = NULL;
		json_auto_t *status = NULL;

		env_setup(&e);
		env_set(&e, "CCP_FAKE_TURN_MS", "-1");
		env_script(&e, "expect turn/start\ndefault\nawait go\ndie SIGKILL\n");
		cp = env_open(&e, CODEXCP_MODE_INLINE);
		op = env_submit(&e, cp, json_pack("{s:s}", CONTINUE));
		env_wait_count(&e, "turn/start", 1);
		rewrite_script(&e, way->script);
		env_go(&e, "go");
		env_wait_count(&e, way->method, way->seen);
		env_reach(&e, cp, op, "phase", way->phase);
		env_close(&e, cp);
		rewrite_script(&e, "expect turn/start\ndefault\nfinish\n");
		cp = env_open(&e, CODEXCP_MODE_INLINE);
		codexcp_look_for_work(cp);
		status = env_end(&e, cp, op);
		env_is(status, "status", "completed");
		ck_assert_int_eq(number(status, "continuations"), 1);
		ck_assert_int_eq(env_count(&e, "turn/start"), way->asked);
		ck_assert_int_eq(env_count(&e, "running-turns"), 2);
		check_mark(&e, way->asked - 1, op, 1);
		env_teardown(&e);
	}
}
END_TEST

START_TEST(test_interrupt_wins)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *answer = NULL, *running = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/interrupt\ndie SIGKILL\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:i}", CONTINUE, "max_continuations", 10));
	running = env_wait(&e, cp, op, "phase", "running");
	answer = env_call(cp, "codex_interrupt_turn",
			  json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 1));
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* What decides about continuing is part of what a request id stands for. */
START_TEST(test_request_id)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *ack = NULL, *refused = NULL, *more = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	ack = env_call(cp, "codex_submit_task",
		       json_pack("{s:s, s:s, s:s, s:s, s:s}", "operation_type", "start_chat", "cwd",
				 e.project, "message", "m", "client_request_id", "r", CONTINUE));
	ck_assert(json_is_true(json_object_get(ack, "ok")));
	refused = env_call_fails(cp, "codex_submit_task",
				 json_pack("{s:s, s:s, s:s, s:s}", "operation_type", "start_chat",
					   "cwd", e.project, "message", "m", "client_request_id",
					   "r"),
				 "CODEX_IDEMPOTENCY_CONFLICT");
	more = env_call_fails(cp, "codex_submit_task",
			      json_pack("{s:s, s:s, s:s, s:i}", "operation_type", "start_chat",
					"cwd", e.project, "message", "n", "max_continuations", 11),
			      "INVALID_ARGUMENT");
	env_teardown(&e);
}
END_TEST

/* The account's limit. */

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
	_cleanup_free_ char *op = NULL, *limits = limits_text(resets_at), *script = NULL;
	json_auto_t *waiting = NULL, *done = NULL;
	const json_t *quota;
	char at[CCP_TIME_SIZE];

	env_setup(&e);
	script = asked ? ccp_asprintf(MEET_LIMIT "expect account/rateLimits/read\nreply %s\n",
				      limits)
		       : ccp_asprintf("expect turn/start\ndefault\nnotify {\"method\":"
				      "\"account/rateLimits/updated\",\"params\":%s}\n" LIMIT,
				      limits);
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = wait_for_limit(&e, cp, op);
	env_is(waiting, "phase", "waiting_for_quota");
	env_is(waiting, "nextRecommendedAction", "wait_for_quota");
	ck_assert_int_eq(number(waiting, "recommendedPollAfterSeconds"), 60);
	env_is(json_object_get(waiting, "error"), "class", "usageLimitExceeded");
	ck_assert(json_is_true(json_object_get(json_object_get(waiting, "error"), "retryable")));
	if (!asked) {
		quota = json_object_get(waiting, "quota");
		env_is(quota, "resetsAt", ccp_time_format(resets_at * 1000, at));
		ck_assert_int_eq(number(quota, "windowMinutes"), 300);
		ck_assert_str_ge(ccp_json_str(waiting, "nextAttemptAt"), at);
	}
	done = env_end(&e, cp, op);
	env_is(done, "status", "completed");
	ck_assert_ptr_null(json_object_get(done, "error"));
	ck_assert_int_ge(ccp_clock_wall(ccp_clock_system()), resets_at * 1000);
	ck_assert_int_eq(number(done, "quotaWaits"), 1);
	ck_assert_int_eq(number(done, "attemptCount"), 1);
	ck_assert_ptr_null(json_object_get(done, "continuations"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	ck_assert_int_eq(env_count(&e, "thread/start"), 1);
	ck_assert_int_eq(env_count(&e, "account/rateLimits/read"), asked);
	check_mark(&e, 1, op, 1);
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
	rewrite_script(&e, "");
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
	ck_assert_int_eq(number(work, "queuedOperationCount"), 2);
	ck_assert_int_eq(number(work, "runningOperationCount"), 0);
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
	ck_assert_int_eq(number(status, "quotaWaits"), 5);
	ck_assert_int_eq(number(status, "attemptCount"), 1);
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

/* Failures say of which kind they are. */

static void fails(const char *script, const char *code, const char *class, bool retryable)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	const json_t *error;

	env_setup(&e);
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	error = json_object_get(status, "error");
	env_is(error, "code", code);
	env_is(error, "class", class);
	ck_assert_int_eq(json_is_true(json_object_get(error, "retryable")), retryable);
	ck_assert_int_eq(number(status, "attemptCount"), 1);
	ck_assert_int_le(env_count(&e, "turn/start"), 1);
	if (ccp_streq(code, "CODEX_LOGIN_REQUIRED"))
		ck_assert_ptr_nonnull(strstr(ccp_json_str(error, "message"), "`codex login`"));
	env_teardown(&e);
}

START_TEST(test_classes)
{
	fails("expect thread/start\nerror -32600 codex account authentication required\n",
	      "CODEX_LOGIN_REQUIRED", "unauthorized", false);
	fails("expect turn/start\nerror -32600 unexpected status 401 Unauthorized\n",
	      "CODEX_LOGIN_REQUIRED", "unauthorized", false);
	fails("expect turn/start\ndefault\nfail {\"message\":\"unexpected status 401 Unauthorized\","
	      "\"codexErrorInfo\":{\"httpConnectionFailed\":{\"httpStatusCode\":401}}}\n",
	      "CODEX_LOGIN_REQUIRED", "httpConnectionFailed", false);
	fails("expect turn/start\nerror -32600 thread not found: 1\n", "CODEX_THREAD_NOT_FOUND",
	      "threadNotFound", false);
	fails("expect turn/start\nerror -32600 Invalid request: missing field `input`\n",
	      "CODEX_SEND_FAILED", "invalidRequest", false);
	/* It ran, so it is not run again: the caller decides. */
	fails("expect turn/start\ndefault\nfail {\"message\":\"m\",\"codexErrorInfo\":"
	      "\"serverOverloaded\"}\n",
	      "CODEX_SEND_FAILED", "serverOverloaded", true);
	fails("expect turn/start\ndefault\nfail {\"message\":\"m\",\"codexErrorInfo\":"
	      "\"cyberPolicy\"}\n",
	      "CODEX_SEND_FAILED", "cyberPolicy", false);
}
END_TEST

/* Nobody knows whether it ran: what to do about it is said. */
START_TEST(test_unknown)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	const json_t *error;

	env_setup(&e);
	env_script(&e, "expect turn/start\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:s}", "sandbox", "workspace-write", CONTINUE));
	env_wait_count(&e, "turn/start", 1);
	env_close(&e, cp);
	db_exec(e.state_db, "UPDATE app_servers SET boot_id = 'an earlier one'");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	status = env_end(&e, cp, op);
	env_is(status, "status", "unknown_after_app_server_exit");
	env_is(status, "nextRecommendedAction", "inspect_diagnostics");
	error = json_object_get(status, "error");
	ck_assert_ptr_nonnull(strstr(ccp_json_str(error, "message"), "no trace of the turn"));
	ck_assert(json_is_false(json_object_get(error, "retryable")));
	ck_assert_ptr_nonnull(
		strstr(ccp_json_str(status, "advice"), ccp_json_str(status, "threadId")));
	ck_assert_ptr_nonnull(strstr(ccp_json_str(status, "advice"), "client_request_id"));
	ck_assert_ptr_null(json_object_get(status, "finalReport"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("recovery", test_continued, test_asked_again, test_bounded,
	      test_worker_lost_on_the_way, test_interrupt_wins, test_request_id, test_limit_told,
	      test_limit_not_told, test_held_queue, test_several_wait, test_login_change,
	      test_limit_bounded, test_interrupt_while_waiting, test_classes, test_unknown)
