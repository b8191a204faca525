/*
 * A client of the server, one question at a time: starts it, asks, and waits for its end.
 *
 *	mcp_client_open(&options, &client, err);
 *	mcp_client_request(client, "initialize", params, 15000, &result, err);
 *	mcp_client_close(client, 15000, &status, err);
 *	mcp_client_free(client);
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

struct mcp_client;

struct mcp_client_options {
	const char *server; /* looked up in PATH when it has no slash */
	const char *const *environment;
	const char *cwd; /* NULL: ours */
};

int mcp_client_open(const struct mcp_client_options *options, struct mcp_client **ret_client,
		    struct codexcp_error *err);
/* Steals params. A JSON-RPC error is CODEXCP_E_SEND_FAILED with details rpcCode and data; no answer
 * in time is CODEXCP_E_TIMEOUT; a server that ends or says what is not JSON-RPC is
 * CODEXCP_E_INTERNAL. */
int mcp_client_request(struct mcp_client *client, const char *method, json_t *params,
		       int64_t timeout_ms, json_t **ret_result, struct codexcp_error *err);
int mcp_client_notify(struct mcp_client *client, const char *method, struct codexcp_error *err);
/* Ends the server's input and waits for its end. `ret_status`: as in runtime/child.h. */
int mcp_client_close(struct mcp_client *client, int64_t timeout_ms, int *ret_status,
		     struct codexcp_error *err);
/* A server that still runs is killed. */
void mcp_client_free(struct mcp_client *client);
CCP_DEFINE_CLEANUP(struct mcp_client, mcp_client_free);
