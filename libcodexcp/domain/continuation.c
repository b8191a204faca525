#include "domain/continuation.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"

/* Turns of the operation that were cut and are gone on with. */
static int64_t turns_before(const struct ccp_op *op)
{
	return op->continuations + op->quota_waits;
}

const char *ccp_op_mark(const struct ccp_op *op, char out[static CCP_OP_MARK_SIZE])
{
	if (turns_before(op))
		snprintf(out, CCP_OP_MARK_SIZE, "%s:%" PRId64, op->id, turns_before(op));
	else
		snprintf(out, CCP_OP_MARK_SIZE, "%s", op->id);
	return out;
}

bool ccp_op_is_continuation(const struct ccp_op *op)
{
	return turns_before(op) > 0;
}

static const char prompt[] =
	"The previous turn of this task was cut before it was finished, by the end of the Codex "
	"process or by a usage limit. What was done until then is still there. Look at what has "
	"been done, do not repeat it, then go on and finish the task as it was asked for.";

char *ccp_continuation_prompt(const char *message)
{
	return message ? ccp_asprintf("%s\n\nWhat was asked for:\n\n%s", prompt, message)
		       : strdup(prompt);
}
