/*
 * Field tables: one description of an object gives its JSON Schema, its validation with precise
 * messages, the binding into a C struct, and its reference page. Nothing is described twice.
 *
 *	struct wait_args { const char *operation_id; int64_t timeout_seconds; };
 *
 *	static const struct ccp_field wait_fields[] = {
 *		CCP_FIELD_STRING(struct wait_args, operation_id, .flags = CCP_FIELD_REQUIRED,
 *				 .min = 1, .doc = "from codex_submit_task"),
 *		CCP_FIELD_INT(struct wait_args, timeout_seconds, .def = 50, .min = 1, .max = 240),
 *		CCP_FIELD_END
 *	};
 *
 * Bound strings and JSON values are borrowed from the arguments object and live as long as it.
 */
#pragma once

#include "base/error.h"
#include "base/strbuf.h"

enum ccp_field_type {
	CCP_TYPE_STRING,  /* const char *; min/max count characters, max 0 = no limit */
	CCP_TYPE_INT,     /* int64_t; min..max */
	CCP_TYPE_NUMBER,  /* double; min..max */
	CCP_TYPE_BOOL,    /* bool */
	CCP_TYPE_ENUM,    /* int: index into choices, -1 when absent */
	CCP_TYPE_STRINGS, /* json_t *: array of strings; max items, item_max characters each */
	CCP_TYPE_OBJECT,  /* json_t *: an object; closed when `fields` is given, else open */
	CCP_TYPE_ARRAY,   /* json_t *: an array of objects described by `fields` */
	CCP_TYPE_TIME,    /* output only: RFC 3339 text */
	CCP_TYPE_ANY,     /* json_t *: any JSON value */
};

enum ccp_field_flags {
	CCP_FIELD_REQUIRED = 1,
	CCP_FIELD_NULLABLE = 2, /* null is the same as absent; REQUIRED: present, maybe null */
	CCP_FIELD_HIDDEN = 4,   /* accepted, but not advertised in the schema */
	CCP_FIELD_NONBLANK = 8, /* a string that is only white space is refused */
};

struct ccp_field {
	const char *name;
	enum ccp_field_type type;
	unsigned flags;
	size_t offset;                  /* of the bound member */
	int64_t def;                    /* INT, NUMBER, BOOL; ENUM: index + 1, 0 = absent */
	const char *def_text;           /* STRING */
	int64_t min, max, item_max;     /* see the types and ccp_field_range() */
	const char *const *choices;     /* ENUM: NULL-terminated */
	const struct ccp_field *fields; /* OBJECT, ARRAY: the members */
	const char *doc; /* a few words; shown to models, so only where the name is not enough */
};

/* clang-format off */
#define CCP_FIELD_STRING(T, member, ...)                                                           \
	{ .name = #member, .type = CCP_TYPE_STRING, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_INT(T, member, ...)                                                              \
	{ .name = #member, .type = CCP_TYPE_INT, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_NUMBER(T, member, ...)                                                           \
	{ .name = #member, .type = CCP_TYPE_NUMBER, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_BOOL(T, member, ...)                                                             \
	{ .name = #member, .type = CCP_TYPE_BOOL, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_ENUM(T, member, list, ...)                                                       \
	{ .name = #member, .type = CCP_TYPE_ENUM, .offset = offsetof(T, member),                   \
	  .choices = (list), __VA_ARGS__ }
#define CCP_FIELD_STRINGS(T, member, ...)                                                          \
	{ .name = #member, .type = CCP_TYPE_STRINGS, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_OBJECT(T, member, ...)                                                           \
	{ .name = #member, .type = CCP_TYPE_OBJECT, .offset = offsetof(T, member), __VA_ARGS__ }
#define CCP_FIELD_ARRAY(T, member, ...)                                                            \
	{ .name = #member, .type = CCP_TYPE_ARRAY, .offset = offsetof(T, member), __VA_ARGS__ }
/* Output tables describe what is built by hand and bind nothing. */
#define CCP_OUT(field_name, field_type, ...)                                                       \
	{ .name = (field_name), .type = (field_type), __VA_ARGS__ }
#define CCP_FIELD_END { .name = NULL }
/* clang-format on */

/*
 * JSON Schema (2020-12 subset): {"type":"object","properties":...,"required":...,
 * "additionalProperties":false}, small: defaults and bounds only where they say something. A new
 * reference or NULL.
 */
json_t *ccp_field_schema(const struct ccp_field *fields);
/* The same as compact text, which is what clients get: no JSON value is made for it. */
void ccp_field_write_schema(struct ccp_strbuf *sb, const struct ccp_field *fields);

/*
 * Validate `args` (an object, or NULL for none) and fill the struct at `out`, zeroed first.
 * Every failure is INVALID_ARGUMENT with details argument (a path such as "input_items[1].url"),
 * expected, and didYouMean for an unknown name that is near a known one. No coercion: "5" is not 5
 * (but 5.0 is, because JSON has one kind of number). Members of OBJECT and ARRAY fields are
 * validated and not bound. With out == NULL nothing is bound: so output tables check what was built
 * by hand.
 */
int ccp_field_bind(const struct ccp_field *fields, const json_t *args, void *out, size_t out_size,
		   struct codexcp_error *err);

/*
 * Markdown table rows "| `name` | type and bounds | default | meaning |" of the fields and their
 * members (`items[].url`); NULL when out of memory.
 */
char *ccp_field_markdown(const struct ccp_field *fields);

/* What a value must be, in words: "an integer from 1 to 240". NULL when out of memory. */
char *ccp_field_expected(const struct ccp_field *field);

struct ccp_range {
	int64_t low, high; /* INT64_MIN and INT64_MAX: no bound */
};
/* What min and max mean: both 0 is no bound at all, and a max below min is no maximum. */
struct ccp_range ccp_field_range(const struct ccp_field *field);

/* The unnamed field that describes each element of a STRINGS or ARRAY field. */
struct ccp_field ccp_field_element(const struct ccp_field *field);
