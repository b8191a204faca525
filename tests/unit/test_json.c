#include "base/json.h"

#include "ccp_check.h"

static json_t *parse(const char *text)
{
	json_t *value = NULL;

	ck_assert_int_eq(ccp_json_parse(text, strlen(text), CCP_JSON_ANY, &value, NULL), 0);
	return value;
}

static void assert_dump(const json_t *value, const char *expected)
{
	_cleanup_free_ char *text = ccp_json_dump(value, NULL);

	ck_assert_pstr_eq(text, expected);
}

START_TEST(test_getters)
{
	json_auto_t *o = parse(
		"{\"s\":\"x\",\"i\":7,\"b\":true,\"r\":1.5,\"o\":{\"p\":{\"q\":1}},\"a\":[]}");

	ck_assert_str_eq(ccp_json_str(o, "s"), "x");
	ck_assert_ptr_null(ccp_json_str(o, "i"));
	ck_assert_ptr_null(ccp_json_str(NULL, "s"));
	ck_assert_int_eq(ccp_json_int(o, "i", 1), 7);
	ck_assert_int_eq(ccp_json_int(o, "r", 1), 1);
	ck_assert_int_eq(ccp_json_int(o, "none", 1), 1);
	ck_assert(ccp_json_bool(o, "b", false));
	ck_assert(ccp_json_bool(o, "i", true));
	ck_assert(json_is_object(ccp_json_obj(o, "o")));
	ck_assert_ptr_null(ccp_json_obj(o, "a"));
	ck_assert(json_is_array(ccp_json_arr(o, "a")));
	ck_assert_ptr_null(ccp_json_arr(o, "o"));
	ck_assert_int_eq(json_integer_value(ccp_json_path(o, "o.p.q")), 1);
	ck_assert_int_eq(json_integer_value(ccp_json_path(o, "i")), 7);
	ck_assert_ptr_null(ccp_json_path(o, "o.x.q"));
	ck_assert_ptr_null(ccp_json_path(o, "s.p"));
	ck_assert_ptr_null(ccp_json_path(NULL, "a.b"));
}
END_TEST

START_TEST(test_setters)
{
	json_auto_t *o = json_object(), *shared = json_integer(9);

	ccp_json_set_str(&o, "s", "x");
	ccp_json_set_str(&o, "none", NULL);
	ccp_json_set_strn(&o, "n", "abc", 2);
	ccp_json_set_int(&o, "i", -1);
	ccp_json_set_bool(&o, "b", false);
	ccp_json_set_time(&o, "t", 1795165200000);
	ccp_json_set_time(&o, "t0", 0);
	ccp_json_set(&o, "shared", shared);
	ccp_json_set(&o, "null", NULL);
	ccp_json_set_new(&o, "new", json_array());
	assert_dump(o, "{\"s\":\"x\",\"n\":\"ab\",\"i\":-1,\"b\":false,"
		       "\"t\":\"2026-11-20T09:00:00.000Z\",\"shared\":9,\"new\":[]}");
	ck_assert_uint_eq(shared->refcount, 2);
}
END_TEST

START_TEST(test_setters_are_sticky)
{
	json_t *o = json_object(), *a = json_array();

	ccp_json_set_new(&o, "k", NULL);
	ck_assert_ptr_null(o);
	ccp_json_set_str(&o, "s", "x");
	ccp_json_set_int(&o, "i", 1);
	ck_assert_ptr_null(o);
	ccp_json_append_new(&a, json_null());
	assert_dump(a, "[null]");
	ccp_json_append_new(&a, NULL);
	ck_assert_ptr_null(a);
	ccp_json_append_new(&a, json_string("freed"));
	ck_assert_ptr_null(a);
}
END_TEST

