#include "base/field.h"

#include <string.h>

#include "base/json.h"
#include "ccp_check.h"

static const char *const views[] = { "compact", "full", "raw", NULL };
static const char *const modes[] = { "add", "replace", NULL };

static const struct ccp_field item_fields[] = {
	CCP_OUT("type", CCP_TYPE_STRING, .flags = CCP_FIELD_REQUIRED, .min = 1),
	CCP_OUT("url", CCP_TYPE_STRING, .max = 20),
	CCP_OUT("weight", CCP_TYPE_INT, .min = 1, .max = 9), CCP_FIELD_END
};

static const struct ccp_field limit_fields[] = {
	CCP_OUT("tokens", CCP_TYPE_INT, .flags = CCP_FIELD_REQUIRED),
	CCP_OUT("items", CCP_TYPE_ARRAY, .fields = item_fields), CCP_FIELD_END
};

struct args {
	const char *operation_id, *title, *label;
	int64_t timeout_seconds, offset, limit;
	double ratio;
	bool wait, quiet;
	int view, mode;
	json_t *paths, *limits, *meta, *input_items, *list, *value;
	bool debug;
};

static const struct ccp_field fields[] = {
	CCP_FIELD_STRING(struct args, operation_id, .flags = CCP_FIELD_REQUIRED, .min = 1,
			 .max = 10, .doc = "from codex_submit_task"),
	CCP_FIELD_STRING(struct args, title, .flags = CCP_FIELD_NULLABLE | CCP_FIELD_NONBLANK,
			 .max = 4),
	CCP_FIELD_STRING(struct args, label, .def_text = "none"),
	CCP_FIELD_INT(struct args, timeout_seconds, .def = 50, .min = 1, .max = 240),
	CCP_FIELD_INT(struct args, offset, .max = INT64_MAX),
	CCP_FIELD_INT(struct args, limit),
	CCP_FIELD_NUMBER(struct args, ratio, .def = 1, .max = 1),
	CCP_FIELD_BOOL(struct args, wait, .def = true),
	CCP_FIELD_BOOL(struct args, quiet),
	CCP_FIELD_ENUM(struct args, view, views, .def = 2),
	CCP_FIELD_ENUM(struct args, mode, modes, .flags = CCP_FIELD_NULLABLE),
	CCP_FIELD_STRINGS(struct args, paths, .flags = CCP_FIELD_NONBLANK, .max = 2, .item_max = 3),
	CCP_FIELD_OBJECT(struct args, limits, .fields = limit_fields, .flags = CCP_FIELD_NULLABLE),
	CCP_FIELD_OBJECT(struct args, meta),
	CCP_FIELD_ARRAY(struct args, input_items, .fields = item_fields, .min = 1, .max = 2),
	CCP_FIELD_ARRAY(struct args, list),
	{ .name = "value", .type = CCP_TYPE_ANY, .offset = offsetof(struct args, value) },
	CCP_FIELD_BOOL(struct args, debug, .flags = CCP_FIELD_HIDDEN),
	CCP_FIELD_END
};

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);

	ck_assert_msg(value, "%s: %s", text, error.text);
	return value;
}

/* Binds `operation_id` and the members in `text` ("," first); the caller owns *ret_args. */
static int bind(const char *text, json_t **ret_args, struct args *out, struct codexcp_error *err)
{
	char *whole = NULL;
	int r;

	ck_assert_int_gt(asprintf(&whole, "{\"operation_id\":\"op\"%s}", text), 0);
	*ret_args = parse(whole);
	r = ccp_field_bind(fields, *ret_args, out, sizeof(*out), err);
	free(whole);
	return r;
}

static void assert_bound(const char *text)
{
	json_auto_t *args = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	ck_assert_msg(bind(text, &args, &out, &err) == 0, "%s: %s", text, err.message);
}

