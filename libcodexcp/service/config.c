#include "service/config.h"

#include <assert.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "service/config_value.h"

#define FILE_VARIABLE   "CODEX_CONTROL_PLANE_MCP_CONFIG"
#define FILE_BYTES_MAX  (1024 * 1024)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define OPTIONS_MAX     64

/* Keys that older versions read, in two kinds. */
static const char *const dead_keys[] = {
	"start_app_server_for_read_tools",
	"deepseek_summary_required",
	NULL,
};
static const char *const later_keys[] = {
	"sessions_dir",
	"archived_sessions_dir",
	"codex_state_db",
	"codex_logs_db",
	"kb_history_projects_root",
	"default_tail_max_messages",
	"default_tail_max_chars",
	"hook_history_enabled",
	"hook_history_max_text_chars",
	"deepseek_env_path",
	"deepseek_summary_enabled",
	"deepseek_max_input_chars_per_chunk",
	"deepseek_recent_messages_limit",
	"deepseek_small_history_message_limit",
	"deepseek_small_history_chars",
	"deepseek_max_summary_tokens",
	"deepseek_temperature",
	"deepseek_summary_timeout_cap_seconds",
	"deepseek_summary_max_retries_cap",
	"rolling_summary_enabled",
	NULL,
};

struct loader {
	const char *const *environment;
	struct ccp_config *config;
	json_t *file;     /* or NULL */
	char *file_dir;   /* or NULL */
	char *state_home; /* or NULL */
};

static void loader_done(struct loader *l)
{
	ccp_config_free(l->config);
	json_decref(l->file);
	free(l->file_dir);
	free(l->state_home);
}

const char *ccp_environment_get(const char *const *environment, const char *name)
{
	size_t n = strlen(name);

	for (; environment && *environment; environment++) {
		const char *entry = *environment;

		if (strncmp(entry, name, n) == 0 && entry[n] == '=')
			return entry[n + 1] ? entry + n + 1 : NULL;
	}
	return NULL;
}

void ccp_config_free(struct ccp_config *config)
{
	if (!config)
		return;
	for (const struct ccp_option *o = ccp_options; o->key; o++)
		ccp_value_drop(config, o);
	free(config->config_file);
	free(config->cwd);
	free(config->state_dir);
	json_decref(config->warnings);
	json_decref(config->environment);
	free(config);
}

/* What the default of a path begins with: a variable or another option. NULL when that is unset. */
static const char *default_base(const struct loader *l, const char *name, size_t len)
{
	const struct {
		const char *name, *value;
	} bases[] = {
		{ "$HOME", ccp_environment_get(l->environment, "HOME") },
		{ "$XDG_STATE_HOME", l->state_home },
		{ "$CODEX_PROJECTS_ROOT", l->config->projects_root },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(bases); i++) {
		if (strlen(bases[i].name) == len && memcmp(bases[i].name, name, len) == 0)
			return bases[i].value;
	}
	return NULL;
}

static int take_text(struct ccp_value *v, const char *text, struct codexcp_error *err)
{
	v->json = json_string(text);
	return v->json ? 0 : ccp_fail_oom(err);
}

static int take_default(const struct loader *l, struct ccp_value *v, struct codexcp_error *err)
{
	const char *text = v->option->def;

	v->variable = v->option->env[0];
	if (text && text[0] == '$') {
		size_t len = strcspn(text, "/");

		v->base = default_base(l, text, len);
		text = v->base && v->base[0] == '/' ? text + len + 1 : NULL;
	}
	if (!text && v->option->required)
		return ccp_value_fail(v, "a path, because HOME is none", err);
	return text ? take_text(v, text, err) : 0;
}

static int take_variable(const struct loader *l, struct ccp_value *v, const char *text,
			 struct codexcp_error *err)
{
	v->base = l->config->cwd;
	if (!ccp_utf8_valid(text, strlen(text)))
		return ccp_value_fail(v, "valid UTF-8", err);
	return take_text(v, text, err);
}

enum origin { FROM_DEFAULT, FROM_FILE, FROM_VARIABLE };

/* v->json stays NULL when there is no value at all. */
static int find_value(const struct loader *l, struct ccp_value *v, enum origin *ret_origin,
		      struct codexcp_error *err)
{
	json_t *in_file = json_object_get(l->file, v->option->key);

