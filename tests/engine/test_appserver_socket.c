/* What only a process on a socket can do: outlive its client, and be found again. */
#include <unistd.h>

#include "base/path.h"
#include "client_env.h"

static void attach_known(struct fixture *f, const struct ccp_appserver_known *known)
{
	int ready = f->ready;

	ccp_appserver_attach(f->as, known);
	await(f, &f->ready, ready + 1);
	ck_assert_str_eq(ccp_appserver_info(f->as)->instance, known->instance);
	ck_assert_int_eq(ccp_appserver_info(f->as)->process.pid, known->process.pid);
	ck_assert_int_eq(ccp_appserver_info(f->as)->version.minor, 169);
}

/* What a database would know; `instance` keeps the string. */
static struct ccp_appserver_known remember(struct fixture *f, char instance[static CCP_ID_SIZE])
{
	const struct ccp_appserver_info *info = ccp_appserver_info(f->as);

	memcpy(instance, info->instance, CCP_ID_SIZE);
	return (struct ccp_appserver_known){ instance, info->process, info->started_at };
}

static void resume(struct fixture *f, const char *thread, bool active)
{
	struct ccp_thread_answer answer;

	ask(f, "thread/resume",
	    ccp_thread_resume_params(&ccp_appserver_info(f->as)->version, thread, true, NULL));
	ck_assert_int_eq(ccp_thread_answer_parse(f->reply, &answer, NULL), 0);
	ck_assert_int_eq(answer.active, active);
}

static void check_alive(const struct ccp_appserver_known *known)
{
	ck_assert_int_eq(ccp_process_check(&known->process), CCP_PROCESS_ALIVE);
}

/* A turn runs through the end of its client's connection, and another client sees its end. */
static void check_turn_outlives(bool same_object)
{
	struct fixture f;
	struct ccp_appserver_known known;
	char instance[CCP_ID_SIZE];
	_cleanup_free_ char *thread = NULL, *go = NULL, *script = NULL;

	setup(&f);
	go = path_in(&f, "go");
	script = ccp_asprintf("await %s\nfinish\n", go);
	set_script(&f, script);
	set_env(&f, "CCP_FAKE_TURN_MS", "-1");
	start(&f);
	known = remember(&f, instance);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	call(&f, "pending", NULL);
	if (same_object) {
		ccp_appserver_detach(f.as);
		ck_assert_int_eq(f.reply_err.code, CODEXCP_E_APP_SERVER_UNAVAILABLE);
	} else {
		free_appserver(&f);
		create(&f);
	}
	ck_assert_int_eq(f.gone, 0);
	check_alive(&known);
	attach_known(&f, &known);
	resume(&f, thread, true);
	f.turn_completed = false;
	ck_assert_int_eq(ccp_file_replace(go, "", 0, 0600, NULL), 0);
	await_turn(&f);
	ccp_appserver_stop(f.as, 20000);
	await(&f, &f.gone, 1);
	ck_assert(!ccp_appserver_info(f.as)->alive);
	ck_assert_int_ne(ccp_process_check(&known.process), CCP_PROCESS_ALIVE);
	teardown(&f);
}

START_TEST(test_detach_and_attach)
{
	check_turn_outlives(true);
}
END_TEST

START_TEST(test_free_and_attach)
{
	check_turn_outlives(false);
}
END_TEST

/* The connection breaks, the process lives. */
START_TEST(test_connection_lost)
{
	struct fixture f;
	struct ccp_appserver_known known;
	char instance[CCP_ID_SIZE];

	setup(&f);
	set_script(&f, "expect one\ndisconnect\n");
	start(&f);
	known = remember(&f, instance);
	call(&f, "one", NULL);
	await(&f, &f.gone, 1);
	ck_assert_int_eq(f.replies, 1);
	ck_assert(ccp_appserver_info(f.as)->alive);
	ck_assert_ptr_nonnull(strstr(f.why.message, "closed the connection"));
	check_alive(&known);
	attach_known(&f, &known);
	ask(&f, "account/read", NULL);
	ck_assert_int_eq(f.reply_err.code, 0);
	teardown(&f);
}
END_TEST

/* Between the end of the connection and the word of it nothing is sent, and nothing seems to be
 * ready. */
