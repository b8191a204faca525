#include "base/field.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"

#define WORDS_MAX    4096
#define CHOICES_MAX  600 /* bytes of "one of: ..." */
#define MARKDOWN_MAX (256 * 1024)

/* How a type is called: in a schema, and in words with and without bounds. */
struct wording {
	const char *schema;
	const char *min_key, *max_key; /* of the schema; NULL: has no bounds */
	const char *plain;             /* "a string" */
	const char *bounded;           /* "a string" of 1 to 5 ... */
	const char *unit;              /* ... "characters"; NULL: the value itself is bounded */
};

static const struct wording wordings[] = {
	[CCP_TYPE_STRING] = { "string", "minLength", "maxLength", "a string", "a string",
			      "characters" },
	[CCP_TYPE_INT] = { "integer", "minimum", "maximum", "an integer", "an integer" },
	[CCP_TYPE_NUMBER] = { "number", "minimum", "maximum", "a number", "a number" },
	[CCP_TYPE_BOOL] = { "boolean", .plain = "true or false" },
	[CCP_TYPE_ENUM] = { "string", .plain = "one of: " },
	[CCP_TYPE_STRINGS] = { "array", "minItems", "maxItems", "an array of strings", "an array",
			       "strings" },
	[CCP_TYPE_OBJECT] = { "object", .plain = "an object" },
	[CCP_TYPE_ARRAY] = { "array", "minItems", "maxItems", "an array", "an array", "elements" },
	[CCP_TYPE_TIME] = { "string", .plain = "an RFC 3339 time" },
	[CCP_TYPE_ANY] = { NULL, .plain = "any JSON value" },
};

/* The range as far as it says something: nothing is shorter than 0, and what is not blank has a
 * character. */
static struct ccp_range shown_range(const struct ccp_field *f)
{
	struct ccp_range range = ccp_field_range(f);

	if (f->type == CCP_TYPE_STRING && f->flags & CCP_FIELD_NONBLANK)
		range.low = CCP_MAX(range.low, 1);
	if (wordings[f->type].unit && range.low <= 0)
		range.low = INT64_MIN;
	return range;
}

static bool has_default(const struct ccp_field *f)
{
	if (f->flags & CCP_FIELD_REQUIRED)
		return false;
	return f->type == CCP_TYPE_STRING ? f->def_text != NULL : f->def != 0;
}

static json_t *default_value(const struct ccp_field *f)
{
	if (f->type == CCP_TYPE_STRING)
		return json_string(f->def_text);
	if (f->type == CCP_TYPE_ENUM)
		return json_string(f->choices[f->def - 1]);
	return f->type == CCP_TYPE_BOOL ? json_true() : json_integer(f->def);
}

static void set_type(json_t **schema, const struct ccp_field *f)
{
	const char *name = wordings[f->type].schema;

	if (name && f->flags & CCP_FIELD_NULLABLE)
		ccp_json_set_new(schema, "type", json_pack("[ss]", name, "null"));
	else
		ccp_json_set_str(schema, "type", name);
}

static void set_choices(json_t **schema, const struct ccp_field *f)
{
	json_t *choices = json_array();

	for (size_t i = 0; f->choices[i]; i++)
		ccp_json_append_new(&choices, json_string(f->choices[i]));
	if (f->flags & CCP_FIELD_NULLABLE)
		ccp_json_append_new(&choices, json_null());
	ccp_json_set_new(schema, "enum", choices);
}

static void set_bounds(json_t **schema, const struct ccp_field *f)
{
	const struct wording *wording = &wordings[f->type];
	struct ccp_range range = shown_range(f);

	if (wording->min_key && range.low != INT64_MIN)
		ccp_json_set_int(schema, wording->min_key, range.low);
	if (wording->max_key && range.high != INT64_MAX)
		ccp_json_set_int(schema, wording->max_key, range.high);
}

static json_t *value_schema(const struct ccp_field *f)
{
	bool closed = f->type == CCP_TYPE_OBJECT && f->fields;
	bool described = f->type == CCP_TYPE_STRINGS || (f->type == CCP_TYPE_ARRAY && f->fields);
	json_t *schema = closed ? ccp_field_schema(f->fields) : json_object();
	struct ccp_field element = ccp_field_element(f);

	set_type(&schema, f);
	if (f->type == CCP_TYPE_TIME)
		ccp_json_set_str(&schema, "format", "date-time");
	if (f->type == CCP_TYPE_ENUM)
		set_choices(&schema, f);
	if (described)
		ccp_json_set_new(&schema, "items", value_schema(&element));
	set_bounds(&schema, f);
	return schema;
}

static json_t *property_schema(const struct ccp_field *f)
{
	json_t *schema = value_schema(f);

	if (has_default(f))
		ccp_json_set_new(&schema, "default", default_value(f));
	ccp_json_set_str(&schema, "description", f->doc);
	return schema;
}

json_t *ccp_field_schema(const struct ccp_field *fields)
{
	json_t *schema = json_object(), *properties = json_object(), *required = json_array();

	for (const struct ccp_field *f = fields; f->name; f++) {
		if (f->flags & CCP_FIELD_HIDDEN)
			continue;
		ccp_json_set_new(&properties, f->name, property_schema(f));
		if (f->flags & CCP_FIELD_REQUIRED)
			ccp_json_append_new(&required, json_string(f->name));
	}
	ccp_json_set_str(&schema, "type", "object");
	ccp_json_set_new(&schema, "properties", properties);
	if (required && json_array_size(required) == 0)
		json_decref(required);
	else
		ccp_json_set_new(&schema, "required", required);
	ccp_json_set_bool(&schema, "additionalProperties", false);
	return schema;
}

