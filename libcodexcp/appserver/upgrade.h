/* The HTTP upgrade to WebSocket, as text. For websocket.c. */
#pragma once

#include "base/strbuf.h"

struct ccp_upgrade {
	size_t len;              /* of the answer, what follows is WebSocket */
	size_t max_unfragmented; /* as announced, 0: not */
	char problem[160];       /* why it is refused, "" when it is not */
};

void ccp_upgrade_request(struct ccp_strbuf *out);
/* False while the answer is not complete. */
bool ccp_upgrade_parse(const char *bytes, size_t len, struct ccp_upgrade *ret_upgrade);
