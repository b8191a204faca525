#include "admin/smoke.h"

#include <inttypes.h>
#include <string.h>

#include "admin/mcp_client.h"
#include "admin/steps.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#define SERVER_NAME    "codex-control-plane-mcp"
#define LEGACY_VERSION "2025-11-25"
#define MODERN_VERSION "2026-07-28"
#define ANSWER_MS      15000
#define TASK_MS        300000
#define WAIT_SECONDS   30
#define REPORT_SHOWN   200
#define PROMPT                                                                                     \
	"MCP LIVE TEST / DO NOT MODIFY FILES\n\nThis is smoke test %s. Change nothing, run no "    \
	"command, and answer with one short sentence that says that you are ready."

struct smoke {
	const struct smoke_plan *plan;
	struct mcp_client *client;
	int64_t deadline_ms; /* of the task */
	char request_id[CCP_ID_SIZE];
	json_t *arguments; /* of the submit */
	json_t *status;    /* of the operation, as last seen */
	bool unfinished;   /* the operation is there and may still run */
	json_t *report;
};

static int64_t now_ms(void)
{
	return ccp_clock_boot(ccp_clock_system());
}

static int request(struct smoke *smoke, const char *method, json_t *params, json_t **ret_result,
		   struct codexcp_error *err)
{
	return mcp_client_request(smoke->client, method, params, ANSWER_MS, ret_result, err);
}

static json_t *client_info(void)
{
	return json_pack("{s:s, s:s}", "name", ADMIN_PROGRAM, "version", codexcp_version());
}

/* What every request of the modern era carries. */
static json_t *modern_params(void)
{
	return json_pack("{s:{s:s, s:o, s:{}}}", "_meta", "io.modelcontextprotocol/protocolVersion",
			 MODERN_VERSION, "io.modelcontextprotocol/clientInfo", client_info(),
			 "io.modelcontextprotocol/clientCapabilities");
}

/* ---- protocol ---- */

static int start(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	const struct mcp_client_options options = {
		.server = smoke->plan->server,
		.environment = (const char *const *)smoke->plan->environment,
		.cwd = smoke->plan->cwd,
	};

	ccp_strbuf_append(detail, smoke->plan->server);
	return mcp_client_open(&options, &smoke->client, err);
}

static int initialize(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	json_auto_t *result = NULL;
	const char *name, *version;
	int r = request(smoke, "initialize",
			json_pack("{s:s, s:{}, s:o}", "protocolVersion", LEGACY_VERSION,
				  "capabilities", "clientInfo", client_info()),
			&result, err);

	if (r < 0)
		return r;
	name = json_string_value(ccp_json_path(result, "serverInfo.name"));
	version = json_string_value(ccp_json_path(result, "serverInfo.version"));
	if (!ccp_streq(name, SERVER_NAME))
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the server says that it is %s",
				name ? name : "nobody");
	ccp_json_set(&smoke->report, "serverInfo", ccp_json_obj(result, "serverInfo"));
	ccp_strbuf_appendf(detail, "%s %s, protocol %s", name, version ? version : "",
			   ccp_json_str(result, "protocolVersion"));
	return mcp_client_notify(smoke->client, "notifications/initialized", err);
}

static int ping(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	json_auto_t *result = NULL;

	return request(data, "ping", NULL, &result, err);
}

/* Steals params. */
static int list_tools(struct smoke *smoke, json_t *params, struct ccp_strbuf *detail,
		      struct codexcp_error *err)
{
	json_auto_t *result = NULL;
	size_t n;
	int r = request(smoke, "tools/list", params, &result, err);

	if (r < 0)
		return r;
	n = json_array_size(ccp_json_arr(result, "tools"));
	if (!n)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the server has no tools");
	ccp_strbuf_appendf(detail, "%zu tools", n);
	return 0;
}

static int tools_list(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	return list_tools(data, NULL, detail, err);
}

static int discover(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	json_auto_t *result = NULL;
	const json_t *version;
	size_t i;
	int r = request(data, "server/discover", modern_params(), &result, err);

	if (r < 0)
		return r;
	json_array_foreach (ccp_json_arr(result, "supportedVersions"), i, version)
		if (ccp_streq(json_string_value(version), MODERN_VERSION)) {
			ccp_strbuf_append(detail, "protocol " MODERN_VERSION);
			return 0;
		}
	return ccp_fail(err, CODEXCP_E_INTERNAL, "the server does not support %s", MODERN_VERSION);
}

static int modern_tools_list(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	return list_tools(data, modern_params(), detail, err);
}

static int end(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	int status = 0;
	int r = mcp_client_close(smoke->client, ANSWER_MS, &status, err);

	if (r < 0)
		return r;
	ccp_json_set_int(&smoke->report, "returnCode", status);
	if (status)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the server has ended with %d", status);
	ccp_strbuf_append(detail, "the server leaves when its input ends");
	return 0;
}

