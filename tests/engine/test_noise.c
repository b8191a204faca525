/*
 * What app-server says beside what is expected: lines that are no messages, notifications and
 * requests that nobody knows, output that does not fit. The task goes on, and what may have been
 * lost is looked up.
 */
#include "engine_env.h"

/* The journal has a line with this text. */
static bool is_noted(const struct engine_env *e, const char *text)
{
	_cleanup_free_ char *sql = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE text LIKE '%%%s%%'", text);

	return env_number(e, sql) > 0;
}

/* A task while app-server follows this script. */
static void run_script(struct engine_env *e, const char *script)
{
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup(e);
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_script(e, script);
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	env_ends(e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(e, "turn/start"), 1);
	ck_assert_int_eq(env_count(e, "initialize"), 1);
}

START_TEST(test_garbage)
{
	struct engine_env e;

	run_script(&e, "garbage before anything\n"
		       "expect turn/start\n"
		       "garbage }{ not JSON\n"
		       "garbage \"a string\"\n"
		       "garbage {\"id\": 999999, \"result\": {}}\n"
		       "garbage {\"jsonrpc\": \"2.0\"}\n"
		       "default\n"
		       "garbage [1, 2]\n"
		       "finish\n");
	ck_assert(is_noted(&e, "could not be read"));
	env_teardown(&e);
}
END_TEST

/* The end of the turn is what could not be read. */
START_TEST(test_garbled_end)
{
	struct engine_env e;
	json_auto_t *status = NULL;
	_cleanup_free_ char *id = NULL;

	run_script(&e, "expect turn/start\ndefault\ngarble turn/completed\nfinish\n");
	id = db_query(e.state_db, "SELECT id FROM operations");
	id[strcspn(id, "\n")] = '\0';
	status = env_status(e.open[0], id);
	ck_assert_ptr_nonnull(strstr(ccp_json_str(json_object_get(status, "finalReport"), "text"),
				     "fake report"));
	ck_assert_int_ge(env_count(&e, "thread/resume"), 1);
	env_teardown(&e);
}
END_TEST

/* Longer than any line may be: 64 MiB. */
START_TEST(test_over_long_line)
{
	struct engine_env e;

	run_script(&e, "expect turn/start\ndefault\nlong 67200000\nfinish\n");
	ck_assert(is_noted(&e, "could not be read"));
	env_teardown(&e);
}
END_TEST

START_TEST(test_nul_in_output)
{
	struct engine_env e;
	_cleanup_free_ char *text = NULL;

	run_script(&e,
		   "expect turn/start threadId\ndefault\n"
		   "notify {\"method\": \"item/completed\", \"params\": {\"threadId\": $threadId, "
		   "\"turnId\": $turnId, \"item\": {\"type\": \"agentMessage\", \"id\": \"nul\", "
		   "\"text\": \"before\\u0000after\", \"phase\": \"commentary\"}}}\n"
		   "notify {\"method\": \"item/completed\", \"params\": {\"threadId\": $threadId, "
		   "\"turnId\": $turnId, \"item\": {\"type\": \"commandExecution\", \"id\": \"c\", "
		   "\"command\": \"printf a\\u0000b\", \"aggregatedOutput\": \"a\\u0000b\", "
		   "\"status\": \"completed\", \"exitCode\": 0}}}\n"
		   "finish\n");
	text = db_query(e.state_db, "SELECT text FROM messages WHERE item_id = 'nul'");
	ck_assert_ptr_nonnull(strstr(text, "before"));
	ck_assert_ptr_nonnull(strstr(text, "after"));
	ck_assert(!is_noted(&e, "could not be read"));
	env_teardown(&e);
}
END_TEST

