#include "client_env.h"

/* ---- start ---- */

START_TEST(test_start_once)
{
	struct fixture f;
	_cleanup_free_ char *log = NULL;
	const struct ccp_appserver_info *info;

	setup(&f);
	log = path_in(&f, "log");
	set_env(&f, "CCP_FAKE_LOG", log);
	create(&f);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STOPPED);
	for (int i = 0; i < 3; i++)
		ccp_appserver_start(f.as);
	start(&f);
	ccp_appserver_start(f.as);
	ask(&f, "account/read", NULL);
	ck_assert_int_eq(f.ready, 1);
	ck_assert_int_eq(count_lines(&f, "log", "initialize {"), 1);
	ck_assert_int_eq(count_lines(&f, "log", "initialized "), 1);
	info = ccp_appserver_info(f.as);
	ck_assert_int_eq(info->version.minor, 169);
	ck_assert_str_eq(info->user_agent, "codex_cli_rs/0.169.0 (Fake)");
	ck_assert_int_gt(info->process.pid, 0);
	ck_assert_int_gt(info->process.start_time, 0);
	ck_assert_int_gt(info->started_at, 0);
	teardown(&f);
}
END_TEST

static void check_failed_start(struct fixture *f, const char *words)
{
	create(f);
	ccp_appserver_start(f->as);
	ck_assert_int_eq(f->gone, 0);
	await(f, &f->gone, 1);
	ck_assert_int_eq(f->ready, 0);
	ck_assert_int_eq(f->why.code, CODEXCP_E_APP_SERVER_UNAVAILABLE);
	ck_assert_msg(strstr(f->why.message, words) != NULL, "%s", f->why.message);
	ck_assert_int_eq(ccp_appserver_state(f->as), CCP_APPSERVER_STOPPED);
	if (ccp_appserver_info(f->as)->process.pid)
		check_dead(ccp_appserver_info(f->as)->process.pid);
	teardown(f);
}

START_TEST(test_start_dies)
{
	struct fixture f;

	setup(&f);
	set_script(&f, "stderr the disk\nstderr is on fire\nexpect initialize\ndie 3\n");
	check_failed_start(&f, "ended with status 3: the disk is on fire");
}
END_TEST

START_TEST(test_start_refused)
{
	struct fixture f;

	setup(&f);
	set_script(&f, "expect initialize\nerror -32600 not you\n");
	check_failed_start(&f, "could not be initialised: not you");
}
END_TEST

START_TEST(test_start_silent)
{
	struct fixture f;

	setup(&f);
	f.options.initialize_timeout_ms = 100;
	set_script(&f, "term ignore\nexpect initialize\nhang\n");
	check_failed_start(&f, "could not be initialised: no answer to initialize");
}
END_TEST

START_TEST(test_start_missing)
{
	struct fixture f;

	setup(&f);
	f.options.binary = "/nonexistent/codex";
	check_failed_start(&f, "/nonexistent/codex");
}
END_TEST

START_TEST(test_start_garbage)
{
	struct fixture f;

	setup(&f);
	f.options.max_line = 4096;
	set_script(&f,
		   "expect initialize\ngarbage Welcome!\nlong 5000\ngarbage {\"id\":\ndefault\n");
	start(&f);
	ck_assert_str_eq(ccp_strbuf_str(&f.log),
			 "garbage Welcome!\noverlong\ngarbage {\"id\":\nready\n");
	teardown(&f);
}
END_TEST

START_TEST(test_restart)
{
	struct fixture f;
	char first[CCP_ID_SIZE];
	int64_t pid;

	setup(&f);
	set_env(&f, "CCP_FAKE_DIE_AFTER", "account/read");
	start(&f);
	memcpy(first, ccp_appserver_info(f.as)->instance, sizeof(first));
	pid = ccp_appserver_info(f.as)->process.pid;
	ask(&f, "account/read", NULL);
	ck_assert_int_eq(f.reply_err.code, 0);
	await(&f, &f.gone, 1);
	ck_assert_str_eq(ccp_appserver_info(f.as)->instance, first);
	start(&f);
	ck_assert_str_ne(ccp_appserver_info(f.as)->instance, first);
	ck_assert_int_ne(ccp_appserver_info(f.as)->process.pid, pid);
	teardown(&f);
}
END_TEST

