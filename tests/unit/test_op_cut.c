/* Turns that were cut: gone on with, waited for, or given up. */
#include "op_fixture.h"

/* A turn that was cut is gone on with. */

static void run_turn(struct fixture *f, const char *turn_id)
{
	const struct ccp_op_change started = { .turn_id = turn_id };

	claim(f);
	thread_ready(f, true);
	step(f, CCP_OP_TURN_STARTED, &started, CCP_STEP_IS_RUNNING);
}

static void cut_turn(struct fixture *f, enum ccp_step to)
{
	step(f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_LOOKING_UP);
	step(f, CCP_OP_TURN_INTERRUPTED, NULL, to);
}

static void want_continuations(struct fixture *f, int n)
{
	char sql[128];

	snprintf(sql, sizeof(sql),
		 "UPDATE operations SET on_interruption = 'continue', max_continuations = %d", n);
	db_exec(f->db.path, sql);
}

START_TEST(test_continued)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	want_continuations(&f, 1);
	run_turn(&f, "1");
	cut_turn(&f, CCP_STEP_IS_QUEUED);
	op = read_op(&f);
	ck_assert_str_eq(op.queued_reason, "continuing");
	ck_assert_str_eq(op.continued_turn, "1");
	ck_assert_ptr_null(op.turn_id);
	ck_assert_ptr_null(op.reason);
	ck_assert_str_eq(op.thread_id, "t");
	/* A thread that has been spoken in is not exchanged for another one. */
	ck_assert_int_eq(op.thread_is_new, 0);
	ck_assert_int_eq(op.continuations, 1);
	ck_assert_int_eq(op.quota_waits, 0);
	ck_assert_int_eq(op.attempt, 0);
	ck_assert_int_eq(op.not_before, 0);
	ccp_op_done(&op);
	claim(&f);
	thread_ready(&f, false);
	step(&f, CCP_OP_TURN_STARTED, &(const struct ccp_op_change){ .turn_id = "2" },
	     CCP_STEP_IS_RUNNING);
	/* No more than was asked for. */
	cut_turn(&f, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_str_eq(op.reason, "app_server_exit");
	ck_assert_str_eq(op.turn_id, "2");
	ck_assert_str_eq(op.continued_turn, "1");
	ck_assert_int_eq(op.continuations, 1);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Not asked for, interrupted by request, interrupted in Codex: it ends. */
START_TEST(test_not_continued)
{
	struct fixture f;
	struct ccp_op op;
	const struct ccp_op_change alive = { .codex_lives = true };

	setup(&f);
	run_turn(&f, "1");
	cut_turn(&f, CCP_STEP_IS_INTERRUPTED);
	done(&f);

	setup(&f);
	want_continuations(&f, 0);
	run_turn(&f, "1");
	cut_turn(&f, CCP_STEP_IS_INTERRUPTED);
	done(&f);

	setup(&f);
	want_continuations(&f, 10);
	run_turn(&f, "1");
	step(&f, CCP_OP_INTERRUPT, NULL, CCP_STEP_IS_RUNNING);
	cut_turn(&f, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_str_eq(op.reason, "interrupted_by_request");
	ck_assert_int_eq(op.continuations, 0);
	ccp_op_done(&op);
	done(&f);

	setup(&f);
	want_continuations(&f, 10);
	run_turn(&f, "1");
	step(&f, CCP_OP_WORKER_LOST, NULL, CCP_STEP_IS_LOOKING_UP);
	step(&f, CCP_OP_TURN_INTERRUPTED, &alive, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_str_eq(op.reason, "interrupted_in_codex");
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* The account's limit. */

#define MINUTE_MS 60000

static void meet_limit(struct fixture *f, int64_t resets_at, enum ccp_step to)
{
	_cleanup_error_ struct codexcp_error error = { 0 };
	const struct ccp_op_change change = { .error = &error,
					      .error_class = "usageLimitExceeded",
					      .quota_resets_at = resets_at,
					      .quota_window = 300 };

	ccp_fail(&error, CODEXCP_E_SEND_FAILED, "You've hit your usage limit.");
	error.retryable = 1;
	step(f, CCP_OP_QUOTA_EXCEEDED, &change, to);
}

START_TEST(test_limit_told)
{
	struct fixture f;
	struct ccp_op op;
	struct ccp_op_quota quota;

	setup(&f);
	run_turn(&f, "1");
	meet_limit(&f, 65000, CCP_STEP_IS_WAITING_FOR_QUOTA);
	op = read_op(&f);
	ck_assert_str_eq(op.status, "waiting_for_quota");
	ck_assert_str_eq(op.error_class, "usageLimitExceeded");
	ck_assert_str_eq(op.continued_turn, "1");
	ck_assert_ptr_null(op.turn_id);
	ck_assert_int_eq(op.quota_waits, 1);
	ck_assert_int_eq(op.quota_held, 1);
	ck_assert_int_eq(op.quota_resets_at, 65000);
	ck_assert_int_eq(op.quota_window, 300);
	ck_assert_int_eq(op.attempt, 0);
	ck_assert_int_eq(op.continuations, 0);
	/* A little later: Codex tells it in whole seconds. */
	ck_assert_int_ge(op.not_before, 66000);
	ck_assert_int_lt(op.not_before, 68000);
	OK(ccp_op_quota(f.db.db, &quota, &db_err));
	ck_assert_int_eq(quota.waiting, 1);
	ck_assert_int_eq(quota.trying, 0);
	ck_assert_int_eq(quota.until, op.not_before);
	ck_assert_int_eq(quota.most_waits, 1);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_limit_not_told)
{
	static const int64_t minutes[] = { 5, 10, 20, 40, 60 };
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(minutes); i++) {
		run_turn(&f, "1");
		/* A time that has passed is none. */
		meet_limit(&f, i % 2 ? 4000 : 0, CCP_STEP_IS_WAITING_FOR_QUOTA);
		op = read_op(&f);
		ck_assert_int_eq(op.quota_resets_at, 0);
		ck_assert_int_eq(op.quota_window, 0);
		ck_assert_int_ge(op.not_before, 5000 + minutes[i] * MINUTE_MS);
		ck_assert_int_le(op.not_before, 5000 + minutes[i] * MINUTE_MS * 5 / 4);
		ccp_op_done(&op);
	}
	run_turn(&f, "6");
	meet_limit(&f, 90000, CCP_STEP_IS_FAILED);
	op = read_op(&f);
	ck_assert_int_eq(op.quota_waits, CCP_OP_MAX_QUOTA_WAITS);
	ck_assert_str_eq(op.turn_id, "6");
	ck_assert_str_eq(op.error_class, "usageLimitExceeded");
	ck_assert_int_eq(op.error_retryable, 1);
	ck_assert_int_eq(op.quota_held, 0);
	/* When to submit it again. */
	ck_assert_int_eq(op.quota_resets_at, 90000);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_limit_told_later)
{
	struct fixture f;
	struct ccp_op op;
	struct ccp_op_change told = { .epoch = EPOCH, .quota_resets_at = 65000 };

	setup(&f);
	run_turn(&f, "1");
	meet_limit(&f, 0, CCP_STEP_IS_WAITING_FOR_QUOTA);
	step(&f, CCP_OP_QUOTA_TOLD, &told, CCP_STEP_IS_WAITING_FOR_QUOTA);
	op = read_op(&f);
	ck_assert_int_eq(op.quota_resets_at, 65000);
	ck_assert_int_ge(op.not_before, 66000);
	ck_assert_int_lt(op.not_before, 68000);
	ck_assert_int_eq(op.quota_waits, 1);
	ccp_op_done(&op);
	/* Or it is over. */
	step(&f, CCP_OP_QUOTA_OVER, NULL, CCP_STEP_IS_WAITING_FOR_QUOTA);
	op = read_op(&f);
	ck_assert_int_eq(op.not_before, 0);
	ck_assert_str_eq(op.continued_turn, "1");
	ck_assert_int_eq(op.quota_held, 1);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Who tries after a limit holds the others back until it has got through or something else came in
 * its way. */
START_TEST(test_limit_passed)
{
	struct fixture f;
	struct ccp_op op;
	struct ccp_op_quota quota;

	setup(&f);
	run_turn(&f, "1");
	meet_limit(&f, 65000, CCP_STEP_IS_WAITING_FOR_QUOTA);
	run_turn(&f, "2");
	OK(ccp_op_quota(f.db.db, &quota, &db_err));
	ck_assert_int_eq(quota.waiting, 0);
	ck_assert_int_eq(quota.trying, 1);
	ck_assert_int_eq(quota.until, 0);
	step(&f, CCP_OP_QUOTA_PASSED, NULL, CCP_STEP_IS_RUNNING);
	op = read_op(&f);
	ck_assert_int_eq(op.quota_held, 0);
	ck_assert_str_eq(op.turn_id, "2");
	ccp_op_done(&op);
	OK(ccp_op_quota(f.db.db, &quota, &db_err));
	ck_assert_int_eq(quota.trying, 0);
	/* Once. */
	{
		struct ccp_op_outcome again = apply(&f, CCP_OP_QUOTA_PASSED, NULL);

		ck_assert(!again.changed);
		ccp_op_outcome_done(&again);
	}
	done(&f);

	setup(&f);
	run_turn(&f, "1");
	meet_limit(&f, 65000, CCP_STEP_IS_WAITING_FOR_QUOTA);
	claim(&f);
	step(&f, CCP_OP_THREAD_ELSEWHERE, NULL, CCP_STEP_IS_QUEUED);
	OK(ccp_op_quota(f.db.db, &quota, &db_err));
	ck_assert_int_eq(quota.waiting + quota.trying, 0);
	done(&f);
}
END_TEST

START_TEST(test_limit_and_interrupt)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	run_turn(&f, "1");
	step(&f, CCP_OP_INTERRUPT, NULL, CCP_STEP_IS_RUNNING);
	meet_limit(&f, 65000, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_str_eq(op.reason, "interrupted_by_request");
	ck_assert_int_eq(op.quota_waits, 0);
	ccp_op_done(&op);
	done(&f);

	setup(&f);
	run_turn(&f, "1");
	meet_limit(&f, 65000, CCP_STEP_IS_WAITING_FOR_QUOTA);
	step(&f, CCP_OP_INTERRUPT, NULL, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_int_eq(op.active, 0);
	ck_assert_int_eq(op.not_before, 0);
	ck_assert_int_eq(op.quota_held, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Nobody can say whether it ran: the row says why, and that no program is to ask again by
 * itself. */
START_TEST(test_unknown_is_not_retryable)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	run_turn(&f, "1");
	step(&f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_LOOKING_UP);
	step(&f, CCP_OP_ABSENT_POWER_LOSS, NULL, CCP_STEP_IS_UNKNOWN);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_APP_SERVER_UNAVAILABLE");
	ck_assert_ptr_nonnull(strstr(op.error_message, "no trace of the turn"));
	ck_assert_int_eq(op.error_retryable, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("op_cut", test_continued, test_not_continued, test_limit_told, test_limit_not_told,
	      test_limit_told_later, test_limit_passed, test_limit_and_interrupt,
	      test_unknown_is_not_retryable)
