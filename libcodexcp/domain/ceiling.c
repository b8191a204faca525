#include "domain/ceiling.h"

#include "base/str.h"

/* From the most careful to the most trusting. */
static const char *const approval_order[] = { "untrusted", "on-request", "on-failure", "never" };

bool ccp_sandbox_above(enum ccp_sandbox sandbox, enum ccp_sandbox ceiling)
{
	return ceiling != CCP_SANDBOX_UNSET && sandbox > ceiling;
}

static size_t rank(const char *approval)
{
	size_t i = 0;

	while (i < CCP_ARRAY_SIZE(approval_order) && !ccp_streq(approval_order[i], approval))
		i++;
	return i;
}

bool ccp_approval_above(const char *approval, const char *floor)
{
	return floor && rank(approval) > rank(floor);
}

enum ccp_sandbox ccp_op_sandbox(const struct ccp_op *op)
{
	enum ccp_sandbox asked = ccp_sandbox_parse(op->sandbox),
			 has = ccp_sandbox_parse(op->effective_sandbox),
			 ceiling = ccp_sandbox_parse(op->sandbox_ceiling);

	if (asked != CCP_SANDBOX_UNSET)
		return asked;
	return ccp_sandbox_above(has, ceiling) ? ceiling : has;
}

const char *ccp_op_approval(const struct ccp_op *op)
{
	if (op->approval)
		return op->approval;
	return ccp_approval_above(op->effective_approval, op->approval_floor)
		       ? op->approval_floor
		       : op->effective_approval;
}
