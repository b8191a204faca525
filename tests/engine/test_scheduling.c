/* Who runs beside whom, who is next, and what is said meanwhile: writers, their locks, agents in
 * turn, an app-server that does not answer. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine_env.h"

#define WRITER "sandbox", "workspace-write"

static char *submit_writer(struct engine_env *e, struct codexcp *cp, const char *keys)
{
	json_auto_t *list = NULL;
	json_t *more = json_pack("{s:s}", WRITER);

	if (keys)
		OK(ccp_json_parse(keys, strlen(keys), 0, &list, &db_err));
	ccp_json_set(&more, "resource_keys", list);
	return env_submit(e, cp, more);
}

static void interrupt(struct codexcp *cp, const char *op)
{
	json_decref(env_call(cp, "codex_interrupt_turn", json_pack("{s:s}", "operation_id", op)));
}

static json_t *queue_of(struct codexcp *cp, const char *status)
{
	return env_call(cp, "codex_get_queue_status",
			status ? json_pack("{s:s}", "status", status) : NULL);
}

/* The keys of the locks of an operation, with blanks between them. */
static void check_locks(struct codexcp *cp, const char *op, const char *const *want)
{
	json_auto_t *status = env_status(cp, op);
	const json_t *locks = ccp_json_arr(ccp_json_obj(status, "resourceLockState"), "locks"),
		     *names = ccp_json_arr(ccp_json_obj(status, "slotState"), "lockKeys");
	size_t n = 0;

	for (; want[n]; n++) {
		const char *key = ccp_json_str(json_array_get(locks, n), "lockKey");

		ck_assert_msg(key && strstr(key, want[n]), "%s, not %s", key, want[n]);
		ck_assert_str_eq(json_string_value(json_array_get(names, n)), key);
		env_is(json_array_get(locks, n), "lockMode", "exclusive");
		env_is(json_array_get(locks, n), "operationId", op);
	}
	ck_assert_uint_eq(json_array_size(locks), n);
}

static void setup(struct engine_env *e)
{
	env_setup(e);
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_set(e, "CODEX_MCP_MAX_ACTIVE_TURNS_PER_PROJECT", "4");
}

/* One writer at a time, and readers beside it. */
START_TEST(test_write_limit)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL, *reader = NULL;
	json_auto_t *waiting = NULL, *queue = NULL, *blocked = NULL;

	setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = submit_writer(&e, cp, NULL);
	second = submit_writer(&e, cp, NULL);
	reader = env_submit(&e, cp, json_pack("{s:s}", "collaboration_mode", "plan"));
	env_reach(&e, cp, first, "phase", "running");
	env_reach(&e, cp, reader, "phase", "running");
	waiting = env_wait(&e, cp, second, "queuedReason", "write_project_slot_limit");
	env_is(waiting, "nextRecommendedAction", "wait_for_resource_lock");
	env_is(ccp_json_obj(waiting, "queueState"), "queuedReason", "write_project_slot_limit");
	check_locks(cp, first, (const char *const[]){ "thread:", ":write", NULL });
	check_locks(cp, reader, (const char *const[]){ "thread:", NULL });
	check_locks(cp, second, (const char *const[]){ NULL });

	queue = queue_of(cp, NULL);
	env_is(queue, "nextRecommendedAction", "wait_for_resource_lock");
	ck_assert_int_eq(ccp_json_int(queue, "count", 0), 3);
	ck_assert_str_eq(
		json_string_value(json_array_get(ccp_json_arr(queue, "blockedByLocks"), 0)),
		second);
	ck_assert_int_eq(
		ccp_json_int(ccp_json_obj(queue, "queueReasons"), "write_project_slot_limit", 0),
		1);
	blocked = queue_of(cp, "blocked");
	ck_assert_int_eq(ccp_json_int(blocked, "count", 0), 1);

	interrupt(cp, first);
	env_reach(&e, cp, second, "phase", "running");
	check_locks(cp, first, (const char *const[]){ NULL });
	env_teardown(&e);
}
END_TEST

START_TEST(test_write_limit_raised)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[3];
	json_auto_t *status = NULL;
	json_t *lock;

	setup(&e);
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_WRITE_TURNS_PER_PROJECT", "2");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = submit_writer(&e, cp, NULL);
	env_reach(&e, cp, ops[0], "phase", "running");
	env_reach(&e, cp, ops[1], "phase", "running");
	env_reach(&e, cp, ops[2], "queuedReason", "write_project_slot_limit");
	status = env_status(cp, ops[0]);
	lock = json_array_get(ccp_json_arr(ccp_json_obj(status, "resourceLockState"), "locks"), 1);
	env_is(lock, "lockMode", "counted");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

