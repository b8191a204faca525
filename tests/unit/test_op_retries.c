/* How often it is tried, and how soon again: attempts, overloads, and processes that die of it. */
#include "op_fixture.h"

/* Between one second and half a minute, whatever the clock says. */
START_TEST(test_backoff_bounds)
{
	static const int64_t nows[] = { 1000, 5000, 100000000 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(nows); i++) {
		struct fixture f;
		struct ccp_op op;

		setup(&f);
		claim(&f);
		f.clock.at = nows[i];
		step(&f, CCP_OP_TRANSIENT, NULL, CCP_STEP_IS_QUEUED);
		op = read_op(&f);
		ck_assert_int_ge(op.not_before - nows[i], i < 2 ? 1000 : 30000);
		ck_assert_int_le(op.not_before - nows[i], i < 2 ? 1250 : 37500);
		ccp_op_done(&op);
		done(&f);
	}
}
END_TEST

START_TEST(test_attempts_run_out)
{
	struct fixture f;
	_cleanup_error_ struct codexcp_error why = { 0 };
	const struct ccp_op_change change = { .error = &why };
	struct ccp_op op;

	setup(&f);
	ccp_fail(&why, CODEXCP_E_TIMEOUT, "no answer");
	for (int i = 1; i < CCP_OP_MAX_ATTEMPTS; i++) {
		claim(&f);
		step(&f, CCP_OP_TRANSIENT, &change, CCP_STEP_IS_QUEUED);
		/* What is not its fault does not count. */
		claim(&f);
		step(&f, CCP_OP_THREAD_BUSY, NULL, CCP_STEP_IS_QUEUED);
	}
	claim(&f);
	step(&f, CCP_OP_TRANSIENT, &change, CCP_STEP_IS_FAILED);
	op = read_op(&f);
	ck_assert_int_eq(op.attempt, CCP_OP_MAX_ATTEMPTS);
	ck_assert_str_eq(op.error_code, "CODEX_TIMEOUT");
	ck_assert_int_eq(op.active, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

static void overload(struct fixture *f, enum ccp_step to)
{
	_cleanup_error_ struct codexcp_error why = { 0 };
	const struct ccp_op_change change = { .error = &why };

	ccp_fail(&why, CODEXCP_E_BUSY, "Server overloaded; retry later.");
	claim(f);
	step(f, CCP_OP_OVERLOADED, &change, to);
}

/* Tried again as soon as it may be, for as long as the retries are said to last; no attempt of the
 * operation's. */
START_TEST(test_overloads_run_out)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	for (int i = 1; i <= CCP_OP_MAX_OVERLOADS; i++) {
		overload(&f, CCP_STEP_IS_QUEUED);
		op = read_op(&f);
		ck_assert_int_eq(op.overloads, i);
		ck_assert_int_eq(op.attempt, 0);
		f.clock.at = op.not_before;
		ccp_op_done(&op);
	}
	ck_assert_int_ge(f.clock.at - 5000, 5 * 60 * 1000);
	ck_assert_int_le(f.clock.at - 5000, 8 * 60 * 1000);
	overload(&f, CCP_STEP_IS_FAILED);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_BUSY");
	ck_assert_int_eq(op.error_retryable, 1);
	ck_assert_int_eq(op.overloads, CCP_OP_MAX_OVERLOADS);
	ck_assert_int_eq(op.active, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Neither uses up what the other has, and a turn that began has got through. */
START_TEST(test_overloads_beside_attempts)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	for (int i = 1; i < CCP_OP_MAX_ATTEMPTS; i++) {
		for (int k = 0; k < CCP_OP_MAX_ATTEMPTS; k++)
			overload(&f, CCP_STEP_IS_QUEUED);
		claim(&f);
		step(&f, CCP_OP_TRANSIENT, NULL, CCP_STEP_IS_QUEUED);
	}
	overload(&f, CCP_STEP_IS_QUEUED);
	claim(&f);
	thread_ready(&f, true);
	step(&f, CCP_OP_TURN_STARTED, NULL, CCP_STEP_IS_RUNNING);
	op = read_op(&f);
	ck_assert_int_eq(op.overloads, 0);
	ck_assert_int_eq(op.attempt, CCP_OP_MAX_ATTEMPTS);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Workers that die with it: three times, then no more; a step forward begins the count anew. */
START_TEST(test_crashes)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	step(&f, CCP_OP_WORKER_LOST, NULL, CCP_STEP_IS_QUEUED);
	claim(&f);
	step(&f, CCP_OP_WORKER_LOST, NULL, CCP_STEP_IS_QUEUED);
	op = read_op(&f);
	ck_assert_int_eq(op.crash_count, 2);
	ck_assert_int_eq(op.attempt, 0);
	ccp_op_done(&op);
	claim(&f);
	thread_ready(&f, true);
	op = read_op(&f);
	ck_assert_int_eq(op.crash_count, 2);
	ccp_op_done(&op);
	/* It was sent: nobody can say that it failed. */
	step(&f, CCP_OP_WORKER_LOST, NULL, CCP_STEP_IS_UNKNOWN);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_WORKER_CRASHED");
	ck_assert_str_eq(op.reason, "worker_crashed");
	ck_assert_int_eq(op.crash_count, 3);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_running_turn_ends_the_count)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	step(&f, CCP_OP_WORKER_LOST, NULL, CCP_STEP_IS_QUEUED);
	claim(&f);
	thread_ready(&f, true);
	step(&f, CCP_OP_TURN_STARTED, NULL, CCP_STEP_IS_RUNNING);
	op = read_op(&f);
	ck_assert_int_eq(op.crash_count, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_app_server_that_dies_of_it)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	for (int i = 0; i < 2; i++) {
		claim(&f);
		step(&f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_QUEUED);
	}
	claim(&f);
	step(&f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_FAILED);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_APP_SERVER_UNAVAILABLE");
	ck_assert_int_eq(op.error_retryable, 1);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("op_retries", test_backoff_bounds, test_attempts_run_out, test_overloads_run_out,
	      test_overloads_beside_attempts, test_crashes, test_running_turn_ends_the_count,
	      test_app_server_that_dies_of_it)
