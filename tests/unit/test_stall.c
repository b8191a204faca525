#include <ccp_check.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/stall.h"

#define LIMIT 900000

static const struct {
	const char *what;
	struct ccp_stall_facts facts;
	enum ccp_stall_verdict verdict;
} cases[] = {
#define ROW(text, is, ...)                                                                         \
	{                                                                                          \
		(text), { .limit_ms = LIMIT, __VA_ARGS__ }, CCP_STALL_##is                         \
	}
	ROW("news a moment ago", NO, .thread = CCP_STALL_THREAD_ACTIVE, .quiet_ms = 0),
	ROW("quiet, but not for long", NO, .thread = CCP_STALL_THREAD_ACTIVE,
	    .quiet_ms = LIMIT - 1),
	ROW("quiet for the limit, and active", YES, .thread = CCP_STALL_THREAD_ACTIVE,
	    .quiet_ms = LIMIT),
	ROW("quiet for days, and active", YES, .thread = CCP_STALL_THREAD_ACTIVE,
	    .quiet_ms = 200 * LIMIT),
	ROW("a command runs", NO, .thread = CCP_STALL_THREAD_ACTIVE, .quiet_ms = 5 * LIMIT,
	    .work = 1),
	ROW("several run", NO, .thread = CCP_STALL_THREAD_ACTIVE, .quiet_ms = 5 * LIMIT, .work = 3),
	ROW("waits for an approval", NO, .thread = CCP_STALL_THREAD_ACTIVE, .quiet_ms = 5 * LIMIT,
	    .waiting = true),
	ROW("silence alone", NO, .thread = CCP_STALL_THREAD_UNKNOWN, .quiet_ms = 5 * LIMIT),
	ROW("app-server is mute", YES, .thread = CCP_STALL_THREAD_MUTE, .quiet_ms = LIMIT),
	ROW("mute for a moment", NO, .thread = CCP_STALL_THREAD_MUTE, .quiet_ms = LIMIT / 2),
	ROW("mute while a command runs", NO, .thread = CCP_STALL_THREAD_MUTE, .quiet_ms = LIMIT,
	    .work = 1),
	ROW("mute while something waits", NO, .thread = CCP_STALL_THREAD_MUTE, .quiet_ms = LIMIT,
	    .waiting = true),
	ROW("no turn runs, early", ENDED, .thread = CCP_STALL_THREAD_IDLE, .quiet_ms = 1),
	ROW("no turn runs, late", ENDED, .thread = CCP_STALL_THREAD_IDLE, .quiet_ms = 5 * LIMIT),
	ROW("no turn runs, a command is left", ENDED, .thread = CCP_STALL_THREAD_IDLE,
	    .quiet_ms = LIMIT, .work = 1),
#undef ROW
};

START_TEST(test_verdicts)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(cases); i++)
		ck_assert_msg(ccp_stall_judge(&cases[i].facts) == cases[i].verdict, "%s",
			      cases[i].what);
}
END_TEST

START_TEST(test_evidence)
{
	const struct ccp_stall_facts active = { .thread = CCP_STALL_THREAD_ACTIVE },
				     mute = { .thread = CCP_STALL_THREAD_MUTE };

	ck_assert_ptr_nonnull(strstr(ccp_stall_evidence(&active), "says that the turn is active"));
	ck_assert_ptr_nonnull(strstr(ccp_stall_evidence(&mute), "does not answer"));
}
END_TEST

START_TEST(test_work)
{
	ck_assert(ccp_stall_is_work("commandExecution"));
	ck_assert(ccp_stall_is_work("mcpToolCall"));
	ck_assert(!ccp_stall_is_work("agentMessage"));
	ck_assert(!ccp_stall_is_work("reasoning"));
	ck_assert(!ccp_stall_is_work("userMessage"));
	ck_assert(!ccp_stall_is_work(NULL));
}
END_TEST

/* While it lasts the seconds grow, for one that has ended they do not. */
START_TEST(test_view)
{
	struct ccp_op op = { .stalled_at = 1000000, .stall_evidence = (char *)"because" };
	json_auto_t *now = ccp_stall_view(&op, 1061000), *ended = NULL;

	ck_assert_int_eq(ccp_json_int(now, "seconds", 0), 61);
	ck_assert_str_eq(ccp_json_str(now, "evidence"), "because");
	ck_assert_str_eq(ccp_json_str(now, "since"), "1970-01-01T00:16:40.000Z");
	op.completed_at = 1005000;
	ended = ccp_stall_view(&op, 9999000);
	ck_assert_int_eq(ccp_json_int(ended, "seconds", 0), 5);
	op.stalled_at = 0;
	ck_assert_ptr_null(ccp_stall_view(&op, 1));
}
END_TEST

CCP_TEST_MAIN("stall", test_verdicts, test_evidence, test_work, test_view)
