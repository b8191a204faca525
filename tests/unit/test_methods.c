#include <ccp_check.h>

#include "appserver/methods.h"
#include "base/json.h"

static const struct ccp_codex_version newest = { 0, 169, 0 }, old = { 0, 98, 0 };

/* Steals value. */
static void check_json(json_t *value, const char *want)
{
	_cleanup_free_ char *text = NULL;

	ck_assert_ptr_nonnull(value);
	text = ccp_json_dump_canonical(value);
	json_decref(value);
	ck_assert_str_eq(text, want);
}

START_TEST(test_sandbox)
{
	ck_assert_int_eq(ccp_sandbox_parse("read-only"), CCP_SANDBOX_READ_ONLY);
	ck_assert_int_eq(ccp_sandbox_parse("workspaceWrite"), CCP_SANDBOX_WORKSPACE_WRITE);
	ck_assert_int_eq(ccp_sandbox_parse("danger-full-access"), CCP_SANDBOX_DANGER_FULL_ACCESS);
	ck_assert_int_eq(ccp_sandbox_parse("externalSandbox"), CCP_SANDBOX_UNSET);
	ck_assert_int_eq(ccp_sandbox_parse(NULL), CCP_SANDBOX_UNSET);
	ck_assert_str_eq(ccp_sandbox_name(CCP_SANDBOX_WORKSPACE_WRITE), "workspace-write");
	ck_assert_ptr_null(ccp_sandbox_name(CCP_SANDBOX_UNSET));
}
END_TEST

START_TEST(test_thread_start)
{
	struct ccp_thread_start start = { .cwd = "/w",
					  .model = "m",
					  .approval = "never",
					  .sandbox = CCP_SANDBOX_READ_ONLY,
					  .source = "codexcp:1" };
	struct ccp_thread_start bare = { .sandbox = CCP_SANDBOX_UNSET };

	check_json(ccp_thread_start_params(&newest, &start),
		   "{\"approvalPolicy\":\"never\",\"cwd\":\"/w\",\"model\":\"m\",\"sandbox\":"
		   "\"read-only\",\"threadSource\":\"codexcp:1\"}");
	check_json(ccp_thread_start_params(&old, &start),
		   "{\"approvalPolicy\":\"never\",\"cwd\":\"/w\",\"model\":\"m\",\"sandbox\":"
		   "\"read-only\"}");
	check_json(ccp_thread_start_params(&newest, &bare), "{}");
}
END_TEST

START_TEST(test_thread_resume)
{
	check_json(ccp_thread_resume_params(&newest, "t", true, NULL), "{\"threadId\":\"t\"}");
	check_json(ccp_thread_resume_params(&newest, "t", false, NULL),
		   "{\"excludeTurns\":true,\"threadId\":\"t\"}");
	check_json(ccp_thread_resume_params(&old, "t", false, NULL), "{\"threadId\":\"t\"}");
}
END_TEST

START_TEST(test_thread_resume_policy)
{
	const struct ccp_codex_version last = { 0, 162, 0 }, first = { 0, 163, 0 };
	const struct ccp_thread_policy policy = { CCP_SANDBOX_READ_ONLY, "on-request" },
				       granular = { CCP_SANDBOX_READ_ONLY, "granular" },
				       unset = { CCP_SANDBOX_UNSET, NULL };

	check_json(ccp_thread_resume_params(&last, "t", true, &policy),
		   "{\"approvalPolicy\":\"on-request\",\"sandbox\":\"read-only\","
		   "\"threadId\":\"t\"}");
	check_json(ccp_thread_resume_params(&last, "t", true, &granular),
		   "{\"sandbox\":\"read-only\",\"threadId\":\"t\"}");
	check_json(ccp_thread_resume_params(&last, "t", true, &unset), "{\"threadId\":\"t\"}");
	check_json(ccp_thread_resume_params(&first, "t", true, &policy), "{\"threadId\":\"t\"}");
}
END_TEST

