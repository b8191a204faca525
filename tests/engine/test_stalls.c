/*
 * Turns that tell nothing: an end that was missed is found, the looks grow rare, and what is called
 * stalled is so by app-server's own word. And what an interrupt leaves: nothing.
 */
#include "engine_env.h"

/* A turn that runs until it is told otherwise, looked at after a second. */
static void begin(struct engine_env *e, const char *script)
{
	env_setup(e);
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_set(e, "CODEX_MCP_TURN_CHECK_SECONDS", "1");
	if (script)
		env_script(e, script);
}

static struct codexcp *open_worker(struct engine_env *e)
{
	return env_open(e, CODEXCP_MODE_INLINE);
}

static char *run(struct engine_env *e, struct codexcp *cp)
{
	char *op = env_submit(e, cp, NULL);

	env_reach(e, cp, op, "phase", "running");
	return op;
}

static int64_t journal_rows(const struct engine_env *e, const char *event)
{
	_cleanup_free_ char *sql = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE data ->> 'event' = '%s'", event);

	return env_number(e, sql);
}

static void wait_stalled(struct engine_env *e, bool stalled)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while ((env_number(e, "SELECT max(stalled_at) FROM operations") != 0) != stalled) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
}

/* Nobody tells that the turn has ended: it is found out, with its report. */
START_TEST(test_missed_end)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	begin(&e, "expect turn/start\ndefault\nswallow turn/completed\nfinish\n");
	cp = open_worker(&e);
	op = env_submit(&e, cp, NULL);
	status = env_end(&e, cp, op);
	env_is(status, "status", "completed");
	ck_assert_ptr_nonnull(ccp_json_str(json_object_get(status, "finalReport"), "text"));
	/* A cheap question first, the history only when it is needed. */
	ck_assert_int_eq(env_count(&e, "thread/read"), 1);
	ck_assert_int_eq(env_count(&e, "thread/resume"), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* Another turn of the thread runs: ours cannot any more. */
START_TEST(test_next_turn)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	begin(&e, "expect turn/start threadId\ndefault\nswallow turn/completed\nfinish\n"
		  "notify {\"method\": \"turn/started\", \"params\": {\"threadId\": $threadId, "
		  "\"turn\": {\"id\": \"another\", \"status\": \"inProgress\", \"items\": []}}}\n");
	env_set(&e, "CODEX_MCP_TURN_CHECK_SECONDS", "3600");
	cp = open_worker(&e);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

START_TEST(test_looks_grow)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	int64_t first, second;

	begin(&e, NULL);
	cp = open_worker(&e);
	op = run(&e, cp);
	first = env_now_ms();
	env_wait_count(&e, "thread/read", 1);
	first = env_now_ms() - first;
	second = env_now_ms();
	env_wait_count(&e, "thread/read", 2);
	second = env_now_ms() - second;
	ck_assert_int_ge(first, 700);
	ck_assert_int_gt(second, first * 3 / 2);
	/* Without the history. */
	ck_assert_int_eq(env_count(&e, "thread/resume"), 0);
	ck_assert_int_eq(env_number(&e, "SELECT stalled_at FROM operations"), 0);
	env_teardown(&e);
}
END_TEST

static void check_supervisor(struct codexcp *cp, int stalled)
{
	json_auto_t *health = env_call(cp, "codex_health_summary", NULL);
	const json_t *supervisor = json_object_get(health, "stallSupervisor");

	env_is(supervisor, "mode", "diagnose_only");
	ck_assert_int_eq(ccp_json_int(supervisor, "timeoutSeconds", 0), 1);
	ck_assert_int_eq(ccp_json_int(supervisor, "stalledTurnCount", -1), stalled);
	ck_assert_int_eq(json_array_size(json_object_get(supervisor, "stalledTurns")), stalled);
}

START_TEST(test_diagnosed)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL, *later = NULL;
	const json_t *stall;

	begin(&e, "expect turn/start threadId\ndefault\nawait news\n"
		  "notify {\"method\": \"item/agentMessage/delta\", \"params\": {\"threadId\": "
		  "$threadId, \"turnId\": $turnId, \"itemId\": \"m\", \"delta\": \"so\"}}\n"
		  "await end\nfinish\n");
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	cp = open_worker(&e);
	op = run(&e, cp);
	check_supervisor(cp, 0);
	wait_stalled(&e, true);
	status = env_status(cp, op);
	stall = json_object_get(status, "stall");
	ck_assert_ptr_nonnull(strstr(ccp_json_str(stall, "evidence"), "the turn is active"));
	ck_assert_int_ge(ccp_json_int(stall, "seconds", 0), 1);
	env_is(status, "status", "running");
	env_is(status, "nextRecommendedAction", "interrupt_turn");
	check_supervisor(cp, 1);
	env_go(&e, "news");
	wait_stalled(&e, false);
	later = env_status(cp, op);
	ck_assert_ptr_null(json_object_get(later, "stall"));
	check_supervisor(cp, 0);
	env_go(&e, "end");
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(journal_rows(&e, "stalled"), 1);
	ck_assert_int_eq(journal_rows(&e, "goes_on"), 1);
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 0);
	env_teardown(&e);
}
END_TEST

