#include "base/field.h"

#include <assert.h>
#include <ctype.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define NAME_CHARS_MAX 64 /* of a caller's name that is repeated in an error */
#define PLACE_MAX      4096

/* Where a value stands, as a list up to the arguments; it becomes text only for an error. */
struct place {
	const struct place *up;
	const char *name; /* NULL: an element of an array */
	size_t index;
};

struct kind {
	bool (*fits)(const struct ccp_field *f, const json_t *value);
	/* Checks what the value holds; NULL for types that hold nothing. */
	int (*inside)(const struct ccp_field *f, const json_t *value, const struct place *at,
		      struct codexcp_error *err);
	/* A NULL value is an absent one. NULL for types that are never bound. */
	void (*store)(const struct ccp_field *f, const json_t *value, void *to);
};

static int check_value(const struct ccp_field *f, const json_t *value, const struct place *at,
		       struct codexcp_error *err);
static int bind_members(const struct ccp_field *fields, const json_t *obj, const struct place *at,
			char *out, size_t out_size, struct codexcp_error *err);

struct ccp_range ccp_field_range(const struct ccp_field *field)
{
	if (!field->min && !field->max)
		return (struct ccp_range){ INT64_MIN, INT64_MAX };
	return (struct ccp_range){ field->min, field->max < field->min ? INT64_MAX : field->max };
}

struct ccp_field ccp_field_element(const struct ccp_field *field)
{
	if (field->type == CCP_TYPE_STRINGS)
		return (struct ccp_field){ .type = CCP_TYPE_STRING,
					   .flags = field->flags & CCP_FIELD_NONBLANK,
					   .max = field->item_max };
	return (struct ccp_field){ .type = CCP_TYPE_OBJECT, .fields = field->fields };
}

/* Names come from callers: bounded, and on one line. */
static void append_name(struct ccp_strbuf *sb, const char *name)
{
	size_t len = ccp_utf8_clip(name, strlen(name), NAME_CHARS_MAX);

	for (size_t i = 0; i < len; i++)
		ccp_strbuf_append_char(sb, iscntrl((unsigned char)name[i]) ? '?' : name[i]);
	if (name[len])
		ccp_strbuf_append(sb, "...");
}

static void append_place(struct ccp_strbuf *sb, const struct place *at)
{
	if (at->up)
		append_place(sb, at->up);
	if (!at->name) {
		ccp_strbuf_appendf(sb, "[%zu]", at->index);
		return;
	}
	if (at->up)
		ccp_strbuf_append_char(sb, '.');
	append_name(sb, at->name);
}

static char *place_text(const struct place *at)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PLACE_MAX);

	append_place(&sb, at);
	return ccp_strbuf_take(&sb);
}

/* After ccp_fail() with a message that says it better than ccp_fail_argument(): the same details.
 */
static int add_details(struct codexcp_error *err, const char *argument, const char *expected,
		       const char *nearest)
{
	ccp_error_add_str(err, "argument", argument);
	ccp_error_add_str(err, "expected", expected);
	ccp_error_add_str(err, "didYouMean", nearest);
	return CODEXCP_E_INVALID_ARGUMENT;
}

