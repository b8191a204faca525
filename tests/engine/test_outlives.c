/*
 * An app-server that outlives its worker, and its connections: whatever is lost on the way, the
 * same process is found again, the operation ends once, and its turn has run once.
 */
#include <signal.h>
#include <sys/wait.h>

#include "worker_env.h"

#define HOLD "once\nexpect turn/start\ndefault\n"
/* An existing thread: the first operation makes it. */
#define FIRST "once\nexpect turn/start\ndefault\nfinish\n"
/* Asks nobody when the client is gone, and again whoever resumes. */
#define APPROVAL                                                                                   \
	"request {\"id\":7,\"method\":\"item/commandExecution/requestApproval\",\"params\":"       \
	"{\"threadId\":$threadId,\"turnId\":$turnId,\"itemId\":\"i\",\"startedAtMs\":1,"           \
	"\"command\":\"true\",\"cwd\":\"/\",\"availableDecisions\":[\"accept\",\"cancel\"]}}\n"

struct cut {
	const char *script;
	const char *method; /* what the app-server was asked for at least, */
	const char *phase;  /* and where the operation stands when it happens */
	const char *event;  /* of the journal: what decided */
	int threads, turns; /* thread/start and turn/start */
	bool in_thread;     /* a message to a thread that has a turn already */
	int crashes;        /* that count: none, once the turn is known to run */
};

static bool says(const char *text, const char *word)
{
	return text && strstr(text, word);
}

/* The operation of which the case tells. */
static char *submit(struct engine_env *e, struct codexcp *cp, bool in_thread)
{
	_cleanup_free_ char *first = env_submit(e, cp, NULL);
	json_auto_t *done = NULL;

	if (!in_thread)
		return TAKE_PTR(first);
	done = env_end(e, cp, first);
	return env_submit(e, cp,
			  json_pack("{s:s, s:O, s:n}", "operation_type", "send_message",
				    "thread_id", json_object_get(done, "threadId"), "cwd"));
}

/* It ended once, and the turn ran once in one attempt, on the one process that there ever was. */
static void check_cut(struct engine_env *e, const struct cut *cut, const char *op)
{
	int first = cut->in_thread;
	json_auto_t *status = env_status(e->open[0], op);
	_cleanup_free_ char *text = json_dumps(status, JSON_INDENT(1));
	_cleanup_free_ char *decided = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE op_id = '%s' AND data LIKE '%%\"%s\"%%'", op,
		cut->event);
	_cleanup_free_ char *ends = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE op_id = '%s' AND text LIKE '%%-> completed'",
		op);

	ck_assert_msg(ccp_streq(ccp_json_str(status, "status"), "completed"), "%s%s", cut->script,
		      text);
	ck_assert_msg(env_count(e, "turn/start") == cut->turns + first &&
			      env_count(e, "thread/start") == cut->threads &&
			      env_count(e, "running-turns") == 1 + first &&
			      env_count(e, "user-message") == 1 + first,
		      "%s%d thread/start, %d turn/start, %d messages: %s", cut->script,
		      env_count(e, "thread/start"), env_count(e, "turn/start"),
		      env_count(e, "user-message"), text);
	ck_assert_msg(
		says(ccp_json_str(json_object_get(status, "finalReport"), "text"), "fake report"),
		"%s", text);
	ck_assert_msg(env_number(e, decided) >= 1 && env_number(e, ends) == 1, "%s%s", cut->script,
		      text);
	ck_assert_int_eq(env_number(e, "SELECT max(crash_count) FROM operations"), cut->crashes);
	ck_assert_int_eq(env_number(e, "SELECT max(attempt) FROM operations"), 1);
	ck_assert_int_eq(env_number(e, "SELECT count(*) FROM app_servers"), 1);
	ck_assert_int_eq(env_number(e, "SELECT count(*) FROM app_servers WHERE ended_at = 0"), 1);
}

