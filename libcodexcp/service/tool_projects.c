/*
 * codex_list_projects: what lies below the projects root, what the registry names, and where
 * operations ran. The scan of the disk is bounded and runs outside the loop.
 */
#include "base/json.h"
#include "base/str.h"
#include "domain/project.h"
#include "service/tool.h"

#define SCAN_BUDGET_MS 2000
#define PROJECTS_MAX   5000

struct projects_args {
	bool compact, refresh, include_private_details;
	int64_t limit;
	json_t *roots;
};
const size_t ccp_projects_args_size = sizeof(struct projects_args);

#define ARGS struct projects_args
const struct ccp_field ccp_projects_fields[] = {
	CCP_FIELD_INT(ARGS, limit, .def = 200, .min = 1, .max = 1000),
	CCP_FIELD_BOOL(ARGS, compact, .def = 1, .doc = "false: with paths"),
	CCP_FIELD_BOOL(ARGS, include_private_details),
	CCP_FIELD_BOOL(ARGS, refresh),
	CCP_FIELD_STRINGS(ARGS, roots, .max = 50, .item_max = 4096,
			  .doc = "only projects below these"),
	CCP_FIELD_END
};
#undef ARGS

struct scan {
	struct ccp_call *call;
	struct ccp_project_places places;
	struct ccp_project_list list;
	struct codexcp_error err;
	int result;
};

static void scan_done(void *data)
{
	struct scan *scan = data;

	ccp_project_list_done(&scan->list);
	codexcp_error_done(&scan->err);
	free(scan);
}

/* In the thread pool. */
static void work(void *data)
{
	struct scan *scan = data;

	scan->result = ccp_project_scan(&scan->places, PROJECTS_MAX, SCAN_BUDGET_MS, &scan->list,
					&scan->err);
}

static int add_used(const char *path, const char *project_id, int64_t last_at, void *data)
{
	return ccp_project_list_add(data, PROJECTS_MAX, path, ccp_path_base(path), "operations",
				    last_at, NULL);
}

static bool wanted(const struct ccp_project *project, const json_t *roots)
{
	json_t *root;
	size_t i;

	if (!json_array_size(roots))
		return true;
	json_array_foreach (roots, i, root)
		if (ccp_path_is_below(project->path, json_string_value(root)))
			return true;
	return false;
}

static json_t *project_json(const struct ccp_project *project, bool with_path)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "projectId", project->id);
	ccp_json_set_str(&o, "name", project->name);
	if (with_path)
		ccp_json_set_str(&o, "path", project->path);
	ccp_json_set_str(&o, "source", project->source);
	ccp_json_set_time(&o, "lastActivityAt", project->last_activity_at);
	return o;
}

static json_t *answer_of(const struct scan *scan, const struct projects_args *args)
{
	json_t *answer = json_object(), *projects = json_array();
	bool with_path = !args->compact || args->include_private_details;
	int64_t total = 0;

	for (size_t i = 0; i < scan->list.n; i++) {
		if (!wanted(&scan->list.items[i], args->roots))
			continue;
		if (++total <= args->limit)
			ccp_json_append_new(&projects,
					    project_json(&scan->list.items[i], with_path));
	}
	ccp_json_set_bool(&answer, "ok", true);
	ccp_json_set_int(&answer, "totalCount", total);
	ccp_json_set_int(&answer, "returnedCount", CCP_MIN(total, args->limit));
	ccp_json_set_bool(&answer, "truncated", total > args->limit || scan->list.truncated);
	ccp_json_set_bool(&answer, "compact", args->compact);
	ccp_json_set_new(&answer, "projects", projects);
	return answer;
}

static void scanned(void *data)
{
	struct scan *scan = data;
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = scan->call;
	struct ccp_db *db = NULL;

	/* The context may have been closed meanwhile. */
	if (call->answered)
		return;
	if (scan->result < 0) {
		ccp_handled(ccp_call_fail(call, &scan->err));
		return;
	}
	if (ccp_state_reader(call->cp, &db, NULL) == 1)
		(void)ccp_op_each_project(db, add_used, &scan->list, NULL);
	ccp_handled(ccp_call_reply(call, answer_of(scan, call->args)));
}

CCP_TOOL_HANDLER(ccp_tool_list_projects)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct scan *scan = calloc(1, sizeof(*scan));

	if (!scan) {
		ccp_fail_oom(&err);
		return ccp_call_fail(call, &err);
	}
	call->state = scan;
	call->done = scan_done;
	scan->places = ccp_context_places(cp);
	scan->call = ccp_call_ref(call);
	if (ccp_loop_work(cp->loop, work, scanned, scan, &err) < 0) {
		ccp_call_unref(call);
		return ccp_call_fail(call, &err);
	}
	return ccp_call_later(call);
}
