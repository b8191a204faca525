#include <ccp_check.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "rpc/peer.h"

/* Everything that happens is written down as text, one event after the other. */
struct fixture {
	struct ccp_peer *peer;
	struct ccp_strbuf log;
	bool fail_send;
	bool answer_in_send;
	bool free_in_send;
	char *reply_method; /* call this from within the next reply */
};

/* A call that knows its name. */
struct caller {
	struct fixture *f;
	const char *name;
	bool free_peer;
	bool fail_all;
};

static int on_send(const char *line, size_t len, void *data, struct codexcp_error *err)
{
	struct fixture *f = data;

	ccp_strbuf_appendf(&f->log, "> %.*s\n", (int)len, line);
	if (f->answer_in_send)
		ccp_peer_feed(f->peer, "{\"id\":1,\"result\":true}", 22);
	if (f->free_in_send)
		ccp_peer_free(TAKE_PTR(f->peer));
	return f->fail_send ? ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE, "gone") : 0;
}

static void on_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_appendf(&f->log, "request %s\n", method);
	ck_assert_int_eq(ccp_peer_reply(f->peer, id, json_incref(params), NULL), 0);
	ck_assert_int_eq(ccp_peer_reply_error(f->peer, id, -5, "no", NULL), 0);
}

static void on_notification(const char *method, json_t *params, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_appendf(&f->log, "notification %s\n", method);
	if (ccp_streq(method, "free"))
		ccp_peer_free(TAKE_PTR(f->peer));
}

static void on_late(int64_t id, json_t *result, json_t *error, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_appendf(&f->log, "late %d %s\n", (int)id, result ? "result" : "error");
	ck_assert(!result != !error);
}

static void on_garbage(const char *line, size_t len, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_appendf(&f->log, "garbage %.*s\n", (int)len, line);
}

static const struct ccp_peer_events events = {
	.send = on_send,
	.request = on_request,
	.notification = on_notification,
	.late = on_late,
	.garbage = on_garbage,
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(1024 * 1024) };
	ck_assert_int_eq(ccp_peer_new(&events, f, &f->peer, NULL), 0);
}

static void done(struct fixture *f)
{
	ccp_peer_free(f->peer);
	ccp_strbuf_done(&f->log);
}

/* What happened since the last look. */
static void check_log(struct fixture *f, const char *expected)
{
	ck_assert_str_eq(ccp_strbuf_str(&f->log), expected);
	ccp_strbuf_clear(&f->log);
}

static void feed(struct fixture *f, const char *line)
{
	ccp_peer_feed(f->peer, line, strlen(line));
}

static void on_reply(json_t *result, const struct codexcp_error *err, void *data)
{
	struct caller *caller = data;
	struct fixture *f = caller->f;

	ck_assert(!result != !err);
	if (err)
		ccp_strbuf_appendf(&f->log, "%s: %s %s\n", caller->name,
				   codexcp_error_name(err->code), err->message);
	else
		ccp_strbuf_appendf(&f->log, "%s: ok\n", caller->name);
	if (f->reply_method)
		ck_assert_int_eq(ccp_peer_call(f->peer, TAKE_PTR(f->reply_method), NULL, 0,
					       on_reply, caller, NULL),
				 0);
	if (caller->fail_all)
		ccp_peer_fail_all(f->peer, err);
	if (caller->free_peer)
		ccp_peer_free(TAKE_PTR(f->peer));
}

static void call(struct caller *caller, int64_t deadline_ms)
{
	ck_assert_int_eq(
		ccp_peer_call(caller->f->peer, "m", NULL, deadline_ms, on_reply, caller, NULL), 0);
}

