#include "service/config.h"

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "ccp_check.h"
#include "service/config_option.h"

/* A directory with a configuration file. */
struct world {
	char *dir, *file;
};

static struct world make_world(const char *text)
{
	char *dir = ccp_test_make_dir();
	struct world w = { dir, ccp_path_join(dir, "config.json") };

	ck_assert_int_eq(ccp_file_replace(w.file, text, strlen(text), 0600, NULL), 0);
	return w;
}

static void drop_world(struct world *w)
{
	free(w->file);
	ccp_test_remove_dir(w->dir);
}

/* With HOME=/home/me, started in /start, and these variables. */
#define LOAD(file, err, ...)                                                                       \
	load(file, (const char *const[]){ "HOME=/home/me", ##__VA_ARGS__, NULL }, err)

static struct ccp_config *load(const char *file, const char *const *environment,
			       struct codexcp_error *err)
{
	struct ccp_config *config = NULL;
	int r = ccp_config_load(environment, file, "/start", &config, err);

	ck_assert_int_eq(r == 0, config != NULL);
	ck_assert_int_eq(r, err->code);
	return config;
}

static struct ccp_config *load_good(const char *file, const char *const *environment)
{
	struct codexcp_error err = { 0 };
	struct ccp_config *config = load(file, environment, &err);

	ck_assert_msg(config != NULL, "%s", err.message);
	return config;
}

#define LOAD_GOOD(file, ...)                                                                       \
	load_good(file, (const char *const[]){ "HOME=/home/me", ##__VA_ARGS__, NULL })

static void check_warning(const struct ccp_config *config, size_t i, const char *text)
{
	const char *warning = json_string_value(json_array_get(config->warnings, i));

	ck_assert_msg(warning && strstr(warning, text), "%s, not %s", warning, text);
}

START_TEST(test_defaults)
{
	struct ccp_config *c = LOAD_GOOD(NULL);

	ck_assert_ptr_null(c->config_file);
	ck_assert_str_eq(c->cwd, "/start");
	ck_assert_str_eq(c->codex_home, "/home/me/.codex");
	ck_assert_ptr_null(c->projects_root);
	ck_assert_ptr_null(c->allowed_roots[0]);
	ck_assert(!c->roots_configured);
	ck_assert_ptr_null(c->projects_registry_path);
	ck_assert_ptr_null(c->codex_binary_path);
	ck_assert_str_eq(c->state_db_path,
			 "/home/me/.local/state/codex-control-plane-mcp/codex-mcp-state.sqlite3");
	ck_assert_str_eq(c->state_dir, "/home/me/.local/state/codex-control-plane-mcp");
	ck_assert_ptr_null(c->app_server_env[0]);
	ck_assert_str_eq(c->default_approval_policy, "on-request");
	ck_assert_int_eq(c->default_sandbox, CCP_SANDBOX_READ_ONLY);
	ck_assert_int_eq(c->max_sandbox, CCP_SANDBOX_UNSET);
	ck_assert_ptr_null(c->min_approval);
	ck_assert_ptr_null(c->default_model);
	ck_assert_ptr_null(c->default_effort);
	ck_assert_ptr_null(c->default_summary);
	ck_assert_int_eq(c->execution_mode, CCP_MODE_AUTO);
	ck_assert_uint_eq(json_array_size(c->warnings), 0);
	ccp_config_free(c);
}
END_TEST

START_TEST(test_default_numbers)
{
	struct ccp_config *c = LOAD_GOOD(NULL);

	ck_assert_int_eq(c->max_depth, 0);
	ck_assert_int_eq(c->max_active_turns_global, 4);
	ck_assert_int_eq(c->max_active_turns_per_project, 3);
	ck_assert_int_eq(c->max_active_turns_per_agent, 3);
	ck_assert_int_eq(c->max_active_turns_per_thread, 1);
	ck_assert_int_eq(c->max_active_write_turns_per_project, 1);
	ck_assert_int_eq(c->max_app_server_pending_requests, 8);
	ck_assert_int_eq(c->max_image_input_items, 10);
	ck_assert_int_eq(c->max_image_input_bytes, 20000000);
	ck_assert_int_eq(c->worker_idle_seconds, 600);
	ck_assert_int_eq(c->worker_drain_seconds, 30);
	ck_assert_int_eq(c->app_server_idle_seconds, 600);
	ck_assert_int_eq(c->approval_response_timeout_seconds, 900);
	ccp_config_free(c);
}
END_TEST

START_TEST(test_environment)
{
	struct ccp_config *c = LOAD_GOOD(
		NULL, "CODEX_HOME=/c/./home/", "CODEX_PROJECTS_ROOT=code/x/..",
		"CODEX_MCP_STATE_DB=/s/db", "CODEX_BINARY_PATH=bin/codex",
		"CODEX_MCP_DEFAULT_MODEL=gpt", "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=64",
		"CODEX_MCP_EXECUTION_MODE=Client", "XDG_STATE_HOME=/unused");

	ck_assert_str_eq(c->codex_home, "/c/home");
	ck_assert_str_eq(c->projects_root, "/start/code");
	ck_assert_str_eq(c->projects_registry_path, "/start/code/projects.json");
	ck_assert_str_eq(c->state_db_path, "/s/db");
	ck_assert_str_eq(c->state_dir, "/s");
	ck_assert_str_eq(c->codex_binary_path, "/start/bin/codex");
	ck_assert_str_eq(c->default_model, "gpt");
	ck_assert_int_eq(c->max_active_turns_global, 64);
	ck_assert_int_eq(c->execution_mode, CCP_MODE_CLIENT);
	ccp_config_free(c);
}
END_TEST

START_TEST(test_precedence)
{
	struct world w = make_world("{\"default_model\": \"file\", \"default_effort\": \"file\","
				    " \"default_summary\": null, \"max_depth\": 1}");
	struct ccp_config *c = LOAD_GOOD(w.file, "CODEX_MCP_DEFAULT_MODEL=variable",
					 "CODEX_MCP_DEFAULT_EFFORT=", "CODEX_MCP_MAX_DEPTH=2");

	ck_assert_str_eq(c->config_file, w.file);
	ck_assert_str_eq(c->default_model, "variable");
	ck_assert_str_eq(c->default_effort, "file");
	ck_assert_ptr_null(c->default_summary);
	ck_assert_int_eq(c->max_depth, 2);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_which_file)
{
	struct world w = make_world("{\"default_model\": \"new\"}");
	struct world old = make_world("\xef\xbb\xbf{\"default_model\": \"old\"}");
	char *name = ccp_asprintf("CODEX_CONTROL_PLANE_MCP_CONFIG=%s", w.file);
	char *old_name = ccp_asprintf("OPENCLAW_CODEX_MCP_CONFIG=%s", old.file);
	struct ccp_config *c = LOAD_GOOD(NULL, old_name, name);

	ck_assert_str_eq(c->default_model, "new");
	ccp_config_free(c);
	c = LOAD_GOOD(NULL, old_name);
	ck_assert_str_eq(c->default_model, "old");
	ccp_config_free(c);
	c = LOAD_GOOD(old.file, name);
	ck_assert_str_eq(c->default_model, "old");
	ccp_config_free(c);
	free(name);
	free(old_name);
	drop_world(&w);
	drop_world(&old);
}
END_TEST

START_TEST(test_file_paths)
{
	struct world w = make_world(
		"{\"codex_home\": \"sub/../home\", \"state_db_path\": \"/s/db\"}");
	char *expected = ccp_path_join(w.dir, "home");
	struct ccp_config *c = LOAD_GOOD(w.file);

	ck_assert_str_eq(c->codex_home, expected);
	ck_assert_str_eq(c->state_db_path, "/s/db");
	free(expected);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_state_home)
{
	struct ccp_config *c = LOAD_GOOD(NULL, "XDG_STATE_HOME=/xdg");

	ck_assert_str_eq(c->state_dir, "/xdg/codex-control-plane-mcp");
	ccp_config_free(c);
	c = LOAD_GOOD(NULL, "XDG_STATE_HOME=relative");
	ck_assert_str_eq(c->state_dir, "/home/me/.local/state/codex-control-plane-mcp");
	ccp_config_free(c);
}
END_TEST

START_TEST(test_roots)
{
	char *dir = ccp_test_make_dir(), *real, *variable, *link;
	struct ccp_config *c;

	ck_assert_int_eq(ccp_path_canonical(dir, &real, NULL), 0);
	link = ccp_path_join(dir, "link");
	ck_assert_int_eq(symlink(".", link), 0);
	variable = ccp_asprintf("CODEX_ALLOWED_ROOTS= %s ;; ;none;", link);
	c = LOAD_GOOD(NULL, variable);
	ck_assert(c->roots_configured);
	ck_assert_str_eq(c->allowed_roots[0], real);
	ck_assert_str_eq(c->allowed_roots[1], "/start/none");
	ck_assert_ptr_null(c->allowed_roots[2]);
	ck_assert_uint_eq(json_array_size(c->warnings), 1);
	check_warning(c, 0, "CODEX_ALLOWED_ROOTS: /start/none does not exist");
	ccp_config_free(c);
	free(variable);
	free(link);
	free(real);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_roots_in_file)
{
	static const char *const texts[] = { "[\"/\", \"/;x\"]", "\"/;/\"", "[]", "\";\"", "null" };
	static const char *const roots[][2] = { { "/", "/;x" }, { "/", "/" } };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(texts); i++) {
		char *text = ccp_asprintf("{\"allowed_roots\": %s}", texts[i]);
		struct world w = make_world(text);
		struct ccp_config *c = LOAD_GOOD(w.file);

		ck_assert_int_eq(c->roots_configured, i < CCP_ARRAY_SIZE(roots));
		for (size_t k = 0; i < CCP_ARRAY_SIZE(roots) && k < 2; k++)
			ck_assert_str_eq(c->allowed_roots[k], roots[i][k]);
		ck_assert_ptr_null(c->allowed_roots[c->roots_configured ? 2 : 0]);
		ccp_config_free(c);
		drop_world(&w);
		free(text);
	}
}
END_TEST

START_TEST(test_sandboxes)
{
	static const struct {
		const char *text;
		enum ccp_sandbox sandbox;
	} rows[] = {
		{ "read-only", CCP_SANDBOX_READ_ONLY },
		{ "readOnly", CCP_SANDBOX_READ_ONLY },
		{ "workspace_write", CCP_SANDBOX_WORKSPACE_WRITE },
		{ "workspacewrite", CCP_SANDBOX_WORKSPACE_WRITE },
		{ "dangerFullAccess", CCP_SANDBOX_DANGER_FULL_ACCESS },
		{ "{\"type\": \"workspaceWrite\"}", CCP_SANDBOX_WORKSPACE_WRITE },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		char *first = ccp_asprintf("CODEX_MCP_DEFAULT_SANDBOX=%s", rows[i].text);
		char *ceiling = ccp_asprintf("CODEX_MCP_MAX_SANDBOX=%s", rows[i].text);
		struct ccp_config *c = LOAD_GOOD(NULL, "CODEX_MCP_DEFAULT_SANDBOX_POLICY=bad",
						 first, ceiling);

		ck_assert_int_eq(c->default_sandbox, rows[i].sandbox);
		ck_assert_int_eq(c->max_sandbox, rows[i].sandbox);
		ck_assert_uint_eq(json_array_size(c->warnings), 0);
		ccp_config_free(c);
		free(first);
		free(ceiling);
	}
}
END_TEST

START_TEST(test_second_variable)
{
	struct ccp_config *c = LOAD_GOOD(NULL, "CODEX_MCP_DEFAULT_SANDBOX_POLICY=workspace-write");

	ck_assert_int_eq(c->default_sandbox, CCP_SANDBOX_WORKSPACE_WRITE);
	ccp_config_free(c);
}
END_TEST

START_TEST(test_sandbox_object)
{
	struct world w = make_world("{\"default_sandbox_policy\": {\"type\": \"workspaceWrite\","
				    " \"networkAccess\": true}, \"max_sandbox\": \"read-only\"}");
	struct ccp_config *c = LOAD_GOOD(w.file);

	ck_assert_int_eq(c->default_sandbox, CCP_SANDBOX_WORKSPACE_WRITE);
	ck_assert_uint_eq(json_array_size(c->warnings), 2);
	check_warning(c, 0, "default_sandbox_policy: only the type");
	check_warning(c, 1, "above max_sandbox");
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_approvals)
{
	static const char *const rows[][2] = {
		{ "never", "never" },
		{ "on-request", "on-request" },
		{ "on_failure", "on-failure" },
		{ "untrusted", "untrusted" },
		{ "ask_openclaw", "on-request" },
		{ "never_auto_approve", "never" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		char *policy = ccp_asprintf("CODEX_MCP_DEFAULT_APPROVAL_POLICY=%s", rows[i][0]);
		char *least = ccp_asprintf("CODEX_MCP_MIN_APPROVAL=%s", rows[i][0]);
		struct ccp_config *c = LOAD_GOOD(NULL, policy, least);

		ck_assert_str_eq(c->default_approval_policy, rows[i][1]);
		ck_assert_str_eq(c->min_approval, rows[i][1]);
		ccp_config_free(c);
		free(policy);
		free(least);
	}
}
END_TEST

START_TEST(test_modes)
{
	static const char *const names[] = { "auto", "inline", "client", "worker", "observe" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(names); i++) {
		char *variable = ccp_asprintf("CODEX_MCP_EXECUTION_MODE=%s", names[i]);
		struct ccp_config *c = LOAD_GOOD(NULL, variable);

		ck_assert_int_eq(c->execution_mode, (int64_t)i);
		ccp_config_free(c);
		free(variable);
	}
}
END_TEST

/* The table names sandboxes itself; these are the layer's below. */
START_TEST(test_sandbox_names)
{
	for (const struct ccp_option *o = ccp_options; o->key; o++) {
		if (o->kind != CCP_OPTION_SANDBOX)
			continue;
		for (int i = 0; i <= CCP_SANDBOX_DANGER_FULL_ACCESS; i++)
			ck_assert_str_eq(o->choices[i], ccp_sandbox_name((enum ccp_sandbox)i));
		ck_assert_ptr_null(o->choices[CCP_SANDBOX_DANGER_FULL_ACCESS + 1]);
	}
}
END_TEST

START_TEST(test_app_server_env)
{
	struct world w = make_world("{\"app_server_env\": {\"A\": \"1\", \"B_2\": \"\"}}");
	struct ccp_config *c = LOAD_GOOD(w.file);
	json_auto_t *block = ccp_config_environment_block(c);
	char *text = ccp_json_dump(block, NULL);

	ck_assert_str_eq(c->app_server_env[0], "A=1");
	ck_assert_str_eq(c->app_server_env[1], "B_2=");
	ck_assert_ptr_null(c->app_server_env[2]);
	ck_assert_ptr_null(strstr(text, "B_2"));
	free(text);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_numbers_as_text)
{
	struct world w = make_world("{\"max_active_turns_global\": \"7\","
				    " \"worker_drain_seconds\": 0}");
	struct ccp_config *c = LOAD_GOOD(w.file);

	ck_assert_int_eq(c->max_active_turns_global, 7);
	ck_assert_int_eq(c->worker_drain_seconds, 0);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_wrong_variables)
{
	static const struct {
		const char *entry, *key, *expected;
	} rows[] = {
		{ "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=0", "max_active_turns_global",
		  "an integer from 1 to 64" },
		{ "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=65", "max_active_turns_global",
		  "an integer from 1 to 64" },
		{ "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=many", "max_active_turns_global",
		  "an integer from 1 to 64" },
		{ "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=4.5", "max_active_turns_global",
		  "an integer from 1 to 64" },
		{ "CODEX_MCP_MAX_ACTIVE_TURNS_GLOBAL=99999999999999999999",
		  "max_active_turns_global", "an integer from 1 to 64" },
		{ "CODEX_MCP_MAX_DEPTH=-1", "max_depth", "an integer from 0 to 16" },
		{ "CODEX_MCP_EXECUTION_MODE=turbo", "execution_mode",
		  "auto, inline, client, worker or observe" },
		{ "CODEX_MCP_DEFAULT_SANDBOX=all", "default_sandbox_policy",
		  "read-only, workspace-write or danger-full-access" },
		{ "CODEX_MCP_DEFAULT_SANDBOX={\"type\":", "default_sandbox_policy",
		  "read-only, workspace-write or danger-full-access" },
		{ "CODEX_MCP_DEFAULT_SANDBOX={}", "default_sandbox_policy",
		  "read-only, workspace-write or danger-full-access" },
		{ "CODEX_MCP_MIN_APPROVAL=none", "min_approval",
		  "untrusted, on-failure, on-request, never, ask_openclaw or never_auto_approve" },
		{ "CODEX_MCP_DEFAULT_MODEL= ", "default_model", "text" },
		{ "CODEX_HOME= ", "codex_home", "a path" },
		{ "CODEX_HOME=/\xff", "codex_home", "valid UTF-8" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct codexcp_error err = { 0 };
		size_t len = strcspn(rows[i].entry, "=");
		char *name = strndup(rows[i].entry, len);

		ck_assert_msg(!LOAD(NULL, &err, rows[i].entry), "%s", rows[i].entry);
		ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
		ck_assert_str_eq(ccp_json_str(err.details, "variable"), name);
		ck_assert_str_eq(ccp_json_str(err.details, "key"), rows[i].key);
		ck_assert_str_eq(ccp_json_str(err.details, "expected"), rows[i].expected);
		ck_assert_ptr_null(json_object_get(err.details, "file"));
		ck_assert(ccp_str_has_prefix(err.message, name));
		codexcp_error_done(&err);
		free(name);
	}
}
END_TEST

START_TEST(test_wrong_keys)
{
	static const struct {
		const char *key, *value, *expected;
	} rows[] = {
		{ "codex_home", "7", "a path" },
		{ "codex_home", "\"\"", "a path" },
		{ "allowed_roots", "{}", "directories" },
		{ "allowed_roots", "[1]", "directories" },
		{ "max_depth", "1.0", "an integer" },
		{ "max_depth", "true", "an integer" },
		{ "max_depth", "17", "an integer" },
		{ "max_depth", "\"\"", "an integer" },
		{ "execution_mode", "1", "auto" },
		{ "max_sandbox", "{\"type\":\"x\"}", "read-only" },
		{ "max_sandbox", "[]", "read-only" },
		{ "default_approval_policy", "{}", "untrusted" },
		{ "default_model", "1", "text" },
		{ "default_model", "\"\"", "text" },
		{ "app_server_env", "[\"A=secret-1\"]", "an object" },
		{ "app_server_env", "{\"A\":1}", "an object" },
		{ "app_server_env", "{\"A=\":\"secret-1\"}", "an object" },
		{ "app_server_env", "{\"\":\"secret-1\"}", "an object" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct codexcp_error err = { 0 };
		char *text = ccp_asprintf("{\"%s\": %s}", rows[i].key, rows[i].value);
		struct world w = make_world(text);

		ck_assert_msg(!LOAD(w.file, &err), "%s", text);
		ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
		ck_assert_str_eq(ccp_json_str(err.details, "file"), w.file);
		ck_assert_str_eq(ccp_json_str(err.details, "key"), rows[i].key);
		ck_assert_msg(
			ccp_str_has_prefix(ccp_json_str(err.details, "expected"), rows[i].expected),
			"%s: %s", text, err.message);
		ck_assert_ptr_null(json_object_get(err.details, "variable"));
		ck_assert_ptr_null(strstr(err.message, "secret"));
		ck_assert_ptr_nonnull(strstr(err.message, w.file));
		codexcp_error_done(&err);
		drop_world(&w);
		free(text);
	}
}
END_TEST

START_TEST(test_wrong_files)
{
	static const char *const rows[][2] = {
		{ "{\n \"max_depth\": 1,\n}", "line 3 column 1" },
		{ "{\"max_depth\": 1, \"max_depth\": 2}", "duplicate" },
		{ "[]", "expected a JSON object" },
		{ "", "line 1" },
		{ "{\"default_model\": \"\xff\"}", "line 1" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		struct codexcp_error err = { 0 };
		struct world w = make_world(rows[i][0]);

		ck_assert_ptr_null(LOAD(w.file, &err));
		ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
		ck_assert_str_eq(ccp_json_str(err.details, "file"), w.file);
		ck_assert_msg(strstr(err.message, rows[i][1]) != NULL, "%s", err.message);
		ck_assert(ccp_str_has_prefix(err.message, w.file));
		codexcp_error_done(&err);
		drop_world(&w);
	}
}
END_TEST

START_TEST(test_missing_file)
{
	struct codexcp_error err = { 0 };

	ck_assert_ptr_null(LOAD("none.json", &err));
	ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
	ck_assert_str_eq(ccp_json_str(err.details, "file"), "/start/none.json");
	ck_assert_ptr_null(LOAD("/", &err));
	ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
	codexcp_error_done(&err);
}
END_TEST

START_TEST(test_no_home)
{
	struct codexcp_error err = { 0 };

	ck_assert_ptr_null(load(NULL, (const char *const[]){ NULL }, &err));
	ck_assert_int_eq(err.code, CODEXCP_E_CONFIG_INVALID);
	ck_assert_str_eq(ccp_json_str(err.details, "variable"), "CODEX_HOME");
	ck_assert_ptr_null(
		load(NULL, (const char *const[]){ "HOME=x", "CODEX_HOME=/c", NULL }, &err));
	ck_assert_str_eq(ccp_json_str(err.details, "variable"), "CODEX_MCP_STATE_DB");
	codexcp_error_done(&err);
	ccp_config_free(load_good(
		NULL, (const char *const[]){ "CODEX_HOME=/c", "CODEX_MCP_STATE_DB=/s/db", NULL }));
}
END_TEST

START_TEST(test_warnings)
{
	struct world w = make_world("{\"start_app_server_for_read_tools\": true,"
				    " \"default_tail_max_chars\": 7, \"max_dept\": 1, \"#\": 1,"
				    " \"codex_home\": \"~/.codex\"}");
	struct ccp_config *c = LOAD_GOOD(w.file, "CODEX_PROJECTS_ROOT=$HOME/x");
	char *home = ccp_path_join(w.dir, "~/.codex");

	ck_assert_uint_eq(json_array_size(c->warnings), 6);
	check_warning(c, 0, "start_app_server_for_read_tools has no effect any more");
	check_warning(c, 0, w.file);
	check_warning(c, 1, "default_tail_max_chars has no effect in this version");
	check_warning(c, 2, "unknown key max_dept; did you mean max_depth");
	check_warning(c, 3, "unknown key #");
	check_warning(c, 4, "codex_home: nothing is expanded");
	check_warning(c, 5, "CODEX_PROJECTS_ROOT: nothing is expanded");
	ck_assert_str_eq(c->codex_home, home);
	free(home);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

static void check_block(const struct ccp_config *config, const char *expected)
{
	json_auto_t *block = ccp_config_environment_block(config);
	char *text = ccp_json_dump_canonical(block);

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(test_environment_block)
{
	struct ccp_config *c = LOAD_GOOD(NULL);

	check_block(c, "{\"CODEX_MCP_STATE_DB\":\"/home/me/.local/state/codex-control-plane-mcp/"
		       "codex-mcp-state.sqlite3\"}");
	ccp_config_free(c);
	c = LOAD_GOOD(NULL, "CODEX_MCP_STATE_DB=db", "CODEX_HOME=/c", "CODEX_ALLOWED_ROOTS=/;x",
		      "CODEX_MCP_DEFAULT_SANDBOX_POLICY=workspaceWrite", "CODEX_MCP_MAX_DEPTH=2",
		      "CODEX_PROJECTS_REGISTRY=r.json");
	check_block(c, "{\"CODEX_ALLOWED_ROOTS\":\"/;/start/x\",\"CODEX_HOME\":\"/c\","
		       "\"CODEX_MCP_DEFAULT_SANDBOX\":\"workspaceWrite\","
		       "\"CODEX_MCP_MAX_DEPTH\":\"2\",\"CODEX_MCP_STATE_DB\":\"/start/db\","
		       "\"CODEX_PROJECTS_REGISTRY\":\"/start/r.json\"}");
	ccp_config_free(c);
}
END_TEST

START_TEST(test_environment_block_with_file)
{
	struct world w = make_world(
		"{\"codex_binary_path\": \"/c/codex\", \"projects_root\": \"/p\","
		" \"state_db_path\": \"/s/db\", \"max_depth\": 1}");
	struct ccp_config *c = LOAD_GOOD(w.file);
	char *expected = ccp_asprintf("{\"CODEX_BINARY_PATH\":\"/c/codex\","
				      "\"CODEX_CONTROL_PLANE_MCP_CONFIG\":\"%s\","
				      "\"CODEX_MCP_STATE_DB\":\"/s/db\","
				      "\"CODEX_PROJECTS_ROOT\":\"/p\"}",
				      w.file);

	check_block(c, expected);
	free(expected);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

START_TEST(test_environment_get)
{
	static const char *const list[] = { "AB=1", "A=", "C", "D=x=y", "D=2", NULL };

	ck_assert_ptr_null(ccp_environment_get(list, "A"));
	ck_assert_ptr_null(ccp_environment_get(list, "C"));
	ck_assert_ptr_null(ccp_environment_get(list, "E"));
	ck_assert_ptr_null(ccp_environment_get(NULL, "A"));
	ck_assert_str_eq(ccp_environment_get(list, "AB"), "1");
	ck_assert_str_eq(ccp_environment_get(list, "D"), "x=y");
}
END_TEST

/* The page has a row for every option, and the example file is one that loads. */
START_TEST(test_markdown)
{
	char *page = ccp_config_markdown();

	ck_assert(ccp_str_has_prefix(page, "# Configuration\n"));
	ck_assert_ptr_nonnull(
		strstr(page, "\n## Limits\n\n| key | variable | value | default | meaning |\n"
			     "|---|---|---|---|---|\n"
			     "| `max_active_turns_global` | "));
	ck_assert_ptr_nonnull(strstr(page, "| `CODEX_MCP_DEFAULT_SANDBOX`, "
					   "`CODEX_MCP_DEFAULT_SANDBOX_POLICY` | "));
	for (const struct ccp_option *o = ccp_options; o->key; o++) {
		char *cell = ccp_asprintf("\n| `%s` | ", o->key);

		ck_assert_ptr_nonnull(strstr(page, cell));
		ck_assert_ptr_nonnull(o->doc);
		ck_assert_ptr_null(strchr(o->doc, '|'));
		free(cell);
	}
	free(page);
}
END_TEST

START_TEST(test_example)
{
	json_auto_t *example = ccp_config_example();
	char *text = json_dumps(example, JSON_INDENT(2));
	struct world w = make_world(text);
	struct ccp_config *c = LOAD_GOOD(w.file);
	json_t *warning;
	size_t i;

	json_array_foreach (c->warnings, i, warning)
		ck_assert_ptr_nonnull(strstr(json_string_value(warning), "does not exist"));
	ck_assert_str_eq(c->projects_root, "/home/me/projects");
	ck_assert_str_eq(c->app_server_env[0], "HTTPS_PROXY=http://proxy.example:8080");
	ck_assert_int_eq(c->max_image_input_bytes, 20000000);
	free(text);
	ccp_config_free(c);
	drop_world(&w);
}
END_TEST

CCP_TEST_MAIN("config", test_defaults, test_default_numbers, test_environment, test_precedence,
	      test_which_file, test_file_paths, test_state_home, test_roots, test_roots_in_file,
	      test_sandboxes, test_second_variable, test_sandbox_object, test_approvals, test_modes,
	      test_sandbox_names, test_app_server_env, test_numbers_as_text, test_wrong_variables,
	      test_wrong_keys, test_wrong_files, test_missing_file, test_no_home, test_warnings,
	      test_environment_block, test_environment_block_with_file, test_environment_get,
	      test_markdown, test_example)
