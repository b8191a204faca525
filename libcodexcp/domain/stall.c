#include "domain/stall.h"

#include "base/json.h"
#include "base/str.h"

enum ccp_stall_verdict ccp_stall_judge(const struct ccp_stall_facts *facts)
{
	if (facts->thread == CCP_STALL_THREAD_IDLE)
		return CCP_STALL_ENDED;
	if (facts->quiet_ms < facts->limit_ms || facts->thread == CCP_STALL_THREAD_UNKNOWN ||
	    facts->waiting || facts->work > 0)
		return CCP_STALL_NO;
	return CCP_STALL_YES;
}

const char *ccp_stall_evidence(const struct ccp_stall_facts *facts)
{
	return facts->thread == CCP_STALL_THREAD_MUTE
		       ? "codex app-server does not answer"
		       : "codex app-server says that the turn is active, no command or tool of it "
			 "runs, and nothing waits for an answer";
}

bool ccp_stall_is_work(const char *item_type)
{
	static const char *const types[] = {
		"commandExecution", "fileChange",          "mcpToolCall",
		"dynamicToolCall",  "collabAgentToolCall", "subAgentActivity",
		"webSearch",        "imageGeneration",     "sleep",
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(types); i++)
		if (ccp_streq(types[i], item_type))
			return true;
	return false;
}

json_t *ccp_stall_view(const struct ccp_op *op, int64_t now)
{
	int64_t until = op->completed_at ? op->completed_at : now;
	json_t *o;

	if (!op->stalled_at)
		return NULL;
	o = json_object();
	ccp_json_set_time(&o, "since", op->stalled_at);
	ccp_json_set_int(&o, "seconds", CCP_MAX(until - op->stalled_at, 0) / 1000);
	ccp_json_set_str(&o, "evidence", op->stall_evidence);
	return o;
}
