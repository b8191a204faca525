#include "op_fixture.h"

START_TEST(test_claim)
{
	struct fixture f;
	const struct ccp_op_change change = { .epoch = EPOCH };
	struct ccp_op_outcome outcome;
	struct ccp_op op;

	setup(&f);
	outcome = apply(&f, CCP_OP_CLAIM, &change);
	ck_assert(outcome.changed);
	ck_assert_int_eq(outcome.from, CCP_STEP_IS_QUEUED);
	ck_assert_int_eq(outcome.to, CCP_STEP_IS_CLAIMED);
	ck_assert_uint_eq(outcome.effects, CCP_EFFECT_START_APP_SERVER);
	op = read_op(&f);
	ck_assert_str_eq(op.phase, "claimed");
	ck_assert_str_eq(op.status, "starting_app_server");
	ck_assert_int_eq(op.attempt, 1);
	ck_assert_int_eq(op.epoch, EPOCH);
	ck_assert_int_eq(op.started_at, 5000);
	ck_assert_int_eq(op.updated_at, 5000);
	ck_assert_int_eq(op.active, 1);
	ck_assert_int_eq(op.version, 2);
	/* The outcome has the row as it is now. */
	ck_assert_int_eq(outcome.op.version, 2);
	ck_assert_str_eq(outcome.op.phase, op.phase);
	ccp_op_outcome_done(&outcome);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* All that an event brings, and the whole way: one version and one line of the journal a step. */
START_TEST(test_whole_way)
{
	struct fixture f;
	const struct ccp_op_change started = { .turn_id = "1" };
	struct ccp_op op;

	setup(&f);
	claim(&f);
	f.clock.at = 6000;
	thread_ready(&f, true);
	step(&f, CCP_OP_TURN_STARTED, &started, CCP_STEP_IS_RUNNING);
	f.clock.at = 9000;
	step(&f, CCP_OP_TURN_COMPLETED, NULL, CCP_STEP_IS_COMPLETED);
	op = read_op(&f);
	ck_assert_str_eq(op.thread_id, "t");
	ck_assert_str_eq(op.turn_id, "1");
	ck_assert_str_eq(op.instance, "i");
	ck_assert_str_eq(op.boot_id, "boot");
	ck_assert_str_eq(op.baseline_turn, "b");
	ck_assert_int_eq(op.baseline_count, 4);
	ck_assert_int_eq(op.thread_is_new, 1);
	ck_assert_str_eq(op.effective_sandbox, "workspace-write");
	ck_assert_str_eq(op.effective_approval, "never");
	ck_assert_str_eq(op.effective_model, "m");
	ck_assert_str_eq(op.effective_effort, "high");
	ck_assert_int_eq(op.active, 0);
	ck_assert_int_eq(op.started_at, 5000);
	ck_assert_int_eq(op.completed_at, 9000);
	ck_assert_int_eq(op.version, 5);
	ccp_op_done(&op);
	db_expect(f.db.path,
		  "SELECT at, op_id, thread_id, turn_id, category, progress, text FROM journal",
		  "5000|a|||operation_status|0|queued -> thread_start_sent\n"
		  "6000|a|t||operation_status|0|thread_start_sent -> turn_start_sent\n"
		  "6000|a|t|1|operation_status|0|turn_start_sent -> running\n"
		  "9000|a|t|1|operation_status|0|running -> completed\n");
	db_expect(f.db.path, "SELECT data FROM journal ORDER BY id LIMIT 1",
		  "{\"event\":\"claim\",\"attempt\":1,\"epoch\":7}\n");
	done(&f);
}
END_TEST

/* An answer to an earlier life of the operation is told in the journal and changes nothing. */
START_TEST(test_fence)
{
	static const struct {
		int64_t epoch, attempt;
	} stale[] = { { EPOCH - 1, 1 }, { EPOCH, 2 }, { EPOCH, 0 }, { EPOCH + 1, 1 } };
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(stale); i++) {
		const struct ccp_op_change change = { .epoch = stale[i].epoch,
						      .attempt = stale[i].attempt,
						      .thread_id = "stale" };
		struct ccp_op_outcome outcome = apply(&f, CCP_OP_THREAD_READY, &change);

		ck_assert(!outcome.changed);
		ck_assert_uint_eq(outcome.effects, 0);
		ck_assert_int_eq(outcome.to, CCP_STEP_IS_THREAD_SENT);
		ck_assert_ptr_null(outcome.op.thread_id);
		ccp_op_outcome_done(&outcome);
	}
	op = read_op(&f);
	ck_assert_str_eq(op.phase, "thread_start_sent");
	ck_assert_ptr_null(op.thread_id);
	ck_assert_int_eq(op.version, 2);
	ccp_op_done(&op);
	db_expect(f.db.path, "SELECT count(*) FROM journal WHERE text LIKE 'late answer%'", "4\n");
	step(&f, CCP_OP_THREAD_READY,
	     &(const struct ccp_op_change){ .epoch = EPOCH, .attempt = 1, .thread_id = "t" },
	     CCP_STEP_IS_TURN_SENT);
	done(&f);
}
END_TEST