	for (size_t i = 0; i < CCP_ARRAY_SIZE(v->option->env) && v->option->env[i]; i++) {
		const char *text = ccp_environment_get(l->environment, v->option->env[i]);

		if (!text)
			continue;
		v->variable = v->option->env[i];
		*ret_origin = FROM_VARIABLE;
		return take_variable(l, v, text, err);
	}
	if (!in_file || json_is_null(in_file)) {
		*ret_origin = FROM_DEFAULT;
		return take_default(l, v, err);
	}
	v->file = l->config->config_file;
	v->base = l->file_dir;
	v->json = json_incref(in_file);
	*ret_origin = FROM_FILE;
	return 0;
}

static json_t *join_strings(char *const *list)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);

	for (char *const *item = list; item && *item; item++)
		ccp_strbuf_appendf(&sb, item == list ? "%s" : ";%s", *item);
	return sb.failed ? NULL : ccp_json_string(ccp_strbuf_str(&sb), sb.len);
}

/* What a client's block has to say about the value. */
static void note_environment(struct ccp_config *config, const struct ccp_value *v,
			     enum origin origin)
{
	static const enum origin least[] = {
		[CCP_BLOCK_VARIABLE] = FROM_VARIABLE,
		[CCP_BLOCK_CONFIGURED] = FROM_FILE,
		[CCP_BLOCK_ALWAYS] = FROM_DEFAULT,
	};
	const struct ccp_option *o = v->option;
	const void *field = (const char *)config + o->offset;

	if (origin < least[o->block])
		return;
	if (o->kind == CCP_OPTION_PATH)
		ccp_json_set_str(&config->environment, o->env[0], *(char *const *)field);
	else if (o->kind == CCP_OPTION_ROOTS)
		ccp_json_set_new(&config->environment, o->env[0],
				 join_strings(*(char *const *const *)field));
	else
		ccp_json_set(&config->environment, o->env[0], v->json);
}

static void value_done(struct ccp_value *v)
{
	json_decref(v->json);
}

static int load_option(struct loader *l, const struct ccp_option *option, struct codexcp_error *err)
{
	_cleanup_(value_done) struct ccp_value v = { .option = option };
	enum origin origin = FROM_DEFAULT;
	int r = find_value(l, &v, &origin, err);

	if (r < 0 || !v.json)
		return r;
	r = ccp_value_store(l->config, &v, err);
	if (r < 0)
		return r;
	note_environment(l->config, &v, origin);
	return 0;
}

static int fail_file(const char *file, const char *why, struct codexcp_error *err)
{
	ccp_fail(err, CODEXCP_E_CONFIG_INVALID, "%s: %s", file, why);
	ccp_error_add_str(err, "file", file);
	ccp_error_add_str(err, "expected", "a JSON object");
	return CODEXCP_E_CONFIG_INVALID;
}

/* The file as it stands; a byte order mark is no part of it. */
static int parse_file(const char *file, json_t **ret_value, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error why = { 0 };
	_cleanup_free_ char *text = NULL;
	json_auto_t *value = NULL;
	size_t len, skip;
	int r = ccp_file_read(file, FILE_BYTES_MAX, &text, &len, &why);

	if (r == 0)
		return fail_file(file, "there is no such file", err);
	if (r > 0) {
		skip = ccp_str_has_prefix(text, BYTE_ORDER_MARK) ? strlen(BYTE_ORDER_MARK) : 0;
		r = ccp_json_parse(text + skip, len - skip, 0, &value, &why);
	}
	if (r == CODEXCP_E_NO_MEMORY)
		return ccp_fail_oom(err);
	if (r < 0)
		return fail_file(file, why.message, err);
	if (!json_is_object(value))
		return fail_file(file, "expected a JSON object", err);
	*ret_value = TAKE_PTR(value);
	return 0;
}

static void warn_of_key(struct loader *l, const char *key)
{
	const char *keys[OPTIONS_MAX] = { NULL }, *nearest;
	size_t n = 0;

	for (const struct ccp_option *o = ccp_options; o->key && n < OPTIONS_MAX - 1; o++) {
		if (strcmp(o->key, key) == 0)
			return;
		keys[n++] = o->key;
	}
	nearest = ccp_str_nearest(key, keys);
	ccp_config_warn(l->config, "%s: unknown key %s%s%s", l->config->config_file, key,
			nearest ? "; did you mean " : "", nearest ? nearest : "");
}

static bool is_listed(const char *const *list, const char *word)
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list;
}

