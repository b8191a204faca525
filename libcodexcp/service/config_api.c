/*
 * What a context's configuration and state come to: the inside of <codexcp/config.h>.
 */
#include <codexcp/config.h>

#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "domain/roots.h"
#include "service/codex_binary.h"
#include "service/config_option.h"
#include "service/context.h"

static json_t *strings_json(char *const *strings)
{
	json_t *array = json_array();

	for (; strings && *strings; strings++)
		ccp_json_append_new(&array, ccp_json_string(*strings, strlen(*strings)));
	return array;
}

/* The values may be secrets. */
static json_t *names_json(char *const *variables)
{
	json_t *array = json_array();

	for (; variables && *variables; variables++)
		ccp_json_append_new(&array, ccp_json_string(*variables, strcspn(*variables, "=")));
	return array;
}

static json_t *text_json(const char *text)
{
	return text ? ccp_json_string(text, strlen(text)) : json_null();
}

static json_t *choice_json(const struct ccp_option *option, int64_t choice)
{
	return choice < 0 ? json_null() : json_string(option->choices[choice]);
}

static json_t *option_json(const struct ccp_config *config, const struct ccp_option *option)
{
	const void *field = (const char *)config + option->offset;

	switch (option->kind) {
	case CCP_OPTION_PATH:
	case CCP_OPTION_APPROVAL:
	case CCP_OPTION_TEXT:
		return text_json(*(char *const *)field);
	case CCP_OPTION_ROOTS:
		return strings_json(*(char *const *const *)field);
	case CCP_OPTION_VARIABLES:
		return names_json(*(char *const *const *)field);
	case CCP_OPTION_INT:
		return json_integer(*(const int64_t *)field);
	case CCP_OPTION_ENUM:
	case CCP_OPTION_SANDBOX:
		return choice_json(option, *(const int64_t *)field);
	}
	return NULL;
}

static json_t *options_json(const struct ccp_config *config)
{
	json_t *options = json_object();

	for (const struct ccp_option *o = ccp_options; o->key; o++)
		ccp_json_set_new(&options, o->key, option_json(config, o));
	return options;
}

static json_t *codex_binary_json(const struct codexcp *cp)
{
	_cleanup_error_ struct codexcp_error why = { 0 };
	_cleanup_free_ char *path = NULL;
	json_t *binary = json_object();

	if (ccp_codex_binary_find(cp->config->codex_binary_path,
				  (const char *const *)cp->environment, &path, &why) < 0)
		ccp_json_set_new(&binary, "error", ccp_error_json(&why));
	ccp_json_set_str(&binary, "path", path);
	return binary;
}

/* The block, with the Codex that is found here: a client that no shell started has another PATH. */
static json_t *environment_json(const struct codexcp *cp)
{
	json_t *block = ccp_config_environment_block(cp->config);
	_cleanup_free_ char *path = NULL;

	if (!cp->config->codex_binary_path &&
	    ccp_codex_binary_locate(NULL, (const char *const *)cp->environment, &path, NULL) == 0)
		ccp_json_set_str(&block, "CODEX_BINARY_PATH", path);
	return block;
}

/* A turn could write to the state, when the state lies in a directory where turns may work. */
json_t *ccp_context_warnings(const struct codexcp *cp, const struct ccp_roots *allowed)
{
	_cleanup_free_ char *canonical = NULL;
	json_t *warnings = json_deep_copy(cp->config->warnings);
	const char *dir = cp->config->state_dir, *root;

	if (ccp_path_canonical(dir, &canonical, NULL) == 0)
		dir = canonical;
	root = ccp_roots_find(allowed, dir);
	if (root)
		ccp_json_append_new(&warnings,
				    json_sprintf("the state directory %s lies inside the allowed "
						 "root %s: a turn could write to it",
						 dir, root));
	if (!allowed->n)
		ccp_json_append_new(&warnings,
				    json_string("there is no allowed root, so no task is accepted: "
						"set CODEX_PROJECTS_ROOT or CODEX_ALLOWED_ROOTS to "
						"directories that exist"));
	return warnings;
}

int codexcp_config_describe(struct codexcp *cp, json_t **ret_description, struct codexcp_error *err)
{
	_cleanup_(ccp_roots_done) struct ccp_roots roots = { 0 };
	const struct ccp_config *config = cp->config;
	struct ccp_project_places places;
	_cleanup_free_ char *log = NULL;
	json_t *o;
	int r;

	if (!config)
		return ccp_fail_copy(err, &cp->config_error);
	places = ccp_context_places(cp);
	r = ccp_roots_init(&roots, &places, err);
	if (r < 0)
		return r;
	log = ccp_state_path(cp, CCP_STATE_LOG);
	o = json_object();
	ccp_json_set_str(&o, "configFile", config->config_file);
	ccp_json_set_str(&o, "stateDb", config->state_db_path);
	ccp_json_set_str(&o, "stateDirectory", config->state_dir);
	ccp_json_set_str(&o, "workerLog", log);
	ccp_json_set_str(&o, "codexHome", config->codex_home);
	ccp_json_set_str(&o, "projectsRoot", config->projects_root);
	ccp_json_set_new(&o, "allowedRoots", strings_json(roots.paths));
	ccp_json_set_bool(&o, "rootsConfigured", config->roots_configured || config->projects_root);
	ccp_json_set_str(&o, "server", cp->worker_path);
	ccp_json_set_new(&o, "codexBinary", codex_binary_json(cp));
	ccp_json_set_new(&o, "options", options_json(config));
	ccp_json_set_new(&o, "warnings", ccp_context_warnings(cp, &roots));
	ccp_json_set_new(&o, "environment", environment_json(cp));
	if (!o)
		return ccp_fail_oom(err);
	*ret_description = o;
	return 0;
}

int codexcp_state_check(struct codexcp *cp, struct codexcp_error *err)
{
	struct ccp_db *db = NULL;
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	r = ccp_state_check_place(cp, err);
	if (r == 1)
		r = ccp_state_reader(cp, &db, err);
	if (r <= 0)
		return r;
	r = ccp_state_matches_home(db, cp->config, err);
	return r < 0 ? r : 1;
}

int codexcp_state_prepare(struct codexcp *cp, struct codexcp_error *err)
{
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	r = ccp_state_open(cp, err);
	return r == 0 ? CCP_MIN(codexcp_state_check(cp, err), 0) : r;
}