START_TEST(test_strings)
{
	json_auto_t *o = json_object();

	ccp_json_set_str(&o, "bad", "a\xff");
	ccp_json_set_strn(&o, "nul", "a\0b", 3);
	ccp_json_set_strn(&o, "empty", "", 0);
	assert_dump(o, "{\"bad\":\"a\xef\xbf\xbd\",\"nul\":\"a\xef\xbf\xbd"
		       "b\",\"empty\":\"\"}");
}
END_TEST

START_TEST(test_parse_fails)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "{\n \"a\": }", "line 2 column " },
		{ "{\"a\":1,\"a\":2}", "duplicate object key" },
		{ "", "line 1 column 0: " },
		{ "{} x", "end of file expected" },
		{ "[\"\\u0000\"]", "\\u0000 is not" },
		{ "7", "line 1 column 1: " },
		{ "[\"\xff\"]", "line 1 column " },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct codexcp_error err = { 0 };
		json_t *value = NULL;
		size_t len = strlen(rows[i].text);

		ck_assert_int_eq(ccp_json_parse(rows[i].text, len, 0, &value, &err),
				 CODEXCP_E_INVALID_ARGUMENT);
		ck_assert_msg(strstr(err.message, rows[i].message), "%s", err.message);
		ck_assert_ptr_null(value);
	}
}
END_TEST

START_TEST(test_replace_nul)
{
	static const char *const rows[][2] = {
		{ "[\"a\\u0000b\\u0000\"]", "[\"a\\ufffdb\\ufffd\"]" },
		{ "[\"\\\\u0000\"]", "[\"\\\\u0000\"]" },
		{ "[\"\\\\\\u0000\"]", "[\"\\\\\\ufffd\"]" },
		{ "[\"\\u00\"]", "[\"\\u00\"]" },
		{ "\\", "\\" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = ccp_json_replace_nul(rows[i][0], strlen(rows[i][0]));

		ck_assert_str_eq(text, rows[i][1]);
	}
}
END_TEST

START_TEST(test_parse_flags)
{
	const char *nul = "[\"a\\u0000b\"]";
	json_auto_t *value = NULL, *scalar = parse("\"x\"");
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	ck_assert_int_eq(ccp_json_parse(nul, strlen(nul), CCP_JSON_ALLOW_NUL, &value, NULL), 0);
	text = ccp_json_dump(value, &len);
	ck_assert_str_eq(text, nul);
	ck_assert_uint_eq(len, strlen(nul));
	assert_dump(scalar, "\"x\"");
}
END_TEST

START_TEST(test_canonical)
{
	json_auto_t *a = parse("{\"b\": {\"y\":1,\"x\":2}, \"a\": [1, 2]}");
	_cleanup_free_ char *text = ccp_json_dump_canonical(a);

	ck_assert_str_eq(text, "{\"a\":[1,2],\"b\":{\"x\":2,\"y\":1}}");
	assert_dump(NULL, NULL);
}
END_TEST

START_TEST(test_report)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ " {\"a\":1}\n", "{\"a\":1}" },
		{ "Done.\n\n```json\n{\"a\":1}\n```\nBye.", "{\"a\":1}" },
		{ "```JSON\r\n[1]\r\n```", "[1]" },
		{ "  ```\n  {}\n  ```\n", "{}" },
		{ "```c\nint x;\n```\n```json\n{}\n```", "{}" },
		{ "```json\n{}\n```\n```\nplain\n```", "{}" },
		{ "```json\n{}\n```\n```json\n{}\n```", NULL },
		{ "```json\n{\n```", NULL },
		{ "```json\n{}\n", NULL },
		{ "```python\n{}\n```", NULL },
		{ "just text", NULL },
		{ "42", NULL },
		{ "", NULL },
		{ NULL, NULL },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		json_auto_t *value = ccp_json_from_report(rows[i].text);

		assert_dump(value, rows[i].json);
	}
}
END_TEST

CCP_TEST_MAIN("json", test_getters, test_setters, test_setters_are_sticky, test_strings,
	      test_parse_fails, test_replace_nul, test_parse_flags, test_canonical, test_report)
