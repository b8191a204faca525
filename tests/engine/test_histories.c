/*
 * What the history of a thread tells of a turn: when its process is dead, whoever has the thread
 * open by now; and when it tells nothing.
 */
#include "base/strbuf.h"
#include "engine_env.h"
#include "runtime/process.h"

/* An existing thread: the first operation makes it. */
#define FIRST "once\nexpect turn/start\ndefault\nfinish\n"

static char *submit_to(struct engine_env *e, struct codexcp *cp, const char *first)
{
	json_auto_t *done = env_end(e, cp, first);

	return env_submit(e, cp,
			  json_pack("{s:s, s:O, s:n}", "operation_type", "send_message",
				    "thread_id", json_object_get(done, "threadId"), "cwd"));
}

static int64_t events(const struct engine_env *e, const char *event)
{
	_cleanup_free_ char *sql = ccp_asprintf(
		"SELECT count(*) FROM journal WHERE data ->> 'event' = '%s'", event);

	return env_number(e, sql);
}

/* The process is dead, and another one has the thread open by now. */

struct left {
	const char *script;
	bool in_thread;
	const char *status, *reason; /* while it is open elsewhere; NULL: it is not told */
};

static const struct left lefts[] = {
	{ "once\nexpect turn/start\ndefault\nswallow turn/completed\nfinish\nawait never\n", false,
	  "completed", NULL },
	{ "once\nexpect turn/start\ndefault\nawait never\n", false, "interrupted",
	  "app_server_exit" },
	/* it has no such turn, which is asked for again when the thread is free */
	{ FIRST "expect turn/start\nawait never\n", true, NULL, NULL },
};

/* An operation whose app-server has died, and the lock of its thread. */
static char *leave_to_another(struct engine_env *e, const struct left *left, int *ret_lock)
{
	_cleanup_free_ char *path = NULL, *first = NULL;
	json_auto_t *status = NULL;
	struct codexcp *cp;
	char *op;

	env_setup(e);
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_script(e, left->script);
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	if (left->in_thread) {
		first = op;
		op = submit_to(e, cp, first);
	}
	env_wait_count(e, "turn/start", 1 + left->in_thread);
	env_reach(e, cp, op, "phase", left->in_thread ? "turn_start_sent" : "running");
	while (left->status && ccp_streq(left->status, "completed") &&
	       env_count(e, "turn-ended") == 0)
		env_step(e);
	status = env_status(cp, op);
	path = ccp_asprintf("%s/%s.lock", e->threads, ccp_json_str(status, "threadId"));
	env_close(e, cp);
	while (ccp_lock_try(path, ret_lock, NULL) != 1)
		env_step(e);
	env_set(e, "CCP_FAKE_TURN_MS", "0");
	return op;
}

static struct codexcp *go_on(struct engine_env *e)
{
	struct codexcp *cp = env_open(e, CODEXCP_MODE_INLINE);

	codexcp_look_for_work(cp);
	return cp;
}

START_TEST(test_dead_and_elsewhere)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(lefts); i++) {
		const struct left *left = &lefts[i];
		struct engine_env e;
		struct codexcp *cp;
		int lock = -1;
		_cleanup_free_ char *op = leave_to_another(&e, left, &lock);

		cp = go_on(&e);
		if (left->status) {
			env_ends(&e, cp, op, left->status, left->reason);
		} else {
			env_reach(&e, cp, op, "queuedReason", "thread_open_elsewhere");
			ck_assert_int_eq(events(&e, "absent"), 1);
			close(lock);
			env_ends(&e, cp, op, "completed", NULL);
		}
		ck_assert_int_eq(env_count(&e, "turn/start"), left->status ? 1 : 3);
		ck_assert_int_eq(env_count(&e, "thread/start"), 1);
		ck_assert_int_eq(env_count(&e, "thread/read"), 1);
		if (left->status)
			close(lock);
		env_teardown(&e);
	}
}
END_TEST

/* Nobody knows whether the process lives: its history may change, and says "interrupted" of what
 * still runs. */