START_TEST(test_unknown_notifications)
{
	struct engine_env e;

	run_script(
		&e,
		"notify {\"method\": \"some/news\", \"params\": {\"x\": 1}}\n"
		"notify {\"method\": \"some/news\"}\n"
		"expect turn/start threadId\ndefault\n"
		"notify {\"method\": \"turn/news\", \"params\": {\"threadId\": $threadId, "
		"\"turnId\": $turnId}}\n"
		"notify {\"method\": \"item/completed\", \"params\": {\"threadId\": $threadId, "
		"\"turnId\": $turnId, \"item\": {\"type\": \"newThing\", \"id\": \"n\"}}}\n"
		"notify {\"method\": \"item/completed\", \"params\": {\"threadId\": $threadId}}\n"
		"notify {\"method\": \"turn/completed\", \"params\": {\"threadId\": $threadId, "
		"\"turn\": {\"id\": \"another turn\", \"status\": \"failed\"}}}\n"
		"notify {\"method\": \"turn/completed\", \"params\": {\"threadId\": \"another "
		"thread\", \"turn\": {\"id\": $turnId, \"status\": \"failed\"}}}\n"
		"finish\n");

	env_teardown(&e);
}
END_TEST

/* Each request gets an answer of its shape, or is refused; a line in the journal says so. */
struct request {
	const char *method, *params, *answer;
};

#define ITEM "{\"threadId\": $threadId, \"turnId\": $turnId, \"itemId\": \"i\"}"

static const struct request requests[] = {
	{ "item/commandExecution/requestApproval", ITEM, "{\"decision\": \"decline\"}" },
	{ "item/fileChange/requestApproval", ITEM, "{\"decision\": \"decline\"}" },
	{ "item/permissions/requestApproval", ITEM, "{\"permissions\": {}, \"scope\": \"turn\"}" },
	{ "item/tool/requestUserInput",
	  "{\"threadId\": $threadId, \"turnId\": $turnId, \"questions\": [{\"id\": \"q\"}]}",
	  "{\"answers\": {\"q\": {\"answers\": []}}}" },
	{ "mcpServer/elicitation/request", ITEM, "{\"action\": \"decline\", \"content\": null}" },
	{ "execCommandApproval", "{\"conversationId\": $threadId}", "{\"decision\": \"abort\"}" },
	{ "account/chatgptAuthTokens/refresh", "{}", NULL },
	{ "some/thing/new", ITEM, NULL },
	{ "some/thing/bare", "null", NULL },
};

static void check_answer(const struct engine_env *e, int index, const struct request *request)
{
	json_auto_t *message = env_logged(e, "answer", index);
	json_auto_t *want = request->answer ? json_loads(request->answer, 0, NULL) : NULL;
	const json_t *error = json_object_get(message, "error");

	ck_assert_int_eq(json_integer_value(json_object_get(message, "id")), index);
	if (want)
		ck_assert_msg(json_equal(json_object_get(message, "result"), want), "%s",
			      request->method);
	else
		ck_assert_int_eq(json_integer_value(json_object_get(error, "code")), -32601);
	ck_assert_msg(is_noted(e, request->method), "%s", request->method);
}

START_TEST(test_requests)
{
	struct engine_env e;
	_cleanup_free_ char *script = strdup("expect turn/start threadId\ndefault\n");
	_cleanup_free_ char *end = NULL;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(requests); i++) {
		char *longer = ccp_asprintf("%srequest {\"id\": %zu, \"method\": \"%s\", "
					    "\"params\": %s}\nexpect-answer\n",
					    script, i, requests[i].method, requests[i].params);

		free(script);
		script = longer;
	}
	end = ccp_asprintf("%sfinish\n", script);
	run_script(&e, end);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(requests); i++)
		check_answer(&e, (int)i, &requests[i]);
	env_teardown(&e);
}
END_TEST

START_TEST(test_clock_request)
{
	struct engine_env e;
	json_auto_t *message = NULL;

	run_script(&e, "expect turn/start\ndefault\n"
		       "request {\"id\": \"clock\", \"method\": \"currentTime/read\", "
		       "\"params\": {}}\nexpect-answer\nfinish\n");
	message = env_logged(&e, "answer", 0);
	env_is(message, "id", "clock");
	ck_assert_int_gt(json_integer_value(ccp_json_path(message, "result.currentTimeAt")), 0);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("noise", test_garbage, test_garbled_end, test_over_long_line, test_nul_in_output,
	      test_unknown_notifications, test_requests, test_clock_request)