START_TEST(test_being_lost)
{
	struct fixture f;
	int refused = 0;

	setup(&f);
	set_script(&f, "expect one\ndisconnect\n");
	start(&f);
	call(&f, "one", NULL);
	while (!f.gone) {
		_cleanup_error_ struct codexcp_error err = { 0 };

		ccp_loop_step(f.loop);
		if (f.gone || ccp_appserver_state(f.as) == CCP_APPSERVER_READY)
			continue;
		ck_assert_int_eq(ccp_appserver_state(f.as), CCP_APPSERVER_STARTING);
		ck_assert_int_eq(
			ccp_appserver_call(f.as, "account/read", NULL, 1000, on_reply, &f, &err),
			CODEXCP_E_APP_SERVER_UNAVAILABLE);
		ck_assert_uint_eq(ccp_appserver_pending(f.as), 1);
		refused++;
	}
	ck_assert_int_ge(refused, 1);
	ck_assert_int_eq(f.replies, 1);
	teardown(&f);
}
END_TEST

/* It is not our child any more, and is still seen to die. */
START_TEST(test_attached_process_dies)
{
	struct fixture f;
	struct ccp_appserver_known known;
	char instance[CCP_ID_SIZE];

	setup(&f);
	set_script(&f, "expect one\ndie SIGKILL\n");
	start(&f);
	known = remember(&f, instance);
	ccp_appserver_detach(f.as);
	attach_known(&f, &known);
	call(&f, "one", NULL);
	await(&f, &f.gone, 1);
	ck_assert(!ccp_appserver_info(f.as)->alive);
	ck_assert_str_eq(f.why.message, "codex app-server has ended");
	ccp_appserver_attach(f.as, &known); /* nobody is there */
	await(&f, &f.gone, 2);
	ck_assert(!ccp_appserver_info(f.as)->alive);
	start(&f);
	ck_assert_str_ne(ccp_appserver_info(f.as)->instance, instance);
	teardown(&f);
}
END_TEST

/* The socket is another's: neither is touched. */
START_TEST(test_attach_to_another)
{
	struct fixture f;
	struct ccp_appserver_known known = { .instance = "other" };

	setup(&f);
	ck_assert_int_eq(ccp_process_self(&known.process, NULL), 0);
	create(&f);
	ccp_appserver_attach(f.as, &known);
	await(&f, &f.gone, 1);
	ck_assert(ccp_appserver_info(f.as)->alive);
	ck_assert_ptr_nonnull(strstr(f.why.message, "nobody listens"));
	start(&f);
	known.process = ccp_appserver_info(f.as)->process;
	known.process.start_time++;
	ccp_appserver_detach(f.as);
	ccp_appserver_attach(f.as, &known); /* its pid, used again */
	await(&f, &f.gone, 2);
	ck_assert(!ccp_appserver_info(f.as)->alive);
	ck_assert_int_eq(kill((pid_t)known.process.pid, SIGKILL), 0);
	teardown(&f);
}
END_TEST

/* One that nobody knows of holds the socket: it goes, and the new one is the one talked to. */
START_TEST(test_start_takes_over)
{
	struct fixture f;
	struct ccp_appserver_known known;
	char instance[CCP_ID_SIZE];

	setup(&f);
	start(&f);
	known = remember(&f, instance);
	ccp_appserver_detach(f.as);
	start(&f);
	ck_assert_int_ne(ccp_appserver_info(f.as)->process.pid, known.process.pid);
	ck_assert_int_eq(ccp_process_check(&known.process), CCP_PROCESS_DEAD);
	teardown(&f);
}
END_TEST

/* The same, but nobody can find it at the socket: it does not listen yet, or not any more. Another
 * directory's is none of ours. */
START_TEST(test_start_ends_silent)
{
	struct fixture f, other;
	struct ccp_appserver_known known, neighbour;
	char instance[CCP_ID_SIZE], instances[CCP_ID_SIZE];
	_cleanup_free_ char *path = NULL;

	setup(&other);
	start(&other);
	neighbour = remember(&other, instances);
	setup(&f);
	start(&f);
	known = remember(&f, instance);
	ccp_appserver_detach(f.as);
	path = ccp_path_join(f.run_dir, "app.sock");
	ck_assert_int_eq(unlink(path), 0);
	start(&f);
	ck_assert_int_eq(ccp_process_check(&known.process), CCP_PROCESS_DEAD);
	check_alive(&neighbour);
	known = remember(&f, instance);
	ccp_appserver_end_others(f.as, &known.process);
	check_alive(&known);
	teardown(&f);
	teardown(&other);
}
END_TEST

