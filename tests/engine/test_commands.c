/*
 * Commands: carried out once by whoever is the worker, waited for by whoever asked, and followed by
 * their id when that takes long. In every mode.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine_env.h"
#include "service/context.h"
#include "service/engine_internal.h"

static json_t *arguments_of(const char *op, int seconds)
{
	return json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", seconds);
}

static json_t *command_status(struct codexcp *cp, const char *id)
{
	return env_call(cp, "codex_get_worker_command_status",
			json_pack("{s:s}", "command_id", id));
}

/* Drives until the command is over. */
static json_t *command_end(struct engine_env *e, struct codexcp *cp, const char *id)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	for (;;) {
		json_t *status = command_status(cp, id);

		if (json_is_false(json_object_get(status, "pollRecommended")))
			return status;
		env_is(status, "nextRecommendedAction", "poll_worker_command");
		json_decref(status);
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
}

static pid_t worker_pid(const struct engine_env *e)
{
	return (pid_t)env_number(e, "SELECT pid FROM workers ORDER BY epoch DESC LIMIT 1");
}

static void sql(const struct engine_env *e, const char *text)
{
	free(db_query(e->state_db, text));
}

/* A worker that stands still: the caller gets the id in time, and it is carried out later, once. */
START_TEST(test_worker_stands_still)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	json_auto_t *ack = NULL, *waiting = NULL, *done = NULL, *listed = NULL;
	const char *id;
	int64_t began;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	ck_assert_int_eq(kill(worker_pid(&e), SIGSTOP), 0);
	began = env_now_ms();
	ack = env_call(cp, "codex_interrupt_turn", arguments_of(op, 1));
	ck_assert_int_lt(env_now_ms() - began, 3000);
	ck_assert(json_is_true(json_object_get(ack, "ok")));
	env_is(ack, "status", "queued");
	env_is(ack, "commandType", "codex_interrupt_turn");
	env_is(ack, "nextRecommendedAction", "poll_worker_command");
	env_is(ack, "operationId", op);
	ck_assert(json_is_true(json_object_get(ack, "pollRecommended")));
	id = ccp_json_str(ack, "commandId");
	waiting = command_status(cp, id);
	env_is(waiting, "status", "queued");
	ck_assert_int_eq(kill(worker_pid(&e), SIGCONT), 0);
	done = command_end(&e, cp, id);
	env_is(done, "status", "completed");
	env_is(done, "nextRecommendedAction", "none");
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 1);
	listed = env_call(cp, "codex_get_worker_status",
			  json_pack("{s:b}", "include_recent_commands", 1));
	ck_assert_uint_eq(json_array_size(json_object_get(listed, "recentCommands")), 1);
	env_is(json_array_get(json_object_get(listed, "recentCommands"), 0), "commandId", id);
	env_teardown(&e);
}
END_TEST

/* Killed while it carries one out: the next worker carries it out again, and the turn, which died
 * with its app-server or is stopped, has one end. */
START_TEST(test_worker_killed_half_way)
{
	struct engine_env e;
	struct codexcp *cp;
	struct env_answer answer;
	_cleanup_free_ char *op = NULL, *id = NULL;
	json_auto_t *done = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, "once\nexpect turn/interrupt\nawait never\n");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	env_reach(&e, cp, op, "phase", "running");
	env_ask(cp, "codex_interrupt_turn", arguments_of(op, 20), &answer);
	env_wait_count(&e, "turn/interrupt", 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM commands WHERE status = 'running'"),
			 1);
	ck_assert_int_eq(kill(worker_pid(&e), SIGKILL), 0);
	ck_assert(json_is_true(json_object_get(env_answered(&e, &answer), "interrupted")));
	id = db_query(e.state_db, "SELECT id FROM commands");
	id[strcspn(id, "\n")] = '\0';
	done = command_end(&e, cp, id);
	env_is(done, "status", "completed");
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM commands"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT max(epoch) FROM workers"), 2);
	ck_assert_int_eq(env_count(&e, "running-turns"), 1);
	env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
	env_answer_done(&answer);
	env_teardown(&e);
}
END_TEST

/* One whose time is over is not begun any more, and reads so before anybody has looked. */
START_TEST(test_deadline)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *insert = NULL;
	json_auto_t *before = NULL, *after = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	insert = ccp_asprintf("INSERT INTO commands(id, kind, status, op_id, deadline, created_at, "
			      "updated_at, completed_at) VALUES('cmd_late', 'interrupt', 'queued', "
			      "'%s', 2, 1, 1, 0)",
			      op);
	sql(&e, insert);
	before = command_status(cp, "cmd_late");
	env_is(before, "status", "timed_out");
	env_is(before, "nextRecommendedAction", "inspect_worker_command");
	ck_assert(json_is_true(json_object_get(before, "commandTimedOut")));
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	env_reach(&e, cp, op, "phase", "running");
	after = command_status(cp, "cmd_late");
	env_is(after, "status", "timed_out");
	ck_assert_ptr_nonnull(json_object_get(after, "completedAt"));
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM commands WHERE status = 'timed_out'"),
			 1);
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 0);
	env_teardown(&e);
}
END_TEST

