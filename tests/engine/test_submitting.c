/*
 * What a submit is taken for: the same request again, the same text again, a thread that goes on;
 * and the arguments that it must not have.
 */
#include "engine_env.h"

static json_t *continuing(void)
{
	return json_pack("{s:s, s:s, s:b}", "message", "the same text", "thread_mode", "auto",
			 "allow_historical_continuation", 1);
}

/* The thread that has answered the same text goes on, as it is. */
START_TEST(test_continuation)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	json_auto_t *done = NULL, *status = NULL, *start = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_set(&e, "CODEX_MCP_DEFAULT_MODEL", "default-model");
	env_script(&e, "expect turn/start\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp,
			   json_pack("{s:s, s:s, s:s, s:s}", "message", "the same text", "sandbox",
				     "workspace-write", "approval_policy", "never", "model",
				     "own-model"));
	done = env_end(&e, cp, first);
	second = env_submit(&e, cp, continuing());
	status = env_wait(&e, cp, second, "phase", "running");
	ck_assert(
		json_equal(json_object_get(status, "threadId"), json_object_get(done, "threadId")));
	env_is(json_object_get(status, "effective"), "sandbox", "workspace-write");
	env_is(json_object_get(status, "effective"), "approvalPolicy", "never");
	env_is(json_object_get(status, "effective"), "model", "own-model");
	start = env_logged(&e, "turn/start", 1);
	ck_assert_ptr_null(json_object_get(start, "sandboxPolicy"));
	ck_assert_ptr_null(json_object_get(start, "approvalPolicy"));
	/* While that is being answered it is not asked again. */
	json_decref(env_call_fails(cp, "codex_submit_task", env_submit_arguments(&e, continuing()),
				   "CODEX_DUPLICATE_PROMPT_ACTIVE"));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 2);
	env_teardown(&e);
}
END_TEST

/* chat_id is another name of thread_id. */
START_TEST(test_two_names)
{
	struct engine_env e;
	struct codexcp *cp;
	static const char *const names[] = { "chat_id", "thread_id" };
	char *ops[CCP_ARRAY_SIZE(names)];

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(names); i++)
		ops[i] = env_submit(&e, cp,
				    json_pack("{s:s, s:s, s:s, s:s}", "operation_type",
					      "send_message", names[i], "some-thread", "message",
					      "go on", "client_request_id", "key"));
	ck_assert_str_eq(ops[0], ops[1]);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(names); i++)
		free(ops[i]);
	json_decref(env_call_fails(
		cp, "codex_submit_task",
		env_submit_arguments(&e, json_pack("{s:s, s:s, s:s, s:s}", "operation_type",
						   "send_message", "chat_id", "another-thread",
						   "message", "go on", "client_request_id", "key")),
		"CODEX_IDEMPOTENCY_CONFLICT"));
	env_teardown(&e);
}
END_TEST

/* Arguments of operation types that are not there yet: as good as absent, or refused by name. */
START_TEST(test_later_arguments)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *nulls = json_object(),
		    *values = json_pack("{s:s, s:s, s:s, s:{}, s:b}", "workflow_id", "w",
					"source_thread_id", "t", "expected_turn_id", "u",
					"fork_config", "ephemeral", 1);
	const char *name;
	json_t *value;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	json_object_foreach (values, name, value) {
		json_auto_t *answer = env_call_fails(
			cp, "codex_submit_task",
			env_submit_arguments(&e, json_pack("{s:O}", name, value)),
			"INVALID_ARGUMENT");

		env_is(ccp_json_path(answer, "error.details"), "argument", name);
		json_object_set_new(nulls, name, json_null());
	}
	json_object_set_new(nulls, "ephemeral", json_false());
	free(env_submit(&e, cp, json_incref(nulls)));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("submitting", test_continuation, test_two_names, test_later_arguments)
