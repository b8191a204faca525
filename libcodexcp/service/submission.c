#include "service/submission.h"

#include "base/crash_point.h"
#include "base/json.h"
#include "service/tool.h"

#define BUSY_PATIENCE_MS 10000

/* What the call keeps until the row is written. */
struct submission {
	struct ccp_call *call;
	struct ccp_submit submit;
	struct ccp_submitted submitted;
};

static void submission_done(void *data)
{
	struct submission *s = data;

	ccp_submit_done(&s->submit);
	ccp_submitted_done(&s->submitted);
	free(s);
}

static struct submission *submission_new(struct ccp_call *call)
{
	struct submission *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->call = call;
	call->state = s;
	call->done = submission_done;
	return s;
}

/* Writing */

static int submit_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct submission *s = data;
	struct codexcp *cp = s->call->cp;
	int r;

	ccp_submitted_done(&s->submitted);
	r = ccp_state_check_home(db, cp->config, err);
	if (r >= 0)
		r = ccp_op_submit(db, ccp_context_clock(cp), &s->submit, &s->submitted, err);
	CCP_CRASH_POINT("submit", "commit", "before");
	return r;
}

static json_t *acknowledgement(struct submission *s, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op op = { 0 };
	struct codexcp *cp = s->call->cp;
	struct ccp_view view = ccp_compact_view();
	json_t *answer = NULL;
	int r = ccp_op_get(cp->db, s->submitted.id, &op, err);

	if (r == 0)
		ccp_fail(err, CODEXCP_E_INTERNAL, "operation %s is gone", s->submitted.id);
	if (r == 1)
		answer = ccp_operation_answer(cp, cp->db, &op, &view, err);
	if (!answer)
		return NULL;
	ccp_json_set_bool(&answer, "idempotent", s->submitted.existed);
	if (s->submitted.existed)
		ccp_json_set_str(&answer, "idempotencyScope", "operation");
	ccp_json_set(&answer, "similarActiveOperations", s->submitted.similar);
	if (s->submitted.continued[0]) {
		ccp_json_set_bool(&answer, "deduplicated", true);
		ccp_json_set_str(&answer, "dedupAction", "continued_existing_chat");
		ccp_json_set_str(&answer, "existingOperationId", s->submitted.continued);
	}
	return answer;
}

static void submitted(const struct codexcp_error *err, void *data)
{
	struct submission *s = data;
	_cleanup_(ccp_call_unrefp) struct ccp_call *call = s->call;
	_cleanup_error_ struct codexcp_error failed = { 0 };
	json_t *answer;

	CCP_CRASH_POINT("submit", "commit", "after");
	answer = err ? NULL : acknowledgement(s, &failed);
	if (err || failed.code) {
		ccp_handled(ccp_call_fail(call, err ? err : &failed));
		return;
	}
	CCP_CRASH_POINT("submit", "answer", "before");
	ccp_handled(ccp_call_reply(call, answer));
	CCP_CRASH_POINT("submit", "answer", "after");
	/* Only now: the answer does not wait for anybody to be started. */
	ccp_context_ring(call->cp);
}

static int find_earlier(struct submission *s, struct codexcp_error *err)
{
	return ccp_op_find_request(s->call->cp->reader, s->submit.op.client_request_id,
				   s->submit.op.request_hash, s->submit.request.arguments,
				   s->submitted.id, err);
}

int ccp_submission_send(struct ccp_call *call, const struct ccp_task *task, const json_t *meaning,
			struct codexcp_error *err)
{
	struct submission *s = submission_new(call);
	int r = s ? ccp_task_identify(task, meaning, &s->submit, err) : ccp_fail_oom(err);

	if (r == 0)
		r = find_earlier(s, err);
	if (r == 1) {
		ccp_call_ref(call);
		s->submitted.existed = true;
		submitted(NULL, s);
		return 0;
	}
	if (r == 0)
		r = ccp_task_check(call, task, &s->submit, err);
	if (r < 0)
		return r;
	ccp_call_ref(call);
	r = ccp_txq_add(call->cp->txq, submit_tx, submitted, s, BUSY_PATIENCE_MS, err);
	if (r < 0)
		ccp_call_unref(call);
	return r;
}
