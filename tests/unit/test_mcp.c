#include <ccp_check.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "server/caller.h"
#include "server/mcp.h"
#include "server/request.h"

#define CALLS_MAX 8

/* The library as the server sees it: calls are written down and answered when the test says so. */
struct codexcp_call {
	codexcp_result_fn fn;
	codexcp_progress_fn progress;
	void *data;
	bool cancelled;
};

struct codexcp {
	struct codexcp_call calls[CALLS_MAX];
	size_t n;
	struct ccp_strbuf *log;
};

struct fixture {
	struct mcp *mcp;
	struct codexcp cp;
	struct ccp_strbuf log;
	bool context_fails;
};

const char *codexcp_version(void)
{
	return "9.9";
}

const char *codexcp_instructions(void)
{
	return "Say \"please\".";
}

char *codexcp_tools_text(unsigned parts)
{
	return ccp_asprintf(
		"[{\"name\":\"one\"%s,\"inputSchema\":{\"type\":\"object\"}%s%s}]",
		parts & CODEXCP_TOOL_TITLE ? ",\"title\":\"One\"" : "",
		parts & CODEXCP_TOOL_OUTPUT_SCHEMA ? ",\"outputSchema\":{\"type\":\"object\"}" : "",
		parts & CODEXCP_TOOL_ANNOTATIONS ? ",\"annotations\":{\"readOnlyHint\":true}" : "");
}

int codexcp_call(struct codexcp *cp, const char *tool, const json_t *arguments,
		 const struct codexcp_call_options *options, codexcp_result_fn fn, void *data,
		 struct codexcp_call **ret_call, struct codexcp_error *err)
{
	struct codexcp_call *call = &cp->calls[cp->n];
	char *text = arguments ? ccp_json_dump(arguments, NULL) : NULL;

	if (ccp_streq(tool, "unknown"))
		return ccp_fail_argument(err, "name", "a tool", "one");
	ck_assert_uint_lt(cp->n++, CALLS_MAX);
	*call = (struct codexcp_call){ fn, options->progress, data, false };
	ccp_strbuf_appendf(cp->log, "call %s %s caller=%s sandbox=%s\n", tool, text ? text : "-",
			   options->caller_thread_id ? options->caller_thread_id : "-",
			   options->caller_sandbox ? options->caller_sandbox : "-");
	free(text);
	*ret_call = call;
	return 0;
}

void codexcp_cancel(struct codexcp_call *call)
{
	call->cancelled = true;
}

static void on_send(const char *line, size_t len, void *data)
{
	struct fixture *f = data;

	ck_assert_uint_eq(len, strlen(line));
	ccp_strbuf_append(&f->log, line);
	ccp_strbuf_append_char(&f->log, '\n');
}

static int on_context(struct codexcp **ret_cp, void *data, struct codexcp_error *err)
{
	struct fixture *f = data;

	if (f->context_fails)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "no context");
	*ret_cp = &f->cp;
	return 0;
}

static const struct mcp_host host = { .send = on_send, .context = on_context };

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(1024 * 1024) };
	f->cp.log = &f->log;
	unsetenv("CODEX_THREAD_ID");
	ck_assert_int_eq(mcp_new(&host, f, &f->mcp, NULL), 0);
}

static void teardown(struct fixture *f)
{
	mcp_free(f->mcp);
	ccp_strbuf_done(&f->log);
}

static void feed(struct fixture *f, const char *line)
{
	mcp_feed(f->mcp, line, strlen(line));
}

static void check_log(struct fixture *f, const char *expected)
{
	ck_assert_str_eq(ccp_strbuf_str(&f->log), expected);
	ccp_strbuf_clear(&f->log);
}

static void initialize(struct fixture *f, const char *version)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "{\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"%s\"}}",
		 version);
	feed(f, line);
	ccp_strbuf_clear(&f->log);
}

