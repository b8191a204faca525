#include "base/json.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"

#define KEY_MAX 256
#define FENCE   "```"

const char *ccp_json_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

int64_t ccp_json_int(const json_t *obj, const char *key, int64_t def)
{
	const json_t *value = json_object_get(obj, key);

	return json_is_integer(value) ? json_integer_value(value) : def;
}

bool ccp_json_bool(const json_t *obj, const char *key, bool def)
{
	const json_t *value = json_object_get(obj, key);

	return json_is_boolean(value) ? json_is_true(value) : def;
}

json_t *ccp_json_obj(const json_t *obj, const char *key)
{
	json_t *value = json_object_get(obj, key);

	return json_is_object(value) ? value : NULL;
}

json_t *ccp_json_arr(const json_t *obj, const char *key)
{
	json_t *value = json_object_get(obj, key);

	return json_is_array(value) ? value : NULL;
}

json_t *ccp_json_path(const json_t *obj, const char *dotted)
{
	char key[KEY_MAX];
	size_t n = strcspn(dotted, ".");
	json_t *value;

	if (n >= sizeof(key))
		return NULL;
	memcpy(key, dotted, n);
	key[n] = '\0';
	value = json_object_get(obj, key);
	return value && dotted[n] ? ccp_json_path(value, dotted + n + 1) : value;
}

/* After a step of a build: a failed one takes the whole build with it. */
static void check_step(json_t **build, int r)
{
	if (r < 0) {
		json_decref(*build);
		*build = NULL;
	}
}

void ccp_json_set_new(json_t **obj, const char *key, json_t *value)
{
	check_step(obj, json_object_set_new(*obj, key, value));
}

void ccp_json_append_new(json_t **arr, json_t *value)
{
	check_step(arr, json_array_append_new(*arr, value));
}

void ccp_json_set_strn(json_t **obj, const char *key, const char *value, size_t len)
{
	if (value)
		ccp_json_set_new(obj, key, ccp_json_string(value, len));
}

void ccp_json_set_str(json_t **obj, const char *key, const char *value)
{
	if (value)
		ccp_json_set_strn(obj, key, value, strlen(value));
}

void ccp_json_set_int(json_t **obj, const char *key, int64_t value)
{
	ccp_json_set_new(obj, key, json_integer(value));
}

void ccp_json_set_bool(json_t **obj, const char *key, bool value)
{
	ccp_json_set_new(obj, key, json_boolean(value));
}

void ccp_json_set_time(json_t **obj, const char *key, int64_t wall_ms)
{
	char text[CCP_TIME_SIZE];

	if (wall_ms)
		ccp_json_set_str(obj, key, ccp_time_format(wall_ms, text));
}

void ccp_json_set(json_t **obj, const char *key, json_t *value)
{
	if (value)
		ccp_json_set_new(obj, key, json_incref(value));
}

json_t *ccp_json_string(const char *s, size_t len)
{
	_cleanup_free_ char *clean = NULL;

	if (ccp_utf8_valid(s, len))
		return json_stringn_nocheck(s, len);
	clean = ccp_utf8_sanitize(s, len, &len);
	return clean ? json_stringn_nocheck(clean, len) : NULL;
}

#define NUL_ESCAPE "\\u0000"

char *ccp_json_replace_nul(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	size_t n = strlen(NUL_ESCAPE);

	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (size_t i = 0; i < len; i++) {
		if (copy[i] != '\\')
			continue;
		if (len - i >= n && memcmp(copy + i, NUL_ESCAPE, n) == 0)
			memcpy(copy + i, "\\ufffd", n);
		i++; /* what is escaped is no escape itself */
	}
	return copy;
}

int ccp_json_parse(const char *text, size_t len, unsigned flags, json_t **ret_value,
		   struct codexcp_error *err)
{
	size_t load_flags = JSON_REJECT_DUPLICATES;
	json_error_t error;
	json_t *value;

	if (flags & CCP_JSON_ALLOW_NUL)
		load_flags |= JSON_ALLOW_NUL;
	if (flags & CCP_JSON_ANY)
		load_flags |= JSON_DECODE_ANY;
	value = json_loadb(text, len, load_flags, &error);
	if (!value && json_error_code(&error) == json_error_out_of_memory)
		return ccp_fail_oom(err);
	if (!value)
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "line %d column %d: %s",
				error.line, error.column, error.text);
	*ret_value = value;
	return 0;
}

char *ccp_json_dump(const json_t *value, size_t *ret_len)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (text && ret_len)
		*ret_len = strlen(text);
	return text;
}

char *ccp_json_dump_canonical(const json_t *value)
{
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
}

static json_t *parse_quietly(const char *text, size_t len)
{
	json_t *value = NULL;

	return ccp_json_parse(text, len, 0, &value, NULL) < 0 ? NULL : value;
}

/* Whether the line opens or closes a fenced block, and whether it may be one of JSON. */
static bool is_fence(const char *line, bool *ret_json)
{
	size_t n;

	line += strspn(line, " \t");
	if (!ccp_str_has_prefix(line, FENCE))
		return false;
	line += strlen(FENCE);
	n = strcspn(line, " \t\r\n");
	*ret_json = n == 0 || (n == 4 && strncasecmp(line, "json", n) == 0);
	return true;
}

/* The value of the only fenced block that is JSON. */
static json_t *parse_fenced(const char *text)
{
	json_auto_t *found = NULL;
	const char *body = NULL, *next;
	bool json = false, ignored;

	for (const char *line = text; *line; line = next) {
		size_t len = strcspn(line, "\n");

		next = line + len + (line[len] == '\n');
		if (!is_fence(line, body ? &ignored : &json))
			continue;
		if (body && json) {
			json_auto_t *value = parse_quietly(body, (size_t)(line - body));

			if (value && found)
				return NULL;
			if (value)
				found = TAKE_PTR(value);
		}
		body = body ? NULL : next;
	}
	return TAKE_PTR(found);
}

json_t *ccp_json_from_report(const char *text)
{
	json_t *value = text ? parse_quietly(text, strlen(text)) : NULL;

	return value || !text ? value : parse_fenced(text);
}

void ccp_json_write_string(struct ccp_strbuf *sb, const char *text)
{
	ccp_strbuf_append_char(sb, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			ccp_strbuf_appendf(sb, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			ccp_strbuf_appendf(sb, "\\u%04x", *text);
		else
			ccp_strbuf_append_char(sb, *text);
	}
	ccp_strbuf_append_char(sb, '"');
}