static void warn_of_keys(struct loader *l)
{
	const char *file = l->config->config_file, *key;
	json_t *ignored;

	json_object_foreach (l->file, key, ignored) {
		if (is_listed(dead_keys, key))
			ccp_config_warn(l->config, "%s: %s has no effect any more", file, key);
		else if (is_listed(later_keys, key))
			ccp_config_warn(l->config, "%s: %s has no effect in this version", file,
					key);
		else
			warn_of_key(l, key);
	}
}

static int load_file(struct loader *l, const char *file, struct codexcp_error *err)
{
	struct ccp_config *config = l->config;
	int r;

	if (!file)
		file = ccp_environment_get(l->environment, FILE_VARIABLE);
	if (!file)
		file = ccp_environment_get(l->environment, "OPENCLAW_CODEX_MCP_CONFIG");
	if (!file)
		return 0;
	r = ccp_path_clean(file, config->cwd, &config->config_file, err);
	if (r == 0)
		r = parse_file(config->config_file, &l->file, err);
	if (r < 0)
		return r;
	l->file_dir = ccp_path_parent(config->config_file);
	ccp_json_set_str(&config->environment, FILE_VARIABLE, config->config_file);
	warn_of_keys(l);
	return l->file_dir ? 0 : ccp_fail_oom(err);
}

/* The base directory specification wants relative values ignored. */
static int find_state_home(struct loader *l, struct codexcp_error *err)
{
	const char *home = ccp_environment_get(l->environment, "HOME");
	const char *state = ccp_environment_get(l->environment, "XDG_STATE_HOME");

	if (state && state[0] == '/')
		l->state_home = strdup(state);
	else if (home)
		l->state_home = ccp_path_join(home, ".local/state");
	else
		return 0;
	return l->state_home ? 0 : ccp_fail_oom(err);
}

static int loader_init(struct loader *l, const char *cwd, struct codexcp_error *err)
{
	l->config = calloc(1, sizeof(*l->config));
	if (!l->config)
		return ccp_fail_oom(err);
	l->config->max_sandbox = CCP_SANDBOX_UNSET;
	l->config->warnings = json_array();
	l->config->environment = json_object();
	l->config->cwd = strdup(cwd);
	return l->config->cwd ? find_state_home(l, err) : ccp_fail_oom(err);
}

/* An empty list where nothing was configured. */
static int fill_strings(char ***list, struct codexcp_error *err)
{
	if (!*list)
		*list = calloc(1, sizeof(**list));
	return *list ? 0 : ccp_fail_oom(err);
}

/* Whatever path leads to it: what stands beside a database, its lock first of all, must be one and
 * the same for everybody. */
static int find_state_db(struct ccp_config *config, struct codexcp_error *err)
{
	char *path = NULL;
	int r = ccp_path_follow(config->state_db_path, &path, err);

	if (r < 0)
		return r;
	free(config->state_db_path);
	config->state_db_path = path;
	config->state_dir = ccp_path_parent(path);
	return config->state_dir ? 0 : ccp_fail_oom(err);
}

static int complete(struct loader *l, struct codexcp_error *err)
{
	struct ccp_config *config = l->config;

	if (fill_strings(&config->allowed_roots, err) < 0 ||
	    fill_strings(&config->app_server_env, err) < 0)
		return CODEXCP_E_NO_MEMORY;
	config->roots_configured = config->allowed_roots[0];
	if (config->max_sandbox != CCP_SANDBOX_UNSET &&
	    config->default_sandbox > config->max_sandbox)
		ccp_config_warn(l->config,
				"default_sandbox_policy is above max_sandbox, which wins");
	if (!config->warnings || !config->environment)
		return ccp_fail_oom(err);
	return find_state_db(config, err);
}

int ccp_config_load(const char *const *environment, const char *file, const char *cwd,
		    struct ccp_config **ret_config, struct codexcp_error *err)
{
	_cleanup_(loader_done) struct loader l = { .environment = environment };
	int r;

	assert(cwd[0] == '/');
	r = loader_init(&l, cwd, err);
	if (r == 0)
		r = load_file(&l, file, err);
	for (const struct ccp_option *o = ccp_options; r == 0 && o->key; o++)
		r = load_option(&l, o, err);
	if (r == 0)
		r = complete(&l, err);
	if (r < 0)
		return r;
	*ret_config = TAKE_PTR(l.config);
	return 0;
}

json_t *ccp_config_environment_block(const struct ccp_config *config)
{
	return json_deep_copy(config->environment);
}
