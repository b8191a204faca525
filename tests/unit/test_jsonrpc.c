#include <ccp_check.h>

#include "base/json.h"
#include "rpc/jsonrpc.h"

static json_t *parse(const char *text)
{
	json_t *value = NULL;

	ck_assert_int_eq(
		ccp_json_parse(text, strlen(text), CCP_JSON_ALLOW_NUL | CCP_JSON_ANY, &value, NULL),
		0);
	return value;
}

static void check_text(json_t *value, const char *expected)
{
	char *text;

	ck_assert_ptr_nonnull(value);
	text = ccp_json_dump(value, NULL);
	ck_assert_str_eq(text, expected);
	free(text);
	json_decref(value);
}

START_TEST(test_kinds)
{
	static const struct {
		const char *text;
		enum ccp_rpc_kind kind;
	} cases[] = {
		{ "{\"id\":1,\"method\":\"m\"}", CCP_RPC_REQUEST },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\",\"params\":{}}",
		  CCP_RPC_REQUEST },
		{ "{\"id\":0,\"method\":\"m\",\"params\":null}", CCP_RPC_REQUEST },
		{ "{\"method\":\"m\",\"params\":[1]}", CCP_RPC_NOTIFICATION },
		{ "{\"id\":1,\"result\":null}", CCP_RPC_RESPONSE },
		{ "{\"id\":1,\"result\":{},\"error\":null}", CCP_RPC_RESPONSE },
		{ "{\"id\":1,\"error\":{\"code\":1}}", CCP_RPC_ERROR },
		{ "{\"id\":null,\"error\":{\"code\":1}}", CCP_RPC_ERROR },
		{ "{\"id\":1,\"result\":{},\"error\":{}}", CCP_RPC_ERROR },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct ccp_rpc_message message;
		json_t *value = parse(cases[i].text);

		ccp_rpc_classify(value, &message);
		ck_assert_msg(message.kind == cases[i].kind, "%s: %d, %s", cases[i].text,
			      message.kind, message.problem ? message.problem : "-");
		ck_assert_ptr_null(message.problem);
		json_decref(value);
	}
}
END_TEST

START_TEST(test_members)
{
	struct ccp_rpc_message message;
	json_t *value = parse("{\"id\":7,\"method\":\"m\",\"params\":{\"a\":1}}");

	ccp_rpc_classify(value, &message);
	ck_assert_int_eq(json_integer_value(message.id), 7);
	ck_assert_str_eq(message.method, "m");
	ck_assert_int_eq(ccp_json_int(message.params, "a", 0), 1);
	ck_assert_ptr_null(message.result);
	json_decref(value);

	value = parse("{\"id\":\"x\",\"error\":{\"code\":-5},\"result\":1}");
	ccp_rpc_classify(value, &message);
	ck_assert_str_eq(json_string_value(message.id), "x");
	ck_assert_int_eq(ccp_json_int(message.error, "code", 0), -5);
	ck_assert_ptr_null(message.result);
	ck_assert_ptr_null(message.method);
	json_decref(value);

	value = parse("{\"method\":\"m\",\"params\":null}");
	ccp_rpc_classify(value, &message);
	ck_assert_ptr_null(message.id);
	ck_assert_ptr_null(message.params);
	json_decref(value);
}
END_TEST

START_TEST(test_invalid)
{
	static const struct {
		const char *text;
		bool has_id;
	} cases[] = {
		{ "[]", false },
		{ "1", false },
		{ "\"method\"", false },
		{ "{}", false },
		{ "{\"id\":1}", true },
		{ "{\"id\":1,\"error\":null}", true },
		{ "{\"result\":1}", false },
		{ "{\"id\":null,\"result\":1}", false },
		{ "{\"id\":null,\"method\":\"m\"}", false },
		{ "{\"id\":1.5,\"method\":\"m\"}", false },
		{ "{\"id\":{},\"result\":1}", false },
		{ "{\"id\":1,\"method\":2}", true },
		{ "{\"id\":1,\"method\":\"m\",\"params\":3}", true },
		{ "{\"id\":1,\"error\":\"x\"}", true },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", true },
		{ "{\"jsonrpc\":2,\"id\":1,\"method\":\"m\"}", true },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++) {
		struct ccp_rpc_message message;
		json_t *value = parse(cases[i].text);

		ccp_rpc_classify(value, &message);
		ck_assert_msg(message.kind == CCP_RPC_INVALID, "%s", cases[i].text);
		ck_assert_ptr_nonnull(message.problem);
		ck_assert_msg(!!message.id == cases[i].has_id, "%s", cases[i].text);
		ck_assert_ptr_null(message.params);
		json_decref(value);
	}
}
END_TEST

START_TEST(test_no_message)
{
	struct ccp_rpc_message message;

	ccp_rpc_classify(NULL, &message);
	ck_assert_int_eq(message.kind, CCP_RPC_INVALID);
}
END_TEST

START_TEST(test_build)
{
	json_t *id = json_integer(3);

	check_text(ccp_rpc_request(false, id, "m", NULL), "{\"id\":3,\"method\":\"m\"}");
	check_text(ccp_rpc_request(true, id, "m", json_object()),
		   "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"m\",\"params\":{}}");
	check_text(ccp_rpc_notification(false, "n", json_array()),
		   "{\"method\":\"n\",\"params\":[]}");
	check_text(ccp_rpc_response(true, id, json_null()),
		   "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":null}");
	check_text(ccp_rpc_error(false, id, -1, "bad", NULL),
		   "{\"id\":3,\"error\":{\"code\":-1,\"message\":\"bad\"}}");
	check_text(ccp_rpc_error(true, NULL, CCP_RPC_PARSE_ERROR, "bad", json_true()),
		   "{\"jsonrpc\":\"2.0\",\"id\":null,"
		   "\"error\":{\"code\":-32700,\"message\":\"bad\",\"data\":true}}");
	ck_assert_int_eq(id->refcount, 1);
	json_decref(id);
}
END_TEST

START_TEST(test_build_failures)
{
	json_t *params = json_object(), *id = json_integer(1);

	/* What could not be built before fails the whole; params are stolen all the same. */
	ck_assert_ptr_null(ccp_rpc_request(false, NULL, "m", json_incref(params)));
	ck_assert_int_eq(params->refcount, 1);
	ck_assert_ptr_null(ccp_rpc_response(false, id, NULL));
	ck_assert_ptr_null(ccp_rpc_response(false, NULL, json_incref(params)));
	ck_assert_int_eq(params->refcount, 1);
	json_decref(params);
	json_decref(id);
}
END_TEST

CCP_TEST_MAIN("jsonrpc", test_kinds, test_members, test_invalid, test_no_message, test_build,
	      test_build_failures)
