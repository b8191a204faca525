#include "service/config_value.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/path.h"
#include "base/str.h"

#define WARNING_SIZE 1024

/* Codex's names for the policies of ours. */
static const struct {
	const char *ours, *codex;
} approval_names[] = {
	{ "ask_openclaw", "on-request" },
	{ "never_auto_approve", "never" },
};

static void *field_of(struct ccp_config *config, const struct ccp_option *option)
{
	return (char *)config + option->offset;
}

static void free_strings(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

/* Steals item. */
static int append_string(char ***list, char *item, struct codexcp_error *err)
{
	size_t n = 0;
	char **grown;

	while (*list && (*list)[n])
		n++;
	grown = item ? reallocarray(*list, n + 2, sizeof(*grown)) : NULL;
	if (!grown) {
		free(item);
		return ccp_fail_oom(err);
	}
	grown[n] = item;
	grown[n + 1] = NULL;
	*list = grown;
	return 0;
}

void ccp_config_warn(struct ccp_config *config, const char *fmt, ...)
{
	char text[WARNING_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ccp_json_append_new(&config->warnings, ccp_json_string(text, strlen(text)));
}

/* Where the value stands, for messages. */
static const char *place_of(const struct ccp_value *v)
{
	return v->variable ? v->variable : v->option->key;
}

int ccp_value_fail(const struct ccp_value *v, const char *expected, struct codexcp_error *err)
{
	const char *key = v->option->key;

	if (v->variable)
		ccp_fail(err, CODEXCP_E_CONFIG_INVALID, "%s: expected %s", v->variable, expected);
	else
		ccp_fail(err, CODEXCP_E_CONFIG_INVALID, "%s: %s: expected %s", v->file, key,
			 expected);
	ccp_error_add_str(err, "variable", v->variable);
	ccp_error_add_str(err, "file", v->variable ? NULL : v->file);
	ccp_error_add_str(err, "key", key);
	ccp_error_add_str(err, "expected", expected);
	return CODEXCP_E_CONFIG_INVALID;
}

static int refuse(const struct ccp_value *v, struct codexcp_error *err)
{
	_cleanup_free_ char *expected = ccp_option_expected(v->option);

	return expected ? ccp_value_fail(v, expected, err) : ccp_fail_oom(err);
}

static int set_string(struct ccp_config *config, const struct ccp_value *v, const char *text,
		      struct codexcp_error *err)
{
	return ccp_strdup_opt(text, field_of(config, v->option)) ? 0 : ccp_fail_oom(err);
}

static int clean_path(struct ccp_config *config, const struct ccp_value *v, const char *text,
		      char **ret_path, struct codexcp_error *err)
{
	if (text[0] == '~' || text[0] == '$')
		ccp_config_warn(config, "%s: nothing is expanded, so %s is a path below %s",
				place_of(v), text, v->base);
	return ccp_path_clean(text, v->base, ret_path, err);
}

static int set_path(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err)
{
	const char *text = json_string_value(v->json);

	if (ccp_str_blank(text))
		return refuse(v, err);
	return clean_path(config, v, text, field_of(config, v->option), err);
}

static int add_root(struct ccp_config *config, const struct ccp_value *v, const char *text,
		    size_t len, struct codexcp_error *err)
{
	_cleanup_free_ char *item = ccp_strndup_trim(text, len), *clean = NULL, *canonical = NULL;
	int r;

	if (!item)
		return ccp_fail_oom(err);
	if (!*item)
		return 0;
	r = clean_path(config, v, item, &clean, err);
	if (r < 0)
		return r;
	r = ccp_path_canonical(clean, &canonical, NULL);
	if (r == CODEXCP_E_NO_MEMORY)
		return ccp_fail_oom(err);
	if (r < 0)
		ccp_config_warn(config, "%s: %s does not exist", place_of(v), clean);
	return append_string(field_of(config, v->option),
			     canonical ? TAKE_PTR(canonical) : TAKE_PTR(clean), err);
}

static int add_roots(struct ccp_config *config, const struct ccp_value *v, const char *text,
		     struct codexcp_error *err)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t len = strcspn(text, ";");

		r = add_root(config, v, text, len, err);
		text += len + (text[len] == ';');
	}
	return r;
}

static int set_roots(struct ccp_config *config, const struct ccp_value *v,
		     struct codexcp_error *err)
{
	const json_t *item;
	size_t i;