/* NULL for what is no string, and for a string with NUL, which C would see cut off. */
static const char *text_of(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static int refuse_value(const struct ccp_field *f, const json_t *value, const struct place *at,
			struct codexcp_error *err)
{
	_cleanup_free_ char *argument = place_text(at), *expected = ccp_field_expected(f);
	const char *text = text_of(value);
	const char *nearest = text && f->choices ? ccp_str_nearest(text, f->choices) : NULL;

	if (!argument || !expected)
		return ccp_fail_oom(err);
	return ccp_fail_argument(err, argument, expected, nearest);
}

static int refuse_absence(const struct ccp_field *f, const struct place *at,
			  struct codexcp_error *err)
{
	_cleanup_free_ char *argument = place_text(at), *expected = ccp_field_expected(f);

	if (!argument || !expected)
		return ccp_fail_oom(err);
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s is required", argument);
	return add_details(err, argument, expected, NULL);
}

/* The advertised names, NULL-terminated; the array is the caller's, the names are borrowed. */
static const char **known_names(const struct ccp_field *fields)
{
	const char **names;
	size_t n = 0;

	while (fields[n].name)
		n++;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (const struct ccp_field *f = fields; f->name; f++)
		if (!(f->flags & CCP_FIELD_HIDDEN))
			names[n++] = f->name;
	return names;
}

/* In words, an unknown name is a wrong choice from the known ones. */
static char *names_text(const char *const *names)
{
	const struct ccp_field choice = { .type = CCP_TYPE_ENUM, .choices = names };

	return names[0] ? ccp_field_expected(&choice) : strdup("nothing, it has no members");
}

static int refuse_unknown(const struct ccp_field *fields, const struct place *at,
			  struct codexcp_error *err)
{
	_cleanup_free_ const char **names = known_names(fields);
	_cleanup_free_ char *argument = place_text(at);
	_cleanup_free_ char *expected = names ? names_text(names) : NULL;
	const char *nearest;

	if (!argument || !expected)
		return ccp_fail_oom(err);
	nearest = ccp_str_nearest(at->name, names);
	if (nearest)
		ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s: unknown argument; did you mean %s?",
			 argument, nearest);
	else
		ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s: unknown argument", argument);
	return add_details(err, argument, expected, nearest);
}

/* JSON has one kind of number: clients may write 5 as 5.0. */
static bool integer_of(const json_t *value, int64_t *ret)
{
	double real = json_real_value(value);

	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return true;
	}
	if (!json_is_real(value) || !(real >= -0x1p63 && real < 0x1p63))
		return false;
	*ret = (int64_t)real;
	return (double)*ret == real;
}

static bool in_range(const struct ccp_field *f, int64_t n)
{
	struct ccp_range range = ccp_field_range(f);

	return n >= range.low && n <= range.high;
}

static int choice_of(const struct ccp_field *f, const json_t *value)
{
	const char *text = text_of(value);

	for (int i = 0; text && f->choices[i]; i++)
		if (ccp_streq(text, f->choices[i]))
			return i;
	return -1;
}

static bool string_fits(const struct ccp_field *f, const json_t *value)
{
	const char *text = text_of(value);

	if (!text || (f->flags & CCP_FIELD_NONBLANK && ccp_str_blank(text)))
		return false;
	return in_range(f, (int64_t)ccp_utf8_chars(text, json_string_length(value)));
}

static bool int_fits(const struct ccp_field *f, const json_t *value)
{
	int64_t n;

	return integer_of(value, &n) && in_range(f, n);
}

static bool number_fits(const struct ccp_field *f, const json_t *value)
{
	struct ccp_range range = ccp_field_range(f);
	double n = json_number_value(value);

	return json_is_number(value) && (range.low == INT64_MIN || n >= (double)range.low) &&
	       (range.high == INT64_MAX || n <= (double)range.high);
}

static bool bool_fits(const struct ccp_field *f, const json_t *value)
{
	return json_is_boolean(value);
}

static bool enum_fits(const struct ccp_field *f, const json_t *value)
{
	return choice_of(f, value) >= 0;
}

static bool array_fits(const struct ccp_field *f, const json_t *value)
{
	return json_is_array(value) && in_range(f, (int64_t)json_array_size(value));
}

static bool object_fits(const struct ccp_field *f, const json_t *value)
{
	return json_is_object(value);
}

static bool time_fits(const struct ccp_field *f, const json_t *value)
{
	const char *text = text_of(value);
	int64_t wall_ms;

	return text && ccp_time_parse(text, &wall_ms);
}

static bool any_fits(const struct ccp_field *f, const json_t *value)
{
	return true;
}

static int check_elements(const struct ccp_field *f, const json_t *value, const struct place *at,
			  struct codexcp_error *err)
{
	struct ccp_field element = ccp_field_element(f);
	int r = 0;

	if (f->type == CCP_TYPE_ARRAY && !f->fields)
		return 0;
	for (size_t i = 0; r == 0 && i < json_array_size(value); i++) {
		const struct place here = { .up = at, .index = i };

		r = check_value(&element, json_array_get(value, i), &here, err);
	}
	return r;
}

static int check_members(const struct ccp_field *f, const json_t *value, const struct place *at,
			 struct codexcp_error *err)
{
	return f->fields ? bind_members(f->fields, value, at, NULL, 0, err) : 0;
}

