/* From a task to its report: the usual way, many at once, and a Codex that is overloaded or not
 * there. */
#include <errno.h>
#include <sys/stat.h>

#include "engine_env.h"
#include "runtime/process.h"

START_TEST(test_report)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *turn = NULL, *start = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_STREAM_BYTES", "5000");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:s, s:s}", "message", "say hello", "title", "Hello"));
	env_ends(&e, cp, op, "completed", NULL);
	status = env_status(cp, op);
	ck_assert_ptr_nonnull(strstr(ccp_json_str(json_object_get(status, "finalReport"), "text"),
				     "fake report: say hello"));
	ck_assert_int_eq(json_integer_value(json_object_get(status, "attemptCount")), 1);
	env_is(status, "nextRecommendedAction", "read_final_report");
	turn = env_call(cp, "codex_get_turn_status",
			json_pack("{s:O, s:O}", "turn_id", json_object_get(status, "turnId"),
				  "thread_id", json_object_get(status, "threadId")));
	env_is(turn, "status", "completed");
	env_is(turn, "operationId", op);
	start = env_logged(&e, "turn/start", 0);
	env_is(start, "clientUserMessageId", op);
	env_is(start, "cwd", e.project);
	env_wait_count(&e, "thread/unsubscribe", 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_count(&e, "thread/name/set"), 1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_notifications_before_the_answer)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_EARLY", "1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_failed_turn)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;
	json_t *error;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start\ndefault\nfinish failed\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	error = json_object_get(status, "error");
	env_is(error, "code", "CODEX_SEND_FAILED");
	env_is(error, "message", "fake failure");
	env_is(error, "class", "other");
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* What a turn has said before it failed, or was stopped, can be read from any place on. */
static void check_text_of_ended(const char *how)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *script = NULL;
	json_auto_t *status = NULL, *turn = NULL;

	script = ccp_asprintf(
		"expect turn/start threadId\ndefault\n"
		"notify {\"method\": \"item/completed\", \"params\": {\"threadId\": $threadId, "
		"\"turnId\": $turnId, \"completedAtMs\": 1, \"item\": {\"type\": "
		"\"agentMessage\", \"id\": \"said\", \"text\": \"0123456789 and more\"}}}\n"
		"finish %s\n",
		how);
	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "status", how);
	status = env_status(cp, op);
	turn = env_call(cp, "codex_get_turn_status",
			json_pack("{s:O, s:O, s:i}", "turn_id", json_object_get(status, "turnId"),
				  "thread_id", json_object_get(status, "threadId"),
				  "message_offset", 10));
	env_is(turn, "status", how);
	ck_assert_msg(ccp_streq(ccp_json_str(turn, "finalMessage"), " and more"), "%s: %s", how,
		      ccp_json_str(turn, "finalMessage"));
	env_teardown(&e);
}

START_TEST(test_text_of_ended)
{
	check_text_of_ended("failed");
	check_text_of_ended("interrupted");
}
END_TEST

/* The end of a turn that is not ours, heard before ours has a name. */
START_TEST(test_end_of_another_turn)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *turn = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "expect turn/start threadId\n"
		       "notify {\"method\": \"turn/completed\", \"params\": {\"threadId\": "
		       "$threadId, \"turn\": {\"id\": \"another\", \"items\": [], \"status\": "
		       "\"failed\", \"error\": {\"message\": \"not ours\"}}}}\n"
		       "default\nawait go\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	status = env_wait(&e, cp, op, "phase", "running");
	turn = env_call(cp, "codex_get_turn_status",
			json_pack("{s:O, s:O}", "turn_id", json_object_get(status, "turnId"),
				  "thread_id", json_object_get(status, "threadId")));
	ck_assert(json_is_false(json_object_get(turn, "completionObserved")));
	ck_assert_ptr_null(json_object_get(turn, "lastError"));
	env_go(&e, "go");
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* Twenty at the same instant, in five projects so that only the global limit counts. */
START_TEST(test_twenty_at_a_cold_start)
{
	enum { TASKS = 20, PROJECTS = 5, GLOBAL = 4 };
	struct engine_env e;
	struct codexcp *cp;
	char *ops[TASKS];
	int most = 0;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "60");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (int i = 0; i < TASKS; i++) {
		_cleanup_free_ char *dir = ccp_asprintf("%s/p%d", e.project, i % PROJECTS);

		ck_assert(mkdir(dir, 0700) == 0 || errno == EEXIST);
		ops[i] = env_submit(&e, cp, json_pack("{s:s}", "cwd", dir));
	}
	for (int i = 0; i < TASKS; i++)
		env_ends(&e, cp, ops[i], "completed", NULL);
	for (int i = 0; i < TASKS; i++) {
		json_auto_t *running = env_logged(&e, "running-turns", i);

		most = CCP_MAX(most, (int)json_integer_value(running));
		free(ops[i]);
	}
	ck_assert_int_eq(most, GLOBAL);
	ck_assert_int_eq(env_count(&e, "initialize"), 1);
	ck_assert_int_eq(env_count(&e, "thread/start"), TASKS);
	ck_assert_int_eq(env_count(&e, "turn/start"), TASKS);
	env_teardown(&e);
}
END_TEST