/* ---- calls ---- */

START_TEST(test_call_unless_ready)
{
	struct fixture f;
	json_auto_t *params = json_object();

	setup(&f);
	create(&f);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(
			ccp_appserver_call(f.as, "x", json_incref(params), 0, on_reply, &f, NULL),
			CODEXCP_E_APP_SERVER_UNAVAILABLE);
		ccp_appserver_start(f.as);
	}
	ck_assert_uint_eq(params->refcount, 1);
	ck_assert_int_eq(ccp_appserver_pending(f.as), 0);
	ck_assert_int_eq(f.replies, 0);
	teardown(&f);
}
END_TEST

START_TEST(test_death_answers_once)
{
	struct fixture f;

	setup(&f);
	set_script(&f, "expect one\nexpect two\nstderr out of luck\ndie SIGKILL\n");
	start(&f);
	call(&f, "account/read", NULL);
	call(&f, "one", NULL);
	call(&f, "two", NULL);
	ck_assert_uint_eq(ccp_appserver_pending(f.as), 3);
	await(&f, &f.gone, 1);
	ck_assert_int_eq(f.replies, 3);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "ready\nreply\nfailed\nfailed\ngone\n");
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_APP_SERVER_UNAVAILABLE);
	ck_assert_int_eq(ccp_codex_problem(&f.reply_err), CCP_PROBLEM_GONE);
	ck_assert_ptr_nonnull(strstr(f.why.message, "killed by signal 9: out of luck"));
	ck_assert_int_eq(ccp_json_int(f.why.details, "signal", 0), 9);
	ck_assert_uint_eq(ccp_appserver_pending(f.as), 0);
	teardown(&f);
}
END_TEST

START_TEST(test_refusals)
{
	struct fixture f;
	_cleanup_free_ char *thread = NULL;

	setup(&f);
	set_env(&f, "CCP_FAKE_OVERLOAD", "1");
	start(&f);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_BUSY);
	ck_assert(f.reply_err.retryable);
	ck_assert_int_eq(ccp_codex_problem(&f.reply_err), CCP_PROBLEM_OVERLOADED);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	ck_assert_int_eq(f.reply_err.code, 0);
	ask(&f, "turn/start", turn_params(&f, "other", "x"));
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_THREAD_NOT_FOUND);
	ck_assert_int_eq(ccp_json_int(f.reply_err.details, "rpcCode", 0), -32600);
	ask(&f, "foo/bar", NULL);
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_SEND_FAILED);
	teardown(&f);
}
END_TEST

START_TEST(test_late)
{
	struct fixture f;

	setup(&f);
	set_script(&f, "expect slow\nexpect more\nreply {}\n");
	start(&f);
	ck_assert_int_eq(ccp_appserver_call(f.as, "slow", NULL, 30, on_reply, &f, NULL), 0);
	await(&f, &f.replies, 1);
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_TIMEOUT);
	ck_assert_int_eq(ccp_codex_problem(&f.reply_err), CCP_PROBLEM_TIMEOUT);
	call(&f, "more", NULL);
	await(&f, &f.replies, 2);
	ck_assert_int_eq(f.late, 0);
	teardown(&f);

	setup(&f);
	set_script(&f, "expect slow\ndelay 300\nreply {}\n");
	start(&f);
	ck_assert_int_eq(ccp_appserver_call(f.as, "slow", NULL, 30, on_reply, &f, NULL), 0);
	await(&f, &f.late, 1);
	ck_assert_int_eq(f.replies, 1);
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_TIMEOUT);
	teardown(&f);
}
END_TEST

START_TEST(test_requests)
{
	struct fixture f;

	setup(&f);
	set_script(&f, "expect ask\n"
		       "request {\"id\":0,\"method\":\"item/fileChange/requestApproval\","
		       "\"params\":{}}\n"
		       "expect-answer\n"
		       "reply $answer\n"
		       "expect ask\n"
		       "request {\"id\":\"a\",\"method\":\"attestation/generate\",\"params\":{}}\n"
		       "expect-answer\n"
		       "reply $answer\n");
	start(&f);
	ask(&f, "ask", NULL);
	ck_assert_str_eq(ccp_json_str(f.reply, "decision"), "decline");
	ask(&f, "ask", NULL);
	ck_assert_int_eq(ccp_json_int(f.reply, "code", 0), -32601);
	teardown(&f);
}
END_TEST

