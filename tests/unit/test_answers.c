#include <ccp_check.h>

#include "appserver/answers.h"
#include "base/json.h"

#define NOW_MS 1795167983999

static void check_answer(const char *method, const char *params, const char *want)
{
	json_auto_t *p = params ? json_loads(params, 0, NULL) : NULL;
	json_auto_t *answer = ccp_request_safe_answer(method, p, NOW_MS);
	_cleanup_free_ char *text = NULL;

	ck_assert_ptr_nonnull(answer);
	text = ccp_json_dump_canonical(answer);
	ck_assert_str_eq(text, want);
}

START_TEST(test_shapes)
{
	check_answer("item/commandExecution/requestApproval",
		     "{\"availableDecisions\":[\"accept\",\"cancel\"]}",
		     "{\"decision\":\"decline\"}");
	check_answer("item/fileChange/requestApproval", "{}", "{\"decision\":\"decline\"}");
	check_answer("item/permissions/requestApproval", "{\"permissions\":{\"network\":{}}}",
		     "{\"permissions\":{},\"scope\":\"turn\"}");
	check_answer("mcpServer/elicitation/request", NULL,
		     "{\"action\":\"decline\",\"content\":null}");
	check_answer(
		"item/tool/call", NULL,
		"{\"contentItems\":[{\"text\":\"There is no such tool.\",\"type\":\"inputText\"}],"
		"\"success\":false}");
	check_answer("currentTime/read", "{\"threadId\":\"t\"}", "{\"currentTimeAt\":1795167983}");
	check_answer("applyPatchApproval", "{}", "{\"decision\":\"abort\"}");
	check_answer("execCommandApproval", "{}", "{\"decision\":\"abort\"}");
}
END_TEST

START_TEST(test_user_input)
{
	check_answer("item/tool/requestUserInput",
		     "{\"questions\":[{\"id\":\"a\"},{\"noId\":1},{\"id\":\"b\"}]}",
		     "{\"answers\":{\"a\":{\"answers\":[]},\"b\":{\"answers\":[]}}}");
	check_answer("item/tool/requestUserInput", "{}", "{\"answers\":{}}");
	check_answer("item/tool/requestUserInput", NULL, "{\"answers\":{}}");
}
END_TEST

START_TEST(test_kinds)
{
	ck_assert_int_eq(ccp_request_kind("item/fileChange/requestApproval"), CCP_REQUEST_APPROVAL);
	ck_assert_int_eq(ccp_request_kind("item/permissions/requestApproval"),
			 CCP_REQUEST_PERMISSIONS);
	ck_assert_int_eq(ccp_request_kind("item/tool/requestUserInput"), CCP_REQUEST_USER_INPUT);
	ck_assert_int_eq(ccp_request_kind("mcpServer/elicitation/request"),
			 CCP_REQUEST_ELICITATION);
	ck_assert_int_eq(ccp_request_kind("currentTime/read"), CCP_REQUEST_CLOCK);
	ck_assert_int_eq(ccp_request_kind("execCommandApproval"), CCP_REQUEST_OLD);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const methods[] = { "account/chatgptAuthTokens/refresh",
					       "attestation/generate", "item/tool/callX", "" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(methods); i++) {
		ck_assert_int_eq(ccp_request_kind(methods[i]), CCP_REQUEST_REFUSED);
		ck_assert_ptr_null(ccp_request_safe_answer(methods[i], NULL, NOW_MS));
	}
}
END_TEST

CCP_TEST_MAIN("answers", test_shapes, test_user_input, test_kinds, test_refused)