/* One project: its own limit; one agent over two projects: the agent's. */
START_TEST(test_limits_of_project_and_agent)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *other = NULL;
	char *ops[4];

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT", "2");
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_PER_AGENT", "1");
	other = env_path(&e, "project/other");
	ck_assert_int_eq(mkdir(other, 0700), 0);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	ops[0] = env_submit(&e, cp, json_pack("{s:s}", "agent_id", "a"));
	ops[1] = env_submit(&e, cp, NULL);
	ops[2] = env_submit(&e, cp, NULL);
	ops[3] = env_submit(&e, cp, json_pack("{s:s, s:s}", "agent_id", "a", "cwd", other));
	env_reach(&e, cp, ops[1], "phase", "running");
	env_reach(&e, cp, ops[2], "queuedReason", "project_slot_limit");
	env_reach(&e, cp, ops[3], "queuedReason", "agent_slot_limit");
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	json_decref(
		env_call(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", ops[0])));
	env_reach(&e, cp, ops[2], "phase", "running");
	env_reach(&e, cp, ops[3], "phase", "running");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

/* One request at a time, those included that nobody waits for. */
START_TEST(test_limit_of_requests)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[3];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_MAX_APP_SERVER_PENDING_REQUESTS", "1");
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL", "1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp, NULL);
	env_end_all(&e, 1);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++) {
		env_ends(&e, cp, ops[i], "completed", NULL);
		free(ops[i]);
	}
	env_teardown(&e);
}
END_TEST

START_TEST(test_overload_passes)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *waiting = NULL, *status = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_OVERLOAD", "2");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = env_wait(&e, cp, op, "queuedReason", "app_server_overloaded");
	ck_assert_ptr_nonnull(ccp_json_str(waiting, "nextAttemptAt"));
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_ptr_null(json_object_get(status, "error"));
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	/* A thread without a turn was never stored, and turn/start alone does not let us hear of
	 * its turn: each attempt has a thread of its own. */
	ck_assert_int_eq(env_count(&e, "thread/start"), 3);
	env_teardown(&e);
}
END_TEST

/* It is no attempt: what fails for another reason after it has all of its own. */
START_TEST(test_overload_and_failure)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *waiting = NULL, *status = NULL;

	env_setup(&e);
	env_script(&e, "expect turn/start\noverload\nexpect turn/start\noverload\n"
		       "expect turn/start\nerror -32600 thread t is closing\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = env_wait(&e, cp, op, "queuedReason", "retry_after_worker_error");
	ck_assert_int_eq(json_integer_value(json_object_get(waiting, "attemptCount")), 1);
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "attemptCount")), 2);
	ck_assert_int_eq(env_count(&e, "turn/start"), 4);
	env_teardown(&e);
}
END_TEST

/* The last retry is the last one. Those before are written into the row, or it would take
 * minutes. */