static void assert_error(const struct codexcp_error *err, const char *argument,
			 const char *expected, const char *did_you_mean)
{
	ck_assert_int_eq(err->code, CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(ccp_json_str(err->details, "argument"), argument);
	ck_assert_str_eq(ccp_json_str(err->details, "expected"), expected);
	ck_assert_pstr_eq(ccp_json_str(err->details, "didYouMean"), did_you_mean);
}

static void assert_refused(const char *text, const char *argument, const char *expected)
{
	json_auto_t *args = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	ck_assert_msg(bind(text, &args, &out, &err) == CODEXCP_E_INVALID_ARGUMENT,
		      "%s was accepted", text);
	assert_error(&err, argument, expected, NULL);
	ck_assert_ptr_nonnull(strstr(err.message, expected));
	ck_assert_int_eq(strncmp(err.message, argument, strlen(argument)), 0);
}

static void assert_property(const char *name, const char *expected)
{
	json_auto_t *schema = ccp_field_schema(fields), *value = parse(expected);
	_cleanup_free_ char *text = NULL;

	ck_assert_ptr_nonnull(schema);
	text = json_dumps(json_object_get(ccp_json_obj(schema, "properties"), name), JSON_COMPACT);
	ck_assert_msg(json_equal(json_object_get(ccp_json_obj(schema, "properties"), name), value),
		      "%s: %s", name, text ? text : "absent");
}

START_TEST(test_schema_of_the_whole)
{
	static const struct ccp_field small[] = {
		CCP_OUT("b", CCP_TYPE_INT, .flags = CCP_FIELD_REQUIRED, .def = 3, .doc = "why"),
		CCP_OUT("a", CCP_TYPE_BOOL),
		CCP_OUT("x", CCP_TYPE_BOOL, .flags = CCP_FIELD_HIDDEN | CCP_FIELD_REQUIRED),
		CCP_FIELD_END
	};
	json_auto_t *schema = ccp_field_schema(small);
	_cleanup_free_ char *text = json_dumps(schema, JSON_COMPACT);

	ck_assert_str_eq(text, "{\"type\":\"object\",\"properties\":{"
			       "\"b\":{\"type\":\"integer\",\"description\":\"why\"},"
			       "\"a\":{\"type\":\"boolean\"}},"
			       "\"required\":[\"b\"],\"additionalProperties\":false}");
}
END_TEST

START_TEST(test_schema_without_required)
{
	static const struct ccp_field none[] = { CCP_FIELD_END };
	json_auto_t *schema = ccp_field_schema(none);
	_cleanup_free_ char *text = json_dumps(schema, JSON_COMPACT);

	ck_assert_str_eq(text, "{\"type\":\"object\",\"properties\":{},"
			       "\"additionalProperties\":false}");
}
END_TEST

START_TEST(test_schema_of_scalars)
{
	assert_property("operation_id", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":10,"
					"\"description\":\"from codex_submit_task\"}");
	assert_property("title", "{\"type\":[\"string\",\"null\"],\"minLength\":1,"
				 "\"maxLength\":4}");
	assert_property("label", "{\"type\":\"string\",\"default\":\"none\"}");
	assert_property("timeout_seconds", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":240,"
					   "\"default\":50}");
	assert_property("offset", "{\"type\":\"integer\",\"minimum\":0}");
	assert_property("limit", "{\"type\":\"integer\"}");
	assert_property("ratio", "{\"type\":\"number\",\"minimum\":0,\"maximum\":1,"
				 "\"default\":1}");
	assert_property("wait", "{\"type\":\"boolean\",\"default\":true}");
	assert_property("quiet", "{\"type\":\"boolean\"}");
	assert_property("view", "{\"type\":\"string\",\"enum\":[\"compact\",\"full\",\"raw\"],"
				"\"default\":\"full\"}");
	assert_property("mode", "{\"type\":[\"string\",\"null\"],"
				"\"enum\":[\"add\",\"replace\",null]}");
}
END_TEST

#define ITEM_SCHEMA                                                                                \
	"{\"type\":\"object\",\"properties\":{"                                                    \
	"\"type\":{\"type\":\"string\",\"minLength\":1},"                                          \
	"\"url\":{\"type\":\"string\",\"maxLength\":20},"                                          \
	"\"weight\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}},"                          \
	"\"required\":[\"type\"],\"additionalProperties\":false}"

START_TEST(test_schema_of_containers)
{
	assert_property("paths",
			"{\"type\":\"array\",\"maxItems\":2,"
			"\"items\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":3}}");
	assert_property("limits", "{\"type\":[\"object\",\"null\"],\"properties\":{"
				  "\"tokens\":{\"type\":\"integer\"},"
				  "\"items\":{\"type\":\"array\",\"items\":" ITEM_SCHEMA "}},"
				  "\"required\":[\"tokens\"],\"additionalProperties\":false}");
	assert_property("meta", "{\"type\":\"object\"}");
	assert_property("input_items", "{\"type\":\"array\",\"minItems\":1,\"maxItems\":2,"
				       "\"items\":" ITEM_SCHEMA "}");
	assert_property("list", "{\"type\":\"array\"}");
	assert_property("value", "{}");
}
END_TEST

