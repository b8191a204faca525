/*
 * The inside of the MCP server: a request on its way, and the ways to answer it.
 *
 *	mcp.c      lines in, the table of methods, answers out
 *	message.c  the texts of messages; pure
 *	legacy.c   initialize, ping
 *	modern.c   what a request's `_meta` says, server/discover
 *	tools.c    tools/list, tools/call
 *	running.c  the requests that wait for their tool
 *	batch.c    arrays of messages (2025-03-26 only)
 *
 * A handler answers its request exactly once: before it returns, or through a struct mcp_running.
 */
#pragma once

#include <jansson.h>

#include "rpc/jsonrpc.h"
#include "server/mcp.h"

#define MCP_SERVER_NAME     "codex-control-plane-mcp"
#define MCP_MESSAGE_MAX     ((size_t)256 * 1024 * 1024)
#define MCP_VERSION_REFUSED -32022 /* UnsupportedProtocolVersionError */

enum mcp_version {
	MCP_2024_11_05,
	MCP_2025_03_26,
	MCP_2025_06_18,
	MCP_2025_11_25,
	MCP_2026_07_28,
};
#define MCP_VERSIONS      (MCP_2026_07_28 + 1)
#define MCP_LEGACY_NEWEST MCP_2025_11_25
#define MCP_MODERN        MCP_2026_07_28
/* What a legacy client gets that did not initialize. */
#define MCP_LEGACY_ASSUMED MCP_2025_03_26

struct mcp_batch;
struct mcp_running;

struct mcp {
	const struct mcp_host *host;
	void *data;
	enum mcp_version version; /* of the legacy era */
	bool initialized, closed;
	struct mcp_running *running;
	char *tools[MCP_VERSIONS]; /* results of tools/list as text, made when first asked for */
};

/* Everything is borrowed. */
struct mcp_request {
	struct mcp *mcp;
	json_t *id;
	json_t *params; /* an object or NULL */
	enum mcp_version version;
	struct mcp_batch *batch; /* NULL: it came alone */
};

/* A request that waits for its tool. */
struct mcp_running {
	struct mcp_request request; /* owns its id, without params */
	json_t *progress_token;     /* owned; NULL: nobody is told */
	int64_t progress;
	struct codexcp_call *call; /* NULL: answered */
	struct mcp_running *prev, *next;
};

/* One message; what it answers goes into the batch when there is one. */
void mcp_feed_message(struct mcp *mcp, const json_t *value, struct mcp_batch *batch);

/* `result` is the JSON text of a result, borrowed; NULL: memory ran out. */
void mcp_answer(const struct mcp_request *request, const char *result);
/* Steals result; NULL: memory ran out. */
void mcp_answer_json(const struct mcp_request *request, json_t *result);
/* Steals data, which may be NULL. */
void mcp_answer_error(const struct mcp_request *request, int code, json_t *data, const char *fmt,
		      ...) _printf_(4, 5);
/* An error that belongs to no request. */
void mcp_refuse(struct mcp *mcp, int code, const char *fmt, ...) _printf_(3, 4);
/* A message that is no answer; steals it, NULL is ignored. */
void mcp_tell(struct mcp *mcp, json_t *message);

/* message.c */
const char *mcp_version_name(enum mcp_version version);
/* False when the name is unknown. */
_must_check_ bool mcp_version_parse(const char *name, enum mcp_version *ret_version);
json_t *mcp_server_info(enum mcp_version version);
json_t *mcp_capabilities(void);
/* An object with what every result of the version has. */
json_t *mcp_result_new(enum mcp_version version);
/* What results have that clients may keep for a while. */
void mcp_result_set_cache(json_t **result, enum mcp_version version);
char *mcp_response_text(json_t *id, const char *result, size_t *ret_len);
char *mcp_tool_result_text(enum mcp_version version, const json_t *payload, bool ok);
/* The tools as clients of the version know them: {"tools": [...], ...}. */
char *mcp_tools_text(enum mcp_version version);

/* legacy.c */
void mcp_initialize(const struct mcp_request *request);
void mcp_ping(const struct mcp_request *request);

/* modern.c */
/* Whether the request says that it belongs to the modern era. */
bool mcp_modern_claimed(const json_t *params);
/* Sets the request's version, or answers it with what is wrong and returns false. */
_must_check_ bool mcp_modern_accept(struct mcp_request *request);
void mcp_discover(const struct mcp_request *request);

/* tools.c */
void mcp_tools_list(const struct mcp_request *request);
void mcp_tools_call(const struct mcp_request *request);

/* running.c */
/* Copies the request; NULL when memory ran out. */
struct mcp_running *mcp_running_new(const struct mcp_request *request);
/* Cancels the call when there is one; a batch that waits only for this is sent. */
void mcp_running_free(struct mcp_running *running);
struct mcp_running *mcp_running_find(const struct mcp *mcp, const json_t *id);
/* A codexcp_progress_fn; data is the struct mcp_running. */
void mcp_running_progress(const char *message, void *data);

/* batch.c */
void mcp_batch_feed(struct mcp *mcp, const json_t *messages);
struct mcp_batch *mcp_batch_ref(struct mcp_batch *batch);
/* The last one sends the answers. NULL is ignored. */
void mcp_batch_unref(struct mcp_batch *batch);
void mcp_batch_add(struct mcp_batch *batch, const char *text, size_t len);
