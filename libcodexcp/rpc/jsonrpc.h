/*
 * JSON-RPC messages: classify what came, build what goes. No I/O.
 *
 * Two dialects: MCP says "jsonrpc":"2.0" in every message, codex app-server leaves it out. Incoming
 * messages are accepted with and without it.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

enum ccp_rpc_kind {
	CCP_RPC_REQUEST,
	CCP_RPC_NOTIFICATION,
	CCP_RPC_RESPONSE,
	CCP_RPC_ERROR,
	CCP_RPC_INVALID, /* `problem` says why */
};

/* JSON-RPC's own codes. */
enum ccp_rpc_code {
	CCP_RPC_PARSE_ERROR = -32700,
	CCP_RPC_INVALID_REQUEST = -32600,
	CCP_RPC_METHOD_NOT_FOUND = -32601,
	CCP_RPC_INVALID_PARAMS = -32602,
	CCP_RPC_INTERNAL_ERROR = -32603,
};

/* Everything is borrowed from the message it was made from. */
struct ccp_rpc_message {
	enum ccp_rpc_kind kind;
	json_t *id; /* a string or an integer; NULL for notifications and unusable ids */
	const char *method;
	json_t *params; /* object or array, or NULL */
	json_t *result;
	json_t *error;
	const char *problem; /* static text */
};

/* Never fails: what makes no sense is CCP_RPC_INVALID. */
void ccp_rpc_classify(const json_t *value, struct ccp_rpc_message *ret_message);

/* Builders return a new reference or NULL. `params`, `result` and `data` are stolen; ids borrowed.
 * A NULL id or result is one that could not be built, and fails the message. */
json_t *ccp_rpc_request(bool versioned, json_t *id, const char *method, json_t *params);
json_t *ccp_rpc_notification(bool versioned, const char *method, json_t *params);
json_t *ccp_rpc_response(bool versioned, json_t *id, json_t *result);
/* id NULL is sent as null. data NULL is left out. */
json_t *ccp_rpc_error(bool versioned, json_t *id, int code, const char *message, json_t *data);