START_TEST(test_interrupted)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	begin(&e, NULL);
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	env_set(&e, "CODEX_MCP_STALLED_TURN_ACTION", "interrupt");
	cp = open_worker(&e);
	op = run(&e, cp);
	env_ends(&e, cp, op, "interrupted", "interrupted_stalled");
	status = env_status(cp, op);
	ck_assert_ptr_nonnull(json_object_get(status, "stall"));
	ck_assert_ptr_nonnull(ccp_json_str(status, "interruptRequestedAt"));
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 1);
	ck_assert_int_eq(journal_rows(&e, "stalled"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM journal WHERE "
					"data ->> 'interruptReason' = 'stalled'"),
			 1);
	env_teardown(&e);
}
END_TEST

/* Codex loses the first interrupt: it is asked again, the turn still runs. */
START_TEST(test_interrupt_lost)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	begin(&e, "expect turn/interrupt\n");
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	env_set(&e, "CODEX_MCP_STALLED_TURN_ACTION", "interrupt");
	cp = open_worker(&e);
	op = run(&e, cp);
	env_ends(&e, cp, op, "interrupted", "interrupted_stalled");
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 2);
	env_teardown(&e);
}
END_TEST

/* Quiet for longer than the limit, and looked at; but for a reason. */
static void check_not_stalled(struct engine_env *e, struct codexcp *cp)
{
	char *op = run(e, cp);

	env_wait_count(e, "thread/read", 2);
	ck_assert_int_eq(env_number(e, "SELECT max(stalled_at) FROM operations"), 0);
	ck_assert_int_eq(journal_rows(e, "stalled"), 0);
	ck_assert_int_eq(env_count(e, "turn/interrupt"), 0);
	free(op);
}

START_TEST(test_command_runs)
{
	struct engine_env e;

	begin(&e, NULL);
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	env_set(&e, "CODEX_MCP_STALLED_TURN_ACTION", "interrupt");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	check_not_stalled(&e, open_worker(&e));
	env_teardown(&e);
}
END_TEST

START_TEST(test_approval_open)
{
	struct engine_env e;

	begin(&e, "expect turn/start\ndefault\nflag waitingOnApproval\n");
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	env_set(&e, "CODEX_MCP_STALLED_TURN_ACTION", "interrupt");
	check_not_stalled(&e, open_worker(&e));
	env_teardown(&e);
}
END_TEST

/* A worker that came later never heard of the command: app-server is asked. */
START_TEST(test_later_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	begin(&e, NULL);
	env_set(&e, "CODEX_MCP_APP_SERVER_TRANSPORT", "unix");
	env_set(&e, "CODEX_MCP_TURN_STALL_TIMEOUT_SECONDS", "1");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	cp = open_worker(&e);
	op = run(&e, cp);
	env_close(&e, cp);
	cp = open_worker(&e);
	env_reach(&e, cp, op, "phase", "running");
	env_wait_count(&e, "thread/backgroundTerminals/list", 1);
	env_wait_count(&e, "thread/read", 2);
	ck_assert_int_eq(journal_rows(&e, "stalled"), 0);
	json_decref(env_call(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op)));
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	env_teardown(&e);
}
END_TEST

/* What an interrupt leaves running */

static json_t *interrupt(struct engine_env *e, struct codexcp *cp, const char *op)
{
	json_auto_t *answer = env_call(cp, "codex_interrupt_turn",
				       json_pack("{s:s}", "operation_id", op));
	json_auto_t *status = env_status(cp, op);
	json_t *terminals = json_object_get(answer, "terminals");

	env_is(answer, "status", "interrupted");
	ck_assert(json_equal(terminals, json_object_get(status, "terminals")) || !terminals);
	return json_incref(terminals);
}

static void check_terminals(const json_t *terminals, int before, int terminated, size_t remaining)
{
	env_is(terminals, "method", "terminate");
	ck_assert_int_eq(ccp_json_int(terminals, "before", -1), before);
	ck_assert_int_eq(ccp_json_int(terminals, "terminated", -1), terminated);
	ck_assert_int_eq(json_array_size(json_object_get(terminals, "remaining")), remaining);
}