static void answer(struct fixture *f, size_t i, const char *payload, bool ok)
{
	json_t *value = NULL;

	ck_assert_int_eq(ccp_json_parse(payload, strlen(payload), 0, &value, NULL), 0);
	f->cp.calls[i].fn(value, ok, f->cp.calls[i].data);
	json_decref(value);
}

#define CALL(id) "{\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"one\"}}"
#define ERROR(id, c, text)                                                                         \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" c ",\"message\":\"" text "\"}}\n"
#define META(version, more)                                                                        \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":" version more "}"
#define CAPS ",\"io.modelcontextprotocol/clientCapabilities\":{}"
#define INFO                                                                                       \
	"\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":\"codex-control-plane-mcp\"," \
	"\"title\":\"Codex Control Plane\",\"version\":\"9.9\"}}"

START_TEST(test_initialize)
{
	static const struct {
		const char *requested, *answered;
		bool title;
	} cases[] = {
		{ "2024-11-05", "2024-11-05", false },
		{ "2025-03-26", "2025-03-26", false },
		{ "2025-06-18", "2025-06-18", true },
		{ "2025-11-25", "2025-11-25", true },
		{ "2026-07-28", "2025-11-25", true },
		{ "2024-10-07", "2025-11-25", true },
		{ "", "2025-11-25", true },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct fixture f;
		char line[256], expected[512];

		setup(&f);
		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"initialize\","
			 "\"params\":{\"protocolVersion\":\"%s\"}}",
			 cases[i].requested);
		snprintf(expected, sizeof(expected),
			 "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"protocolVersion\":\"%s\","
			 "\"capabilities\":{\"tools\":{}},\"serverInfo\":{"
			 "\"name\":\"codex-control-plane-mcp\",%s\"version\":\"9.9\"},"
			 "\"instructions\":\"Say \\\"please\\\".\"}}\n",
			 cases[i].answered,
			 cases[i].title ? "\"title\":\"Codex Control Plane\"," : "");
		feed(&f, line);
		check_log(&f, expected);
		teardown(&f);
	}
}
END_TEST

/* Lines to a server that nobody initialized, and everything that it says to them. */
START_TEST(test_lines)
{
	static const struct {
		const char *line, *expected;
	} cases[] = {
		{ "", "" },
		{ " \t", "" },
		{ "{\"id\":1,\"method\":\"ping\"}",
		  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n" },
		{ "{\"id\":1,\"method\":\"initialize\"}",
		  ERROR("1", "-32602", "params.protocolVersion: expected a string") },
		{ "{\"id\":1,\"method\":\"initialize\",\"params\":[\"2025-11-25\"]}",
		  ERROR("1", "-32602", "params: expected an object") },
		{ "{\"id\":1,\"method\":\"logging/setLevel\",\"params\":{}}",
		  ERROR("1", "-32601", "Unknown method: logging/setLevel") },
		{ "{\"method\":\"notifications/initialized\"}", "" },
		{ "{\"method\":\"whatever\",\"params\":[]}", "" },
		{ "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}", "" },
		{ "{\"id\":1,\"result\":{}}", "" },
		{ "{\"id\":1,\"error\":{}}", "" },
		{ "{\"id\":1.5,\"method\":\"ping\"}",
		  ERROR("null", "-32600", "\\\"id\\\" is neither a string nor an integer") },
		{ "{\"id\":null,\"method\":\"ping\"}",
		  ERROR("null", "-32600", "\\\"id\\\" is neither a string nor an integer") },
		{ "{\"id\":4,\"method\":4}",
		  ERROR("4", "-32600", "\\\"method\\\" is not a string") },
		{ "\"text\"", ERROR("null", "-32600", "not an object") },
		{ "[{\"id\":1,\"method\":\"ping\"}]",
		  ERROR("null", "-32600", "Batches are part of protocol version 2025-03-26 only") },
		{ "{\"id\":1,\"method\":\"server/discover\"}",
		  ERROR("1", "-32602",
			"params._meta[\\\"io.modelcontextprotocol/protocolVersion\\\"]: "
			"expected a string") },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{\"cursor\":\"2\"}}",
		  ERROR("1", "-32602", "params.cursor: not a cursor of this server") },
		{ "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":1}}",
		  ERROR("1", "-32602", "params.name: expected a string") },
		{ "{\"id\":1,\"method\":\"tools/call\"}",
		  ERROR("1", "-32602", "params.name: expected a string") },
		{ "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"one\","
		  "\"arguments\":[]}}",
		  ERROR("1", "-32602", "params.arguments: expected an object") },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct fixture f;

		setup(&f);
		feed(&f, cases[i].line);
		check_log(&f, cases[i].expected);
		teardown(&f);
	}
}
END_TEST

