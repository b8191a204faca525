/*
 * The state database when it is not as it should be, and a configuration that is wrong: the caller
 * hears what and what to do, and nothing is written that should not be.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/sha256.h"
#include "engine_env.h"
#include "service/context.h"

#define READ_MAX (64u << 20)

/* Every tool, with arguments that are right. */
static json_t *arguments_of(struct engine_env *e, const char *tool)
{
	if (ccp_streq(tool, "codex_submit_task"))
		return env_submit_arguments(e, NULL);
	if (ccp_streq(tool, "codex_get_turn_status"))
		return json_pack("{s:s}", "turn_id", "t");
	return ccp_streq(tool, "codex_health_summary") || ccp_streq(tool, "codex_list_projects") ||
			       ccp_streq(tool, "codex_get_queue_status") ||
			       ccp_streq(tool, "codex_get_concurrency_status")
		       ? NULL
		       : json_pack("{s:s}", "operation_id", "op");
}

static bool is_read_tool(const json_t *tool)
{
	return json_is_true(ccp_json_path(tool, "annotations.readOnlyHint"));
}

START_TEST(test_reading_makes_nothing)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *dir = NULL, *database = NULL;
	json_auto_t *tools = codexcp_tools();
	struct stat st;
	json_t *tool;
	size_t i;
	int reads = 0;

	env_setup(&e);
	dir = env_path(&e, "nothing/here");
	database = env_path(&e, "nothing/here/state.sqlite3");
	env_set(&e, "CODEX_MCP_STATE_DB", database);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	json_array_foreach (tools, i, tool) {
		const char *name = ccp_json_str(tool, "name");

		if (!is_read_tool(tool))
			continue;
		reads++;
		json_decref(env_call(cp, name, arguments_of(&e, name)));
	}
	codexcp_look_for_work(cp);
	env_step(&e);
	ck_assert_int_ge(reads, 4);
	ck_assert_int_eq(stat(dir, &st), -1);
	ck_assert_int_eq(errno, ENOENT);
	env_teardown(&e);
}
END_TEST

/* What the files of the database hold. */
static char *contents(const struct engine_env *e)
{
	_cleanup_free_ char *wal = ccp_asprintf("%s-wal", e->state_db);
	_cleanup_free_ char *rows = NULL, *log = NULL;
	char first[CCP_SHA256_HEX], second[CCP_SHA256_HEX];
	size_t rows_len = 0, log_len = 0;

	ck_assert_int_ge(ccp_file_read(e->state_db, READ_MAX, &rows, &rows_len, NULL), 0);
	ck_assert_int_ge(ccp_file_read(wal, READ_MAX, &log, &log_len, NULL), 0);
	ccp_sha256_hex(rows, rows_len, first);
	ccp_sha256_hex(log, log_len, second);
	return ccp_asprintf("%s %s", first, second);
}

/* Not one byte, and there is no connection that could. */
START_TEST(test_reading_writes_nothing)
{
	struct engine_env e;
	struct codexcp *writer, *cp;
	_cleanup_free_ char *ended = NULL, *queued = NULL, *before = NULL, *after = NULL;
	json_auto_t *tools = codexcp_tools();
	json_t *tool;
	size_t i;

	env_setup(&e);
	writer = env_open(&e, CODEXCP_MODE_CLIENT);
	queued = env_submit(&e, writer, NULL);
	ended = env_submit(&e, writer, NULL);
	json_decref(env_call(writer, "codex_interrupt_turn",
			     json_pack("{s:s}", "operation_id", ended)));
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	before = contents(&e);
	json_array_foreach (tools, i, tool) {
		const char *name = ccp_json_str(tool, "name");
		json_t *arguments = arguments_of(&e, name);

		if (!is_read_tool(tool)) {
			json_decref(arguments);
			continue;
		}
		if (json_object_get(arguments, "operation_id"))
			json_object_set_new(arguments, "operation_id", json_string(ended));
		json_decref(env_call(cp, name, arguments));
	}
	json_decref(env_status(cp, queued));
	codexcp_look_for_work(cp);
	after = contents(&e);
	ck_assert_str_eq(after, before);
	ck_assert_ptr_nonnull(cp->reader);
	ck_assert_ptr_null(cp->db);
	env_teardown(&e);
}
END_TEST

