#include <ccp_check.h>

#include "base/str.h"
#include "domain/status.h"

START_TEST(test_rows)
{
	ck_assert_uint_eq(ccp_step_count(), 13);
	for (size_t i = 0; i < ccp_step_count(); i++) {
		const struct ccp_step_row *row = ccp_step_row((enum ccp_step)i);
		bool terminal = row->flags & CCP_STEP_TERMINAL;

		ck_assert(*row->name && *row->phase && *row->status && *row->action &&
			  *row->meaning);
		/* Who has ended holds nothing, needs nobody and is not polled. */
		if (terminal)
			ck_assert_uint_eq(row->flags, CCP_STEP_TERMINAL);
		ck_assert_int_eq(row->poll_seconds == 0, terminal);
		/* The end of a limit is waited for; nobody has to do anything. */
		ck_assert_int_eq(!!(row->flags & CCP_STEP_ATTENTION),
				 ccp_str_has_prefix(row->phase, "waiting_for_") &&
					 i != CCP_STEP_IS_WAITING_FOR_QUOTA);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(row->phase, ccp_step_row((enum ccp_step)k)->phase);
	}
	ck_assert_uint_eq(ccp_step_row(CCP_STEP_IS_QUEUED)->flags, 0);
	ck_assert_str_eq(ccp_step_row(CCP_STEP_IS_LOOKING_UP)->status, "running");
	ck_assert_str_eq(ccp_step_row(CCP_STEP_IS_UNKNOWN)->status,
			 "unknown_after_app_server_exit");
}
END_TEST

START_TEST(test_parse)
{
	enum ccp_step step;

	for (size_t i = 0; i < ccp_step_count(); i++) {
		step = CCP_STEP_IS_UNKNOWN;
		ck_assert(ccp_step_parse(ccp_step_row((enum ccp_step)i)->phase, &step));
		ck_assert_uint_eq(step, i);
	}
	step = CCP_STEP_IS_RUNNING;
	ck_assert(!ccp_step_parse("a newer program's", &step));
	ck_assert(!ccp_step_parse("", &step));
	ck_assert(!ccp_step_parse(NULL, &step));
	ck_assert_int_eq(step, CCP_STEP_IS_RUNNING);
}
END_TEST

START_TEST(test_queued_reasons)
{
#define X(reason, text, action, meaning)                                                           \
	ck_assert_str_eq(ccp_queued_reason_name(CCP_QUEUED_##reason), text);                       \
	ck_assert_pstr_eq(ccp_queued_reason_action(text), action);
	CCP_QUEUED_REASONS(X)
#undef X
	ck_assert_str_eq(ccp_queued_reason_action("global_slot_limit"), "wait_for_worker_slot");
	ck_assert_ptr_null(ccp_queued_reason_action("something else"));
	ck_assert_ptr_null(ccp_queued_reason_action(NULL));
}
END_TEST

CCP_TEST_MAIN("status", test_rows, test_parse, test_queued_reasons)
