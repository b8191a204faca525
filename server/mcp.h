/*
 * The MCP server's side of one connection, both eras of the protocol, without I/O: the owner feeds
 * lines and sends what `send` gives it.
 *
 *	mcp_new(&host, self, &mcp, err);
 *	mcp_feed(mcp, line, len);	// answers at once, or later for a tool that waits
 *	mcp_free(mcp);			// drops what is still running
 *
 * The legacy era (2024-11-05 to 2025-11-25) is opened by `initialize`; a request whose `_meta`
 * names a protocol version belongs to the modern era (2026-07-28) and is handled by itself. Both
 * may be mixed.
 */
#pragma once

#include <codexcp/codexcp.h>

#include "base/error.h"

struct mcp;

struct mcp_host {
	/* One message without its newline; to be copied. May come from within mcp_feed(). */
	void (*send)(const char *line, size_t len, void *data);
	/* The context for tool calls, borrowed. Asked for by the first call of a tool, not before.
	 */
	int (*context)(struct codexcp **ret_cp, void *data, struct codexcp_error *err);
};

int mcp_new(const struct mcp_host *host, void *data, struct mcp **ret_mcp,
	    struct codexcp_error *err);
/* Nothing is sent any more. Before codexcp_close(). */
void mcp_free(struct mcp *mcp);
CCP_DEFINE_CLEANUP(struct mcp, mcp_free);

void mcp_feed(struct mcp *mcp, const char *line, size_t len);
/* A line passed the ceiling of `limit` bytes and was dropped. */
void mcp_overlong(struct mcp *mcp, size_t limit);
/* Requests that have no answer yet. */
size_t mcp_running(const struct mcp *mcp);