START_TEST(test_call)
{
	struct fixture f;
	struct caller a = { &f, "a" }, b = { &f, "b" };

	setup(&f);
	ck_assert_int_eq(ccp_peer_call(f.peer, "x/y", json_object(), 0, on_reply, &a, NULL), 0);
	call(&b, 0);
	check_log(&f, "> {\"id\":1,\"method\":\"x/y\",\"params\":{}}\n"
		      "> {\"id\":2,\"method\":\"m\"}\n");
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 2);
	feed(&f, "{\"id\":2,\"result\":\"a\\u0000b\"}");
	check_log(&f, "b: ok\n");
	feed(&f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null}");
	check_log(&f, "a: ok\n");
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 0);
	/* Answered once: the second answer belongs to nothing. */
	feed(&f, "{\"id\":1,\"result\":1}");
	check_log(&f, "garbage {\"id\":1,\"result\":1}\n");
	done(&f);
}
END_TEST

START_TEST(test_answer_within_send)
{
	struct fixture f;
	struct caller a = { &f, "a" };

	setup(&f);
	f.answer_in_send = true;
	call(&a, 0);
	check_log(&f, "> {\"id\":1,\"method\":\"m\"}\na: ok\n");
	done(&f);
}
END_TEST

START_TEST(test_send_fails)
{
	struct fixture f;
	struct caller a = { &f, "a" };
	struct codexcp_error err = { 0 };

	setup(&f);
	f.fail_send = true;
	ck_assert_int_eq(ccp_peer_call(f.peer, "m", json_object(), 0, on_reply, &a, &err),
			 CODEXCP_E_APP_SERVER_UNAVAILABLE);
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 0);
	ck_assert_int_eq(ccp_peer_notify(f.peer, "n", NULL, &err),
			 CODEXCP_E_APP_SERVER_UNAVAILABLE);
	check_log(&f, "> {\"id\":1,\"method\":\"m\",\"params\":{}}\n> {\"method\":\"n\"}\n");
	codexcp_error_done(&err);
	done(&f);
}
END_TEST

START_TEST(test_freed_within_failing_send)
{
	struct fixture f;
	struct caller a = { &f, "a" };

	setup(&f);
	f.fail_send = f.free_in_send = true;
	ck_assert_int_lt(ccp_peer_call(f.peer, "m", NULL, 0, on_reply, &a, NULL), 0);
	check_log(&f, "> {\"id\":1,\"method\":\"m\"}\n");
	done(&f);
}
END_TEST

static void check_refusal(json_t *result, const struct codexcp_error *err, void *data)
{
	int *expected = data;

	ck_assert_ptr_null(result);
	ck_assert_int_eq(err->code, expected[0]);
	ck_assert_int_eq(!!err->retryable, expected[0] == CODEXCP_E_BUSY);
	ck_assert_str_eq(err->message, "why not");
	ck_assert_int_eq(ccp_json_int(err->details, "rpcCode", 0), expected[1]);
	ck_assert_int_eq(ccp_json_int(ccp_json_obj(err->details, "data"), "k", 0), 4);
	expected[2]++;
}

START_TEST(test_error_answers)
{
	struct fixture f;
	int refused[] = { CODEXCP_E_SEND_FAILED, -32600, 0 };
	int overloaded[] = { CODEXCP_E_BUSY, -32001, 0 };

	setup(&f);
	ck_assert_int_eq(ccp_peer_call(f.peer, "m", NULL, 0, check_refusal, refused, NULL), 0);
	ck_assert_int_eq(ccp_peer_call(f.peer, "m", NULL, 0, check_refusal, overloaded, NULL), 0);
	feed(&f, "{\"id\":1,\"error\":{\"code\":-32600,\"message\":\"why not\","
		 "\"data\":{\"k\":4}}}");
	feed(&f, "{\"id\":2,\"error\":{\"code\":-32001,\"message\":\"why not\","
		 "\"data\":{\"k\":4}}}");
	ck_assert_int_eq(refused[2], 1);
	ck_assert_int_eq(overloaded[2], 1);
	done(&f);
}
END_TEST