/* ---- safe-operation ---- */

/* The payload of a tool; one that says ok:false is an error with its message. Steals arguments. */
static int call_tool(struct smoke *smoke, const char *tool, json_t *arguments, int64_t timeout_ms,
		     json_t **ret_payload, struct codexcp_error *err)
{
	json_auto_t *result = NULL;
	json_t *payload;
	const char *message;
	int r = mcp_client_request(smoke->client, "tools/call",
				   json_pack("{s:s, s:o}", "name", tool, "arguments", arguments),
				   timeout_ms, &result, err);

	if (r < 0)
		return r;
	payload = ccp_json_obj(result, "structuredContent");
	if (ccp_json_bool(payload, "ok", false)) {
		*ret_payload = json_incref(payload);
		return 0;
	}
	message = json_string_value(ccp_json_path(payload, "error.message"));
	ccp_fail(err, CODEXCP_E_SEND_FAILED, "%s: %s", tool, message ? message : "no answer");
	ccp_error_add(err, "error", json_incref(ccp_json_obj(payload, "error")));
	return CODEXCP_E_SEND_FAILED;
}

static void see_status(struct smoke *smoke, json_t *status)
{
	json_decref(smoke->status);
	smoke->status = json_incref(status);
	smoke->unfinished = ccp_json_bool(status, "pollRecommended", false);
}

static int submit(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	json_auto_t *payload = NULL;
	const char *id;
	int r = call_tool(smoke, "codex_submit_task", json_incref(smoke->arguments), ANSWER_MS,
			  &payload, err);

	if (r < 0)
		return r;
	id = ccp_json_str(payload, "operationId");
	if (!id)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the acknowledgement has no operationId");
	see_status(smoke, payload);
	smoke->unfinished = true;
	ccp_json_set_str(&smoke->report, "operationId", id);
	ccp_strbuf_append(detail, id);
	return 0;
}

static int retry(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	json_auto_t *payload = NULL;
	int r = call_tool(smoke, "codex_submit_task", json_incref(smoke->arguments), ANSWER_MS,
			  &payload, err);

	if (r < 0)
		return r;
	if (!ccp_streq(ccp_json_str(payload, "operationId"),
		       ccp_json_str(smoke->report, "operationId")))
		return ccp_fail(err, CODEXCP_E_INTERNAL,
				"the same client_request_id has made another operation, %s",
				ccp_json_str(payload, "operationId"));
	ccp_strbuf_append(detail, "the same client_request_id gives the same operation");
	return 0;
}

/* One codex_wait: 1 the operation has ended, 0 ask again. */
static int wait_once(struct smoke *smoke, int64_t left_ms, struct codexcp_error *err)
{
	json_auto_t *payload = NULL;
	int64_t seconds = CCP_CLAMP(left_ms / 1000, 1, WAIT_SECONDS);
	const char *reason;
	int r = call_tool(smoke, "codex_wait",
			  json_pack("{s:O, s:I}", "operation_id",
				    json_object_get(smoke->report, "operationId"),
				    "timeout_seconds", (json_int_t)seconds),
			  seconds * 1000 + ANSWER_MS, &payload, err);

	if (r < 0)
		return r;
	see_status(smoke, payload);
	reason = json_string_value(ccp_json_path(payload, "waited.reason"));
	if (ccp_streq(reason, "needs_attention"))
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the operation waits for somebody: %s",
				ccp_json_str(payload, "status"));
	return ccp_streq(reason, "terminal");
}

static int fail_by_status(const json_t *status, struct codexcp_error *err)
{
	const char *message = json_string_value(ccp_json_path(status, "error.message"));
	const char *state = ccp_json_str(status, "status");

	return ccp_fail(err, CODEXCP_E_SEND_FAILED, "the operation is %s%s%s",
			state ? state : "lost", message ? ": " : "", message ? message : "");
}

static int wait_for_end(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	const char *why;
	int64_t left;
	int r = 0;

	while (r == 0 && (left = smoke->deadline_ms - now_ms()) > 0)
		r = wait_once(smoke, left, err);
	if (r < 0)
		return r;
	why = json_string_value(ccp_json_path(smoke->status, "workerState.problem"));
	if (r == 0)
		return ccp_fail(err, CODEXCP_E_TIMEOUT, "the operation is still %s%s%s",
				ccp_json_str(smoke->status, "status"), why ? ": " : "",
				why ? why : "");
	smoke->unfinished = false;
	if (!ccp_streq(ccp_json_str(smoke->status, "status"), "completed"))
		return fail_by_status(smoke->status, err);
	ccp_strbuf_append(detail, "completed");
	return 0;
}