/* The worker is killed, and the next one finds what it has left. */
static const struct cut kills[] = {
	/* thread/start is lost with the worker, or its answer is */
	{ "once\nexpect thread/start\nawait killed\nexpect turn/start\ndefault\nfinish\n",
	  "thread/start", "thread_start_sent", "worker_lost", 2, 1, false },
	{ "once\nexpect thread/start\nawait killed\ndefault\nexpect turn/start\ndefault\nfinish\n",
	  "thread/start", "thread_start_sent", "worker_lost", 2, 1, false },
	/* turn/start was never seen: on a thread without a turn, and on one with */
	{ "once\nexpect turn/start\nawait killed\nexpect turn/start\ndefault\nfinish\n",
	  "turn/start", "turn_start_sent", "absent", 2, 2, false },
	{ FIRST "expect turn/start\nawait killed\nexpect turn/start\ndefault\nfinish\n",
	  "turn/start", "turn_start_sent", "absent", 1, 2, true },
	/* it was taken, and the answer came to nobody */
	{ "once\nexpect turn/start\nawait killed\ndefault\nexpect thread/resume\ndefault\nfinish\n",
	  "turn/start", "turn_start_sent", "turn_started", 1, 1, false },
	/* it runs on */
	{ HOLD "expect thread/resume\ndefault\nfinish\n", "turn/start", "running", "turn_started",
	  1, 1, false },
	/* it ends just when it is looked at: for a moment its history calls it cut */
	{ HOLD "uncertain\nexpect thread/resume\ndefault\nexpect thread/resume\ndefault\nfinish\n",
	  "turn/start", "running", "turn_started", 1, 1, false },
	/* its end was said to nobody */
	{ HOLD "await killed\nfinish\n", "turn/start", "running", "turn_completed", 1, 1, false,
	  1 },
	/* what it asked was said to nobody, and is asked again */
	{ "once\nexpect turn/start threadId\ndefault\nawait killed\n" APPROVAL
	  "expect-answer\nfinish\n",
	  "turn/start", "running", "turn_started", 1, 1, false },
};

static char *kill_worker_at(struct engine_env *e, const struct cut *cut)
{
	struct codexcp *cp;
	struct worker w;
	char *op;

	env_setup_unix(e, cut->script);
	cp = env_open(e, CODEXCP_MODE_CLIENT);
	w = worker_start(e);
	op = submit(e, cp, cut->in_thread);
	worker_await_ready(&w);
	env_reach(e, cp, op, "phase", cut->phase);
	env_wait_count(e, cut->method, 1 + cut->in_thread);
	worker_kill(&w);
	env_go(e, "killed");
	return op;
}

START_TEST(test_worker_killed)
{
	struct engine_env e[CCP_ARRAY_SIZE(kills)];
	struct worker workers[CCP_ARRAY_SIZE(kills)];
	struct ccp_process_id servers[CCP_ARRAY_SIZE(kills)];
	char *ops[CCP_ARRAY_SIZE(kills)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(kills); i++) {
		ops[i] = kill_worker_at(&e[i], &kills[i]);
		servers[i] = env_server(&e[i]);
		workers[i] = worker_start(&e[i]);
	}
	env_end_all(e, CCP_ARRAY_SIZE(kills));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(kills); i++) {
		check_cut(&e[i], &kills[i], ops[i]);
		ck_assert_int_eq(ccp_process_check(&servers[i]), CCP_PROCESS_ALIVE);
		ck_assert_int_eq(env_count(&e[i], "initialize"), 2);
		worker_kill(&workers[i]);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

/* Killed before the app-server has answered anything: nobody knows of it, and it is ended by
 * whoever needs its place. */
START_TEST(test_worker_killed_at_start)
{
	struct engine_env e;
	struct codexcp *cp;
	struct worker w;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "once\nexpect initialize\nawait never\n");
	env_set(&e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	op = env_submit(&e, cp, NULL);
	for (int i = 0; i < 2; i++) {
		w = worker_start(&e);
		worker_await_ready(&w);
		env_wait_count(&e, "initialize", i + 1);
		if (i == 0)
			worker_kill(&w);
	}
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "initialize"), 2);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	worker_kill(&w);
	env_teardown(&e);
}
END_TEST

