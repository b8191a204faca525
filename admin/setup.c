#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/error.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"

extern char **environ;

static int add_roots(const struct ccp_opt_list *roots, json_t **changes, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);

	for (size_t i = 0; i < roots->n; i++) {
		if (strchr(roots->items[i], ';'))
			return ccp_fail_argument(err, "--allowed-root", "a directory without ;",
						 NULL);
		ccp_strbuf_appendf(&sb, i ? ";%s" : "%s", roots->items[i]);
	}
	if (sb.failed)
		return ccp_fail_oom(err);
	ccp_json_set_str(changes, "CODEX_ALLOWED_ROOTS", roots->n ? ccp_strbuf_str(&sb) : NULL);
	return 0;
}

/* The variables that the options stand for. */
static int read_options(const struct admin_options *options, json_t **ret_changes,
			struct codexcp_error *err)
{
	json_auto_t *changes = json_object();
	int r;

	ccp_json_set_str(&changes, "CODEX_HOME", options->codex_home);
	ccp_json_set_str(&changes, "CODEX_MCP_STATE_DB", options->state_db);
	ccp_json_set_str(&changes, "CODEX_PROJECTS_ROOT", options->projects_root);
	r = add_roots(&options->allowed_roots, &changes, err);
	if (r == 0 && !changes)
		return ccp_fail_oom(err);
	*ret_changes = TAKE_PTR(changes);
	return r;
}

/* A path is made absolute, since the server is started elsewhere; a bare name stays one. */
static int find_server(const char *given, char **ret_server, struct codexcp_error *err)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	if (!given || !strchr(given, '/'))
		return ccp_strdup_opt(given, ret_server) ? 0 : ccp_fail_oom(err);
	return ccp_path_clean(given, cwd, ret_server, err);
}

static int open_with(struct admin_setup *setup, const struct admin_options *options,
		     const json_t *changes, struct codexcp_error *err)
{
	struct codexcp_options context = { .mode = CODEXCP_MODE_CLIENT };
	_cleanup_free_ char *server = NULL;
	char **from = setup->environment ? setup->environment : environ;
	char **environment = admin_environment_with(from, changes);
	int r;

	admin_setup_done(setup);
	setup->environment = environment;
	if (!environment)
		return ccp_fail_oom(err);
	r = find_server(options->server, &server, err);
	if (r < 0)
		return r;
	context.environment = (const char *const *)environment;
	context.worker_path = server;
	r = codexcp_open(&context, &setup->cp, err);
	return r == 0 ? codexcp_config_describe(setup->cp, &setup->config, err) : r;
}

/* What has to be said so that the roots do not depend on where a client starts the server. */
static json_t *say_roots(const json_t *config)
{
	json_t *changes = json_object();
	json_t *root = json_array_get(ccp_json_arr(config, "allowedRoots"), 0);
	json_t *configured = ccp_json_path(config, "options.allowed_roots");

	if (!ccp_json_bool(config, "rootsConfigured", false))
		ccp_json_set(&changes, "CODEX_PROJECTS_ROOT", root);
	if (!json_array_size(configured))
		ccp_json_set(&changes, "CODEX_ALLOWED_ROOTS", root);
	return changes;
}

int admin_setup_open(struct admin_setup *setup, const struct admin_options *options,
		     enum admin_roots roots, struct codexcp_error *err)
{
	json_auto_t *changes = NULL, *said = NULL;
	int r = read_options(options, &changes, err);

	if (r == 0)
		r = open_with(setup, options, changes, err);
	if (r < 0 || roots == ADMIN_ROOTS_AS_CONFIGURED)
		return r;
	said = say_roots(setup->config);
	if (!said)
		return ccp_fail_oom(err);
	return json_object_size(said) ? open_with(setup, options, said, err) : 0;
}

void admin_setup_done(struct admin_setup *setup)
{
	codexcp_close(setup->cp);
	json_decref(setup->config);
	admin_environment_free(setup->environment);
	*setup = (struct admin_setup){ 0 };
}

char **admin_client_environment(const struct admin_setup *setup)
{
	return admin_environment_with(setup->environment,
				      ccp_json_obj(setup->config, "environment"));
}
