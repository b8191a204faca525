/*
 * Notifications of app-server, read into one flat struct. Strings and JSON are borrowed from the
 * message. What is unknown has kind CCP_EVENT_OTHER and is never an error.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

enum ccp_event_kind {
	CCP_EVENT_OTHER,
	CCP_EVENT_TURN_STARTED,
	CCP_EVENT_TURN_COMPLETED,    /* status, error, turn */
	CCP_EVENT_ERROR,             /* error, will_retry */
	CCP_EVENT_ITEM_STARTED,      /* item, item_type, item_id */
	CCP_EVENT_ITEM_COMPLETED,    /* item, item_type, item_id */
	CCP_EVENT_MESSAGE_DELTA,     /* item_id, text */
	CCP_EVENT_PLAN_DELTA,        /* item_id, text */
	CCP_EVENT_REASONING_SUMMARY, /* text: Codex's own summary, never hidden reasoning */
	CCP_EVENT_PLAN_UPDATED,      /* turn/plan/updated: params */
	CCP_EVENT_DIFF_UPDATED,      /* turn/diff/updated: text is the diff */
	CCP_EVENT_TOKEN_USAGE,       /* params.tokenUsage */
	CCP_EVENT_MODEL_REROUTED,    /* params */
	CCP_EVENT_WARNING,           /* text */
	CCP_EVENT_THREAD_STATUS, /* status: idle, active, notLoaded, systemError; flags in params */
	CCP_EVENT_THREAD_CLOSED,
	CCP_EVENT_REQUEST_RESOLVED, /* request_id */
};

struct ccp_event {
	enum ccp_event_kind kind;
	const char *method;
	const char *thread_id, *turn_id, *item_id, *item_type, *status, *text;
	json_t *params, *item, *turn, *error, *request_id;
	bool will_retry;
};

void ccp_event_parse(const char *method, json_t *params, struct ccp_event *ret_event);

/* Text of an agentMessage, plan, userMessage (its first text) or exitedReviewMode (the report)
 * item; NULL when it has none. Borrowed. */
const char *ccp_item_text(const json_t *item);