/* ---- turns ---- */

/* What a recording of the real Codex brings, in the form of on_notification(). */
static void read_recording(const char *name, struct ccp_strbuf *kinds)
{
	_cleanup_free_ char *path = ccp_asprintf("%s/%s", getenv("CCP_RECORDINGS"), name);
	_cleanup_free_ char *line = NULL;
	struct fixture f = { .log = CCP_STRBUF(1 << 20), .kinds = CCP_STRBUF(1 << 20) };
	FILE *file = fopen(path, "re");
	size_t size = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ccp_loop_new(NULL, &f.loop, NULL), 0);
	while (getline(&line, &size, file) > 0) {
		json_auto_t *row = json_loads(line, 0, NULL);
		json_t *message = json_object_get(row, "message");
		const char *method = ccp_json_str(message, "method");

		if (ccp_streq(ccp_json_str(row, "dir"), "in") && method)
			on_notification(method, json_object_get(message, "params"), &f);
	}
	fclose(file);
	ccp_loop_free(f.loop);
	ccp_strbuf_done(&f.log);
	*kinds = f.kinds;
}

/* The fake's turn is the real one's, notification by notification. */
START_TEST(test_turn_like_recorded)
{
	struct fixture f;
	struct ccp_strbuf recorded;
	_cleanup_free_ char *thread = NULL;

	setup(&f);
	start(&f);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "say hello"));
	await_turn(&f);
	read_recording("turn-0.169.jsonl", &recorded);
	ck_assert_uint_gt(recorded.len, 0);
	ck_assert_str_eq(ccp_strbuf_str(&f.kinds), ccp_strbuf_str(&recorded));
	ccp_strbuf_done(&recorded);
	teardown(&f);
}
END_TEST

/* The process dies after taking the turn; its successor knows what became of it. */
START_TEST(test_turn_cut)
{
	struct fixture f;
	_cleanup_free_ char *thread = NULL, *log = NULL;
	struct ccp_turn turn;
	struct ccp_thread_answer answer;

	setup(&f);
	log = path_in(&f, "log");
	set_env(&f, "CCP_FAKE_LOG", log);
	set_env(&f, "CCP_FAKE_STATE", f.dir);
	set_env(&f, "CCP_FAKE_DIE_AFTER", "turn/start");
	start(&f);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	await(&f, &f.gone, 1);
	start(&f);
	ask(&f, "thread/turns/list",
	    json_pack("{s:s, s:i, s:s}", "threadId", thread, "limit", 3, "itemsView", "full"));
	ck_assert_int_eq(ccp_turn_parse(json_array_get(ccp_json_arr(f.reply, "data"), 0), &turn),
			 0);
	ck_assert_str_eq(turn.status, "interrupted");
	ck_assert(ccp_turn_has_client_id(&turn, "op-1"));
	ask(&f, "turn/start", turn_params(&f, thread, "y"));
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_THREAD_NOT_FOUND);
	ask(&f, "thread/resume",
	    ccp_thread_resume_params(&ccp_appserver_info(f.as)->version, thread, true, NULL));
	ck_assert_int_eq(ccp_thread_answer_parse(f.reply, &answer, NULL), 0);
	ck_assert_uint_eq(json_array_size(answer.turns), 1);
	ck_assert(!answer.active);
	ask(&f, "turn/start", turn_params(&f, thread, "z"));
	await_turn(&f);
	ck_assert_int_eq(count_lines(&f, "log", "turn/start "), 3);
	teardown(&f);
}
END_TEST

START_TEST(test_interrupt)
{
	struct fixture f;
	_cleanup_free_ char *thread = NULL, *turn = NULL;
	const char *id;

	setup(&f);
	set_env(&f, "CCP_FAKE_TURN_MS", "-1");
	start(&f);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	ck_assert_int_eq(ccp_turn_start_parse(f.reply, &id, NULL), 0);
	turn = strdup(id);
	ask(&f, "turn/interrupt", ccp_turn_interrupt_params(thread, turn));
	await_turn(&f);
	ck_assert_ptr_nonnull(strstr(ccp_strbuf_str(&f.kinds), "turn/completed interrupted"));
	ask(&f, "turn/interrupt", ccp_turn_interrupt_params(thread, turn));
	ck_assert_int_eq(f.reply_err.code, CODEXCP_E_TURN_NOT_FOUND);
	teardown(&f);
}
END_TEST

