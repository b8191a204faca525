/*
 * What reaches Codex: the message with its images and schema, the policies as asked for, and never
 * more than the ceilings allow.
 */
#include <sys/stat.h>

#include "engine_env.h"

#define PIXEL "data:image/png;base64,iVBORw0KGgo="

static const char *sent_sandbox(const struct engine_env *e, int index)
{
	static const char *const types[] = { "readOnly", "workspaceWrite", "dangerFullAccess" };
	json_auto_t *start = env_logged(e, "turn/start", index);
	const char *type = ccp_json_str(json_object_get(start, "sandboxPolicy"), "type");

	for (size_t i = 0; i < CCP_ARRAY_SIZE(types); i++)
		if (ccp_streq(types[i], type))
			return types[i];
	return "none";
}

static void check_approval(const struct engine_env *e, int index, const char *want)
{
	json_auto_t *start = env_logged(e, "turn/start", index);

	ck_assert_str_eq(ccp_json_str(start, "approvalPolicy"), want);
}

/* Runs to its end; the thread. */
static char *run_task(struct engine_env *e, struct codexcp *cp, json_t *more)
{
	_cleanup_free_ char *op = env_submit(e, cp, more);
	json_auto_t *status = env_end(e, cp, op);

	env_is(status, "status", "completed");
	return strdup(ccp_json_str(status, "threadId"));
}

static json_t *message_for(const char *thread)
{
	return json_pack("{s:s, s:s, s:n}", "operation_type", "send_message", "thread_id", thread,
			 "cwd");
}

START_TEST(test_images_and_schema)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *file = NULL, *thread = NULL;
	json_auto_t *start = NULL, *schema = NULL;
	json_t *input;

	env_setup(&e);
	file = env_path(&e, "project/picture.png");
	fclose(fopen(file, "we"));
	schema = json_pack("{s:s, s:{s:{s:s}}, s:[s], s:b}", "type", "object", "properties",
			   "answer", "type", "string", "required", "answer", "additionalProperties",
			   0);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	thread = run_task(&e, cp,
			  json_pack("{s:s, s:O, s:[{s:s, s:s}, {s:s, s:s}]}", "message", "look",
				    "output_schema", schema, "input_items", "type", "image", "url",
				    PIXEL, "type", "localImage", "path", file));
	start = env_logged(&e, "turn/start", 0);
	ck_assert(json_equal(json_object_get(start, "outputSchema"), schema));
	input = json_object_get(start, "input");
	ck_assert_uint_eq(json_array_size(input), 3);
	env_is(json_array_get(input, 0), "text", "look");
	env_is(json_array_get(input, 1), "url", PIXEL);
	env_is(json_array_get(input, 2), "path", file);
	json_decref(env_call_fails(
		cp, "codex_submit_task",
		env_submit_arguments(&e, json_pack("{s:[{s:s, s:s}]}", "input_items", "type",
						   "image", "url", "https://example.com/a.png")),
		"INVALID_ARGUMENT"));
	env_teardown(&e);
}
END_TEST

/* The mode where the thread starts, the policy where the turn starts. */
START_TEST(test_policies)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
	json_auto_t *start = NULL, *kept = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = run_task(&e, cp, NULL);
	ck_assert_str_eq(sent_sandbox(&e, 0), "readOnly");
	check_approval(&e, 0, "on-request");
	second = run_task(
		&e, cp,
		json_pack("{s:s, s:s}", "sandbox", "workspace-write", "approval_policy", "never"));
	start = env_logged(&e, "thread/start", 1);
	env_is(start, "sandbox", "workspace-write");
	ck_assert_str_eq(sent_sandbox(&e, 1), "workspaceWrite");
	check_approval(&e, 1, "never");
	/* A known thread keeps what it has: nothing is sent. */
	third = run_task(&e, cp, message_for(second));
	ck_assert_str_eq(third, second);
	kept = env_logged(&e, "turn/start", 2);
	ck_assert_ptr_null(json_object_get(kept, "sandboxPolicy"));
	ck_assert_ptr_null(json_object_get(kept, "approvalPolicy"));
	env_teardown(&e);
}
END_TEST

static void refuse(struct engine_env *e, struct codexcp *cp, json_t *more, const char *argument)
{
	json_auto_t *answer = env_call_fails(cp, "codex_submit_task", env_submit_arguments(e, more),
					     "INVALID_ARGUMENT");

	ck_assert_str_eq(ccp_json_str(ccp_json_path(answer, "error.details"), "argument"),
			 argument);
}

/* The ceilings came after the thread: it is lowered, too. */
START_TEST(test_ceilings)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *thread = NULL, *lowered = NULL, *same = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	thread = run_task(&e, cp,
			  json_pack("{s:s, s:s}", "sandbox", "danger-full-access",
				    "approval_policy", "never"));
	env_close(&e, cp);
	env_set(&e, "CODEX_MCP_MAX_SANDBOX", "read-only");
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "workspace-write");
	env_set(&e, "CODEX_MCP_MIN_APPROVAL", "on-request");
	env_set(&e, "CODEX_MCP_DEFAULT_APPROVAL_POLICY", "never");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	refuse(&e, cp, json_pack("{s:s}", "sandbox", "workspace-write"), "sandbox");
	refuse(&e, cp, json_pack("{s:s}", "approval_policy", "never"), "approval_policy");
	lowered = run_task(&e, cp, NULL);
	ck_assert_str_eq(sent_sandbox(&e, 1), "readOnly");
	check_approval(&e, 1, "on-request");
	same = run_task(&e, cp, message_for(thread));
	ck_assert_str_eq(sent_sandbox(&e, 2), "readOnly");
	check_approval(&e, 2, "on-request");
	env_teardown(&e);
}
END_TEST