START_TEST(test_garbage)
{
	static const char *const lines[] = { "{", "nonsense", "{\"id\":1,\"id\":2}", "{}{}",
					     "\xff" };
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(lines); i++) {
		feed(&f, lines[i]);
		ck_assert_msg(
			strstr(ccp_strbuf_str(&f.log), "\"id\":null,\"error\":{\"code\":-32700"),
			"%s: %s", lines[i], ccp_strbuf_str(&f.log));
		ccp_strbuf_clear(&f.log);
	}
	mcp_overlong(f.mcp, 16);
	check_log(&f, ERROR("null", "-32600", "A message may have 16 bytes"));
	teardown(&f);
}
END_TEST

START_TEST(test_long_method)
{
	struct fixture f;
	char line[4000];
	int n;

	setup(&f);
	n = snprintf(line, sizeof(line), "{\"id\":1,\"method\":\"");
	for (int i = 0; i < 1000; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "\xc3\xa4");
	snprintf(line + n, sizeof(line) - (size_t)n, "\"}");
	feed(&f, line);
	ck_assert_uint_lt(f.log.len, 1000);
	ck_assert_ptr_nonnull(strstr(ccp_strbuf_str(&f.log), "-32601"));
	teardown(&f);
}
END_TEST

START_TEST(test_modern)
{
	static const struct {
		const char *line, *expected;
	} cases[] = {
		{ "{\"id\":1,\"method\":\"server/discover\",\"params\":{" META("\"2026-07-28\"",
									       CAPS) "}}",
		  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\"," INFO
		  ",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},"
		  "\"instructions\":\"Say \\\"please\\\".\",\"ttlMs\":300000,"
		  "\"cacheScope\":\"private\"}}\n" },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{" META("\"2026-07-28\"",
									  CAPS) "}}",
		  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\"," INFO
		  ",\"ttlMs\":300000,\"cacheScope\":\"private\","
		  "\"tools\":[{\"name\":\"one\",\"title\":\"One\",\"inputSchema\":{\"type\":"
		  "\"object\"},\"outputSchema\":{\"type\":\"object\"},\"annotations\":{"
		  "\"readOnlyHint\":true}}]}}\n" },
		{ "{\"id\":1,\"method\":\"ping\",\"params\":{" META("\"2026-07-28\"", CAPS) "}}",
		  ERROR("1", "-32601", "Unknown method: ping") },
		{ "{\"id\":1,\"method\":\"initialize\",\"params\":{" META("\"2026-07-28\"",
									  CAPS) "}}",
		  ERROR("1", "-32601", "Unknown method: initialize") },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{" META("\"2026-07-28\"",
									  "") "}}",
		  ERROR("1", "-32602",
			"params._meta[\\\"io.modelcontextprotocol/clientCapabilities\\\"]: "
			"expected an object") },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{" META("7", CAPS) "}}",
		  ERROR("1", "-32602",
			"params._meta[\\\"io.modelcontextprotocol/protocolVersion\\\"]: "
			"expected a string") },
		{ "{\"id\":1,\"method\":\"tools/list\",\"params\":{" META("\"2025-11-25\"",
									  CAPS) "}}",
		  "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32022,\"message\":"
		  "\"Unsupported protocol version\",\"data\":{\"supported\":[\"2026-07-28\"],"
		  "\"requested\":\"2025-11-25\"}}}\n" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct fixture f;

		setup(&f);
		initialize(&f, "2024-11-05");
		feed(&f, cases[i].line);
		check_log(&f, cases[i].expected);
		teardown(&f);
	}
}
END_TEST

