/*
 * Requests that app-server sends to its client, and the safe answer of each one's own shape:
 * decline, nothing granted, nothing said. One table; what is not in it gets JSON-RPC -32601.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

enum ccp_request_kind {
	CCP_REQUEST_APPROVAL,
	CCP_REQUEST_PERMISSIONS,
	CCP_REQUEST_USER_INPUT,
	CCP_REQUEST_ELICITATION,
	CCP_REQUEST_TOOL_CALL, /* a tool that we never offered: answered at once */
	CCP_REQUEST_CLOCK,     /* currentTime/read: answered with the time */
	CCP_REQUEST_OLD, /* approvals of Codex's first API, decisions of another shape: answered at
			  * once, because threads of ours never ask them */
	CCP_REQUEST_REFUSED, /* credentials, attestation, unknown: -32601 */
};

enum ccp_request_kind ccp_request_kind(const char *method);
/* A new reference: the safe answer; NULL for CCP_REQUEST_REFUSED or when memory ran out. */
json_t *ccp_request_safe_answer(const char *method, const json_t *params, int64_t now_wall_ms);