/* Only the connection goes: the same worker connects again, to the same process. */
static const struct cut drops[] = {
	/* before it was ready, and at each request: lost, or done without an answer */
	{ "once\nexpect initialize\ndisconnect\nexpect turn/start\ndefault\nfinish\n", NULL, NULL,
	  "turn_started", 1, 1, false },
	{ "once\nexpect thread/start\ndisconnect\nexpect turn/start\ndefault\nfinish\n", NULL, NULL,
	  "connection_lost", 2, 1, false },
	{ "once\nexpect thread/start\ndisconnect\ndefault\nexpect turn/start\ndefault\nfinish\n",
	  NULL, NULL, "connection_lost", 2, 1, false },
	{ "once\nexpect turn/start\ndisconnect\nexpect turn/start\ndefault\nfinish\n", NULL, NULL,
	  "absent", 2, 2, false },
	{ FIRST "expect turn/start\ndisconnect\nexpect turn/start\ndefault\nfinish\n", NULL, NULL,
	  "absent", 1, 2, true },
	{ "once\nexpect turn/start\ndisconnect\ndefault\nexpect thread/resume\ndefault\nfinish\n",
	  NULL, NULL, "turn_started", 1, 1, false },
	/* taken late: after the first look, which says that nothing runs, and before the second */
	{ FIRST "expect thread/resume\ndefault\nexpect turn/start\ndisconnect\ndelay 600\n"
		"default\nexpect thread/resume\ndefault\nfinish\n",
	  NULL, NULL, "turn_started", 1, 1, true },
	/* while it runs, and what it says meanwhile */
	{ HOLD "disconnect\nexpect thread/resume\ndefault\nfinish\n", NULL, NULL, "turn_started", 1,
	  1, false },
	{ HOLD "disconnect\nfinish\n", NULL, NULL, "turn_completed", 1, 1, false },
	/* again and again, before anything is answered and after */
	{ HOLD "disconnect\nexpect thread/resume\ndisconnect\nexpect initialize\ndisconnect\n"
	       "expect thread/resume\ndefault\nfinish\n",
	  NULL, NULL, "turn_started", 1, 1, false },
	{ HOLD "disconnect\nexpect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\ndisconnect\n"
	       "expect thread/resume\ndefault\nfinish\n",
	  NULL, NULL, "turn_started", 1, 1, false },
	{ "once\nexpect turn/start threadId\ndefault\ndisconnect\n" APPROVAL
	  "expect-answer\nfinish\n",
	  NULL, NULL, "turn_started", 1, 1, false },
};

START_TEST(test_connection_dropped)
{
	struct engine_env e[CCP_ARRAY_SIZE(drops)];
	char *ops[CCP_ARRAY_SIZE(drops)];

	for (size_t i = 0; i < CCP_ARRAY_SIZE(drops); i++) {
		env_setup_unix(&e[i], drops[i].script);
		ops[i] = submit(&e[i], env_open(&e[i], CODEXCP_MODE_INLINE), drops[i].in_thread);
	}
	env_end_all(e, CCP_ARRAY_SIZE(drops));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(drops); i++) {
		check_cut(&e[i], &drops[i], ops[i]);
		free(ops[i]);
		env_teardown(&e[i]);
	}
}
END_TEST

/* What comes while the connection is lost and nobody has noticed yet: it waits, and no process has
 * died with it. */
START_TEST(test_submitted_while_lost)
{
	struct engine_env e;
	struct codexcp *cp;
	char *ops[100];
	size_t n = 0;

	env_setup_unix(&e, "once\nexpect turn/start\ndefault\nfinish\nawait drop\ndisconnect\n");
	env_set(&e, "CCP_FAKE_TURN_MS", "0");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	ops[n++] = env_submit(&e, cp, NULL);
	env_ends(&e, cp, ops[0], "completed", NULL);
	env_go(&e, "drop");
	while (env_count(&e, "initialize") < 2) {
		ck_assert_uint_lt(n, CCP_ARRAY_SIZE(ops));
		ops[n++] = env_submit(&e, cp,
				      json_pack("{s:s}", "dedup_policy", "idempotency_only"));
		/* The connection is missed for a tenth of a second. */
		for (int i = 0; i < 5; i++)
			env_step(&e);
	}
	for (size_t i = 0; i < n; i++) {
		env_ends(&e, cp, ops[i], "completed", NULL);
		free(ops[i]);
	}
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM journal WHERE data LIKE "
					"'%APP_SERVER_UNAVAILABLE%'"),
			 0);
	env_teardown(&e);
}
END_TEST

