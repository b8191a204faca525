/*
 * codex_health_summary: what this installation is, and whether a task that is submitted now would
 * run.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/roots.h"
#include "service/codex_binary.h"
#include "service/tool.h"
#include "service/worker_info.h"

#define ACTIVE_SHOWN  10
#define STALLED_SHOWN 20

struct health_args {
	const char *operation_id, *unused_text;
	int64_t unused_number;
	bool unused_flag;
};
const size_t ccp_health_args_size = sizeof(struct health_args);

#define ARGS struct health_args
#define HIDDEN(field, kind, member)                                                                \
	{                                                                                          \
		.name = (field), .type = (kind), .flags = CCP_FIELD_HIDDEN | CCP_FIELD_NULLABLE,   \
		.offset = offsetof(ARGS, member)                                                   \
	}
const struct ccp_field ccp_health_fields[] = {
	CCP_FIELD_STRING(ARGS, operation_id, .flags = CCP_FIELD_NULLABLE,
			 .doc = "only what concerns it"),
	/* Filters of the diagnosis, which existing clients send: accepted, and without effect
	 * yet. */
	HIDDEN("workflow_id", CCP_TYPE_STRING, unused_text),
	HIDDEN("thread_id", CCP_TYPE_STRING, unused_text),
	HIDDEN("turn_id", CCP_TYPE_STRING, unused_text),
	HIDDEN("action_id", CCP_TYPE_STRING, unused_text),
	HIDDEN("command_id", CCP_TYPE_STRING, unused_text),
	HIDDEN("since_minutes", CCP_TYPE_INT, unused_number),
	HIDDEN("stale_after_minutes", CCP_TYPE_INT, unused_number),
	HIDDEN("max_recent_errors", CCP_TYPE_INT, unused_number),
	HIDDEN("include_recent_errors", CCP_TYPE_BOOL, unused_flag), CCP_FIELD_END
};
#undef HIDDEN
#undef ARGS

static json_t *version_json(void)
{
	json_t *o = json_object();
	char hash[65];
	size_t n;

	(void)ccp_tools(&n);
	ccp_json_set_str(&o, "serverName", "codex-control-plane-mcp");
	ccp_json_set_str(&o, "serverVersion", CCP_VERSION);
	ccp_json_set_str(&o, "contractVersion", CODEXCP_CONTRACT_VERSION);
	ccp_json_set_str(&o, "statusContract", "status-v2");
	ccp_json_set_int(&o, "toolCount", (int64_t)n);
	if (ccp_tool_surface_hash(hash))
		ccp_json_set_str(&o, "toolSurfaceHash", hash);
	return o;
}

static json_t *worker_json(struct codexcp *cp, const struct ccp_worker_row *row)
{
	static const char *const shown[] = {
		"workerId", "role",      "status",    "pid",
		"version",  "startedAt", "lastError", "lastHeartbeatAt"
	};
	json_auto_t *worker = NULL;
	json_t *o = json_object();

	ccp_json_set_str(&o, "executionMode", ccp_context_mode_name(cp));
	ccp_json_set_bool(&o, "connected", ccp_context_worker_alive(cp));
	ccp_json_set_str(&o, "problem", ccp_context_trouble(cp));
	if (!row->id)
		return o;
	worker = ccp_worker_json(row, ccp_clock_wall(ccp_context_clock(cp)), CCP_WORKER_BRIEF);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(shown); i++)
		ccp_json_set(&o, shown[i], json_object_get(worker, shown[i]));
	return o;
}

static json_t *app_server_json(struct ccp_db *db, const char *binary,
			       const struct codexcp_error *missing)
{
	json_t *o = ccp_app_server_json(db);

	ccp_json_set_str(&o, "codexBinaryPath", binary);
	ccp_json_set_bool(&o, "codexBinaryExists", binary != NULL);
	if (missing->code)
		ccp_json_set_str(&o, "problem", missing->message);
	return o;
}

struct active_list {
	json_t *array;
	const char *only;
};

static int add_active(const struct ccp_op *op, void *data)
{
	struct active_list *list = data;
	json_t *o;

	if (list->only && !ccp_streq(list->only, op->id))
		return 0;
	o = json_object();
	ccp_json_set_str(&o, "operationId", op->id);
	ccp_json_set_str(&o, "status", op->status);
	ccp_json_set_str(&o, "threadId", op->thread_id);
	ccp_json_set_str(&o, "turnId", op->turn_id);
	ccp_json_set_time(&o, "startedAt", op->started_at);
	ccp_json_append_new(&list->array, o);
	return json_array_size(list->array) >= ACTIVE_SHOWN;
}

static json_t *work_json(struct ccp_db *db, const char *only, const struct ccp_op_counts *counts)
{
	struct active_list list = { json_array(), only };
	struct ccp_op_quota quota = { 0 };
	json_t *o = ccp_counts_json(counts);

	if (db)
		(void)ccp_op_quota(db, &quota, NULL);
	if (db)
		(void)ccp_op_each_active(db, add_active, &list, NULL);
	ccp_json_set_time(&o, "accountHeldUntil", quota.until);
	ccp_json_set_new(&o, "operations", list.array);
	return o;
}

struct stalled_list {
	json_t *array;
	const char *only;
	int64_t now, n;
};