static void append_choices(struct ccp_strbuf *sb, const char *const *choices)
{
	for (size_t i = 0; choices[i]; i++) {
		ccp_strbuf_append(sb, i ? ", " : "");
		if (sb->len + strlen(choices[i]) > CHOICES_MAX) {
			ccp_strbuf_append(sb, "...");
			return;
		}
		ccp_strbuf_append(sb, choices[i]);
	}
}

static void append_range(struct ccp_strbuf *sb, struct ccp_range range, const char *unit)
{
	if (range.low == INT64_MIN)
		ccp_strbuf_appendf(sb, " of at most %" PRId64, range.high);
	else if (range.high == INT64_MAX)
		ccp_strbuf_appendf(sb, " of at least %" PRId64, range.low);
	else
		ccp_strbuf_appendf(sb, " %s %" PRId64 " to %" PRId64, unit ? "of" : "from",
				   range.low, range.high);
	if (unit)
		ccp_strbuf_appendf(sb, " %s", unit);
}

/* "a non-empty string" says "a string of at least 1 characters" shorter. */
static const char *string_plain(const struct ccp_field *f)
{
	if (f->flags & CCP_FIELD_NONBLANK)
		return "a non-blank string";
	return f->min == 1 ? "a non-empty string" : "a string";
}

static void append_words(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	const struct wording *w = &wordings[f->type];
	const char *plain = w->plain, *bounded = w->bounded, *unit = w->unit;
	struct ccp_range range = shown_range(f);

	if (f->type == CCP_TYPE_STRING) {
		plain = bounded = string_plain(f);
		if (range.low == 1)
			range.low = INT64_MIN;
	}
	if (f->type == CCP_TYPE_ARRAY && f->fields) {
		plain = "an array of objects";
		unit = "objects";
	}
	if (!bounded || (range.low == INT64_MIN && range.high == INT64_MAX)) {
		ccp_strbuf_append(sb, plain);
		return;
	}
	ccp_strbuf_append(sb, bounded);
	append_range(sb, range, unit);
}

char *ccp_field_expected(const struct ccp_field *field)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(WORDS_MAX);
	struct ccp_field element = ccp_field_element(field);

	append_words(&sb, field);
	if (field->type == CCP_TYPE_ENUM)
		append_choices(&sb, field->choices);
	if (field->type == CCP_TYPE_STRINGS && (element.max || element.flags)) {
		ccp_strbuf_append(&sb, ", each ");
		append_words(&sb, &element);
	}
	if (field->flags & CCP_FIELD_NULLABLE)
		ccp_strbuf_append(&sb, field->type == CCP_TYPE_ENUM ? ", or null" : " or null");
	return ccp_strbuf_take(&sb);
}

/* A bar would end the cell, and a line break the row. */
static void append_cell(struct ccp_strbuf *sb, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			ccp_strbuf_append_char(sb, '\\');
		ccp_strbuf_append_char(sb, *text == '\n' ? ' ' : *text);
	}
}

static void append_default(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	json_auto_t *value = NULL;
	_cleanup_free_ char *text = NULL;

	if (f->flags & CCP_FIELD_REQUIRED)
		ccp_strbuf_append(sb, "required");
	if (!has_default(f))
		return;
	value = default_value(f);
	text = json_dumps(value, JSON_ENCODE_ANY);
	if (!text) {
		sb->failed = true;
		return;
	}
	ccp_strbuf_append_char(sb, '`');
	append_cell(sb, text);
	ccp_strbuf_append_char(sb, '`');
}

static void append_row(struct ccp_strbuf *sb, const struct ccp_field *f, const char *name)
{
	_cleanup_free_ char *words = ccp_field_expected(f);

	if (!words) {
		sb->failed = true;
		return;
	}
	ccp_strbuf_appendf(sb, "| `%s` | ", name);
	append_cell(sb, words);
	ccp_strbuf_append(sb, " | ");
	append_default(sb, f);
	ccp_strbuf_append(sb, " | ");
	append_cell(sb, f->doc ? f->doc : "");
	ccp_strbuf_append(sb, " |\n");
}

static void append_rows(struct ccp_strbuf *sb, const struct ccp_field *fields, const char *prefix)
{
	for (const struct ccp_field *f = fields; f->name; f++) {
		_cleanup_free_ char *name = NULL, *below = NULL;

		if (f->flags & CCP_FIELD_HIDDEN)
			continue;
		name = ccp_asprintf("%s%s", prefix, f->name);
		below = ccp_asprintf("%s%s%s.", prefix, f->name,
				     f->type == CCP_TYPE_ARRAY ? "[]" : "");
		if (!name || !below) {
			sb->failed = true;
			return;
		}
		append_row(sb, f, name);
		if (f->fields)
			append_rows(sb, f->fields, below);
	}
}

char *ccp_field_markdown(const struct ccp_field *fields)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(MARKDOWN_MAX);

	ccp_strbuf_append(&sb, "");
	append_rows(&sb, fields, "");
	return ccp_strbuf_take(&sb);
}