/* Different keys run side by side; the same key, and a writer without, wait for their end. */
START_TEST(test_resource_keys)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *a = NULL, *b = NULL, *again = NULL, *broad = NULL;
	json_auto_t *waiting = NULL, *running = NULL, *hidden = NULL, *queue = NULL;
	json_t *counts, *holder;

	setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	a = submit_writer(&e, cp, "[\"module A\"]");
	b = submit_writer(&e, cp, "[\"b\", \"c\"]");
	env_reach(&e, cp, a, "phase", "running");
	env_reach(&e, cp, b, "phase", "running");
	again = submit_writer(&e, cp, "[\"MODULE  a\"]");
	broad = submit_writer(&e, cp, NULL);
	waiting = env_wait(&e, cp, again, "queuedReason", "resource_lock_conflict");
	env_is(waiting, "nextRecommendedAction", "wait_for_resource_lock");
	env_reach(&e, cp, broad, "queuedReason", "resource_lock_conflict");
	check_locks(cp, a, (const char *const[]){ "thread:", ":module a:write", NULL });
	check_locks(cp, b, (const char *const[]){ "thread:", ":b:write", ":c:write", NULL });

	running = env_call(cp, "codex_get_concurrency_status", NULL);
	ck_assert_int_eq(ccp_json_int(running, "activeTurnCount", 0), 2);
	ck_assert_int_eq(ccp_json_int(running, "resourceLockCount", 0), 5);
	ck_assert_uint_eq(json_array_size(ccp_json_arr(running, "resourceLocks")), 5);
	holder = json_array_get(ccp_json_arr(running, "activeOperations"), 0);
	env_is(holder, "status", ccp_json_str(holder, "operationStatus"));
	env_is(holder, "cwdKey", e.project);
	counts = ccp_json_obj(running, "counts");
	ck_assert_int_eq(ccp_json_int(counts, "global", 0), 2);
	ck_assert_uint_eq(json_object_size(ccp_json_obj(counts, "perProject")), 1);
	ck_assert_uint_eq(json_object_size(ccp_json_obj(counts, "perThread")), 2);
	hidden = env_call(cp, "codex_get_concurrency_status",
			  json_pack("{s:b, s:i}", "include_locks", 0, "limit", 1));
	ck_assert_uint_eq(json_array_size(ccp_json_arr(hidden, "resourceLocks")), 0);
	ck_assert_uint_eq(json_array_size(ccp_json_arr(hidden, "activeOperations")), 1);

	/* What waits is told also where it is not listed. */
	queue = env_call(cp, "codex_get_queue_status",
			 json_pack("{s:s, s:i}", "status", "running", "limit", 1));
	ck_assert_uint_eq(json_array_size(ccp_json_arr(queue, "queuedOperations")), 0);
	ck_assert_uint_eq(json_array_size(ccp_json_arr(queue, "blockedByLocks")), 1);
	ck_assert_int_eq(ccp_json_int(ccp_json_obj(queue, "queueSummary"), "blockedByLocks", 0), 2);
	ck_assert_int_eq(
		ccp_json_int(ccp_json_obj(queue, "queueReasons"), "resource_lock_conflict", 0), 2);
	env_is(queue, "nextRecommendedAction", "wait_for_resource_lock");

	interrupt(cp, a);
	env_reach(&e, cp, again, "phase", "running");
	interrupt(cp, again);
	interrupt(cp, b);
	env_reach(&e, cp, broad, "phase", "running");
	env_teardown(&e);
}
END_TEST

/* Keyed writers that keep coming do not starve one that wants the whole project. */
START_TEST(test_not_overtaken)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *a = NULL, *broad = NULL, *b = NULL;

	setup(&e);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	a = submit_writer(&e, cp, "[\"a\"]");
	env_reach(&e, cp, a, "phase", "running");
	broad = submit_writer(&e, cp, NULL);
	env_reach(&e, cp, broad, "queuedReason", "resource_lock_conflict");
	b = submit_writer(&e, cp, "[\"b\"]");
	env_reach(&e, cp, b, "queuedReason", "resource_lock_conflict");
	interrupt(cp, a);
	env_reach(&e, cp, broad, "phase", "running");
	env_reach(&e, cp, b, "queuedReason", "resource_lock_conflict");
	interrupt(cp, broad);
	env_reach(&e, cp, b, "phase", "running");
	env_teardown(&e);
}
END_TEST

