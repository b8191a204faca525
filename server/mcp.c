#include "server/mcp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "server/request.h"

#define MESSAGE_CHARS 400
#define OUT_OF_MEMORY                                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":\"Out of memory\"}}"

enum { LEGACY = 1, MODERN = 2 };

static const struct method {
	const char *name;
	unsigned eras;
	void (*handle)(const struct mcp_request *request);
} methods[] = {
	{ "initialize", LEGACY, mcp_initialize },
	{ "ping", LEGACY, mcp_ping },
	{ "server/discover", LEGACY | MODERN, mcp_discover },
	{ "tools/list", LEGACY | MODERN, mcp_tools_list },
	{ "tools/call", LEGACY | MODERN, mcp_tools_call },
};

int mcp_new(const struct mcp_host *host, void *data, struct mcp **ret_mcp,
	    struct codexcp_error *err)
{
	struct mcp *mcp = calloc(1, sizeof(*mcp));

	if (!mcp)
		return ccp_fail_oom(err);
	mcp->host = host;
	mcp->data = data;
	mcp->version = MCP_LEGACY_ASSUMED;
	*ret_mcp = mcp;
	return 0;
}

void mcp_free(struct mcp *mcp)
{
	if (!mcp)
		return;
	mcp->closed = true;
	while (mcp->running)
		mcp_running_free(mcp->running);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(mcp->tools); i++)
		free(mcp->tools[i]);
	free(mcp);
}

size_t mcp_running(const struct mcp *mcp)
{
	size_t n = 0;

	for (const struct mcp_running *r = mcp->running; r; r = r->next)
		n++;
	return n;
}

static void put(struct mcp *mcp, struct mcp_batch *batch, const char *text, size_t len)
{
	if (batch)
		mcp_batch_add(batch, text, len);
	else if (!mcp->closed)
		mcp->host->send(text, len, mcp->data);
}

/* The way out of every message that is made as a JSON value; steals it. */
static void put_json(struct mcp *mcp, struct mcp_batch *batch, json_t *message)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	text = message ? ccp_json_dump(message, &len) : NULL;
	json_decref(message);
	if (text)
		put(mcp, batch, text, len);
	else
		put(mcp, batch, OUT_OF_MEMORY, strlen(OUT_OF_MEMORY));
}

_printf_(4, 0) static json_t *error_message(json_t *id, int code, json_t *data, const char *fmt,
					    va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0) {
		text = NULL;
		json_decref(data);
		return NULL;
	}
	text[ccp_utf8_clip(text, strlen(text), MESSAGE_CHARS)] = '\0';
	return ccp_rpc_error(true, id, code, text, data);
}

void mcp_answer_error(const struct mcp_request *request, int code, json_t *data, const char *fmt,
		      ...)
{
	json_t *message;
	va_list args;

	va_start(args, fmt);
	message = error_message(request->id, code, data, fmt, args);
	va_end(args);
	put_json(request->mcp, request->batch, message);
}

void mcp_refuse(struct mcp *mcp, int code, const char *fmt, ...)
{
	json_t *message;
	va_list args;

	va_start(args, fmt);
	message = error_message(NULL, code, NULL, fmt, args);
	va_end(args);
	put_json(mcp, NULL, message);
}

void mcp_answer(const struct mcp_request *request, const char *result)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	text = result ? mcp_response_text(request->id, result, &len) : NULL;
	if (text)
		put(request->mcp, request->batch, text, len);
	else
		mcp_answer_error(request, CCP_RPC_INTERNAL_ERROR, NULL,
				 "Out of memory, or the result is too large");
}

void mcp_answer_json(const struct mcp_request *request, json_t *result)
{
	_cleanup_free_ char *text = result ? ccp_json_dump(result, NULL) : NULL;

	mcp_answer(request, text);
	json_decref(result);
}

void mcp_tell(struct mcp *mcp, json_t *message)
{
	if (message)
		put_json(mcp, NULL, message);
}

static const struct method *find_method(const char *name, enum mcp_version version)
{
	unsigned era = version == MCP_MODERN ? MODERN : LEGACY;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(methods); i++)
		if (methods[i].eras & era && ccp_streq(methods[i].name, name))
			return &methods[i];
	return NULL;
}

static void dispatch(const struct mcp_request *request, const struct ccp_rpc_message *message)
{
	const struct method *method = find_method(message->method, request->version);

	if (!method)
		mcp_answer_error(request, CCP_RPC_METHOD_NOT_FOUND, NULL, "Unknown method: %s",
				 message->method);
	else if (message->params && !request->params)
		mcp_answer_error(request, CCP_RPC_INVALID_PARAMS, NULL,
				 "params: expected an object");
	else
		method->handle(request);
}

static void handle_request(struct mcp *mcp, const struct ccp_rpc_message *message,
			   struct mcp_batch *batch)
{
	struct mcp_request request = {
		.mcp = mcp,
		.id = message->id,
		.params = json_is_object(message->params) ? message->params : NULL,
		.version = mcp->version,
		.batch = batch,
	};

	if (mcp_running_find(mcp, message->id)) {
		mcp_answer_error(&request, CCP_RPC_INVALID_REQUEST, NULL,
				 "A request with this id is still running");
		return;
	}
	if (mcp_modern_claimed(request.params) && !mcp_modern_accept(&request))
		return;
	dispatch(&request, message);
}

/* Notifications are never answered: what is unknown or malformed is ignored. */
static void handle_notification(struct mcp *mcp, const struct ccp_rpc_message *message)
{
	json_t *id = json_object_get(message->params, "requestId");

	if (id && ccp_streq(message->method, "notifications/cancelled"))
		mcp_running_free(mcp_running_find(mcp, id));
}

void mcp_feed_message(struct mcp *mcp, const json_t *value, struct mcp_batch *batch)
{
	struct ccp_rpc_message message;

	ccp_rpc_classify(value, &message);
	switch (message.kind) {
	case CCP_RPC_REQUEST:
		handle_request(mcp, &message, batch);
		break;
	case CCP_RPC_NOTIFICATION:
		handle_notification(mcp, &message);
		break;
	case CCP_RPC_INVALID:
		put_json(mcp, batch,
			 ccp_rpc_error(true, message.id, CCP_RPC_INVALID_REQUEST, message.problem,
				       NULL));
		break;
	case CCP_RPC_RESPONSE:
	case CCP_RPC_ERROR:
		break; /* nothing was asked */
	}
}

void mcp_feed(struct mcp *mcp, const char *line, size_t len)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *value = NULL;
	int rc;

	if (strspn(line, " \t\r") == len)
		return;
	rc = ccp_json_parse(line, len, CCP_JSON_ANY, &value, &err);
	if (rc == CODEXCP_E_NO_MEMORY)
		mcp_refuse(mcp, CCP_RPC_INTERNAL_ERROR, "%s", err.message);
	else if (rc < 0)
		mcp_refuse(mcp, CCP_RPC_PARSE_ERROR, "Parse error: %s", err.message);
	else if (json_is_array(value))
		mcp_batch_feed(mcp, value);
	else
		mcp_feed_message(mcp, value, NULL);
}

void mcp_overlong(struct mcp *mcp, size_t limit)
{
	mcp_refuse(mcp, CCP_RPC_INVALID_REQUEST, "A message may have %zu bytes", limit);
}
