/* <codexcp/appserver.h>: the client as embedders see it, on the fake app-server. */
#include <codexcp/appserver.h>

#include "engine_env.h"

struct seen {
	struct engine_env e;
	struct codexcp *cp;
	struct codexcp_appserver *as;
	int ready, gone, answers, failures;
	bool completed;
	char *thread_id;
};

static void on_turn(json_t *result, const struct codexcp_error *err, void *data)
{
	struct seen *seen = data;

	ck_assert_ptr_null(err);
	ck_assert_ptr_nonnull(ccp_json_path(result, "turn.id"));
	seen->answers++;
}

static void on_thread(json_t *result, const struct codexcp_error *err, void *data)
{
	struct seen *seen = data;

	ck_assert_ptr_null(err);
	seen->answers++;
	seen->thread_id = strdup(json_string_value(ccp_json_path(result, "thread.id")));
	ck_assert_int_eq(codexcp_appserver_call(seen->as, "turn/start",
						json_pack("{s:s, s:[{s:s, s:s}]}", "threadId",
							  seen->thread_id, "input", "type", "text",
							  "text", "hello"),
						10000, on_turn, seen, NULL),
			 0);
}

static void on_ready(const char *user_agent, void *data)
{
	struct seen *seen = data;

	ck_assert_ptr_nonnull(strstr(user_agent, "0.169.0"));
	seen->ready++;
	ck_assert_int_eq(codexcp_appserver_call(seen->as, "thread/start",
						json_pack("{s:s}", "cwd", seen->e.project), 10000,
						on_thread, seen, NULL),
			 0);
}

static void on_notification(const char *method, json_t *params, void *data)
{
	struct seen *seen = data;

	if (ccp_streq(method, "turn/completed"))
		seen->completed = true;
}

static void on_gone(const struct codexcp_error *why, void *data)
{
	struct seen *seen = data;

	ck_assert_int_eq(why->code, CODEXCP_E_APP_SERVER_UNAVAILABLE);
	seen->gone++;
}

static const struct codexcp_appserver_events events = {
	.ready = on_ready,
	.gone = on_gone,
	.notification = on_notification,
};

static void drive(struct seen *seen, const bool *flag, const int *count)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (!(flag && *flag) && !(count && *count)) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&seen->e);
	}
}

START_TEST(test_a_turn)
{
	struct seen seen = { 0 };

	env_setup(&seen.e);
	seen.cp = env_open(&seen.e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_appserver_start(seen.cp, &events, &seen, &seen.as, NULL), 0);
	ck_assert_int_eq(seen.ready, 0);
	drive(&seen, &seen.completed, NULL);
	ck_assert_int_eq(seen.ready, 1);
	ck_assert_int_eq(seen.answers, 2);
	ck_assert_int_eq(seen.gone, 0);
	codexcp_appserver_free(seen.as);
	free(seen.thread_id);
	env_teardown(&seen.e);
}
END_TEST

START_TEST(test_no_binary)
{
	struct seen seen = { 0 };

	env_setup(&seen.e);
	env_set(&seen.e, "CODEX_BINARY_PATH", "/nonexistent/codex");
	seen.cp = env_open(&seen.e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_appserver_start(seen.cp, &events, &seen, &seen.as, NULL), 0);
	drive(&seen, NULL, &seen.gone);
	ck_assert_int_eq(seen.ready, 0);
	ck_assert_int_eq(codexcp_appserver_call(seen.as, "thread/start", NULL, 0, NULL, NULL, NULL),
			 CODEXCP_E_APP_SERVER_UNAVAILABLE);
	codexcp_appserver_free(seen.as);
	env_teardown(&seen.e);
}
END_TEST

START_TEST(test_safe_answer)
{
	struct seen seen = { 0 };

	env_setup(&seen.e);
	env_script(&seen.e,
		   "expect turn/start threadId\n"
		   "default\n"
		   "request {\"method\":\"item/commandExecution/requestApproval\",\"params\":"
		   "{\"threadId\":$threadId,\"turnId\":$turnId,\"itemId\":\"i1\"}}\n"
		   "expect-answer\n"
		   "finish completed\n");
	seen.cp = env_open(&seen.e, CODEXCP_MODE_CLIENT);
	ck_assert_int_eq(codexcp_appserver_start(seen.cp, &events, &seen, &seen.as, NULL), 0);
	drive(&seen, &seen.completed, NULL);
	codexcp_appserver_free(seen.as);
	free(seen.thread_id);
	env_teardown(&seen.e);
}
END_TEST

CCP_TEST_MAIN("appserver_api", test_a_turn, test_no_binary, test_safe_answer)