START_TEST(test_request_again)
{
	struct fixture f;
	struct ccp_appserver_known known;
	char instance[CCP_ID_SIZE];
	_cleanup_free_ char *thread = NULL;

	setup(&f);
	set_env(&f, "CCP_FAKE_TURN_MS", "-1");
	set_script(&f, "expect turn/start threadId\ndefault\nexpect leave\n"
		       "request {\"id\":0,\"method\":\"item/fileChange/requestApproval\","
		       "\"params\":{\"threadId\":$threadId}}\n"
		       "disconnect\nexpect-answer\nfinish\n");
	start(&f);
	known = remember(&f, instance);
	thread = new_thread(&f);
	ask(&f, "turn/start", turn_params(&f, thread, "x"));
	f.ignore_requests = true;
	call(&f, "leave", NULL);
	await(&f, &f.gone, 1);
	f.ignore_requests = false;
	attach_known(&f, &known);
	resume(&f, thread, true);
	await_turn(&f);
	teardown(&f);
}
END_TEST

/* Longer than a frame may be, in both directions. */
START_TEST(test_fragments)
{
	struct fixture f;
	_cleanup_free_ char *text = malloc(300001);

	setup(&f);
	set_env(&f, "CCP_FAKE_UNFRAGMENTED", "1000");
	set_script(&f, "expect echo text\nreply {\"text\":$text}\n");
	memset(text, 'x', 300000);
	text[300000] = '\0';
	start(&f);
	ask(&f, "echo", json_pack("{s:s}", "text", text));
	ck_assert_str_eq(ccp_json_str(f.reply, "text"), text);
	teardown(&f);
}
END_TEST

static void check_refused(struct fixture *f, const char *words)
{
	create(f);
	ccp_appserver_start(f->as);
	await(f, &f->gone, 1);
	ck_assert_msg(strstr(f->why.message, words) != NULL, "%s", f->why.message);
	ck_assert(!ccp_appserver_info(f->as)->alive);
	check_dead(ccp_appserver_info(f->as)->process.pid);
	teardown(f);
}

START_TEST(test_upgrade_refused)
{
	struct fixture f;

	setup(&f);
	set_env(&f, "CCP_FAKE_UPGRADE", "403 Forbidden");
	check_refused(&f, "refused the upgrade: HTTP/1.1 403 Forbidden");
}
END_TEST

START_TEST(test_no_socket)
{
	struct fixture f;

	setup(&f);
	set_env(&f, "CCP_FAKE_NO_SOCKET", "1");
	check_refused(&f, "ended with status 2: error: unexpected argument '--listen'");
}
END_TEST

START_TEST(test_auto)
{
	struct fixture f;

	setup(&f);
	f.options.transport = CCP_APPSERVER_AUTO;
	start(&f);
	ck_assert_int_eq(ccp_appserver_info(f.as)->transport, CCP_APPSERVER_UNIX);
	teardown(&f);

	setup(&f);
	f.options.transport = CCP_APPSERVER_AUTO;
	set_env(&f, "CCP_FAKE_NO_SOCKET", "1");
	for (int i = 1; i <= 2; i++) {
		start(&f);
		ck_assert_int_eq(ccp_appserver_info(f.as)->transport, CCP_APPSERVER_STDIO);
		ask(&f, "account/read", NULL);
		ccp_appserver_stop(f.as, 20000);
		await(&f, &f.gone, i);
	}
	/* The second time it was known. */
	ck_assert_int_eq(count_lines(&f, "app-server.log", "error: unexpected"), 1);
	teardown(&f);
}
END_TEST

START_TEST(test_long_directory)
{
	struct fixture f;
	_cleanup_free_ char *run = NULL;

	setup(&f);
	run = ccp_asprintf("%s/%0120d", f.dir, 0);
	ck_assert_int_eq(ccp_dir_make(run, 0700, NULL), 0);
	f.options.run_dir = run;
	start(&f);
	teardown(&f);
}
END_TEST

CCP_TEST_MAIN("appserver_socket", test_detach_and_attach, test_free_and_attach,
	      test_connection_lost, test_being_lost, test_attached_process_dies,
	      test_attach_to_another, test_start_takes_over, test_start_ends_silent,
	      test_request_again, test_fragments, test_upgrade_refused, test_no_socket, test_auto,
	      test_long_directory)