START_TEST(test_incoming)
{
	struct fixture f;

	setup(&f);
	feed(&f, "{\"id\":\"q\",\"method\":\"ask\",\"params\":{\"a\":1}}");
	check_log(&f, "request ask\n> {\"id\":\"q\",\"result\":{\"a\":1}}\n"
		      "> {\"id\":\"q\",\"error\":{\"code\":-5,\"message\":\"no\"}}\n");
	feed(&f, "{\"method\":\"said\"}");
	check_log(&f, "notification said\n");
	feed(&f, "not json");
	feed(&f, "{\"id\":1}");
	feed(&f, "{\"id\":\"1\",\"result\":1}");
	feed(&f, "{\"id\":null,\"error\":{}}");
	check_log(&f, "garbage not json\ngarbage {\"id\":1}\n"
		      "garbage {\"id\":\"1\",\"result\":1}\ngarbage {\"id\":null,\"error\":{}}\n");
	done(&f);
}
END_TEST

START_TEST(test_string_id_answers_nothing)
{
	struct fixture f;
	struct caller a = { &f, "a" };

	setup(&f);
	call(&a, 0);
	ccp_strbuf_clear(&f.log);
	feed(&f, "{\"id\":\"1\",\"result\":1}");
	check_log(&f, "garbage {\"id\":\"1\",\"result\":1}\n");
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 1);
	done(&f);
}
END_TEST

START_TEST(test_deadlines)
{
	struct fixture f;
	struct caller a = { &f, "a" }, b = { &f, "b" }, c = { &f, "c" };

	setup(&f);
	ck_assert_int_eq(ccp_peer_next_deadline(f.peer), 0);
	call(&a, 300);
	call(&b, 100);
	call(&c, 0);
	ccp_strbuf_clear(&f.log);
	ck_assert_int_eq(ccp_peer_next_deadline(f.peer), 100);
	ccp_peer_expire(f.peer, 99);
	check_log(&f, "");
	ccp_peer_expire(f.peer, 100);
	check_log(&f, "b: CODEX_TIMEOUT no answer to m came in time\n");
	ck_assert_int_eq(ccp_peer_next_deadline(f.peer), 300);
	ccp_peer_expire(f.peer, 1000);
	check_log(&f, "a: CODEX_TIMEOUT no answer to m came in time\n");
	ck_assert_int_eq(ccp_peer_next_deadline(f.peer), 0);
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 1);
	feed(&f, "{\"id\":2,\"result\":1}");
	feed(&f, "{\"id\":1,\"error\":{}}");
	feed(&f, "{\"id\":1,\"error\":{}}");
	check_log(&f, "late 2 result\nlate 1 error\ngarbage {\"id\":1,\"error\":{}}\n");
	done(&f);
}
END_TEST

START_TEST(test_late_is_bounded)
{
	struct fixture f;
	struct caller a = { &f, "a" };

	setup(&f);
	for (int i = 0; i < 65; i++)
		call(&a, 1);
	ccp_peer_expire(f.peer, 1);
	ccp_strbuf_clear(&f.log);
	feed(&f, "{\"id\":1,\"result\":1}");
	feed(&f, "{\"id\":2,\"result\":1}");
	feed(&f, "{\"id\":65,\"result\":1}");
	check_log(&f, "garbage {\"id\":1,\"result\":1}\nlate 2 result\nlate 65 result\n");
	done(&f);
}
END_TEST

