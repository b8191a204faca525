#include "base/field.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"

#define WORDS_MAX    4096
#define CHOICES_MAX  600 /* bytes of "one of: ..." */
#define MARKDOWN_MAX (256 * 1024)
#define SCHEMA_MAX   (256 * 1024)

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

/* A member's name, with the comma that the one before it needs. */
static void write_key(struct ccp_strbuf *sb, const char *key)
{
	if (sb->len && sb->data[sb->len - 1] != '{')
		ccp_strbuf_append_char(sb, ',');
	ccp_json_write_string(sb, key);
	ccp_strbuf_append_char(sb, ':');
}

static void write_member(struct ccp_strbuf *sb, const char *key, const char *text)
{
	write_key(sb, key);
	ccp_json_write_string(sb, text);
}

static void write_default(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	if (f->type == CCP_TYPE_STRING)
		ccp_json_write_string(sb, f->def_text);
	else if (f->type == CCP_TYPE_ENUM)
		ccp_json_write_string(sb, f->choices[f->def - 1]);
	else if (f->type == CCP_TYPE_BOOL)
		ccp_strbuf_append(sb, "true");
	else
		ccp_strbuf_appendf(sb, "%" PRId64, f->def);
}

static void write_type(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	const char *name = wordings[f->type].schema;

	if (!name)
		return;
	write_key(sb, "type");
	ccp_strbuf_appendf(sb, f->flags & CCP_FIELD_NULLABLE ? "[\"%s\",\"null\"]" : "\"%s\"",
			   name);
}

static void write_choices(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	write_key(sb, "enum");
	for (size_t i = 0; f->choices[i]; i++) {
		ccp_strbuf_append_char(sb, i ? ',' : '[');
		ccp_json_write_string(sb, f->choices[i]);
	}
	ccp_strbuf_append(sb, f->flags & CCP_FIELD_NULLABLE ? ",null]" : "]");
}

static void write_bounds(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	const struct wording *wording = &wordings[f->type];
	struct ccp_range range = shown_range(f);

	if (wording->min_key && range.low != INT64_MIN) {
		write_key(sb, wording->min_key);
		ccp_strbuf_appendf(sb, "%" PRId64, range.low);
	}
	if (wording->max_key && range.high != INT64_MAX) {
		write_key(sb, wording->max_key);
		ccp_strbuf_appendf(sb, "%" PRId64, range.high);
	}
}

static void write_members(struct ccp_strbuf *sb, const struct ccp_field *fields);

/* The members of a value's schema, without braces. */
static void write_value(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	bool closed = f->type == CCP_TYPE_OBJECT && f->fields;
	bool described = f->type == CCP_TYPE_STRINGS || (f->type == CCP_TYPE_ARRAY && f->fields);
	struct ccp_field element = ccp_field_element(f);

	write_type(sb, f);
	if (closed)
		write_members(sb, f->fields);
	if (f->type == CCP_TYPE_TIME)
		write_member(sb, "format", "date-time");
	if (f->type == CCP_TYPE_ENUM)
		write_choices(sb, f);
	if (described) {
		write_key(sb, "items");
		ccp_strbuf_append_char(sb, '{');
		write_value(sb, &element);
		ccp_strbuf_append_char(sb, '}');
	}
	write_bounds(sb, f);
}

static void write_property(struct ccp_strbuf *sb, const struct ccp_field *f)
{
	write_key(sb, f->name);
	ccp_strbuf_append_char(sb, '{');
	write_value(sb, f);
	if (has_default(f)) {
		write_key(sb, "default");
		write_default(sb, f);
	}
	if (f->doc)
		write_member(sb, "description", f->doc);
	ccp_strbuf_append_char(sb, '}');
}

static void write_required(struct ccp_strbuf *sb, const struct ccp_field *fields)
{
	bool any = false;

	for (const struct ccp_field *f = fields; f->name; f++) {
		if (!(f->flags & CCP_FIELD_REQUIRED) || f->flags & CCP_FIELD_HIDDEN)
			continue;
		if (!any)
			write_key(sb, "required");
		ccp_strbuf_append_char(sb, any ? ',' : '[');
		ccp_json_write_string(sb, f->name);
		any = true;
	}
	if (any)
		ccp_strbuf_append_char(sb, ']');
}

/* What a closed object's schema has beside its type. */
static void write_members(struct ccp_strbuf *sb, const struct ccp_field *fields)
{
	write_key(sb, "properties");
	ccp_strbuf_append_char(sb, '{');
	for (const struct ccp_field *f = fields; f->name; f++)
		if (!(f->flags & CCP_FIELD_HIDDEN))
			write_property(sb, f);
	ccp_strbuf_append_char(sb, '}');
	write_required(sb, fields);
	write_key(sb, "additionalProperties");
	ccp_strbuf_append(sb, "false");
}

void ccp_field_write_schema(struct ccp_strbuf *sb, const struct ccp_field *fields)
{
	ccp_strbuf_append(sb, "{\"type\":\"object\"");
	write_members(sb, fields);
	ccp_strbuf_append_char(sb, '}');
}

json_t *ccp_field_schema(const struct ccp_field *fields)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SCHEMA_MAX);
	json_t *schema = NULL;

	ccp_field_write_schema(&sb, fields);
	return !sb.failed && ccp_json_parse(ccp_strbuf_str(&sb), sb.len, 0, &schema, NULL) == 0
		       ? schema
		       : NULL;
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
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf text = CCP_STRBUF(WORDS_MAX);

	if (f->flags & CCP_FIELD_REQUIRED)
		ccp_strbuf_append(sb, "required");
	if (!has_default(f))
		return;
	write_default(&text, f);
	sb->failed |= text.failed;
	ccp_strbuf_append_char(sb, '`');
	append_cell(sb, ccp_strbuf_str(&text));
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