static int add_stalled(const struct ccp_op *op, void *data)
{
	struct stalled_list *list = data;
	json_t *o;

	if (!op->stalled_at || (list->only && !ccp_streq(list->only, op->id)) ||
	    list->n++ >= STALLED_SHOWN)
		return 0;
	o = json_object();
	ccp_json_set_str(&o, "operationId", op->id);
	ccp_json_set_str(&o, "threadId", op->thread_id);
	ccp_json_set_str(&o, "turnId", op->turn_id);
	ccp_json_set_str(&o, "status", op->status);
	ccp_json_set_time(&o, "updatedAt", op->updated_at);
	ccp_json_set_time(&o, "stalledSince", op->stalled_at);
	ccp_json_set_int(&o, "stalenessSeconds", CCP_MAX(list->now - op->stalled_at, 0) / 1000);
	ccp_json_set_bool(&o, "hasPendingInteraction", false);
	ccp_json_set_str(&o, "evidence", op->stall_evidence);
	ccp_json_append_new(&list->array, o);
	return 0;
}

static json_t *supervisor_json(struct codexcp *cp, struct ccp_db *db, const char *only)
{
	struct stalled_list list = { .array = json_array(),
				     .only = only,
				     .now = ccp_clock_wall(ccp_context_clock(cp)) };
	bool interrupts = cp->config->stalled_turn_action == CCP_STALLED_INTERRUPT;
	json_t *o = json_object();

	if (db)
		(void)ccp_op_each_active(db, add_stalled, &list, NULL);
	ccp_json_set_bool(&o, "enabled", true);
	ccp_json_set_str(&o, "mode", interrupts ? "interrupt" : "diagnose_only");
	ccp_json_set_int(&o, "timeoutSeconds", cp->config->turn_stall_timeout_seconds);
	ccp_json_set_int(&o, "checkSeconds", cp->config->turn_check_seconds);
	ccp_json_set_int(&o, "stalledTurnCount", list.n);
	ccp_json_set_new(&o, "stalledTurns", list.array);
	ccp_json_set_bool(&o, "automaticInterruptEnabled", interrupts);
	if (list.n && !interrupts)
		ccp_json_set_str(&o, "nextRecommendedAction", "interrupt_turn");
	return o;
}

static json_t *paths_json(const struct codexcp *cp, const struct ccp_roots *allowed)
{
	const struct ccp_config *config = cp->config;
	json_t *o = json_object(), *roots = json_array();

	for (size_t i = 0; i < allowed->n; i++)
		ccp_json_append_new(&roots, json_string(allowed->paths[i]));
	ccp_json_set_str(&o, "stateDb", config->state_db_path);
	ccp_json_set_str(&o, "codexHome", config->codex_home);
	ccp_json_set_str(&o, "projectsRoot", config->projects_root);
	ccp_json_set_new(&o, "allowedRoots", roots);
	ccp_json_set_str(&o, "configFile", config->config_file);
	ccp_json_set_str(&o, "worker", cp->worker_path);
	return o;
}

static const char *overall(const struct codexcp_error *binary, const struct codexcp_error *state,
			   const char *trouble)
{
	return state->code ? "broken" : binary->code || trouble != NULL ? "degraded" : "healthy";
}

static json_t *answer_of(struct codexcp *cp, const struct health_args *args, struct ccp_db *db,
			 const struct codexcp_error *state)
{
	_cleanup_worker_row_ struct ccp_worker_row worker = { 0 };
	_cleanup_error_ struct codexcp_error missing = { 0 };
	_cleanup_(ccp_roots_done) struct ccp_roots roots = { 0 };
	_cleanup_free_ char *binary = NULL;
	const struct ccp_project_places places = ccp_context_places(cp);
	struct ccp_op_counts counts = { 0 };
	json_t *answer = json_object(), *warnings;

	(void)ccp_codex_binary_find(cp->config->codex_binary_path,
				    (const char *const *)cp->environment, &binary, &missing);
	if (db) {
		(void)ccp_worker_latest(db, &worker, NULL);
		(void)ccp_op_count(db, &counts, NULL);
	}
	(void)ccp_roots_init(&roots, &places, NULL);
	warnings = ccp_context_warnings(cp, &roots);
	ccp_json_set_bool(&answer, "ok", true);
	ccp_json_set_time(&answer, "generatedAt", ccp_clock_wall(ccp_context_clock(cp)));
	ccp_json_set_str(&answer, "overallStatus",
			 overall(&missing, state, ccp_context_trouble(cp)));
	ccp_json_set_new(&answer, "version", version_json());
	ccp_json_set_new(&answer, "worker", worker_json(cp, &worker));
	ccp_json_set_new(&answer, "appServer", app_server_json(db, binary, &missing));
	ccp_json_set_new(&answer, "activeWork", work_json(db, args->operation_id, &counts));
	ccp_json_set_new(&answer, "stallSupervisor", supervisor_json(cp, db, args->operation_id));
	ccp_json_set_new(&answer, "paths", paths_json(cp, &roots));
	if (json_array_size(warnings))
		ccp_json_set(&answer, "warnings", warnings);
	json_decref(warnings);
	if (state->code)
		ccp_json_set_new(&answer, "stateProblem", ccp_error_json(state));
	ccp_json_set_str(&answer, "nextRecommendedAction",
			 missing.code || state->code ? "inspect_diagnostics" : "none");
	ccp_json_set_int(&answer, "recommendedPollAfterSeconds", counts.active ? 15 : 0);
	ccp_json_set_bool(&answer, "pollRecommended", counts.active > 0);
	return answer;
}

CCP_TOOL_HANDLER(ccp_tool_health_summary)
{
	const struct health_args *args = arguments;
	_cleanup_error_ struct codexcp_error state = { 0 };
	struct ccp_db *db = NULL;

	/* A state that cannot be read is what this answer is for. */
	(void)ccp_state_reader(cp, &db, &state);
	if (db)
		codexcp_look_for_work(cp);
	return ccp_call_reply(call, answer_of(cp, args, db, &state));
}