/* A message whose sandbox is the thread's: what the thread had last decides. */
START_TEST(test_message_keeps_sandbox)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *reads = NULL, *writes = NULL, *writer = NULL, *to_reader = NULL,
			    *to_writer = NULL;
	json_auto_t *reader = NULL, *written = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "20");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	reads = env_submit(&e, cp, NULL);
	reader = env_end(&e, cp, reads);
	writes = submit_writer(&e, cp, NULL);
	written = env_end(&e, cp, writes);
	env_close(&e, cp);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	writer = submit_writer(&e, cp, NULL);
	env_reach(&e, cp, writer, "phase", "running");
	to_reader = env_submit(&e, cp,
			       json_pack("{s:s, s:O}", "operation_type", "send_message",
					 "thread_id", json_object_get(reader, "threadId")));
	to_writer = env_submit(&e, cp,
			       json_pack("{s:s, s:O}", "operation_type", "send_message",
					 "thread_id", json_object_get(written, "threadId")));
	env_reach(&e, cp, to_reader, "phase", "running");
	env_reach(&e, cp, to_writer, "queuedReason", "write_project_slot_limit");
	env_teardown(&e);
}
END_TEST

static pid_t start_worker(struct engine_env *e)
{
	int ends[2];
	char word[8] = "";
	pid_t pid;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char *const argv[] = { (char *)"server", (char *)"worker", NULL };

		dup2(ends[1], STDOUT_FILENO);
		execve(getenv("CCP_SERVER"), argv, e->variables);
		_exit(127);
	}
	close(ends[1]);
	ck_assert_int_gt(read(ends[0], word, sizeof(word) - 1), 0);
	ck_assert_str_eq(word, "ready\n");
	close(ends[0]);
	return pid;
}

/* The lock is the operation's, not the worker's that took it. */
START_TEST(test_lock_outlives_worker)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	pid_t worker;
	int status;

	setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	first = submit_writer(&e, cp, "[\"a\"]");
	worker = start_worker(&e);
	env_reach(&e, cp, first, "phase", "running");
	second = submit_writer(&e, cp, NULL);
	env_reach(&e, cp, second, "queuedReason", "resource_lock_conflict");
	ck_assert_int_eq(kill(worker, SIGKILL), 0);
	ck_assert_int_eq(waitpid(worker, &status, 0), worker);
	env_reach(&e, cp, second, "queuedReason", "waiting_for_worker");
	check_locks(cp, first, (const char *const[]){ "thread:", ":a:write", NULL });
	env_close(&e, cp);

	/* The next worker finds out what became of the first before it begins the second. */
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	interrupt(cp, first);
	env_reach(&e, cp, second, "phase", "running");
	check_locks(cp, first, (const char *const[]){ NULL });
	ck_assert_int_eq(env_number(&e, "SELECT min(a.completed_at) > 0 AND min(a.completed_at) "
					"<= max(b.started_at) FROM operations a, operations b "
					"WHERE a.resource_keys IS NOT NULL "
					"AND b.resource_keys IS NULL"),
			 1);
	env_teardown(&e);
}
END_TEST

/* Who is next: those who wait for a worker, one at a time. */

static void check_order(struct engine_env *e, struct codexcp *cp, char *const *ops, const int *want,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		env_ends(e, cp, ops[i], "completed", NULL);
	for (size_t i = 0; i < n; i++) {
		json_auto_t *start = env_logged(e, "turn/start", (int)i);

		ck_assert_msg(ccp_streq(ccp_json_str(start, "clientUserMessageId"), ops[want[i]]),
			      "turn %d", (int)i);
	}
}

START_TEST(test_agents_in_turn)
{
	static const char *const agents[] = { "a", "a", "a", "a", "b", "b", NULL };
	static const int want[] = { 0, 4, 6, 1, 5, 2, 3 };
	struct engine_env e;
	struct codexcp *cp;
	char *ops[CCP_ARRAY_SIZE(want)];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL", "1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp, json_pack("{s:s*}", "agent_id", agents[i]));
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	check_order(&e, cp, ops, want, CCP_ARRAY_SIZE(want));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