/* An event that no row of the machine takes leaves no trace, in the row or in the outcome. */
START_TEST(test_unmatched)
{
	struct fixture f;
	_cleanup_error_ struct codexcp_error why = { 0 };
	struct ccp_op_change change = { .thread_id = "x", .turn_id = "x", .error = &why };
	struct ccp_op_outcome outcome;
	struct ccp_op op;

	setup(&f);
	ccp_fail(&why, CODEXCP_E_BUSY, "busy");
	outcome = apply(&f, CCP_OP_TURN_STARTED, &change);
	ck_assert(!outcome.changed);
	ck_assert_int_eq(outcome.to, CCP_STEP_IS_QUEUED);
	ck_assert_ptr_null(outcome.op.turn_id);
	ck_assert_ptr_null(outcome.op.error_code);
	ck_assert_str_eq(outcome.op.id, "a");
	ccp_op_outcome_done(&outcome);
	op = read_op(&f);
	ck_assert_ptr_null(op.turn_id);
	ck_assert_int_eq(op.version, 1);
	ccp_op_done(&op);
	db_expect(f.db.path, "SELECT count(*) FROM journal", "0\n");

	step(&f, CCP_OP_INTERRUPT, NULL, CCP_STEP_IS_INTERRUPTED);
	f.clock.at = 7000;
	outcome = apply(&f, CCP_OP_INTERRUPT, NULL);
	ck_assert(!outcome.changed);
	ck_assert_int_eq(outcome.op.interrupt_at, 5000);
	ck_assert_int_eq(outcome.op.completed_at, 5000);
	ccp_op_outcome_done(&outcome);
	done(&f);
}
END_TEST

