#include "domain/input.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define BASE64_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define DATA_IMAGE      "data:image/"
#define BASE64_MARK     ";base64"
#define IMAGE_WANTED    "a data:image/...;base64,... URL"

#define SCHEMA_CHARS_MAX  50000
#define PLACE_MAX         4096
#define MISSING_NAMES_MAX 20

/* One of the input items. */
struct item {
	const json_t *json;
	size_t index;
	const struct ccp_input_limits *limits;
};

static int fail_item(struct codexcp_error *err, const struct item *item, const char *member,
		     const char *expected)
{
	_cleanup_free_ char *argument = ccp_asprintf("input_items[%zu]%s%s", item->index,
						     member ? "." : "", member ? member : "");

	if (!argument)
		return ccp_fail_oom(err);
	ccp_fail_argument(err, argument, expected, NULL);
	ccp_error_add(err, "index", json_integer((json_int_t)item->index));
	return CODEXCP_E_INVALID_ARGUMENT;
}

static int check_bytes(const struct item *item, const char *member, int64_t bytes,
		       struct codexcp_error *err)
{
	if (bytes <= item->limits->max_bytes)
		return 0;
	fail_item(err, item, member, "an image within the limit max_image_input_bytes");
	ccp_error_add(err, "maxBytes", json_integer(item->limits->max_bytes));
	ccp_error_add(err, "actualBytes", json_integer(bytes));
	return CODEXCP_E_INVALID_ARGUMENT;
}

/* How many bytes the text stands for; false when it is not (padded) base64. */
static bool base64_size(const char *text, int64_t *ret_bytes)
{
	size_t digits = strspn(text, BASE64_ALPHABET), padding = strspn(text + digits, "=");

	if (text[digits + padding] || padding > 2 || (digits + padding) % 4 || !digits)
		return false;
	*ret_bytes = (int64_t)(digits * 3 / 4);
	return true;
}

/* The base64 text of a data URL of an image, or NULL. */
static const char *data_url_body(const char *url)
{
	const char *comma = strchr(url, ',');
	size_t mark = strlen(BASE64_MARK);

	if (strncasecmp(url, DATA_IMAGE, strlen(DATA_IMAGE)) != 0 || !comma ||
	    (size_t)(comma - url) <= strlen(DATA_IMAGE) + mark ||
	    strncasecmp(comma - mark, BASE64_MARK, mark) != 0)
		return NULL;
	return comma + 1;
}

static int check_url(const struct item *item, const char *url, char **ret_value,
		     struct codexcp_error *err)
{
	const char *body = data_url_body(url);
	int64_t bytes;
	int r;

	if (strncasecmp(url, "http:", 5) == 0 || strncasecmp(url, "https:", 6) == 0)
		return fail_item(err, item, "url",
				 IMAGE_WANTED " or a localImage, since Codex fetches nothing");
	if (!body || !base64_size(body, &bytes))
		return fail_item(err, item, "url", IMAGE_WANTED);
	r = check_bytes(item, "url", bytes, err);
	if (r < 0)
		return r;
	return ccp_strdup_opt(url, ret_value) ? 0 : ccp_fail_oom(err);
}

static bool has_image_extension(const char *path)
{
	static const char *const extensions[] = {
		".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"
	};
	const char *dot = strrchr(ccp_path_base(path), '.');

	for (size_t i = 0; dot && i < CCP_ARRAY_SIZE(extensions); i++) {
		if (strcasecmp(dot, extensions[i]) == 0)
			return true;
	}
	return false;
}

static bool is_allowed(const struct ccp_input_limits *limits, const char *path)
{
	for (size_t i = 0; limits->allowed_roots && limits->allowed_roots[i]; i++) {
		if (ccp_path_is_below(path, limits->allowed_roots[i]))
			return true;
	}
	return false;
}

static int check_path(const struct item *item, const char *path, char **ret_value,
		      struct codexcp_error *err)
{
	_cleanup_free_ char *full = path[0] == '/' ? strdup(path)
						   : ccp_path_join(item->limits->cwd, path);
	_cleanup_free_ char *canonical = NULL;
	struct stat st;
	int r;

	if (!full)
		return ccp_fail_oom(err);
	r = ccp_path_canonical(full, &canonical, NULL);
	if (r == CODEXCP_E_NO_MEMORY)
		return ccp_fail_oom(err);
	if (r < 0 || stat(canonical, &st) < 0 || !S_ISREG(st.st_mode))
		return fail_item(err, item, "path", "a file that exists");
	if (!is_allowed(item->limits, canonical))
		return fail_item(err, item, "path", "a file below an allowed root");
	if (!has_image_extension(canonical))
		return fail_item(err, item, "path", "a png, jpg, jpeg, gif, webp or bmp file");
	r = check_bytes(item, "path", st.st_size, err);
	if (r < 0)
		return r;
	*ret_value = TAKE_PTR(canonical);
	return 0;
}