START_TEST(test_tools_by_version)
{
	static const struct {
		const char *version, *tool;
	} cases[] = {
		{ "2024-11-05", "{\"name\":\"one\",\"inputSchema\":{\"type\":\"object\"}}" },
		{ "2025-03-26", "{\"name\":\"one\",\"inputSchema\":{\"type\":\"object\"},"
				"\"annotations\":{\"readOnlyHint\":true}}" },
		{ "2025-11-25", "{\"name\":\"one\",\"title\":\"One\",\"inputSchema\":{\"type\":"
				"\"object\"},\"outputSchema\":{\"type\":\"object\"},"
				"\"annotations\":{\"readOnlyHint\":true}}" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		char expected[512];
		struct fixture f;

		snprintf(expected, sizeof(expected),
			 "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[%s]}}\n",
			 cases[i].tool);
		setup(&f);
		initialize(&f, cases[i].version);
		for (int twice = 0; twice < 2; twice++) {
			feed(&f, "{\"id\":2,\"method\":\"tools/list\"}");
			check_log(&f, expected);
		}
		teardown(&f);
	}
}
END_TEST

START_TEST(test_call)
{
	struct fixture f;

	setup(&f);
	initialize(&f, "2025-06-18");
	feed(&f, "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"one\","
		 "\"arguments\":{\"a\":1}}}");
	feed(&f, CALL("\"1\""));
	check_log(&f, "call one {\"a\":1} caller=- sandbox=-\ncall one - caller=- sandbox=-\n");
	feed(&f, CALL("1"));
	check_log(&f, ERROR("1", "-32600", "A request with this id is still running"));
	ck_assert_uint_eq(mcp_running(f.mcp), 2);

	/* The last one first. */
	answer(&f, 1, "{\"ok\":false,\"x\":\"a\\\\\\\"\\u0001\\n\"}", false);
	check_log(&f, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"content\":[{\"type\":"
		      "\"text\",\"text\":\"{\\\"ok\\\":false,\\\"x\\\":\\\"a\\\\\\\\\\\\\\\"\\\\"
		      "u0001\\\\n\\\"}\"}],\"structuredContent\":{\"ok\":false,\"x\":\"a\\\\\\\""
		      "\\u0001\\n\"},\"isError\":true}}\n");
	answer(&f, 0, "{\"ok\":true}", true);
	check_log(&f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\","
		      "\"text\":\"{\\\"ok\\\":true}\"}],\"structuredContent\":{\"ok\":true},"
		      "\"isError\":false}}\n");
	ck_assert_uint_eq(mcp_running(f.mcp), 0);
	feed(&f, CALL("1"));
	check_log(&f, "call one - caller=- sandbox=-\n");
	teardown(&f);
	ck_assert(f.cp.calls[2].cancelled);
}
END_TEST

START_TEST(test_call_by_version)
{
	struct fixture f;

	setup(&f);
	initialize(&f, "2025-03-26");
	feed(&f, CALL("1"));
	feed(&f, "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"one\"," META(
			 "\"2026-07-28\"", CAPS) "}}");
	ccp_strbuf_clear(&f.log);
	answer(&f, 0, "{}", true);
	check_log(&f, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{\"type\":\"text\","
		      "\"text\":\"{}\"}],\"isError\":false}}\n");
	answer(&f, 1, "{}", true);
	check_log(&f, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"resultType\":\"complete\"," INFO
		      ",\"content\":[{\"type\":\"text\",\"text\":\"{}\"}],\"structuredContent\":{},"
		      "\"isError\":false}}\n");
	teardown(&f);
}
END_TEST

START_TEST(test_call_failures)
{
	struct fixture f;

	setup(&f);
	feed(&f, "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"unknown\"}}");
	ck_assert_ptr_nonnull(strstr(ccp_strbuf_str(&f.log), "\"code\":-32602"));
	ck_assert_ptr_nonnull(strstr(ccp_strbuf_str(&f.log), "\"didYouMean\":\"one\""));
	ccp_strbuf_clear(&f.log);
	f.context_fails = true;
	feed(&f, CALL("1"));
	check_log(&f, ERROR("1", "-32603", "no context"));
	ck_assert_uint_eq(mcp_running(f.mcp), 0);
	teardown(&f);
}
END_TEST

START_TEST(test_cancelled)
{
	struct fixture f;

	setup(&f);
	feed(&f, CALL("1"));
	ccp_strbuf_clear(&f.log);
	feed(&f, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":\"1\"}}");
	feed(&f, "{\"method\":\"notifications/cancelled\",\"params\":[1]}");
	ck_assert(!f.cp.calls[0].cancelled);
	feed(&f, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
	ck_assert(f.cp.calls[0].cancelled);
	ck_assert_uint_eq(mcp_running(f.mcp), 0);
	check_log(&f, "");
	teardown(&f);
}
END_TEST

START_TEST(test_progress)
{
	struct fixture f;

	setup(&f);
	feed(&f, CALL("1"));
	feed(&f, "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"one\",\"_meta\":{"
		 "\"progressToken\":\"t\"}}}");
	feed(&f, "{\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"one\",\"_meta\":{"
		 "\"progressToken\":[]}}}");
	ccp_strbuf_clear(&f.log);
	ck_assert_ptr_null(f.cp.calls[0].progress);
	ck_assert_ptr_null(f.cp.calls[2].progress);
	f.cp.calls[1].progress("a", f.cp.calls[1].data);
	f.cp.calls[1].progress("b", f.cp.calls[1].data);
	check_log(&f, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
		      "\"progressToken\":\"t\",\"progress\":1,\"message\":\"a\"}}\n"
		      "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{"
		      "\"progressToken\":\"t\",\"progress\":2,\"message\":\"b\"}}\n");
	teardown(&f);
}
END_TEST

#define PING(id) "{\"id\":" id ",\"method\":\"ping\"}"
#define PONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}"

START_TEST(test_batch)
{
	static const struct {
		const char *line, *expected;
	} cases[] = {
		{ "[" PING("1") "," PING("2") "]", "[" PONG("1") "," PONG("2") "]\n" },
		{ "[]", ERROR("null", "-32600", "The batch is empty") },
		{ "[{\"method\":\"notifications/initialized\"},{\"id\":1,\"result\":{}}]", "" },
		{ "[1," PING("3") "]",
		  "[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":"
		  "\"not an object\"}}," PONG("3") "]\n" },
		{ "[{\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		  "\"2025-11-25\"}}]",
		  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":"
		  "\"initialize cannot be part of a batch\"}}]\n" },
		{ "[{\"id\":1,\"method\":\"tools/list\",\"params\":{" META("\"2026-07-28\"",
									   CAPS) "}}]",
		  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,\"message\":"
		  "\"A request of 2026-07-28 cannot be part of a batch\"}}]\n" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct fixture f;

		setup(&f);
		initialize(&f, "2025-03-26");
		feed(&f, cases[i].line);
		check_log(&f, cases[i].expected);
		teardown(&f);
	}
}
END_TEST

START_TEST(test_batch_too_long)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf line = CCP_STRBUF(64 * 1024);
	struct fixture f;

	setup(&f);
	initialize(&f, "2025-03-26");
	ccp_strbuf_append(&line, "[0");
	for (int i = 0; i < 1000; i++)
		ccp_strbuf_append(&line, ",0");
	ccp_strbuf_append(&line, "]");
	feed(&f, ccp_strbuf_str(&line));
	check_log(&f, ERROR("null", "-32600", "A batch may hold 1000 messages"));
	teardown(&f);
}
END_TEST

/* The answer to a batch waits for its slowest call; a cancelled one is left out. */
START_TEST(test_batch_of_calls)
{
	struct fixture f;

	setup(&f);
	initialize(&f, "2025-03-26");
	feed(&f, "[" CALL("1") "," PING("2") "," CALL("3") "]");
	feed(&f, PING("4"));
	check_log(&f,
		  "call one - caller=- sandbox=-\ncall one - caller=- sandbox=-\n" PONG("4") "\n");
	feed(&f, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}}");
	check_log(&f, "");
	answer(&f, 0, "{}", true);
	check_log(&f, "[" PONG("2") ",{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[{"
				    "\"type\":\"text\",\"text\":\"{}\"}],\"isError\":false}}]\n");
	feed(&f, "[" CALL("1") "]");
	ccp_strbuf_clear(&f.log);
	feed(&f, "{\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}");
	check_log(&f, "");
	feed(&f, "[" PING("2") "," CALL("1") "]");
	teardown(&f);
}
END_TEST

START_TEST(test_caller)
{
	static const struct {
		const char *meta, *environment, *thread_id, *sandbox;
	} cases[] = {
		{ "{}", NULL, NULL, NULL },
		{ "{}", "env", "env", NULL },
		{ "{}", "", NULL, NULL },
		{ "{\"threadId\":\"a\"}", "env", "a", NULL },
		{ "{\"threadId\":5}", NULL, NULL, NULL },
		{ "{\"threadId\":\"a\",\"x-codex-turn-metadata\":{\"thread_id\":\"b\","
		  "\"sandbox_mode\":\"read-only\",\"sandbox\":\"seccomp\"}}",
		  NULL, "a", "read-only" },
		{ "{\"x-codex-turn-metadata\":{\"thread_id\":\"b\",\"sandbox\":\"read-only\"}}",
		  "env", "b", "read-only" },
		{ "{\"x-codex-turn-metadata\":\"{\\\"thread_id\\\":\\\"c\\\",\\\"sandbox_mode\\\":"
		  "\\\"workspace-write\\\"}\"}",
		  NULL, "c", "workspace-write" },
		{ "{\"x-codex-turn-metadata\":\"{broken\"}", "env", "env", NULL },
		{ "{\"x-codex-turn-metadata\":\"[]\"}", NULL, NULL, NULL },
		{ "{\"x-codex-turn-metadata\":[]}", NULL, NULL, NULL },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct mcp_caller caller;
		json_t *meta = NULL;

		ck_assert_int_eq(
			ccp_json_parse(cases[i].meta, strlen(cases[i].meta), 0, &meta, NULL), 0);
		ck_assert_int_eq(mcp_caller_init(&caller, meta, cases[i].environment, NULL), 0);
		ck_assert_pstr_eq(caller.thread_id, cases[i].thread_id);
		ck_assert_pstr_eq(caller.sandbox, cases[i].sandbox);
		mcp_caller_done(&caller);
		json_decref(meta);
	}
}
END_TEST

START_TEST(test_caller_of_call)
{
	struct fixture f;

	setup(&f);
	setenv("CODEX_THREAD_ID", "env", 1);
	feed(&f, "{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"one\",\"_meta\":{"
		 "\"threadId\":\"t\",\"x-codex-turn-metadata\":{\"sandbox\":\"read-only\"}}}}");
	feed(&f, CALL("2"));
	check_log(&f, "call one - caller=t sandbox=read-only\ncall one - caller=env sandbox=-\n");
	teardown(&f);
}
END_TEST

CCP_TEST_MAIN("mcp", test_initialize, test_lines, test_garbage, test_long_method, test_modern,
	      test_tools_by_version, test_call, test_call_by_version, test_call_failures,
	      test_cancelled, test_progress, test_batch, test_batch_too_long, test_batch_of_calls,
	      test_caller, test_caller_of_call)