START_TEST(test_no_operation)
{
	struct fixture f;
	struct ccp_op_outcome outcome = { .effects = 77 };

	setup(&f);
	ck_assert_int_eq(
		ccp_op_apply(f.db.db, &f.clock.clock, "none", CCP_OP_CLAIM, NULL, &outcome, NULL),
		CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_uint_eq(outcome.effects, 77);
	done(&f);
}
END_TEST

/* Back to the queue from thread_start_sent by this event: why, how long, and does it count. */
static void check_queued(enum ccp_op_event event, const char *finer, const char *reason,
			 int64_t wait_min, int64_t wait_max, int64_t attempt)
{
	struct fixture f;
	const struct ccp_op_change change = { .queued_reason = finer };
	struct ccp_op op;

	setup(&f);
	claim(&f);
	f.clock.at = 25000; /* it began at 5000 */
	step(&f, event, &change, CCP_STEP_IS_QUEUED);
	op = read_op(&f);
	ck_assert_str_eq(op.status, "queued");
	ck_assert_str_eq(op.queued_reason, reason);
	ck_assert_int_eq(op.attempt, attempt);
	if (wait_max) {
		ck_assert_int_ge(op.not_before - 25000, wait_min);
		ck_assert_int_le(op.not_before - 25000, wait_max);
	} else {
		ck_assert_int_eq(op.not_before, 0);
	}
	ccp_op_done(&op);
	/* Claimed again, it waits for nothing any more. */
	claim(&f);
	op = read_op(&f);
	ck_assert_ptr_null(op.queued_reason);
	ck_assert_int_eq(op.not_before, 0);
	ck_assert_int_eq(op.started_at, 5000);
	ccp_op_done(&op);
	done(&f);
}

START_TEST(test_queued)
{
	/* Half of the time so far, for what others do an eighth; and up to a quarter of it more. */
	check_queued(CCP_OP_TRANSIENT, NULL, "retry_after_worker_error", 10000, 12500, 1);
	check_queued(CCP_OP_OVERLOADED, NULL, "app_server_overloaded", 10000, 12500, 0);
	check_queued(CCP_OP_APP_SERVER_UNAVAILABLE, NULL, "app_server_unavailable", 10000, 12500,
		     0);
	check_queued(CCP_OP_THREAD_BUSY, NULL, "thread_slot_limit", 2500, 3125, 0);
	check_queued(CCP_OP_THREAD_ELSEWHERE, NULL, "thread_open_elsewhere", 2500, 3125, 0);
	check_queued(CCP_OP_THREAD_BUSY, "finer", "finer", 2500, 3125, 0);
	check_queued(CCP_OP_CONNECTION_LOST, NULL, "waiting_for_worker", 0, 0, 0);
}
END_TEST

/* A new worker makes the operation its own: answers to the dead one's requests are late. */
START_TEST(test_taken_over)
{
	struct fixture f;
	const struct ccp_op_change mine = { .epoch = EPOCH + 1 };
	struct ccp_op_change answer = { .epoch = EPOCH, .attempt = 1, .turn_id = "1" };
	struct ccp_op_outcome outcome;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	thread_ready(&f, true);
	step(&f, CCP_OP_WORKER_LOST, &mine, CCP_STEP_IS_LOOKING_UP);
	op = read_op(&f);
	ck_assert_int_eq(op.epoch, EPOCH + 1);
	ck_assert_int_eq(op.attempt, 1);
	ccp_op_done(&op);
	outcome = apply(&f, CCP_OP_TURN_STARTED, &answer);
	ck_assert(!outcome.changed);
	ccp_op_outcome_done(&outcome);
	answer.epoch = EPOCH + 1;
	step(&f, CCP_OP_TURN_STARTED, &answer, CCP_STEP_IS_RUNNING);
	done(&f);
}
END_TEST

/* Why it waits is told as long as it does. */
START_TEST(test_reason)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	thread_ready(&f, true);
	step(&f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_LOOKING_UP);
	step(&f, CCP_OP_THREAD_ELSEWHERE, NULL, CCP_STEP_IS_LOOKING_UP);
	op = read_op(&f);
	ck_assert_str_eq(op.reason, "thread_open_elsewhere");
	ccp_op_done(&op);
	step(&f, CCP_OP_TURN_STARTED, NULL, CCP_STEP_IS_RUNNING);
	op = read_op(&f);
	ck_assert_ptr_null(op.reason);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_errors)
{
	struct fixture f;
	_cleanup_error_ struct codexcp_error why = { 0 }, fatal = { 0 };
	struct ccp_op_change change = { .error = &why };
	struct ccp_op op;

	setup(&f);
	ccp_fail(&why, CODEXCP_E_BUSY, "later");
	ccp_fail(&fatal, CODEXCP_E_SEND_FAILED, "never");
	claim(&f);
	step(&f, CCP_OP_TRANSIENT, &change, CCP_STEP_IS_QUEUED);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_BUSY");
	ck_assert_str_eq(op.error_message, "later");
	ck_assert_int_eq(op.error_retryable, 1);
	ccp_op_done(&op);

	claim(&f);
	change = (struct ccp_op_change){ .error = &fatal, .error_class = "badRequest" };
	step(&f, CCP_OP_REFUSED, &change, CCP_STEP_IS_FAILED);
	op = read_op(&f);
	ck_assert_str_eq(op.error_code, "CODEX_SEND_FAILED");
	ck_assert_str_eq(op.error_message, "never");
	ck_assert_str_eq(op.error_class, "badRequest");
	ck_assert_int_eq(op.error_retryable, 0);
	ccp_op_done(&op);
	db_expect(f.db.path,
		  "SELECT json_extract(data, '$.errorCode') FROM journal ORDER BY id DESC LIMIT 1",
		  "CODEX_SEND_FAILED\n");
	done(&f);
}
END_TEST