static const struct image_kind {
	const char *type, *member;
	/* The value as Codex gets it. */
	int (*check)(const struct item *item, const char *value, char **ret_value,
		     struct codexcp_error *err);
} image_kinds[] = {
	{ "image", "url", check_url },
	{ "localImage", "path", check_path },
};

static const struct image_kind *find_kind(const char *type)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(image_kinds); i++) {
		if (ccp_streq(type, image_kinds[i].type))
			return &image_kinds[i];
	}
	return NULL;
}

static bool is_detail(const json_t *value)
{
	static const char *const details[] = { "auto", "low", "high", "original" };

	if (!value || json_is_null(value))
		return true;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(details); i++) {
		if (ccp_streq(json_string_value(value), details[i]))
			return true;
	}
	return false;
}

static int check_item(const struct item *item, json_t **items, struct codexcp_error *err)
{
	const struct image_kind *kind = find_kind(ccp_json_str(item->json, "type"));
	_cleanup_free_ char *checked = NULL;
	const char *value;
	json_t *o;
	int r;

	if (!json_is_object(item->json))
		return fail_item(err, item, NULL, "an object");
	if (!kind)
		return fail_item(err, item, "type", "image or localImage");
	if (!is_detail(json_object_get(item->json, "detail")))
		return fail_item(err, item, "detail", "auto, low, high or original");
	value = ccp_json_str(item->json, kind->member);
	if (ccp_str_blank(value))
		return fail_item(err, item, kind->member, "text that is not empty");
	r = kind->check(item, value, &checked, err);
	if (r < 0)
		return r;
	o = json_object();
	ccp_json_set_str(&o, "type", kind->type);
	ccp_json_set_str(&o, kind->member, checked);
	ccp_json_set_str(&o, "detail", ccp_json_str(item->json, "detail"));
	ccp_json_append_new(items, o);
	return *items ? 0 : ccp_fail_oom(err);
}

int ccp_input_items_check(const json_t *items, const struct ccp_input_limits *limits,
			  json_t **ret_items, struct codexcp_error *err)
{
	json_auto_t *checked = json_array();
	struct item item = { .limits = limits };
	int64_t n = (int64_t)json_array_size(items);

	if (!json_is_array(items))
		return ccp_fail_argument(err, "input_items", "an array of images", NULL);
	if (n > limits->max_items) {
		ccp_fail_argument(err, "input_items", "fewer images, see max_image_input_items",
				  NULL);
		ccp_error_add(err, "maxItems", json_integer(limits->max_items));
		ccp_error_add(err, "actualItems", json_integer(n));
		return CODEXCP_E_INVALID_ARGUMENT;
	}
	json_array_foreach (items, item.index, item.json) {
		int r = check_item(&item, &checked, err);

		if (r < 0)
			return r;
	}
	if (!checked)
		return ccp_fail_oom(err);
	*ret_items = TAKE_PTR(checked);
	return 0;
}

/* Where a schema stands, as a list up to the root; it becomes text only for an error. */
struct place {
	const struct place *up; /* NULL: the root */
	const char *name;       /* NULL: an element of an array */
	size_t index;
};

static int check_node(const json_t *schema, const struct place *at, struct codexcp_error *err);

static void append_place(struct ccp_strbuf *sb, const struct place *at)
{
	if (at->up)
		append_place(sb, at->up);
	if (at->name)
		ccp_strbuf_appendf(sb, "%s%s", at->up ? "." : "", at->name);
	else
		ccp_strbuf_appendf(sb, "[%zu]", at->index);
}

static int fail_schema(struct codexcp_error *err, const struct place *at, const char *expected)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PLACE_MAX);
	const char *path;

	append_place(&sb, at);
	path = sb.failed ? "a deep place" : ccp_strbuf_str(&sb);
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "output_schema: expected %s at %s", expected,
		 path);
	ccp_error_add_str(err, "argument", "output_schema");
	ccp_error_add_str(err, "expected", expected);
	ccp_error_add_str(err, "path", path);
	return CODEXCP_E_INVALID_ARGUMENT;
}

static bool is_type(const json_t *value)
{
	static const char *const types[] = { "object",  "array",   "string", "number",
					     "integer", "boolean", "null" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(types); i++) {
		if (ccp_streq(json_string_value(value), types[i]))
			return true;
	}
	return false;
}

static bool are_types(const json_t *list)
{
	const json_t *type;
	size_t i;

	json_array_foreach (list, i, type) {
		if (!is_type(type))
			return false;
	}
	return json_array_size(list) > 0;
}

static int check_type(const json_t *type, const struct place *at, struct codexcp_error *err)
{
	if (!type || is_type(type) || are_types(type))
		return 0;
	fail_schema(err, at, "a type (or a list of them) that Codex knows");
	ccp_error_add(err, "schemaType", json_deep_copy(type));
	return CODEXCP_E_INVALID_ARGUMENT;
}

static bool describes_object(const json_t *schema)
{
	const json_t *type = json_object_get(schema, "type"), *one;
	size_t i;

	json_array_foreach (type, i, one) {
		if (ccp_streq(json_string_value(one), "object"))
			return true;
	}
	return ccp_streq(json_string_value(type), "object") ||
	       json_object_get(schema, "properties");
}

