#include "service/recursion.h"

#include "domain/instance.h"

int ccp_recursion_parent(struct ccp_call *call, struct ccp_op *ret_op, struct codexcp_error *err)
{
	struct ccp_db *db = NULL;
	int r;

	if (!call->caller_thread_id)
		return 0;
	r = ccp_state_reader(call->cp, &db, err);
	return r <= 0 ? r : ccp_op_get_by_turn(db, call->caller_thread_id, NULL, ret_op, err);
}

/* Ends at the one that we descend from. */
static int look_at(const void *data, void *ret_found)
{
	const struct ccp_instance_row *row = data;
	bool *found = ret_found;
	const struct ccp_process_id id = ccp_instance_process(row);

	*found = ccp_process_is_ancestor(&id);
	return *found;
}

/* Codex before 0.130 does not say which thread calls. That one of ours does shows in who started
 * us. */
static int check_ancestors(struct ccp_call *call, struct codexcp_error *err)
{
	struct ccp_db *db = NULL;
	bool found = false;
	int r = ccp_state_reader(call->cp, &db, err);

	if (r > 0)
		r = ccp_instance_each_open(db, look_at, &found, err);
	if (r < 0 || !found)
		return r;
	return ccp_fail(err, CODEXCP_E_RECURSION_REFUSED,
			"this call comes from inside an operation, and this Codex version does not "
			"say from which; such tasks may not start or change tasks");
}

int ccp_recursion_check(struct ccp_call *call, struct codexcp_error *err)
{
	_cleanup_op_ struct ccp_op parent = { 0 };
	int r = ccp_recursion_parent(call, &parent, err);

	if (!call->caller_thread_id)
		return check_ancestors(call, err);
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