/* A Codex turn that asks for a task gives it at most what it has itself. */
static json_t *submit_from(struct engine_env *e, const char *thread, const char *sandbox,
			   json_t *more)
{
	const struct codexcp_call_options options = { .caller_thread_id = thread,
						      .caller_sandbox = sandbox };
	json_auto_t *arguments = env_submit_arguments(e, more);
	struct env_answer answer = { 0 };

	ck_assert_int_eq(codexcp_call(e->open[0], "codex_submit_task", arguments, &options,
				      env_take_answer, &answer, NULL, NULL),
			 0);
	return env_answered(e, &answer);
}

static json_t *submit_for(struct engine_env *e, const char *caller, json_t *more)
{
	return submit_from(e, "somebody else's thread", caller, more);
}

static void check_refused(const json_t *answer)
{
	env_is(json_object_get(answer, "error"), "code", "INVALID_ARGUMENT");
	env_is(ccp_json_path(answer, "error.details"), "argument", "sandbox");
}

START_TEST(test_sandbox_of_the_caller)
{
	struct engine_env e;
	json_auto_t *refused = NULL, *lowered = NULL, *unknown = NULL, *allowed = NULL;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "workspace-write");
	env_open(&e, CODEXCP_MODE_INLINE);
	refused = submit_for(&e, "read-only", json_pack("{s:s}", "sandbox", "workspace-write"));
	check_refused(refused);
	lowered = submit_for(&e, "read-only", NULL);
	env_ends(&e, e.open[0], ccp_json_str(lowered, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 0), "readOnly");
	/* A word that nobody knows permits nothing. */
	unknown = submit_for(&e, "some-new-mode", NULL);
	env_ends(&e, e.open[0], ccp_json_str(unknown, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 1), "readOnly");
	allowed = submit_for(&e, "danger-full-access", NULL);
	env_ends(&e, e.open[0], ccp_json_str(allowed, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 2), "workspaceWrite");
	env_teardown(&e);
}
END_TEST

/* A thread of which nothing is known, no word of its sandbox included. */
START_TEST(test_unknown_caller)
{
	struct engine_env e;
	json_auto_t *refused = NULL, *lowered = NULL;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "workspace-write");
	env_open(&e, CODEXCP_MODE_INLINE);
	refused = submit_for(&e, NULL, json_pack("{s:s}", "sandbox", "workspace-write"));
	check_refused(refused);
	lowered = submit_for(&e, NULL, NULL);
	env_ends(&e, e.open[0], ccp_json_str(lowered, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 0), "readOnly");
	env_teardown(&e);
}
END_TEST

/* Codex does not say what sandbox the caller has, but its operation is ours. */
START_TEST(test_sandbox_of_the_parent)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *reader = NULL, *writer = NULL;
	json_auto_t *refused = NULL, *lowered = NULL, *allowed = NULL, *above = NULL;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_MAX_DEPTH", "1");
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "danger-full-access");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	reader = run_task(&e, cp, json_pack("{s:s}", "sandbox", "read-only"));
	writer = run_task(&e, cp, json_pack("{s:s}", "sandbox", "workspace-write"));
	refused = submit_from(&e, reader, NULL, json_pack("{s:s}", "sandbox", "workspace-write"));
	check_refused(refused);
	lowered = submit_from(&e, reader, NULL, NULL);
	env_ends(&e, cp, ccp_json_str(lowered, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 2), "readOnly");
	allowed = submit_from(&e, writer, NULL, json_pack("{s:s}", "sandbox", "workspace-write"));
	env_ends(&e, cp, ccp_json_str(allowed, "operationId"), "completed", NULL);
	ck_assert_str_eq(sent_sandbox(&e, 3), "workspaceWrite");
	above = submit_from(&e, writer, NULL, json_pack("{s:s}", "sandbox", "danger-full-access"));
	check_refused(above);
	env_teardown(&e);
}
END_TEST

/* The directory of a task is looked at again before anything is sent. */
START_TEST(test_directory_that_moved)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *dir = NULL, *outside = NULL, *op = NULL;

	env_setup(&e);
	dir = env_path(&e, "project/sub");
	outside = env_path(&e, "home");
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, json_pack("{s:s}", "cwd", dir));
	env_close(&e, cp);
	ck_assert_int_eq(rmdir(dir), 0);
	ck_assert_int_eq(symlink(outside, dir), 0);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_ends(&e, cp, op, "failed", NULL);
	ck_assert_int_eq(env_count(&e, "thread/start"), 0);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("sending", test_images_and_schema, test_policies, test_ceilings,
	      test_sandbox_of_the_caller, test_unknown_caller, test_sandbox_of_the_parent,
	      test_directory_that_moved)