START_TEST(test_overload_does_not_pass)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_OVERLOAD", "1000");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	env_close(&e, cp);
	db_exec(e.state_db, "UPDATE operations SET overloads = 19");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	status = env_end(&e, cp, op);
	env_is(status, "status", "failed");
	env_is(json_object_get(status, "error"), "code", "CODEX_BUSY");
	ck_assert(json_is_true(json_object_get(json_object_get(status, "error"), "retryable")));
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* Codex is not installed, then it is. Nothing is lost, nothing fails. */
START_TEST(test_binary_appears)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *binary = NULL, *op = NULL;
	json_auto_t *waiting = NULL, *health = NULL, *status = NULL;

	env_setup(&e);
	binary = env_path(&e, "codex");
	env_set(&e, "CODEX_BINARY_PATH", binary);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	waiting = env_wait(&e, cp, op, "queuedReason", "app_server_unavailable");
	ck_assert_ptr_nonnull(
		strstr(ccp_json_str(json_object_get(waiting, "error"), "message"), binary));
	ck_assert_int_eq(json_integer_value(json_object_get(waiting, "attemptCount")), 0);
	health = env_call(cp, "codex_health_summary", NULL);
	env_is(health, "overallStatus", "degraded");
	ck_assert_int_eq(symlink(getenv("CCP_FAKE_APPSERVER"), binary), 0);
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "attemptCount")), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* app-server rested, for want of work; that it does not come back is no rest. */
START_TEST(test_binary_disappears)
{
	struct engine_env e;
	struct codexcp *cp;
	struct ccp_process_id server = { 0 };
	_cleanup_free_ char *binary = NULL, *first = NULL, *op = NULL;
	json_auto_t *waiting = NULL;
	const char *problem;

	env_setup(&e);
	binary = env_path(&e, "codex");
	ck_assert_int_eq(symlink(getenv("CCP_FAKE_APPSERVER"), binary), 0);
	env_set(&e, "CODEX_BINARY_PATH", binary);
	env_set(&e, "CODEX_MCP_APP_SERVER_IDLE_SECONDS", "1");
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	env_ends(&e, cp, first, "completed", NULL);
	ck_assert_int_eq(
		ccp_process_identify(env_number(&e, "SELECT pid FROM app_servers"), &server, NULL),
		0);
	while (ccp_process_check(&server) == CCP_PROCESS_ALIVE)
		env_step(&e);
	/* Idle once more, with nothing left to stop: no event tells that. */
	for (int64_t until = env_now_ms() + 2500; env_now_ms() < until;)
		env_step(&e);
	ck_assert_int_eq(unlink(binary), 0);
	op = env_submit(&e, cp, NULL);
	waiting = env_wait(&e, cp, op, "queuedReason", "app_server_unavailable");
	problem = ccp_json_str(json_object_get(waiting, "workerState"), "problem");
	ck_assert_msg(problem && strstr(problem, binary), "%s", problem ? problem : "none");
	env_teardown(&e);
}
END_TEST

/* A message for a thread in which somebody else's turn runs waits for its end. */
START_TEST(test_busy_thread)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	json_auto_t *done = NULL, *waiting = NULL;

	env_setup(&e);
	env_script(&e, "expect thread/resume threadId\n"
		       "reply {\"thread\": {\"id\": $threadId, \"turns\": [], \"status\": "
		       "{\"type\": \"active\", \"activeFlags\": []}}, \"model\": \"m\", "
		       "\"sandbox\": {\"type\": \"readOnly\"}, \"approvalPolicy\": \"never\"}\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	done = env_end(&e, cp, first);
	second = env_submit(&e, cp,
			    json_pack("{s:s, s:O, s:n}", "operation_type", "send_message",
				      "thread_id", json_object_get(done, "threadId"), "cwd"));
	waiting = env_wait(&e, cp, second, "queuedReason", "thread_slot_limit");
	ck_assert_int_eq(json_integer_value(json_object_get(waiting, "attemptCount")), 0);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_ends(&e, cp, second, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	env_teardown(&e);
}
END_TEST

/* Two messages into one thread: one after the other, in their order. */
START_TEST(test_one_turn_a_thread)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[3];
	json_auto_t *done = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	ops[0] = env_submit(&e, cp, NULL);
	done = env_end(&e, cp, ops[0]);
	for (int i = 1; i < 3; i++)
		ops[i] = env_submit(&e, cp,
				    json_pack("{s:s, s:O, s:n}", "operation_type", "send_message",
					      "thread_id", json_object_get(done, "threadId"),
					      "cwd"));
	for (int i = 1; i < 3; i++)
		env_ends(&e, cp, ops[i], "completed", NULL);
	for (int i = 0; i < 3; i++) {
		json_auto_t *start = env_logged(&e, "turn/start", i);

		env_is(start, "clientUserMessageId", ops[i]);
		free(ops[i]);
	}
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("tasks", test_report, test_notifications_before_the_answer, test_failed_turn,
	      test_text_of_ended, test_end_of_another_turn, test_twenty_at_a_cold_start,
	      test_limits_of_project_and_agent, test_limit_of_requests, test_overload_passes,
	      test_overload_and_failure, test_overload_does_not_pass, test_binary_appears,
	      test_binary_disappears, test_busy_thread, test_one_turn_a_thread)