	if (json_is_string(v->json))
		return add_roots(config, v, json_string_value(v->json), err);
	if (!json_is_array(v->json))
		return refuse(v, err);
	json_array_foreach (v->json, i, item) {
		const char *text = json_string_value(item);
		int r = text ? add_root(config, v, text, strlen(text), err) : refuse(v, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int set_int(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err)
{
	int64_t number = json_integer_value(v->json);
	bool good = json_is_integer(v->json) ||
		    (json_is_string(v->json) && ccp_parse_i64(json_string_value(v->json), &number));

	if (!good || number < v->option->min || number > v->option->max)
		return refuse(v, err);
	*(int64_t *)field_of(config, v->option) = number;
	return 0;
}

/* "read-only", "read_only" and "readOnly" are one word. */
static bool is_same_word(const char *a, const char *b)
{
	while (true) {
		a += strspn(a, "-_");
		b += strspn(b, "-_");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

static int find_choice(const struct ccp_option *option, const char *text)
{
	for (int i = 0; text && option->choices[i]; i++) {
		if (is_same_word(text, option->choices[i]))
			return i;
	}
	return -1;
}

static int set_choice(struct ccp_config *config, const struct ccp_value *v, const char *text,
		      struct codexcp_error *err)
{
	int choice = find_choice(v->option, text);

	if (choice < 0)
		return refuse(v, err);
	*(int64_t *)field_of(config, v->option) = choice;
	return 0;
}

static int set_enum(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err)
{
	return set_choice(config, v, json_string_value(v->json), err);
}

/* A name, or a sandbox policy as Codex has it (also as text), of which only the type counts. */
static int set_sandbox(struct ccp_config *config, const struct ccp_value *v,
		       struct codexcp_error *err)
{
	const char *text = json_string_value(v->json);
	json_auto_t *parsed = NULL;
	const json_t *policy = v->json;

	if (text && text[0] == '{') {
		if (ccp_json_parse(text, strlen(text), 0, &parsed, NULL) < 0)
			return refuse(v, err);
		policy = parsed;
	}
	if (!json_is_object(policy))
		return set_choice(config, v, text, err);
	if (json_object_size(policy) > 1)
		ccp_config_warn(config, "%s: only the type of the policy has an effect",
				place_of(v));
	return set_choice(config, v, ccp_json_str(policy, "type"), err);
}

static int set_approval(struct ccp_config *config, const struct ccp_value *v,
			struct codexcp_error *err)
{
	int choice = find_choice(v->option, json_string_value(v->json));
	const char *name;

	if (choice < 0)
		return refuse(v, err);
	name = v->option->choices[choice];
	for (size_t i = 0; i < CCP_ARRAY_SIZE(approval_names); i++) {
		if (ccp_streq(name, approval_names[i].ours))
			name = approval_names[i].codex;
	}
	return set_string(config, v, name, err);
}

static int set_text(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err)
{
	const char *text = json_string_value(v->json);

	return ccp_str_blank(text) ? refuse(v, err) : set_string(config, v, text, err);
}

/* The values may be secrets: no message repeats them. */
static int set_variables(struct ccp_config *config, const struct ccp_value *v,
			 struct codexcp_error *err)
{
	const char *name;
	json_t *text;

	if (!json_is_object(v->json))
		return refuse(v, err);
	json_object_foreach (v->json, name, text) {
		int r;

		if (!*name || strchr(name, '=') || !json_is_string(text))
			return refuse(v, err);
		r = append_string(field_of(config, v->option),
				  ccp_asprintf("%s=%s", name, json_string_value(text)), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void drop_string(void *field)
{
	free(*(char **)field);
}

static void drop_strings(void *field)
{
	free_strings(*(char ***)field);
}

static const struct kind {
	int (*set)(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err);
	void (*drop)(void *field); /* NULL: nothing is owned */
} kinds[] = {
	[CCP_OPTION_PATH] = { set_path, drop_string },
	[CCP_OPTION_ROOTS] = { set_roots, drop_strings },
	[CCP_OPTION_INT] = { set_int, NULL },
	[CCP_OPTION_ENUM] = { set_enum, NULL },
	[CCP_OPTION_SANDBOX] = { set_sandbox, NULL },
	[CCP_OPTION_APPROVAL] = { set_approval, drop_string },
	[CCP_OPTION_TEXT] = { set_text, drop_string },
	[CCP_OPTION_VARIABLES] = { set_variables, drop_strings },
};

int ccp_value_store(struct ccp_config *config, const struct ccp_value *v, struct codexcp_error *err)
{
	return kinds[v->option->kind].set(config, v, err);
}

void ccp_value_drop(struct ccp_config *config, const struct ccp_option *option)
{
	if (kinds[option->kind].drop)
		kinds[option->kind].drop(field_of(config, option));
}