START_TEST(test_fail_all)
{
	struct fixture f;
	struct caller a = { &f, "a" }, b = { &f, "b" };
	struct codexcp_error why = { 0 };

	setup(&f);
	call(&a, 0);
	call(&b, 5);
	ccp_strbuf_clear(&f.log);
	f.reply_method = "again";
	ccp_fail(&why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "it died");
	ccp_peer_fail_all(f.peer, &why);
	codexcp_error_done(&why);
	/* A call that is made meanwhile is not failed. */
	check_log(&f, "a: CODEX_APP_SERVER_UNAVAILABLE it died\n"
		      "> {\"id\":3,\"method\":\"again\"}\n"
		      "b: CODEX_APP_SERVER_UNAVAILABLE it died\n");
	ck_assert_uint_eq(ccp_peer_pending(f.peer), 1);
	/* Nobody waits for these any more, and they had not timed out. */
	feed(&f, "{\"id\":1,\"result\":1}");
	check_log(&f, "garbage {\"id\":1,\"result\":1}\n");
	done(&f);
}
END_TEST

START_TEST(test_call_within_reply)
{
	struct fixture f;
	struct caller a = { &f, "a" };

	setup(&f);
	call(&a, 0);
	f.reply_method = "next";
	feed(&f, "{\"id\":1,\"result\":1}");
	feed(&f, "{\"id\":2,\"result\":1}");
	check_log(&f, "> {\"id\":1,\"method\":\"m\"}\na: ok\n"
		      "> {\"id\":2,\"method\":\"next\"}\na: ok\n");
	done(&f);
}
END_TEST

START_TEST(test_free_within_reply)
{
	struct fixture f;
	struct caller a = { &f, "a", .free_peer = true }, b = { &f, "b" };

	setup(&f);
	call(&a, 0);
	call(&b, 0);
	ccp_strbuf_clear(&f.log);
	feed(&f, "{\"id\":1,\"result\":1}");
	check_log(&f, "a: ok\n");
	done(&f);
}
END_TEST

START_TEST(test_free_within_expiry)
{
	struct fixture f;
	struct caller a = { &f, "a", .free_peer = true }, b = { &f, "b" };

	setup(&f);
	call(&a, 1);
	call(&b, 1);
	ccp_strbuf_clear(&f.log);
	ccp_peer_expire(f.peer, 2);
	check_log(&f, "a: CODEX_TIMEOUT no answer to m came in time\n");
	done(&f);
}
END_TEST

START_TEST(test_fail_all_within_expiry)
{
	struct fixture f;
	struct caller a = { &f, "a", .fail_all = true }, b = { &f, "b" }, c = { &f, "c" };

	setup(&f);
	call(&a, 1);
	call(&b, 1);
	call(&c, 0);
	ccp_strbuf_clear(&f.log);
	ccp_peer_expire(f.peer, 2);
	check_log(&f, "a: CODEX_TIMEOUT no answer to m came in time\n"
		      "c: CODEX_TIMEOUT no answer to m came in time\n"
		      "b: CODEX_TIMEOUT no answer to m came in time\n");
	done(&f);
}
END_TEST

START_TEST(test_free_within_notification)
{
	struct fixture f;

	setup(&f);
	feed(&f, "{\"method\":\"free\"}");
	check_log(&f, "notification free\n");
	done(&f);
}
END_TEST

static void on_timeout_details(json_t *result, const struct codexcp_error *err, void *data)
{
	ck_assert_int_eq(err->code, CODEXCP_E_TIMEOUT);
	ck_assert_str_eq(ccp_json_str(err->details, "method"), "slow/thing");
	*(bool *)data = true;
}

START_TEST(test_timeout_names_the_method)
{
	struct fixture f;
	bool called = false;

	setup(&f);
	ck_assert_int_eq(
		ccp_peer_call(f.peer, "slow/thing", NULL, 1, on_timeout_details, &called, NULL), 0);
	ccp_peer_expire(f.peer, 1);
	ck_assert(called);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("peer", test_call, test_answer_within_send, test_send_fails,
	      test_freed_within_failing_send, test_error_answers, test_incoming,
	      test_string_id_answers_nothing, test_deadlines, test_late_is_bounded, test_fail_all,
	      test_call_within_reply, test_free_within_reply, test_free_within_expiry,
	      test_fail_all_within_expiry, test_free_within_notification,
	      test_timeout_names_the_method)
