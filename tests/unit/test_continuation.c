#include <ccp_check.h>

#include "domain/continuation.h"

START_TEST(test_mark)
{
	struct ccp_op op = { .id = (char *)"01a1f85a" };
	char mark[CCP_OP_MARK_SIZE];

	ck_assert_str_eq(ccp_op_mark(&op, mark), "01a1f85a");
	ck_assert(!ccp_op_is_continuation(&op));
	op.continuations = 1;
	ck_assert_str_eq(ccp_op_mark(&op, mark), "01a1f85a:1");
	ck_assert(ccp_op_is_continuation(&op));
	/* Whatever it was that cut a turn, the next one has a mark of its own. */
	op.quota_waits = 1;
	ck_assert_str_eq(ccp_op_mark(&op, mark), "01a1f85a:2");
	op.continuations = 0;
	ck_assert_str_eq(ccp_op_mark(&op, mark), "01a1f85a:1");
}
END_TEST

START_TEST(test_prompt)
{
	_cleanup_free_ char *shown = ccp_continuation_prompt(NULL);
	_cleanup_free_ char *whole = ccp_continuation_prompt("count to ten");

	ck_assert_ptr_nonnull(strstr(shown, "finish the task"));
	ck_assert_ptr_null(strstr(shown, "asked for:"));
	ck_assert_ptr_eq(strstr(whole, shown), whole);
	ck_assert_ptr_nonnull(strstr(whole, "\n\ncount to ten"));
}
END_TEST

CCP_TEST_MAIN("continuation", test_mark, test_prompt)