START_TEST(test_schema_of_output)
{
	static const struct ccp_field out[] = {
		CCP_OUT("at", CCP_TYPE_TIME),
		CCP_OUT("ended", CCP_TYPE_TIME, .flags = CCP_FIELD_NULLABLE), CCP_FIELD_END
	};
	json_auto_t *schema = ccp_field_schema(out);
	_cleanup_free_ char *text = json_dumps(ccp_json_obj(schema, "properties"), JSON_COMPACT);

	ck_assert_str_eq(text, "{\"at\":{\"type\":\"string\",\"format\":\"date-time\"},"
			       "\"ended\":{\"type\":[\"string\",\"null\"],"
			       "\"format\":\"date-time\"}}");
}
END_TEST

START_TEST(test_schema_hides_hidden)
{
	json_auto_t *schema = ccp_field_schema(fields);

	ck_assert_ptr_null(ccp_json_path(schema, "properties.debug"));
	ck_assert_ptr_nonnull(ccp_json_path(schema, "properties.quiet"));
	assert_bound(",\"debug\":true");
}
END_TEST

START_TEST(test_bind_defaults)
{
	json_auto_t *args = NULL;
	struct args out;

	memset(&out, 0xff, sizeof(out));
	ck_assert_int_eq(bind("", &args, &out, NULL), 0);
	ck_assert_str_eq(out.operation_id, "op");
	ck_assert_ptr_null(out.title);
	ck_assert_str_eq(out.label, "none");
	ck_assert_int_eq(out.timeout_seconds, 50);
	ck_assert_int_eq(out.offset, 0);
	ck_assert_double_eq(out.ratio, 1);
	ck_assert(out.wait && !out.quiet);
	ck_assert_int_eq(out.view, 1);
	ck_assert_int_eq(out.mode, -1);
	ck_assert(!out.paths && !out.limits && !out.meta && !out.input_items && !out.value);
}
END_TEST

START_TEST(test_bind_values)
{
	json_auto_t *args = NULL;
	struct args out;

	ck_assert_int_eq(bind(",\"title\":\"t\",\"label\":\"\",\"timeout_seconds\":240,"
			      "\"offset\":9007199254740993,\"limit\":-7,\"ratio\":0.25,"
			      "\"wait\":false,\"quiet\":true,\"view\":\"raw\",\"mode\":\"add\","
			      "\"paths\":[\"a\",\"bcd\"],\"limits\":{\"tokens\":0},"
			      "\"meta\":{\"any\":[1]},\"input_items\":[{\"type\":\"text\"}],"
			      "\"list\":[1,\"x\"],\"value\":null",
			      &args, &out, NULL),
			 0);
	ck_assert_str_eq(out.title, "t");
	ck_assert_str_eq(out.label, "");
	ck_assert_int_eq(out.timeout_seconds, 240);
	ck_assert_int_eq(out.offset, 9007199254740993);
	ck_assert_int_eq(out.limit, -7);
	ck_assert_double_eq(out.ratio, 0.25);
	ck_assert(!out.wait && out.quiet);
	ck_assert_int_eq(out.view, 2);
	ck_assert_int_eq(out.mode, 0);
	ck_assert_ptr_eq(out.paths, json_object_get(args, "paths"));
	ck_assert_ptr_eq(out.limits, json_object_get(args, "limits"));
	ck_assert_ptr_eq(out.input_items, json_object_get(args, "input_items"));
	ck_assert_uint_eq(json_array_size(out.list), 2);
	ck_assert(json_is_null(out.value));
}
END_TEST