/* A set of the required names, so that any number of them is looked up quickly. */
static int collect_required(const json_t *list, const struct place *at, json_t **set,
			    struct codexcp_error *err)
{
	const json_t *name;
	size_t i;

	if (list && !json_is_array(list))
		return fail_schema(err, at, "required to be an array of names");
	json_array_foreach (list, i, name) {
		if (!json_is_string(name))
			return fail_schema(err, at, "required to be an array of names");
		ccp_json_set_bool(set, json_string_value(name), true);
	}
	return *set ? 0 : ccp_fail_oom(err);
}

static int check_object(json_t *schema, const struct place *at, struct codexcp_error *err)
{
	json_auto_t *required = json_object(), *missing = json_array();
	const char *name;
	json_t *ignored;
	int r = collect_required(json_object_get(schema, "required"), at, &required, err);

	if (r < 0)
		return r;
	if (!json_is_false(json_object_get(schema, "additionalProperties")))
		return fail_schema(err, at, "additionalProperties: false");
	json_object_foreach (json_object_get(schema, "properties"), name, ignored) {
		if (!json_object_get(required, name) &&
		    json_array_size(missing) < MISSING_NAMES_MAX)
			ccp_json_append_new(&missing, json_string(name));
	}
	if (!missing)
		return ccp_fail_oom(err);
	if (!json_array_size(missing))
		return 0;
	fail_schema(err, at, "every property in required");
	ccp_error_add(err, "missingRequired", TAKE_PTR(missing));
	return CODEXCP_E_INVALID_ARGUMENT;
}

enum holds {
	HOLDS_ONE = 1,   /* a schema */
	HOLDS_LIST = 2,  /* an array of schemas */
	HOLDS_NAMED = 4, /* an object of schemas */
};

static const struct keyword {
	const char *name;
	unsigned holds;
	const char *expected;
} keywords[] = {
	{ "properties", HOLDS_NAMED, "an object of schemas" },
	{ "items", HOLDS_ONE | HOLDS_LIST, "a schema or an array of schemas" },
	{ "$defs", HOLDS_NAMED, "an object of schemas" },
	{ "definitions", HOLDS_NAMED, "an object of schemas" },
	{ "allOf", HOLDS_LIST, "an array of schemas" },
	{ "anyOf", HOLDS_LIST, "an array of schemas" },
	{ "oneOf", HOLDS_LIST, "an array of schemas" },
};

static int check_list(const json_t *list, const struct place *at, struct codexcp_error *err)
{
	struct place element = { .up = at };
	const json_t *schema;
	int r = 0;

	json_array_foreach (list, element.index, schema) {
		r = check_node(schema, &element, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int check_named(json_t *named, const struct place *at, struct codexcp_error *err)
{
	struct place member = { .up = at };
	json_t *schema;
	int r = 0;

	json_object_foreach (named, member.name, schema) {
		r = check_node(schema, &member, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int check_keyword(const struct keyword *keyword, json_t *value, const struct place *up,
			 struct codexcp_error *err)
{
	struct place at = { up, keyword->name, 0 };

	if (!value)
		return 0;
	if (json_is_array(value) && (keyword->holds & HOLDS_LIST))
		return check_list(value, &at, err);
	if (json_is_object(value) && (keyword->holds & HOLDS_ONE))
		return check_node(value, &at, err);
	if (json_is_object(value) && (keyword->holds & HOLDS_NAMED))
		return check_named(value, &at, err);
	return fail_schema(err, &at, keyword->expected);
}

static int check_node(const json_t *schema, const struct place *at, struct codexcp_error *err)
{
	int r;

	if (!json_is_object(schema))
		return fail_schema(err, at, "a schema (an object)");
	r = check_type(json_object_get(schema, "type"), at, err);
	for (size_t i = 0; r == 0 && i < CCP_ARRAY_SIZE(keywords); i++)
		r = check_keyword(&keywords[i], json_object_get(schema, keywords[i].name), at, err);
	if (r == 0 && describes_object(schema))
		r = check_object((json_t *)schema, at, err);
	return r;
}

int ccp_output_schema_check(const json_t *schema, struct codexcp_error *err)
{
	static const struct place root = { .name = "$" };
	_cleanup_free_ char *text = NULL;
	size_t chars;

	if (!json_object_size(schema))
		return fail_schema(err, &root, "an object that is not empty");
	text = ccp_json_dump_canonical(schema);
	if (!text)
		return ccp_fail_oom(err);
	chars = ccp_utf8_chars(text, strlen(text));
	if (chars <= SCHEMA_CHARS_MAX)
		return check_node(schema, &root, err);
	fail_schema(err, &root, "at most 50,000 characters");
	ccp_error_add(err, "maxChars", json_integer(SCHEMA_CHARS_MAX));
	ccp_error_add(err, "actualChars", json_integer((json_int_t)chars));
	return CODEXCP_E_INVALID_ARGUMENT;
}