/* A row that cannot be written for a while, for a reason that is no trouble of the database: the
 * worker lives on, and tries again by itself. */
START_TEST(test_cannot_be_begun)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL, *trigger = NULL;
	json_auto_t *done = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	trigger = ccp_asprintf("CREATE TRIGGER refuse BEFORE UPDATE ON commands "
			       "WHEN new.updated_at < 1500 + %lld "
			       "BEGIN SELECT raise(ABORT, 'refused'); END",
			       (long long)ccp_clock_wall(ccp_clock_system()));
	sql(&e, trigger);
	sql(&e, "INSERT INTO commands(id, kind, status, created_at, updated_at, completed_at) "
		"VALUES('cmd_x', 'future', 'queued', 1, 1, 0)");
	done = command_end(&e, cp, "cmd_x");
	env_is(done, "status", "failed");
	env_teardown(&e);
}
END_TEST

struct result_case {
	const char *arguments, *warning; /* NULL: it is included */
};

static const struct result_case result_cases[] = {
	{ "{\"command_id\": \"c\"}", NULL },
	{ "{\"command_id\": \"c\", \"include_result\": false}", "result_omitted_by_request" },
	{ "{\"command_id\": \"c\", \"max_result_chars\": 0}", "max_result_chars_zero" },
	{ "{\"command_id\": \"c\", \"max_result_chars\": 5}",
	  "stored_result_exceeds_max_result_chars" },
	/* 23 characters in 26 bytes. */
	{ "{\"command_id\": \"wide\", \"max_result_chars\": 23}", NULL },
	{ "{\"command_id\": \"wide\", \"max_result_chars\": 22}",
	  "stored_result_exceeds_max_result_chars" },
	{ "{\"command_id\": \"odd\"}", "invalid_result_json" },
};

START_TEST(test_results)
{
	struct engine_env e;
	struct codexcp *cp;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	json_decref(env_call_fails(cp, "codex_get_worker_command_status",
				   json_pack("{s:s}", "command_id", "none"), "INVALID_ARGUMENT"));
	free(env_submit(&e, cp, NULL));
	sql(&e,
	    "INSERT INTO commands(id, kind, status, result, created_at, updated_at, "
	    "completed_at) VALUES('c', 'future', 'completed', '{\"answer\":42}', 1, 2, 9), "
	    "('wide', 'future', 'completed', '{\"answer\":42,\"x\":\"\u00e9\u00e9\u00e9\"}', 1, 2, 9), "
	    "('odd', 'future', 'completed', '{', 1, 2, 9)");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(result_cases); i++) {
		const struct result_case *c = &result_cases[i];
		json_auto_t *answer = env_call(cp, "codex_get_worker_command_status",
					       json_loads(c->arguments, 0, NULL));
		bool included = json_is_true(json_object_get(answer, "resultIncluded"));

		ck_assert(json_is_true(json_object_get(answer, "resultAvailable")));
		ck_assert(included == !c->warning);
		ck_assert_pstr_eq(ccp_json_str(answer, "resultWarning"), c->warning);
		ck_assert_int_eq(ccp_json_int(json_object_get(answer, "result"), "answer", 0),
				 included ? 42 : 0);
		ck_assert_int_eq(ccp_json_int(answer, "elapsedMs", 0), 8);
	}
	json_decref(env_call_fails(cp, "codex_get_worker_command_status",
				   json_pack("{s:s}", "command_id", "none"), "INVALID_ARGUMENT"));
	env_teardown(&e);
}
END_TEST

/* Modes. Each has a command for a turn that runs elsewhere, or here. */

static void start_running(struct engine_env *e, struct codexcp *cp, char **ret_op)
{
	*ret_op = env_submit(e, cp, NULL);
	env_reach(e, cp, *ret_op, "phase", "running");
}

static const char *mode_word(struct codexcp *cp, char out[static 32])
{
	json_auto_t *status = env_call(cp, "codex_get_worker_status", NULL);

	snprintf(out, 32, "%s", ccp_json_str(status, "executionMode"));
	return out;
}

