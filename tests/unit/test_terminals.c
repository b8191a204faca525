#include <ccp_check.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/terminals.h"

static json_t *terminal(const char *command)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "processId", "1", "itemId", "i", "command",
			 command, "cwd", "/work");
}

/* What an answer says about it. */
static json_t *told(const struct ccp_terminals_report *report)
{
	struct ccp_op op = { .terminals = ccp_terminals_text(report) };
	json_t *answer = json_object(), *terminals;

	ccp_terminals_view(&answer, &op);
	terminals = json_incref(json_object_get(answer, "terminals"));
	json_decref(answer);
	free(op.terminals);
	return terminals;
}

START_TEST(test_listed)
{
	json_auto_t *before = json_pack("[o, o]", terminal("make\nall"), terminal("npm run dev"));
	json_auto_t *after = json_pack("[o]", terminal("npm run dev"));
	const struct ccp_terminals_report report = { .before = before,
						     .terminated = 1,
						     .remaining = after };
	json_auto_t *terminals = told(&report), *left = NULL;

	ck_assert_str_eq(ccp_json_str(terminals, "method"), "terminate");
	ck_assert_int_eq(ccp_json_int(terminals, "before", -1), 2);
	ck_assert_int_eq(ccp_json_int(terminals, "terminated", -1), 1);
	left = json_incref(json_array_get(ccp_json_arr(terminals, "remaining"), 0));
	ck_assert_str_eq(ccp_json_str(left, "command"), "npm run dev");
	ck_assert_str_eq(ccp_json_str(left, "cwd"), "/work");
}
END_TEST

/* Nothing ran: nothing is told. */
START_TEST(test_nothing)
{
	json_auto_t *none = json_array();
	const struct ccp_terminals_report report = { .before = none, .remaining = none };
	_cleanup_free_ char *text = ccp_terminals_text(&report);

	ck_assert_str_eq(text, "");
	ck_assert_ptr_null(told(&report));
}
END_TEST

/* What cannot be known is said, and not taken for nothing. */
START_TEST(test_not_known)
{
	static const enum ccp_terminals_how hows[] = { CCP_TERMINALS_CLEAN,
						       CCP_TERMINALS_UNSUPPORTED,
						       CCP_TERMINALS_UNKNOWN };
	static const char *const names[] = { "clean", "unsupported", "unknown" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(hows); i++) {
		const struct ccp_terminals_report report = { .how = hows[i] };
		json_auto_t *terminals = told(&report);

		ck_assert_str_eq(ccp_json_str(terminals, "method"), names[i]);
		ck_assert_ptr_nonnull(ccp_json_str(terminals, "meaning"));
		ck_assert_ptr_null(json_object_get(terminals, "before"));
		ck_assert_ptr_null(json_object_get(terminals, "remaining"));
	}
}
END_TEST

/* A command line may hold a secret. */
START_TEST(test_secret)
{
	json_auto_t *left = json_pack(
		"[o]", terminal("curl -H 'Authorization: Bearer abcdefghijklmnopqrstuvwx'"));
	const struct ccp_terminals_report report = { .remaining = left };
	_cleanup_free_ char *text = ccp_terminals_text(&report);

	ck_assert_ptr_nonnull(strstr(text, "curl"));
	ck_assert_ptr_null(strstr(text, "abcdefghijklmnopqrstuvwx"));
}
END_TEST

CCP_TEST_MAIN("terminals", test_listed, test_nothing, test_not_known, test_secret)