/* Idle at the first look, and then the connection goes: the next one takes two looks again. */
START_TEST(test_looks_begin_anew)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, FIRST
		       "expect turn/start\ndisconnect\nexpect thread/resume\ndefault\ndisconnect\n"
		       "expect turn/start\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = submit(&e, cp, true);
	env_ends(&e, cp, op, "completed", NULL);
	/* Before each turn/start, one on the first connection and two on the second. */
	ck_assert_int_eq(env_count(&e, "thread/resume"), 5);
	ck_assert_int_eq(env_count(&e, "user-message"), 2);
	env_teardown(&e);
}
END_TEST

/* No answer to turn/start: on a connection that lives it may still come, however often nothing is
 * seen; with the connection it is lost. */
START_TEST(test_unanswered)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	env_setup_unix(&e, "once\nexpect turn/start\nawait drop\ndisconnect\n"
			   "expect turn/start\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	env_wait_count(&e, "thread/resume", 4);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_go(&e, "drop");
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_count(&e, "turn/start"), 2);
	ck_assert_int_eq(env_count(&e, "user-message"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	env_teardown(&e);
}
END_TEST

/* What it said while nobody listened is told. */
START_TEST(test_messages_meanwhile)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = env_leave_running(&e, HOLD "await left\nsay nobody hears\n"
							     "await end\nfinish\n");
	json_auto_t *status = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_go(&e, "left");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	codexcp_look_for_work(cp);
	while (!env_number(&e, "SELECT count(*) FROM messages WHERE text = 'nobody hears'")) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(&e);
	}
	status = env_status(cp, op);
	env_is(json_array_get(json_object_get(status, "latestMessages"), 0), "text",
	       "nobody hears");
	env_go(&e, "end");
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

/* Ten front ends, and two workers killed in a row: one app-server, and each turn once. */
#define FRONT_ENDS 10

static int be_front_end(struct engine_env *e)
{
	json_auto_t *answer = NULL, *arguments = NULL;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;

	e->prompts = getpid();
	cp = env_open(e, CODEXCP_MODE_AUTO);
	op = env_submit(e, cp, NULL);
	arguments = json_pack("{s:s, s:i}", "operation_id", op, "timeout_seconds", 25);
	if (codexcp_call_wait(cp, "codex_wait", arguments, &answer, NULL) < 0)
		return 1;
	codexcp_close(cp);
	return ccp_streq(ccp_json_str(answer, "status"), "completed") ? 0 : 2;
}

static void kill_newest_worker(struct engine_env *e, int turns)
{
	env_wait_count(e, "running-turns", turns);
	kill((pid_t)env_number(e, "SELECT pid FROM workers ORDER BY epoch DESC LIMIT 1"), SIGKILL);
}

START_TEST(test_one_app_server)
{
	struct engine_env e;
	pid_t pids[FRONT_ENDS];

	env_setup_unix(&e, "");
	env_set(&e, "CCP_FAKE_TURN_MS", "300");
	for (int i = 0; i < FRONT_ENDS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(be_front_end(&e));
	}
	kill_newest_worker(&e, 1);
	kill_newest_worker(&e, 4);
	for (int i = 0; i < FRONT_ENDS; i++) {
		int status;

		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(env_count(&e, "user-message"), FRONT_ENDS);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations "
					"WHERE status = 'completed'"),
			 FRONT_ENDS);
	ck_assert_int_ge(env_number(&e, "SELECT count(*) FROM workers"), 2);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("outlives", test_worker_killed, test_worker_killed_at_start, test_connection_dropped,
	      test_submitted_while_lost, test_looks_begin_anew, test_unanswered,
	      test_messages_meanwhile, test_one_app_server)