START_TEST(test_ageing)
{
	static const char *const priorities[] = { "low", "low", "normal", "high" };
	/* The second has waited for half an hour. */
	static const int want[] = { 1, 3, 2, 0 };
	struct engine_env e;
	struct codexcp *cp;
	char *ops[CCP_ARRAY_SIZE(want)];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL", "1");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp, json_pack("{s:s}", "priority", priorities[i]));
	env_close(&e, cp);
	db_exec(e.state_db, "UPDATE operations SET created_at = created_at - 1800000 "
			    "WHERE seq = (SELECT min(seq) + 1 FROM operations)");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	check_order(&e, cp, ops, want, CCP_ARRAY_SIZE(want));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

/* app-server does not answer: the queue waits, says so, and goes on with its answer. */
START_TEST(test_backpressure)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *second = NULL;
	json_auto_t *waiting = NULL, *queue = NULL, *running = NULL, *later = NULL, *worker = NULL;

	setup(&e);
	env_set(&e, "CODEX_MCP_MAX_APP_SERVER_PENDING_REQUESTS", "1");
	env_script(&e, "expect thread/start\nawait go\ndefault\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	second = env_submit(&e, cp, NULL);
	waiting = env_wait(&e, cp, second, "queuedReason", "app_server_backpressure");
	env_is(waiting, "nextRecommendedAction", "inspect_worker_health");
	queue = queue_of(cp, "queued");
	env_is(queue, "nextRecommendedAction", "inspect_worker_health");
	running = env_call(cp, "codex_get_concurrency_status", NULL);
	ck_assert(ccp_json_bool(running, "backpressure", false));
	env_is(json_array_get(ccp_json_arr(running, "activeOperations"), 0), "queueStatus",
	       "scheduled");
	worker = env_call(cp, "codex_get_worker_status", NULL);
	ck_assert(ccp_json_bool(json_array_get(ccp_json_arr(worker, "workers"), 0), "backpressure",
				false));
	env_go(&e, "go");
	/* Turns that run are not requests: one unanswered at a time, both run. */
	env_reach(&e, cp, first, "phase", "running");
	env_reach(&e, cp, second, "phase", "running");
	later = env_call(cp, "codex_get_concurrency_status", NULL);
	ck_assert(!ccp_json_bool(later, "backpressure", true));
	env_teardown(&e);
}
END_TEST

static int64_t waiting_in(const json_t *queue)
{
	const char *reason;
	json_t *count;
	int64_t n = 0;

	json_object_foreach (ccp_json_obj(queue, "queueReasons"), reason, count)
		n += json_integer_value(count);
	return n;
}

/* Nothing there, nothing made; and a list is as long as was asked for. */
START_TEST(test_queue_status)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[4];
	json_auto_t *none = NULL, *idle = NULL, *two = NULL, *ended = NULL, *running = NULL;

	env_setup(&e);
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	none = queue_of(cp, NULL);
	env_is(none, "nextRecommendedAction", "none");
	ck_assert(json_is_false(json_object_get(none, "pollRecommended")));
	idle = env_call(cp, "codex_get_concurrency_status", NULL);
	ck_assert_int_eq(ccp_json_int(ccp_json_obj(idle, "limits"), "maxActiveTurnsGlobal", 0), 4);
	ck_assert_int_ne(access(e.state_db, F_OK), 0);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		ops[i] = env_submit(&e, cp,
				    json_pack("{s:s}", "priority", i == 3 ? "high" : "low"));
	two = env_call(cp, "codex_get_queue_status", json_pack("{s:i}", "limit", 2));
	ck_assert_int_eq(ccp_json_int(two, "count", 0), 2);
	ck_assert(ccp_json_bool(two, "truncated", false));
	ck_assert_int_eq(ccp_json_int(ccp_json_obj(two, "queueSummary"), "queued", 0), 4);
	env_is(json_array_get(ccp_json_arr(two, "queuedOperations"), 0), "operationId", ops[3]);
	env_is(two, "nextRecommendedAction", "wait_for_worker_slot");
	ck_assert_int_eq(waiting_in(two), 4);
	running = queue_of(cp, "running");
	ck_assert_int_eq(ccp_json_int(running, "count", -1), 0);
	ck_assert_int_eq(waiting_in(running), 4);
	env_is(running, "nextRecommendedAction", "wait_for_worker_slot");
	ck_assert(ccp_json_bool(running, "pollRecommended", false));
	ended = queue_of(cp, "completed");
	ck_assert_int_eq(ccp_json_int(ended, "count", -1), 0);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ops); i++)
		free(ops[i]);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("scheduling", test_write_limit, test_write_limit_raised, test_resource_keys,
	      test_not_overtaken, test_message_keeps_sandbox, test_lock_outlives_worker,
	      test_agents_in_turn, test_ageing, test_backpressure, test_queue_status)