static void store_string(const struct ccp_field *f, const json_t *value, void *to)
{
	*(const char **)to = value ? json_string_value(value) : f->def_text;
}

static void store_int(const struct ccp_field *f, const json_t *value, void *to)
{
	int64_t n = f->def;

	if (value && !integer_of(value, &n))
		assert(!"int_fits() let a wrong value pass");
	*(int64_t *)to = n;
}

static void store_number(const struct ccp_field *f, const json_t *value, void *to)
{
	*(double *)to = value ? json_number_value(value) : (double)f->def;
}

static void store_bool(const struct ccp_field *f, const json_t *value, void *to)
{
	*(bool *)to = value ? json_is_true(value) : f->def != 0;
}

static void store_enum(const struct ccp_field *f, const json_t *value, void *to)
{
	*(int *)to = value ? choice_of(f, value) : (int)f->def - 1;
}

static void store_json(const struct ccp_field *f, const json_t *value, void *to)
{
	*(json_t **)to = (json_t *)value;
}

static const struct kind kinds[] = {
	[CCP_TYPE_STRING] = { string_fits, NULL, store_string },
	[CCP_TYPE_INT] = { int_fits, NULL, store_int },
	[CCP_TYPE_NUMBER] = { number_fits, NULL, store_number },
	[CCP_TYPE_BOOL] = { bool_fits, NULL, store_bool },
	[CCP_TYPE_ENUM] = { enum_fits, NULL, store_enum },
	[CCP_TYPE_STRINGS] = { array_fits, check_elements, store_json },
	[CCP_TYPE_OBJECT] = { object_fits, check_members, store_json },
	[CCP_TYPE_ARRAY] = { array_fits, check_elements, store_json },
	[CCP_TYPE_TIME] = { time_fits, NULL, NULL },
	[CCP_TYPE_ANY] = { any_fits, NULL, store_json },
};

static int check_value(const struct ccp_field *f, const json_t *value, const struct place *at,
		       struct codexcp_error *err)
{
	const struct kind *kind = &kinds[f->type];

	if (!kind->fits(f, value))
		return refuse_value(f, value, at, err);
	return kind->inside ? kind->inside(f, value, at, err) : 0;
}

static int bind_member(const struct ccp_field *f, const json_t *value, const struct place *up,
		       void *to, struct codexcp_error *err)
{
	const struct place at = { .up = up, .name = f->name };
	int r = 0;

	if (!value && f->flags & CCP_FIELD_REQUIRED)
		return refuse_absence(f, &at, err);
	if (json_is_null(value) && f->flags & CCP_FIELD_NULLABLE)
		value = NULL;
	if (value)
		r = check_value(f, value, &at, err);
	if (r == 0 && to)
		kinds[f->type].store(f, value, to);
	return r;
}

static const struct ccp_field *find_field(const struct ccp_field *fields, const char *name)
{
	for (const struct ccp_field *f = fields; f->name; f++)
		if (ccp_streq(f->name, name))
			return f;
	return NULL;
}

static int check_names(const struct ccp_field *fields, const json_t *obj, const struct place *up,
		       struct codexcp_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)obj, name, value)
		if (!find_field(fields, name)) {
			const struct place at = { .up = up, .name = name };

			return refuse_unknown(fields, &at, err);
		}
	return 0;
}

/* Names first: a misspelt required argument is better called misspelt than missing. */
static int bind_members(const struct ccp_field *fields, const json_t *obj, const struct place *at,
			char *out, size_t out_size, struct codexcp_error *err)
{
	int r = check_names(fields, obj, at, err);

	for (const struct ccp_field *f = fields; r == 0 && f->name; f++) {
		assert(!out || (f->offset < out_size && kinds[f->type].store));
		r = bind_member(f, json_object_get(obj, f->name), at, out ? out + f->offset : NULL,
				err);
	}
	return r;
}

int ccp_field_bind(const struct ccp_field *fields, const json_t *args, void *out, size_t out_size,
		   struct codexcp_error *err)
{
	if (out)
		memset(out, 0, out_size);
	if (args && !json_is_object(args))
		return ccp_fail_argument(err, "arguments", "an object", NULL);
	return bind_members(fields, args, NULL, out, out_size, err);
}