/* auto: a worker process does it, one that was started for it when there was none. */
START_TEST(test_auto)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *answer = NULL;
	_cleanup_free_ char *op = NULL;
	char word[32];

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	start_running(&e, cp, &op);
	ck_assert_str_eq(mode_word(cp, word), "auto");
	ck_assert_int_ne(worker_pid(&e), getpid());
	answer = env_call(cp, "codex_interrupt_turn", arguments_of(op, 20));
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	ck_assert_int_eq(env_count(&e, "turn/interrupt"), 1);
	env_teardown(&e);
}
END_TEST

/* inline: in this process, which lets go of the lock when the context closes. */
START_TEST(test_inline)
{
	struct engine_env e;
	struct codexcp *cp, *client;
	json_auto_t *answer = NULL, *status = NULL, *after = NULL;
	const json_t *worker;
	_cleanup_free_ char *op = NULL;
	char word[32];

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	start_running(&e, cp, &op);
	ck_assert_str_eq(mode_word(cp, word), "inline");
	ck_assert_int_eq(worker_pid(&e), getpid());
	answer = env_call(cp, "codex_interrupt_turn", arguments_of(op, 20));
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	client = env_open(&e, CODEXCP_MODE_CLIENT);
	status = env_call(client, "codex_get_worker_status", NULL);
	ck_assert(json_is_true(json_object_get(status, "running")));
	worker = json_array_get(json_object_get(status, "workers"), 0);
	env_is(worker, "role", "inline");
	ck_assert(json_is_true(json_object_get(worker, "holdsLock")));
	env_close(&e, cp);
	after = env_call(client, "codex_get_worker_status", NULL);
	ck_assert(json_is_false(json_object_get(after, "running")));
	worker = json_array_get(json_object_get(after, "workers"), 0);
	env_is(worker, "effectiveStatus", "stopped");
	ck_assert(json_is_false(json_object_get(worker, "holdsLock")));
	env_teardown(&e);
}
END_TEST

/* client: never executes and starts nothing; says so, and leaves what it asked for to a worker that
 * comes. A context whose configuration says worker or observe is one, too. */
START_TEST(test_client)
{
	static const char *const configured[] = { "client", "worker", "observe" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(configured); i++) {
		struct engine_env e;
		struct codexcp *cp, *worker;
		json_auto_t *ack = NULL, *done = NULL, *status = NULL, *task = NULL;
		_cleanup_free_ char *op = NULL, *queued = NULL;
		char word[32];

		env_setup(&e);
		env_set(&e, "CCP_FAKE_TURN_MS", "-1");
		worker = env_open(&e, CODEXCP_MODE_INLINE);
		start_running(&e, worker, &op);
		env_close(&e, worker);
		/* As if its worker had died in this instant. */
		sql(&e, "UPDATE workers SET status = 'running'");
		env_set(&e, "CODEX_MCP_EXECUTION_MODE", configured[i]);
		cp = env_open(&e, CODEXCP_MODE_CONFIGURED);
		ck_assert_str_eq(mode_word(cp, word), "client");
		ack = env_call(cp, "codex_interrupt_turn", arguments_of(op, 1));
		env_is(ack, "status", "queued");
		ck_assert_ptr_nonnull(
			strstr(ccp_json_str(json_object_get(ack, "workerState"), "problem"),
			       "no worker runs"));
		queued = env_submit(&e, cp, NULL);
		env_step(&e);
		task = env_status(cp, queued);
		env_is(task, "status", "queued");
		ck_assert_ptr_nonnull(
			strstr(ccp_json_str(json_object_get(task, "workerState"), "problem"),
			       "no worker runs"));
		status = env_call(cp, "codex_get_worker_status", NULL);
		ck_assert(json_is_false(json_object_get(status, "running")));
		env_is(status, "nextRecommendedAction", "inspect_worker_health");
		ck_assert_int_eq(env_number(&e, "SELECT max(epoch) FROM workers"), 1);
		worker = env_open(&e, CODEXCP_MODE_INLINE);
		codexcp_look_for_work(worker);
		done = command_end(&e, cp, ccp_json_str(ack, "commandId"));
		env_is(done, "status", "completed");
		env_ends(&e, cp, op, "interrupted", "interrupted_by_request");
		env_reach(&e, cp, queued, "phase", "running");
		env_teardown(&e);
	}
}
END_TEST

/* worker and observe: processes, with a context of that mode. */
static pid_t run_mode(struct engine_env *e, enum codexcp_mode mode)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char *const argv[] = { (char *)"server", (char *)"worker",
				       mode == CODEXCP_MODE_OBSERVE ? (char *)"--observe" : NULL,
				       NULL };
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execve(getenv("CCP_SERVER"), argv, e->variables);
		_exit(127);
	}
	return pid;
}