START_TEST(test_thread_answer)
{
	json_auto_t *result = json_loads(
		"{\"thread\":{\"id\":\"t\",\"status\":{\"type\":\"active\",\"activeFlags\":[]},"
		"\"turns\":[{}]},\"model\":\"m\",\"cwd\":\"/w\",\"approvalPolicy\":\"never\","
		"\"sandbox\":{\"type\":\"workspaceWrite\",\"networkAccess\":false},"
		"\"reasoningEffort\":\"high\"}",
		0, NULL);
	struct ccp_thread_answer a;

	ck_assert_int_eq(ccp_thread_answer_parse(result, &a, NULL), 0);
	ck_assert_str_eq(a.thread_id, "t");
	ck_assert_str_eq(a.model, "m");
	ck_assert_str_eq(a.approval, "never");
	ck_assert_str_eq(a.effort, "high");
	ck_assert_str_eq(a.cwd, "/w");
	ck_assert_int_eq(a.sandbox, CCP_SANDBOX_WORKSPACE_WRITE);
	ck_assert(a.active);
	ck_assert_uint_eq(json_array_size(a.turns), 1);
}
END_TEST

/* Without a status (0.98), with a granular policy, and without a thread. */
START_TEST(test_thread_answer_other)
{
	json_auto_t *result = json_loads(
		"{\"thread\":{\"id\":\"t\",\"turns\":[{\"id\":\"0\",\"status\":"
		"\"completed\"},{\"id\":\"1\",\"status\":\"inProgress\"}]},"
		"\"approvalPolicy\":{\"granular\":{}},\"reasoningEffort\":null}",
		0, NULL);
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct ccp_thread_answer a = { .model = "kept" };

	ck_assert_int_eq(ccp_thread_answer_parse(json_null(), &a, &err), CODEXCP_E_INTERNAL);
	ck_assert_str_eq(a.model, "kept");
	ck_assert_int_eq(ccp_thread_answer_parse(result, &a, NULL), 0);
	ck_assert(a.active);
	ck_assert_str_eq(a.approval, "granular");
	ck_assert_int_eq(a.sandbox, CCP_SANDBOX_UNSET);
	ck_assert_ptr_null(a.effort);
	json_array_remove(a.turns, 1);
	ck_assert_int_eq(ccp_thread_answer_parse(result, &a, NULL), 0);
	ck_assert(!a.active);
}
END_TEST

START_TEST(test_turn_start)
{
	json_auto_t *images = json_loads("[{\"type\":\"localImage\",\"path\":\"/p\"}]", 0, NULL);
	json_auto_t *schema = json_loads("{\"type\":\"object\"}", 0, NULL);
	struct ccp_turn_start start = {
		.thread_id = "t",
		.client_message_id = "op",
		.text = "do it",
		.images = images,
		.cwd = "/w",
		.summary = "auto",
		.approval = "on-request",
		.sandbox = CCP_SANDBOX_DANGER_FULL_ACCESS,
		.output_schema = schema,
	};
#define REST                                                                                       \
	"\"cwd\":\"/w\",\"input\":[{\"text\":\"do it\",\"type\":\"text\"},{\"path\":\"/p\","       \
	"\"type\":\"localImage\"}],\"outputSchema\":{\"type\":\"object\"},\"sandboxPolicy\":"      \
	"{\"type\":\"dangerFullAccess\"},\"summary\":\"auto\",\"threadId\":\"t\"}"

	check_json(ccp_turn_start_params(&newest, &start),
		   "{\"approvalPolicy\":\"on-request\",\"clientUserMessageId\":\"op\"," REST);
	check_json(ccp_turn_start_params(&old, &start), "{\"approvalPolicy\":\"on-request\"," REST);
	ck_assert_uint_eq(images->refcount, 1);
	ck_assert_uint_eq(schema->refcount, 1);
}
END_TEST

static void check_mode(struct ccp_turn_start start, const char *want)
{
	json_auto_t *params = NULL;
	json_t *mode;

	start.thread_id = "t";
	start.text = "x";
	start.sandbox = CCP_SANDBOX_UNSET;
	params = ccp_turn_start_params(&newest, &start);
	ck_assert_ptr_nonnull(params);
	ck_assert_ptr_null(json_object_get(params, "sandboxPolicy"));
	mode = json_object_get(params, "collaborationMode");
	if (want)
		check_json(json_incref(mode), want);
	else
		ck_assert_ptr_null(mode);
}

/* Codex takes model and effort from the mode's settings and resets an effort that is not there. */
START_TEST(test_mode)
{
	check_mode((struct ccp_turn_start){ .mode = "default", .mode_model = "m" },
		   "{\"mode\":\"default\",\"settings\":{\"model\":\"m\"}}");
	check_mode(
		(struct ccp_turn_start){ .mode = "plan", .mode_model = "m", .mode_effort = "low" },
		"{\"mode\":\"plan\",\"settings\":{\"model\":\"m\",\"reasoning_effort\":\"low\"}}");
	check_mode((struct ccp_turn_start){ .mode = "plan",
					    .model = "mine",
					    .effort = "high",
					    .mode_model = "m",
					    .mode_effort = "low" },
		   "{\"mode\":\"plan\",\"settings\":{\"model\":\"mine\",\"reasoning_effort\":"
		   "\"high\"}}");
	check_mode((struct ccp_turn_start){ .mode = "plan" }, NULL);
	check_mode((struct ccp_turn_start){ .mode_model = "m" }, NULL);
}
END_TEST