START_TEST(test_bind_integers)
{
	json_auto_t *args = NULL;
	struct args out;

	ck_assert_int_eq(
		bind(",\"timeout_seconds\":5.0,\"limit\":-1e3,\"ratio\":1", &args, &out, NULL), 0);
	ck_assert_int_eq(out.timeout_seconds, 5);
	ck_assert_int_eq(out.limit, -1000);
	ck_assert_double_eq(out.ratio, 1);
	assert_refused(",\"limit\":5.5", "limit", "an integer");
	assert_refused(",\"limit\":1e19", "limit", "an integer");
	assert_refused(",\"limit\":9223372036854775808.0", "limit", "an integer");
	assert_refused(",\"limit\":\"5\"", "limit", "an integer");
	assert_refused(",\"limit\":true", "limit", "an integer");
	assert_refused(",\"limit\":null", "limit", "an integer");
}
END_TEST

START_TEST(test_bind_ranges)
{
	assert_bound(",\"timeout_seconds\":1");
	assert_refused(",\"timeout_seconds\":0", "timeout_seconds", "an integer from 1 to 240");
	assert_refused(",\"timeout_seconds\":241", "timeout_seconds", "an integer from 1 to 240");
	assert_refused(",\"offset\":-1", "offset", "an integer of at least 0");
	assert_refused(",\"ratio\":1.01", "ratio", "a number from 0 to 1");
	assert_refused(",\"ratio\":-0.01", "ratio", "a number from 0 to 1");
	assert_refused(",\"ratio\":\"1\"", "ratio", "a number from 0 to 1");
}
END_TEST

START_TEST(test_range_rule)
{
	static const struct {
		int64_t min, max, low, high;
	} cases[] = {
		{ 0, 0, INT64_MIN, INT64_MAX },
		{ 0, 5, 0, 5 },
		{ 3, 0, 3, INT64_MAX },
		{ -3, 0, -3, 0 },
		{ -3, 5, -3, 5 },
		{ 4, 4, 4, 4 },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct ccp_field f = { .type = CCP_TYPE_INT,
				       .min = cases[i].min,
				       .max = cases[i].max };
		struct ccp_range range = ccp_field_range(&f);

		ck_assert_int_eq(range.low, cases[i].low);
		ck_assert_int_eq(range.high, cases[i].high);
	}
}
END_TEST

START_TEST(test_bind_strings_count_characters)
{
	static const char title[] = "a non-blank string of at most 4 characters or null";

	assert_bound(",\"title\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"");
	assert_refused(",\"title\":\"abcde\"", "title", title);
	assert_refused(",\"title\":\" \\t\"", "title", title);
	assert_refused(",\"title\":\"\"", "title", title);
	assert_refused(",\"title\":1", "title", title);
	assert_refused(",\"label\":\"a\\u0000b\"", "label", "a string");
	assert_refused(",\"label\":null", "label", "a string");
}
END_TEST

START_TEST(test_bind_null)
{
	json_auto_t *args = NULL, *other = NULL;
	struct args out;
	static const struct ccp_field must[] = {
		CCP_OUT("x", CCP_TYPE_INT, .flags = CCP_FIELD_REQUIRED | CCP_FIELD_NULLABLE),
		CCP_FIELD_END
	};

	ck_assert_int_eq(bind(",\"title\":null,\"mode\":null,\"limits\":null", &args, &out, NULL),
			 0);
	ck_assert_ptr_null(out.title);
	ck_assert_int_eq(out.mode, -1);
	ck_assert_ptr_null(out.limits);
	assert_refused(",\"wait\":null", "wait", "true or false");
	assert_refused(",\"meta\":null", "meta", "an object");

	other = parse("{\"x\":null}");
	ck_assert_int_eq(ccp_field_bind(must, other, NULL, 0, NULL), 0);
	ck_assert_int_eq(ccp_field_bind(must, NULL, NULL, 0, NULL), CODEXCP_E_INVALID_ARGUMENT);
}
END_TEST

START_TEST(test_bind_booleans)
{
	assert_refused(",\"wait\":1", "wait", "true or false");
	assert_refused(",\"wait\":\"true\"", "wait", "true or false");
}
END_TEST

START_TEST(test_bind_choices)
{
	json_auto_t *args = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	assert_refused(",\"view\":\"zzzzzz\"", "view", "one of: compact, full, raw");
	assert_refused(",\"view\":1", "view", "one of: compact, full, raw");
	assert_refused(",\"view\":\"full\\u0000\",\"mode\":null", "view",
		       "one of: compact, full, raw");
	ck_assert_int_lt(bind(",\"view\":\"compct\"", &args, &out, &err), 0);
	assert_error(&err, "view", "one of: compact, full, raw", "compact");
	ck_assert_str_eq(err.message,
			 "view: expected one of: compact, full, raw; did you mean compact?");
}
END_TEST

START_TEST(test_bind_unknown)
{
	static const char *const all = "one of: operation_id, title, label, timeout_seconds, "
				       "offset, limit, ratio, wait, quiet, view, mode, paths, "
				       "limits, meta, input_items, list, value";
	json_auto_t *args = parse("{\"tiemout_seconds\":5}"), *other = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 }, far = { 0 };
	struct args out;

	ck_assert_int_lt(ccp_field_bind(fields, args, &out, sizeof(out), &err), 0);
	assert_error(&err, "tiemout_seconds", all, "timeout_seconds");
	ck_assert_str_eq(err.message,
			 "tiemout_seconds: unknown argument; did you mean timeout_seconds?");

	ck_assert_int_lt(bind(",\"zzzzzzzzzzzz\":5", &other, &out, &far), 0);
	assert_error(&far, "zzzzzzzzzzzz", all, NULL);
	ck_assert_str_eq(far.message, "zzzzzzzzzzzz: unknown argument");
}
END_TEST