START_TEST(test_wrong_configuration)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *tools = codexcp_tools();
	json_t *tool;
	size_t i;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "anything-goes");
	cp = env_open(&e, CODEXCP_MODE_CONFIGURED);
	ck_assert_int_ge(json_array_size(tools), 7);
	json_array_foreach (tools, i, tool) {
		const char *name = ccp_json_str(tool, "name");
		json_auto_t *answer = env_call_fails(cp, name, arguments_of(&e, name),
						     "CODEX_CONFIG_INVALID");
		_cleanup_free_ char *text = json_dumps(answer, 0);

		ck_assert_msg(strstr(text, "CODEX_MCP_DEFAULT_SANDBOX"), "%s", text);
	}
	ck_assert_int_eq(codexcp_run(cp, NULL), CODEXCP_E_CONFIG_INVALID);
	ck_assert_int_eq(access(e.state_db, F_OK), -1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_open_bits)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *dir = NULL;
	json_auto_t *answer = NULL;
	const char *message;

	env_setup(&e);
	dir = env_path(&e, "state");
	ck_assert_int_eq(chmod(dir, 0755), 0);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	answer = env_call_fails(cp, "codex_submit_task", env_submit_arguments(&e, NULL),
				"CODEX_STATE_UNAVAILABLE");
	message = ccp_json_str(json_object_get(answer, "error"), "message");
	ck_assert_msg(strstr(message, "chmod") && strstr(message, dir), "%s", message);
	ck_assert_int_eq(access(e.state_db, F_OK), -1);
	/* As soon as that is done, the same context works. */
	ck_assert_int_eq(chmod(dir, 0700), 0);
	free(env_submit(&e, cp, NULL));
	env_teardown(&e);
}
END_TEST

/* The database serves one Codex home. A context of another one is refused, and does not get in the
 * way. */
START_TEST(test_other_home)
{
	struct engine_env e;
	struct codexcp *stranger, *cp;
	struct env_answer answer;
	_cleanup_free_ char *home = NULL, *other = NULL, *op = NULL;
	json_auto_t *refused = NULL;
	json_t *details;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	env_close(&e, cp);
	home = env_path(&e, "home");
	other = env_path(&e, "project");
	env_set(&e, "CODEX_HOME", other);
	stranger = env_open(&e, CODEXCP_MODE_INLINE);
	refused = env_call_fails(stranger, "codex_submit_task", env_submit_arguments(&e, NULL),
				 "CODEX_CONFIG_MISMATCH");
	details = json_object_get(json_object_get(refused, "error"), "details");
	env_is(details, "processCodexHome", other);
	env_is(details, "databaseCodexHome", home);
	/* It may read; what it reads needs a worker, which it cannot be. */
	env_ask(stranger, "codex_wait",
		json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 1), &answer);
	env_is(env_answered(&e, &answer), "status", "queued");
	env_wait_problem(&e, stranger, op, other);
	env_answer_done(&answer);
	env_set(&e, "CODEX_HOME", home);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* Another writer holds the database. */
static sqlite3 *hold(const struct engine_env *e)
{
	sqlite3 *handle = NULL;

	ck_assert_int_eq(sqlite3_open(e->state_db, &handle), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return handle;
}

START_TEST(test_busy_for_a_while)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *warm = NULL, *op = NULL;
	json_auto_t *status = NULL;
	sqlite3 *holder;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	warm = env_submit(&e, cp, NULL);
	env_ends(&e, cp, warm, "completed", NULL);
	holder = hold(&e);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &answer);
	for (int i = 0; i < 20; i++)
		env_step(&e);
	/* Reads go on meanwhile. */
	status = env_status(cp, warm);
	env_is(status, "status", "completed");
	ck_assert_int_eq(answer.answers, 0);
	sqlite3_close(holder);
	op = strdup(ccp_json_str(env_answered(&e, &answer), "operationId"));
	env_ends(&e, cp, op, "completed", NULL);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* What a running turn does while the database is held is recorded afterwards: nothing is given
 * up. */
START_TEST(test_busy_while_it_runs)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	sqlite3 *holder;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_STREAM_BYTES", "20000");
	env_script(&e, "expect turn/start\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);
	holder = hold(&e);
	env_go(&e, "go");
	for (int i = 0; i < 20; i++)
		env_step(&e);
	sqlite3_close(holder);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* Patience has an end: ten seconds, then the caller hears of it and may come again. */
START_TEST(test_busy_for_long)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer waiting, opening;
	sqlite3 *holder;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	free(env_submit(&e, cp, NULL));
	holder = hold(&e);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &waiting);
	/* This one has not even opened the database. */
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	env_ask(cp, "codex_submit_task", env_submit_arguments(&e, NULL), &opening);
	env_is(json_object_get(env_answered(&e, &waiting), "error"), "code", "CODEX_STATE_BUSY");
	env_is(json_object_get(env_answered(&e, &opening), "error"), "code", "CODEX_STATE_BUSY");
	ck_assert(json_is_true(ccp_json_path(waiting.payload, "error.retryable")));
	sqlite3_close(holder);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 1);
	free(env_submit(&e, cp, NULL));
	env_answer_done(&waiting);
	env_answer_done(&opening);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("state", test_reading_makes_nothing, test_reading_writes_nothing,
	      test_wrong_configuration, test_open_bits, test_other_home, test_busy_for_a_while,
	      test_busy_while_it_runs, test_busy_for_long)