static void end_mode(pid_t pid)
{
	int status;

	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

START_TEST(test_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *answer = NULL, *status = NULL;
	const json_t *worker, *server;
	_cleanup_free_ char *op = NULL, *text = NULL;
	pid_t pid;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_set(&e, "OPENAI_API_KEY", "sk-secret-of-the-worker");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	pid = run_mode(&e, CODEXCP_MODE_WORKER);
	env_reach(&e, cp, op, "phase", "running");
	status = env_call(cp, "codex_get_worker_status", NULL);
	worker = json_array_get(json_object_get(status, "workers"), 0);
	ck_assert_int_eq(ccp_json_int(worker, "pid", 0), pid);
	env_is(worker, "effectiveStatus", "running");
	env_is(worker, "processState", "alive");
	ck_assert_int_eq(ccp_json_int(worker, "activeTurnCount", 0), 1);
	env_is(json_object_get(worker, "configuration"), "CODEX_MCP_STATE_DB", e.state_db);
	text = json_dumps(status, 0);
	ck_assert_ptr_nonnull(strstr(text, "\"OPENAI_API_KEY\""));
	ck_assert_ptr_null(strstr(text, "sk-secret"));
	server = json_object_get(status, "appServer");
	ck_assert(json_is_true(json_object_get(server, "running")));
	ck_assert_int_eq(ccp_json_int(server, "pid", 0),
			 env_number(&e, "SELECT pid FROM app_servers"));
	ck_assert_ptr_nonnull(ccp_json_str(server, "transport"));
	ck_assert(json_is_array(json_object_get(server, "unsupportedFeatures")));
	answer = env_call(cp, "codex_interrupt_turn", arguments_of(op, 20));
	ck_assert(json_is_true(json_object_get(answer, "interrupted")));
	end_mode(pid);
	env_teardown(&e);
}
END_TEST

/* observe: a row and its heartbeat, nothing else; it says goodbye as a worker does. */
START_TEST(test_observe)
{
	struct engine_env e;
	struct codexcp *cp;
	json_auto_t *status = NULL, *after = NULL;
	const json_t *observer;
	_cleanup_free_ char *op = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;
	pid_t pid;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	pid = run_mode(&e, CODEXCP_MODE_OBSERVE);
	while (env_number(&e, "SELECT count(*) FROM workers WHERE role = 'observe'") == 0) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	status = env_call(cp, "codex_get_worker_status", NULL);
	ck_assert(json_is_false(json_object_get(status, "running")));
	env_is(status, "nextRecommendedAction", "inspect_worker_health");
	observer = json_array_get(json_object_get(status, "workers"), 0);
	env_is(observer, "role", "observe");
	env_is(observer, "effectiveStatus", "running");
	ck_assert(json_is_false(json_object_get(observer, "holdsLock")));
	/* A command that it leaves alone. */
	sql(&e, "INSERT INTO commands(id, kind, status, created_at, updated_at, completed_at) "
		"VALUES('cmd_x', 'interrupt', 'queued', 1, 1, 0)");
	for (int i = 0; i < 30; i++)
		env_step(&e);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM commands WHERE status = 'queued'"),
			 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations WHERE phase = 'queued'"),
			 1);
	ck_assert_int_eq(env_count(&e, "initialize"), 0);
	end_mode(pid);
	after = env_call(cp, "codex_get_worker_status", NULL);
	env_is(json_array_get(json_object_get(after, "workers"), 0), "effectiveStatus", "stopped");
	env_teardown(&e);
}
END_TEST

/* It came after the last look, and nobody rang: a worker does not leave without having carried it
 * out, and leaves then. */
START_TEST(test_idle)
{
	struct engine_env e;
	struct codexcp *worker;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_setup(&e);
	worker = env_open(&e, CODEXCP_MODE_WORKER);
	ck_assert_int_eq(ccp_engine_new(worker, &worker->engine, NULL), 0);
	while (!worker->engine->listener)
		env_step(&e);
	ccp_timer_stop(worker->engine->poll_timer);
	sql(&e, "INSERT INTO commands(id, kind, status, created_at, updated_at, completed_at) "
		"VALUES('cmd_x', 'nothing', 'queued', 1, 1, 0)");
	while (!worker->stopped) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	db_expect(e.state_db, "SELECT status, completed_at > 0 FROM commands", "failed|1\n");
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("commands", test_worker_stands_still, test_worker_killed_half_way, test_deadline,
	      test_cannot_be_begun, test_results, test_auto, test_inline, test_client, test_worker,
	      test_observe, test_idle)