/* ---- stop ---- */

static void check_stop(const char *script, int64_t grace_ms, const char *key, int value)
{
	struct fixture f;
	int64_t pid;

	setup(&f);
	if (script)
		set_script(&f, script);
	start(&f);
	call(&f, "pending", NULL);
	pid = ccp_appserver_info(f.as)->process.pid;
	ccp_appserver_stop(f.as, grace_ms);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STOPPING);
	ccp_appserver_start(f.as); /* not while it stops */
	ck_assert_int_eq(f.gone, 0);
	await(&f, &f.gone, 1);
	ck_assert_int_eq(f.replies, 1);
	ck_assert_int_eq(ccp_json_int(f.why.details, key, -1), value);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STOPPED);
	check_dead(pid);
	ccp_appserver_stop(f.as, grace_ms);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STOPPED);
	teardown(&f);
}

START_TEST(test_stop_eof)
{
	check_stop(NULL, 20000, "exitStatus", 0);
}
END_TEST

START_TEST(test_stop_term)
{
	check_stop("term default\nexpect initialized\nhang\n", 2000, "signal", SIGTERM);
}
END_TEST

START_TEST(test_stop_kill)
{
	check_stop("term ignore\nexpect initialized\nhang\n", 200, "signal", SIGKILL);
}
END_TEST

START_TEST(test_stop_before_spawn)
{
	struct fixture f;

	setup(&f);
	create(&f);
	ccp_appserver_start(f.as);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STARTING);
	ccp_appserver_stop(f.as, 1000);
	ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STOPPED);
	ccp_loop_run(f.loop); /* nothing is left to wait for */
	ck_assert_uint_eq(f.log.len, 0);
	start(&f);
	teardown(&f);
}
END_TEST

/* ---- being freed by a callback ---- */

START_TEST(test_free_when_ready)
{
	struct fixture f;

	setup(&f);
	f.free_when_ready = true;
	create(&f);
	ccp_appserver_start(f.as);
	await(&f, &f.ready, 1);
	ck_assert_ptr_null(f.as);
	ccp_loop_run(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "ready\n");
	teardown(&f);
}
END_TEST

START_TEST(test_free_when_gone)
{
	struct fixture f;

	setup(&f);
	f.free_when_gone = true;
	set_script(&f, "expect initialize\ndie 1\n");
	create(&f);
	ccp_appserver_start(f.as);
	await(&f, &f.gone, 1);
	ck_assert_ptr_null(f.as);
	teardown(&f);
}
END_TEST

/* The other calls are not answered any more, and nobody hears that it is gone. */
START_TEST(test_free_in_reply)
{
	struct fixture f;

	setup(&f);
	f.free_in_reply = true;
	set_script(&f, "expect one\nexpect two\ndie SIGKILL\n");
	start(&f);
	call(&f, "one", NULL);
	call(&f, "two", NULL);
	await(&f, &f.replies, 1);
	ccp_loop_run(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "ready\nfailed\n");
	teardown(&f);
}
END_TEST

/* On standard streams it ends with us, on a socket it does not. */
START_TEST(test_free)
{
	struct fixture f;
	struct ccp_process_id process;

	setup(&f);
	set_script(&f, "term ignore\nexpect initialized\nhang\n");
	start(&f);
	call(&f, "pending", NULL);
	process = ccp_appserver_info(f.as)->process;
	free_appserver(&f);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(ccp_process_check(&process),
			 on_socket() ? CCP_PROCESS_ALIVE : CCP_PROCESS_DEAD);
	ccp_process_kill(&process);
	ck_assert_int_eq(f.replies, 0);
	teardown(&f);
}
END_TEST

CCP_TEST_MAIN("appserver_client", test_start_once, test_start_dies, test_start_refused,
	      test_start_silent, test_start_missing, test_start_garbage, test_restart,
	      test_call_unless_ready, test_death_answers_once, test_refusals, test_late,
	      test_requests, test_turn_like_recorded, test_turn_cut, test_interrupt, test_stop_eof,
	      test_stop_term, test_stop_kill, test_stop_before_spawn, test_free_when_ready,
	      test_free_when_gone, test_free_in_reply, test_free)
