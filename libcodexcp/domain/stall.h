/*
 * Whether a turn is stalled: a pure decision over what is known of it. Silence is where it begins,
 * never what it ends with: app-server was asked, and says that the turn runs although no command
 * runs and nothing waits for an answer, or does not answer at all.
 */
#pragma once

#include <jansson.h>

#include "store/op_store.h"

/* What app-server said when it was asked. */
enum ccp_stall_thread {
	CCP_STALL_THREAD_UNKNOWN, /* nothing that helps */
	CCP_STALL_THREAD_MUTE,    /* it did not answer in time */
	CCP_STALL_THREAD_ACTIVE,
	CCP_STALL_THREAD_IDLE, /* no turn runs */
};

struct ccp_stall_facts {
	int64_t quiet_ms, limit_ms; /* since the last news, while a worker was there and awake */
	enum ccp_stall_thread thread;
	bool waiting; /* for an approval or an answer */
	int64_t work; /* commands and tool calls of the turn that run */
};

enum ccp_stall_verdict {
	CCP_STALL_NO,
	CCP_STALL_ENDED, /* the turn is over, and nobody heard of it */
	CCP_STALL_YES,
};

enum ccp_stall_verdict ccp_stall_judge(const struct ccp_stall_facts *facts);
/* Why a stalled turn is called so; static. */
const char *ccp_stall_evidence(const struct ccp_stall_facts *facts);

/* Items that are work of something else than the model, by their type. */
bool ccp_stall_is_work(const char *item_type);

/* {since, seconds, evidence} of an operation that is stalled, or was when it was interrupted; else
 * NULL. A new reference. */
json_t *ccp_stall_view(const struct ccp_op *op, int64_t now);