/* Whoever has an answer had no error. */
START_TEST(test_success_clears_error)
{
	struct fixture f;
	_cleanup_error_ struct codexcp_error why = { 0 };
	const struct ccp_op_change change = { .error = &why, .error_class = "c" };
	struct ccp_op op;

	setup(&f);
	ccp_fail(&why, CODEXCP_E_BUSY, "later");
	claim(&f);
	step(&f, CCP_OP_TRANSIENT, &change, CCP_STEP_IS_QUEUED);
	claim(&f);
	thread_ready(&f, false);
	step(&f, CCP_OP_TURN_COMPLETED, NULL, CCP_STEP_IS_COMPLETED);
	op = read_op(&f);
	ck_assert_ptr_null(op.error_code);
	ck_assert_ptr_null(op.error_message);
	ck_assert_ptr_null(op.error_class);
	ck_assert_int_eq(op.error_retryable, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_interrupt)
{
	struct fixture f;
	const struct ccp_op_change started = { .turn_id = "1" };
	struct ccp_op_outcome outcome;
	struct ccp_op op;

	setup(&f);
	claim(&f);
	thread_ready(&f, true);
	f.clock.at = 8000;
	outcome = apply(&f, CCP_OP_INTERRUPT, NULL);
	ck_assert_int_eq(outcome.to, CCP_STEP_IS_TURN_SENT);
	ck_assert_int_eq(outcome.op.interrupt_at, 8000);
	ccp_op_outcome_done(&outcome);
	f.clock.at = 8500;
	step(&f, CCP_OP_INTERRUPT, NULL, CCP_STEP_IS_TURN_SENT);
	outcome = apply(&f, CCP_OP_TURN_STARTED, &started);
	ck_assert(outcome.effects & CCP_EFFECT_SEND_INTERRUPT);
	ccp_op_outcome_done(&outcome);
	step(&f, CCP_OP_TURN_INTERRUPTED, NULL, CCP_STEP_IS_INTERRUPTED);
	op = read_op(&f);
	ck_assert_int_eq(op.interrupt_at, 8000);
	ck_assert_str_eq(op.reason, "interrupted_by_request");
	ck_assert_str_eq(op.status, "interrupted");
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* Lost after the turn was sent, and the look says that it never ran. */
static struct ccp_op lose_turn(struct fixture *f, bool thread_is_new, enum ccp_op_event evidence,
			       enum ccp_step to)
{
	claim(f);
	thread_ready(f, thread_is_new);
	step(f, CCP_OP_TURN_STARTED, &(const struct ccp_op_change){ .turn_id = "1" },
	     CCP_STEP_IS_RUNNING);
	step(f, CCP_OP_CONNECTION_LOST, NULL, CCP_STEP_IS_LOOKING_UP);
	step(f, evidence, NULL, to);
	return read_op(f);
}

START_TEST(test_forget_thread)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	op = lose_turn(&f, true, CCP_OP_ABSENT, CCP_STEP_IS_QUEUED);
	ck_assert_ptr_null(op.thread_id);
	ck_assert_ptr_null(op.turn_id);
	ck_assert_ptr_null(op.baseline_turn);
	ck_assert_int_eq(op.baseline_count, 0);
	ck_assert_int_eq(op.thread_is_new, 0);
	ck_assert_int_eq(op.attempt, 0);
	ccp_op_done(&op);
	done(&f);
}
END_TEST

START_TEST(test_keep_thread)
{
	struct fixture f;
	struct ccp_op op;

	setup(&f);
	op = lose_turn(&f, false, CCP_OP_ABSENT, CCP_STEP_IS_QUEUED);
	ck_assert_str_eq(op.thread_id, "t");
	ck_assert_ptr_null(op.turn_id);
	ck_assert_str_eq(op.baseline_turn, "b");
	ccp_op_done(&op);
	done(&f);
}
END_TEST

/* The sandbox that is in force decides whether a turn may run twice, not the one that was asked
 * for. */
START_TEST(test_power_loss)
{
	struct fixture f;
	struct ccp_op op, asked = db_op_row("b");

	setup(&f);
	op = lose_turn(&f, false, CCP_OP_ABSENT_POWER_LOSS, CCP_STEP_IS_UNKNOWN);
	ck_assert_str_eq(op.status, "unknown_after_app_server_exit");
	ck_assert_str_eq(op.reason, "power_loss");
	ck_assert_int_eq(op.active, 0);
	ccp_op_done(&op);
	done(&f);

	setup(&f);
	asked.sandbox = "read-only";
	db_insert(f.db.db, &asked);
	db_exec(f.db.path, "UPDATE operations SET phase = 'looking_up', thread_id = 't'");
	{
		struct ccp_op_outcome outcome = { 0 };

		OK(ccp_op_apply(f.db.db, &f.clock.clock, "b", CCP_OP_ABSENT_POWER_LOSS, NULL,
				&outcome, &db_err));
		ck_assert_int_eq(outcome.to, CCP_STEP_IS_QUEUED);
		ck_assert_str_eq(outcome.op.thread_id, "t");
		ccp_op_outcome_done(&outcome);
	}
	step(&f, CCP_OP_ABSENT_POWER_LOSS,
	     &(const struct ccp_op_change){ .effective_sandbox = "workspace-write" },
	     CCP_STEP_IS_UNKNOWN);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("op_apply", test_claim, test_whole_way, test_fence, test_unmatched, test_no_operation,
	      test_queued, test_taken_over, test_reason, test_errors, test_success_clears_error,
	      test_interrupt, test_forget_thread, test_keep_thread, test_power_loss)