START_TEST(test_bind_unknown_is_bounded)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *args = json_object();
	char name[5001];
	struct args out;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[1] = '\n';
	json_object_set_new(args, name, json_null());
	ck_assert_int_lt(ccp_field_bind(fields, args, &out, sizeof(out), &err), 0);
	ck_assert_uint_eq(strlen(ccp_json_str(err.details, "argument")), 64 + strlen("..."));
	ck_assert_ptr_null(strchr(err.message, '\n'));
}
END_TEST

START_TEST(test_bind_unknown_of_none)
{
	static const struct ccp_field none[] = { CCP_FIELD_END };
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *args = parse("{\"x\":5}"), *empty = json_object();

	ck_assert_int_eq(ccp_field_bind(none, empty, NULL, 0, NULL), 0);
	ck_assert_int_lt(ccp_field_bind(none, args, NULL, 0, &err), 0);
	assert_error(&err, "x", "nothing, it has no members", NULL);
}
END_TEST

START_TEST(test_bind_missing)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	ck_assert_int_lt(ccp_field_bind(fields, NULL, &out, sizeof(out), &err), 0);
	assert_error(&err, "operation_id", "a non-empty string of at most 10 characters", NULL);
	ck_assert_str_eq(err.message, "operation_id is required");
}
END_TEST

START_TEST(test_bind_no_object)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *args = json_array();
	struct args out;

	ck_assert_int_lt(ccp_field_bind(fields, args, &out, sizeof(out), &err), 0);
	assert_error(&err, "arguments", "an object", NULL);
}
END_TEST

START_TEST(test_bind_elements)
{
	static const char *const paths = "an array of at most 2 strings, each a non-blank string "
					 "of at most 3 characters";
	static const char *const path = "a non-blank string of at most 3 characters";

	assert_bound(",\"paths\":[]");
	assert_refused(",\"paths\":[\"a\",\"b\",\"c\"]", "paths", paths);
	assert_refused(",\"paths\":\"a\"", "paths", paths);
	assert_refused(",\"paths\":[\"a\",\"abcd\"]", "paths[1]", path);
	assert_refused(",\"paths\":[1]", "paths[0]", path);
	assert_refused(",\"paths\":[null]", "paths[0]", path);
	assert_refused(",\"paths\":[\" \"]", "paths[0]", path);
	assert_refused(",\"list\":{}", "list", "an array");
}
END_TEST

START_TEST(test_bind_nested)
{
	json_auto_t *args = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	assert_refused(",\"input_items\":[]", "input_items", "an array of 1 to 2 objects");
	assert_refused(",\"input_items\":[{\"type\":\"a\"},5]", "input_items[1]", "an object");
	assert_refused(",\"input_items\":[{\"type\":\"a\"},{\"type\":\"b\",\"url\":5}]",
		       "input_items[1].url", "a string of at most 20 characters");
	assert_refused(",\"limits\":{\"tokens\":1,\"items\":[{\"type\":\"a\",\"weight\":10}]}",
		       "limits.items[0].weight", "an integer from 1 to 9");
	ck_assert_int_lt(bind(",\"input_items\":[{\"typ\":\"a\"}]", &args, &out, &err), 0);
	assert_error(&err, "input_items[0].typ", "one of: type, url, weight", "type");
}
END_TEST