START_TEST(test_turn_start_answer)
{
	json_auto_t *a = json_loads("{\"turn\":{\"id\":\"0\"}}", 0, NULL);
	json_auto_t *b = json_loads("{\"turnId\":\"b\"}", 0, NULL);
	const char *id = "kept";

	ck_assert_int_eq(ccp_turn_start_parse(NULL, &id, NULL), CODEXCP_E_INTERNAL);
	ck_assert_str_eq(id, "kept");
	ck_assert_int_eq(ccp_turn_start_parse(a, &id, NULL), 0);
	ck_assert_str_eq(id, "0");
	ck_assert_int_eq(ccp_turn_start_parse(b, &id, NULL), 0);
	ck_assert_str_eq(id, "b");
}
END_TEST

START_TEST(test_small_params)
{
	check_json(ccp_turn_interrupt_params("t", "u"), "{\"threadId\":\"t\",\"turnId\":\"u\"}");
}
END_TEST

START_TEST(test_turn)
{
	json_auto_t *turn = json_loads(
		"{\"id\":\"u\",\"status\":\"interrupted\",\"error\":null,\"startedAt\":7,"
		"\"completedAt\":null,\"items\":[{\"type\":\"agentMessage\",\"clientId\":"
		"\"op-0\"},{\"type\":\"userMessage\",\"clientId\":null},{\"type\":"
		"\"userMessage\",\"clientId\":\"op-1\"}]}",
		0, NULL);
	struct ccp_turn t;

	ck_assert_int_eq(ccp_turn_parse(turn, &t), 0);
	ck_assert_str_eq(t.id, "u");
	ck_assert_str_eq(t.status, "interrupted");
	ck_assert_ptr_null(t.error);
	ck_assert_int_eq(t.started_at, 7000);
	ck_assert_int_eq(t.completed_at, 0);
	ck_assert(ccp_turn_has_client_id(&t, "op-1"));
	ck_assert(!ccp_turn_has_client_id(&t, "op-0"));
	ck_assert(!ccp_turn_has_client_id(&t, "op"));
	json_object_del(turn, "items");
	ck_assert_int_eq(ccp_turn_parse(turn, &t), 0);
	ck_assert(!ccp_turn_has_client_id(&t, "op-1"));
	ck_assert_int_eq(ccp_turn_parse(json_null(), &t), CODEXCP_E_INTERNAL);
}
END_TEST

/* The outcome of a turn "u" that the history of a thread "u, last" calls `status`. */
static const char *outcome(int minor, const char *status, const char *thread_status,
			   const char *last, bool same_process)
{
	const struct ccp_codex_version version = { 0, minor, 0 };
	json_auto_t *turns = json_pack("[{s:s}, {s:s}]", "id", "u", "id", last);
	const struct ccp_thread_answer thread = { .status = thread_status, .turns = turns };
	const struct ccp_turn turn = { .id = "u", .status = status };

	return ccp_turn_outcome(&version, &turn, &thread, same_process);
}

START_TEST(test_turn_outcome)
{
	ck_assert_str_eq(outcome(146, "completed", "idle", "v", false), "completed");
	ck_assert_str_eq(outcome(146, "failed", "idle", "v", false), "failed");
	ck_assert_str_eq(outcome(98, "interrupted", NULL, "u", false), "interrupted");
	ck_assert_ptr_null(outcome(98, "completed", NULL, "u", true));
	ck_assert_ptr_null(outcome(145, "completed", "idle", "u", false));
	ck_assert_ptr_null(outcome(145, "completed", "idle", "v", true));
	ck_assert_str_eq(outcome(145, "completed", "idle", "u", true), "completed");
	ck_assert_str_eq(outcome(145, "completed", "systemError", "u", true), "failed");
}
END_TEST

CCP_TEST_MAIN("methods", test_sandbox, test_thread_start, test_thread_resume,
	      test_thread_resume_policy, test_thread_answer, test_thread_answer_other,
	      test_turn_start, test_mode, test_turn_start_answer, test_small_params, test_turn,
	      test_turn_outcome)
