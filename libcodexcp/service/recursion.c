#include "service/recursion.h"

int ccp_recursion_parent(struct ccp_call *call, struct ccp_op *ret_op, struct codexcp_error *err)
{
	struct ccp_db *db = NULL;
	int r;

	if (!call->caller_thread_id)
		return 0;
	r = ccp_state_reader(call->cp, &db, err);
	return r <= 0 ? r : ccp_op_get_by_turn(db, call->caller_thread_id, NULL, ret_op, err);
}

int ccp_recursion_check(struct ccp_call *call, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op parent = { 0 };
	int r = ccp_recursion_parent(call, &parent, err);

	if (r <= 0 || parent.depth + 1 <= call->cp->config->max_depth)
		return CCP_MIN(r, 0);
	ccp_fail(err, CODEXCP_E_RECURSION_REFUSED,
		 "this call comes from inside operation %s; tasks may not start or change tasks "
		 "(max_depth %d)",
		 parent.id, (int)call->cp->config->max_depth);
	ccp_error_add_str(err, "operationId", parent.id);
	ccp_error_add_str(err, "threadId", call->caller_thread_id);
	return CODEXCP_E_RECURSION_REFUSED;
}