static int read_report(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	json_t *report = ccp_json_obj(smoke->status, "finalReport");
	const char *text = ccp_json_str(report, "text");

	if (ccp_str_blank(text))
		return ccp_fail(err, CODEXCP_E_INTERNAL, "the completed operation has no report");
	ccp_json_set(&smoke->report, "finalReport", report);
	ccp_strbuf_append_n(detail, text, ccp_utf8_clip(text, strlen(text), REPORT_SHOWN));
	return 0;
}

/* A task that did not end in time would go on after us. */
static int interrupt(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct smoke *smoke = data;
	json_auto_t *payload = NULL;

	ccp_strbuf_append(detail, "the operation was told to stop");
	return call_tool(
		smoke, "codex_interrupt_turn",
		json_pack("{s:O}", "operation_id", json_object_get(smoke->report, "operationId")),
		ANSWER_MS, &payload, err);
}

/* ---- scenarios ---- */

static const struct step protocol_steps[] = {
	{ "start", start },
	{ "initialize", initialize },
	{ "ping", ping },
	{ "tools/list", tools_list },
	{ "server/discover", discover },
	{ "tools/list, modern", modern_tools_list },
	{ "end", end },
	{ NULL },
};

static const struct step operation_steps[] = {
	{ "start", start },       { "initialize", initialize },
	{ "submit", submit },     { "retry", retry },
	{ "wait", wait_for_end }, { "report", read_report },
	{ "end", end },           { NULL },
};

static const struct step interrupt_step = { "interrupt", interrupt };

static const struct scenario {
	const char *name;
	const struct step *steps;
} scenarios[] = {
	{ "protocol", protocol_steps },
	{ "safe-operation", operation_steps },
};

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(scenarios); i++)
		if (ccp_streq(scenarios[i].name, name))
			return &scenarios[i];
	return NULL;
}

int smoke_check_scenario(const char *name, struct codexcp_error *err)
{
	static const char *const names[] = { "protocol", "safe-operation", NULL };

	if (find_scenario(name))
		return 0;
	return ccp_fail_argument(err, "--scenario", "protocol or safe-operation",
				 ccp_str_nearest(name, names));
}

static json_t *submit_arguments(const struct smoke *smoke)
{
	json_auto_t *prompt = json_sprintf(PROMPT, smoke->request_id);

	return json_pack("{s:s, s:O, s:s, s:s, s:s, s:s, s:s}", "operation_type", "start_chat",
			 "message", prompt, "cwd", smoke->plan->cwd, "sandbox", "read-only",
			 "approval_policy", "never", "title", "Smoke test", "client_request_id",
			 smoke->request_id);
}

static void smoke_done(struct smoke *smoke)
{
	mcp_client_free(smoke->client);
	json_decref(smoke->arguments);
	json_decref(smoke->status);
	json_decref(smoke->report);
}

static bool run_steps(struct smoke *smoke, const struct step *step, json_t **steps)
{
	for (; step->name; step++) {
		if (step_run(step, smoke, steps))
			continue;
		if (smoke->unfinished)
			(void)step_run(&interrupt_step, smoke, steps);
		return false;
	}
	return true;
}

json_t *smoke_run(const struct smoke_plan *plan)
{
	_cleanup_(smoke_done) struct smoke smoke = { .plan = plan, .report = json_object() };
	json_t *steps = json_array();
	bool ok;

	if (ccp_random_init() < 0)
		return NULL;
	ccp_id_new("smoke-", smoke.request_id);
	if (plan->cwd)
		smoke.arguments = submit_arguments(&smoke);
	smoke.deadline_ms = now_ms() + (plan->timeout_ms ? plan->timeout_ms : TASK_MS);
	ccp_json_set_bool(&smoke.report, "ok", false);
	ccp_json_set_str(&smoke.report, "scenario", plan->scenario);
	ok = run_steps(&smoke, find_scenario(plan->scenario)->steps, &steps);
	ccp_json_set_bool(&smoke.report, "ok", ok);
	ccp_json_set_new(&smoke.report, "steps", steps);
	return json_incref(smoke.report);
}

bool smoke_plan_init(struct smoke_plan *plan, const struct admin_setup *setup,
		     char ***ret_environment)
{
	*ret_environment = admin_client_environment(setup);
	plan->server = ccp_json_str(setup->config, "server");
	plan->environment = *ret_environment;
	return *ret_environment;
}

json_t *smoke_protocol(const struct admin_setup *setup, bool skip)
{
	_cleanup_(admin_environment_freep) char **environment = NULL;
	struct smoke_plan plan = { .scenario = "protocol" };

	if (skip)
		return json_pack("{s:b}", "skipped", true);
	return smoke_plan_init(&plan, setup, &environment) ? smoke_run(&plan) : NULL;
}
