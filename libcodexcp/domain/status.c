#include "domain/status.h"

#include "base/str.h"

#define X(step, phase, status, flags, action, poll, meaning)                                       \
	{ #step, phase, status, flags, action, poll, meaning },
static const struct ccp_step_row steps[] = { CCP_STEPS(X) };
#undef X

static const struct {
	const char *text, *action, *meaning;
} reasons[] = {
#define X(reason, text, action, meaning) { text, action, meaning },
	CCP_QUEUED_REASONS(X)
#undef X
};

const struct ccp_step_row *ccp_step_row(enum ccp_step step)
{
	return &steps[step];
}

size_t ccp_step_count(void)
{
	return CCP_ARRAY_SIZE(steps);
}

bool ccp_step_parse(const char *phase, enum ccp_step *ret_step)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(steps); i++)
		if (ccp_streq(steps[i].phase, phase)) {
			*ret_step = (enum ccp_step)i;
			return true;
		}
	return false;
}

const char *ccp_queued_reason_name(enum ccp_queued_reason reason)
{
	return reasons[reason].text;
}

const char *ccp_queued_reason_meaning(enum ccp_queued_reason reason)
{
	return reasons[reason].meaning;
}

size_t ccp_queued_reason_count(void)
{
	return CCP_ARRAY_SIZE(reasons);
}

const char *ccp_queued_reason_action(const char *reason)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(reasons); i++)
		if (ccp_streq(reasons[i].text, reason))
			return reasons[i].action;
	return NULL;
}