START_TEST(test_unclear_and_elsewhere)
{
	struct engine_env e;
	struct codexcp *cp;
	int lock = -1;
	_cleanup_free_ char *op = leave_to_another(&e, &lefts[1], &lock);

	db_exec(e.state_db, "UPDATE app_servers SET pid_namespace = pid_namespace + 1, "
			    "ended_at = 0");
	cp = go_on(&e);
	env_reach(&e, cp, op, "reason", "thread_open_elsewhere");
	env_wait_count(&e, "thread/resume", 2);
	env_reach(&e, cp, op, "phase", "looking_up");
	ck_assert_int_eq(env_count(&e, "thread/read"), 0);
	close(lock);
	env_ends(&e, cp, op, "interrupted", "app_server_exit");
	env_teardown(&e);
}
END_TEST

/* Whoever has it open runs a turn: that is not known to have been cut, and none of ours runs. */
START_TEST(test_runs_elsewhere)
{
	struct engine_env e;
	struct codexcp *cp;
	int lock = -1;
	_cleanup_free_ char *op = leave_to_another(&e, &lefts[1], &lock), *script = NULL;

	script = ccp_asprintf("expect thread/resume\nerror -32600 thread 1 already has an active "
			      "writer\n"
			      "expect thread/read threadId\nreply {\"thread\":{\"id\":$threadId,"
			      "\"turns\":[{\"id\":\"t\",\"status\":\"inProgress\",\"items\":"
			      "[{\"type\":\"userMessage\",\"id\":\"u\",\"clientId\":\"%s\"}]}]}}\n",
			      op);
	env_script(&e, script);
	close(lock);
	cp = go_on(&e);
	env_ends(&e, cp, op, "interrupted", "app_server_exit");
	ck_assert_int_eq(events(&e, "thread_elsewhere"), 1);
	ck_assert_int_eq(events(&e, "turn_started"), 1);
	env_teardown(&e);
}
END_TEST

/* It says that it has begun a turn, and does not do it. */
#define PRETEND                                                                                    \
	"expect turn/start threadId\n"                                                             \
	"reply {\"turn\":{\"id\":\"pretended\",\"items\":[],\"status\":\"inProgress\"}}\n"

/* A turn that was answered for, and its thread is at rest and knows nothing of it. */
START_TEST(test_unknown_to_its_thread)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *first = NULL, *op = NULL;

	env_setup(&e);
	env_set(&e, "CCP_FAKE_TURN_MS", "-1");
	env_script(&e, FIRST PRETEND "garbage x\nexpect turn/start\ndefault\nfinish\n");
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	first = env_submit(&e, cp, NULL);
	op = submit_to(&e, cp, first);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(events(&e, "connection_lost"), 1);
	ck_assert_int_eq(events(&e, "absent"), 1);
	ck_assert_int_eq(env_count(&e, "turn/start"), 3);
	ck_assert_int_eq(env_number(&e, "SELECT max(crash_count) FROM operations"), 0);
	env_teardown(&e);
}
END_TEST

/* The look brings the same refusal again and again. */
START_TEST(test_refused_looks)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	struct ccp_strbuf script = CCP_STRBUF(4096);
	json_auto_t *status = NULL;

	env_setup(&e);
	ccp_strbuf_append(&script, "expect turn/start\n");
	for (int i = 0; i < 11; i++)
		ccp_strbuf_append(&script, "expect thread/resume\nerror -32600 not like this\n");
	env_script(&e, ccp_strbuf_str(&script));
	ccp_strbuf_done(&script);
	cp = env_open(&e, CODEXCP_MODE_INLINE);
	op = env_submit(&e, cp, json_pack("{s:i}", "timeout_seconds", 1));
	status = env_end(&e, cp, op);
	env_is(status, "status", "unknown_after_app_server_exit");
	env_is(status, "reason", "no_evidence");
	ck_assert_int_eq(events(&e, "no_evidence"), 1);
	ck_assert_int_eq(env_count(&e, "thread/resume"), 10);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("histories", test_dead_and_elsewhere, test_unclear_and_elsewhere, test_runs_elsewhere,
	      test_unknown_to_its_thread, test_refused_looks)