START_TEST(test_bind_nested_missing)
{
	json_auto_t *args = NULL;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct args out;

	ck_assert_int_lt(bind(",\"limits\":{}", &args, &out, &err), 0);
	assert_error(&err, "limits.tokens", "an integer", NULL);
	ck_assert_str_eq(err.message, "limits.tokens is required");
}
END_TEST

START_TEST(test_validate_output)
{
	static const struct ccp_field output[] = {
		CCP_OUT("at", CCP_TYPE_TIME, .flags = CCP_FIELD_REQUIRED), CCP_FIELD_END
	};
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *good = parse("{\"at\":\"2026-11-20T09:00:00.000Z\"}");
	json_auto_t *bad = parse("{\"at\":\"yesterday\"}");

	ck_assert_int_eq(ccp_field_bind(output, good, NULL, 0, &err), 0);
	ck_assert_int_lt(ccp_field_bind(output, bad, NULL, 0, &err), 0);
	assert_error(&err, "at", "an RFC 3339 time", NULL);
}
END_TEST

START_TEST(test_expected_is_bounded)
{
	const char *choices[101] = { NULL };
	const struct ccp_field f = { .type = CCP_TYPE_ENUM, .choices = choices };
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < 100; i++)
		choices[i] = "a_rather_long_choice";
	text = ccp_field_expected(&f);
	ck_assert_uint_lt(strlen(text), 620);
	ck_assert_str_eq(text + strlen(text) - strlen(", ..."), ", ...");
}
END_TEST

START_TEST(test_markdown)
{
	static const struct ccp_field table[] = {
		CCP_OUT("id", CCP_TYPE_STRING, .flags = CCP_FIELD_REQUIRED, .doc = "a|b"),
		CCP_OUT("n", CCP_TYPE_INT, .def = 50, .min = 1, .max = 240),
		CCP_OUT("view", CCP_TYPE_ENUM, .choices = views, .def = 1,
			.flags = CCP_FIELD_NULLABLE),
		CCP_OUT("items", CCP_TYPE_ARRAY, .fields = item_fields),
		CCP_OUT("secret", CCP_TYPE_BOOL, .flags = CCP_FIELD_HIDDEN),
		CCP_FIELD_END
	};
	_cleanup_free_ char *text = ccp_field_markdown(table);

	ck_assert_str_eq(text,
			 "| `id` | a string | required | a\\|b |\n"
			 "| `n` | an integer from 1 to 240 | `50` |  |\n"
			 "| `view` | one of: compact, full, raw, or null | `\"compact\"` |  |\n"
			 "| `items` | an array of objects |  |  |\n"
			 "| `items[].type` | a non-empty string | required |  |\n"
			 "| `items[].url` | a string of at most 20 characters |  |  |\n"
			 "| `items[].weight` | an integer from 1 to 9 |  |  |\n");
}
END_TEST

START_TEST(test_markdown_of_none)
{
	static const struct ccp_field none[] = { CCP_FIELD_END };
	_cleanup_free_ char *text = ccp_field_markdown(none);

	ck_assert_pstr_eq(text, "");
}
END_TEST

CCP_TEST_MAIN("field", test_schema_of_the_whole, test_schema_without_required,
	      test_schema_of_scalars, test_schema_of_containers, test_schema_of_output,
	      test_schema_hides_hidden, test_bind_defaults, test_bind_values, test_bind_integers,
	      test_bind_ranges, test_range_rule, test_bind_strings_count_characters, test_bind_null,
	      test_bind_booleans, test_bind_choices, test_bind_unknown,
	      test_bind_unknown_is_bounded, test_bind_unknown_of_none, test_bind_missing,
	      test_bind_no_object, test_bind_elements, test_bind_nested, test_bind_nested_missing,
	      test_validate_output, test_expected_is_bounded, test_markdown, test_markdown_of_none)