START_TEST(test_commands_end)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *terminals = NULL;

	begin(&e, NULL);
	env_set(&e, "CCP_FAKE_COMMANDS", "2");
	cp = open_worker(&e);
	op = run(&e, cp);
	terminals = interrupt(&e, cp, op);
	check_terminals(terminals, 2, 2, 0);
	ck_assert_int_eq(env_count(&e, "thread/backgroundTerminals/terminate"), 2);
	env_teardown(&e);
}
END_TEST

START_TEST(test_nothing_to_end)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *terminals = NULL;

	begin(&e, NULL);
	cp = open_worker(&e);
	op = run(&e, cp);
	terminals = interrupt(&e, cp, op);
	ck_assert_ptr_null(terminals);
	env_teardown(&e);
}
END_TEST

/* A command that an earlier turn has left on purpose is told, and goes on. */
START_TEST(test_earlier_command)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	json_auto_t *done = NULL, *terminals = NULL;

	begin(&e, "expect turn/start\ndefault\nfinish\n");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	cp = open_worker(&e);
	first = env_submit(&e, cp, NULL);
	done = env_wait(&e, cp, first, "status", "completed");
	second = env_submit(&e, cp,
			    json_pack("{s:s, s:O}", "operation_type", "send_message", "thread_id",
				      json_object_get(done, "threadId")));
	env_reach(&e, cp, second, "phase", "running");
	terminals = interrupt(&e, cp, second);
	check_terminals(terminals, 2, 1, 1);
	env_teardown(&e);
}
END_TEST

/* Wanted before Codex has said that the turn runs. */
START_TEST(test_cancelled_at_start)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL;

	begin(&e, "expect turn/start\nawait go\ndefault\n");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	cp = open_worker(&e);
	op = env_submit(&e, cp, NULL);
	env_wait_count(&e, "turn/start", 1);
	env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op), &answer);
	while (env_number(&e, "SELECT interrupt_at FROM operations") == 0)
		env_step(&e);
	env_go(&e, "go");
	check_terminals(json_object_get(env_answered(&e, &answer), "terminals"), 1, 1, 0);
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* What older versions can: all at once, or nothing; both are said. */
START_TEST(test_older_versions)
{
	static const struct {
		const char *version, *method;
		int cleans;
	} rows[] = { { "0.130.0", "clean", 1 }, { "0.98.0", "unsupported", 0 } };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct engine_env e;
		struct codexcp *cp;
		_cleanup_free_ char *op = NULL;
		json_auto_t *terminals = NULL;

		begin(&e, NULL);
		env_set(&e, "CCP_FAKE_VERSION", rows[i].version);
		env_set(&e, "CCP_FAKE_COMMANDS", "1");
		cp = open_worker(&e);
		op = run(&e, cp);
		terminals = interrupt(&e, cp, op);
		env_is(terminals, "method", rows[i].method);
		ck_assert_int_eq(env_count(&e, "thread/backgroundTerminals/clean"), rows[i].cleans);
		ck_assert_int_eq(env_count(&e, "thread/backgroundTerminals/list"), 0);
		env_teardown(&e);
	}
}
END_TEST

/* Codex cannot say what runs: that is said, and the operation ends all the same. */
START_TEST(test_list_fails)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *terminals = NULL;

	begin(&e, "expect thread/backgroundTerminals/list\nerror -32603 not today\n"
		  "expect thread/backgroundTerminals/list\nerror -32603 not today\n");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	cp = open_worker(&e);
	op = run(&e, cp);
	terminals = interrupt(&e, cp, op);
	env_is(terminals, "method", "unknown");
	env_teardown(&e);
}
END_TEST

/* The worker goes while a command is being ended: the next one ends it. */
START_TEST(test_worker_leaves)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL;
	json_auto_t *status = NULL;

	begin(&e, "expect thread/backgroundTerminals/terminate\n");
	env_set(&e, "CODEX_MCP_APP_SERVER_TRANSPORT", "unix");
	env_set(&e, "CCP_FAKE_COMMANDS", "1");
	cp = open_worker(&e);
	op = run(&e, cp);
	env_ask(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op), &answer);
	env_wait_count(&e, "thread/backgroundTerminals/terminate", 1);
	ck_assert_int_eq(env_number(&e, "SELECT active FROM operations"), 1);
	env_close(&e, cp);
	env_answer_done(&answer);
	cp = open_worker(&e);
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	status = env_status(cp, op);
	check_terminals(json_object_get(status, "terminals"), 1, 1, 0);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("stalls", test_missed_end, test_next_turn, test_looks_grow, test_diagnosed,
	      test_interrupted, test_interrupt_lost, test_command_runs, test_approval_open,
	      test_later_worker, test_commands_end, test_nothing_to_end, test_earlier_command,
	      test_cancelled_at_start, test_older_versions, test_list_fails, test_worker_leaves)
