/*
 * When the account's usage limit ends, as Codex tells it: in account/rateLimits/updated and in the
 * answer of account/rateLimits/read.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

struct ccp_rate_limit {
	int64_t resets_at; /* wall ms; 0: not told */
	int64_t window;    /* minutes that it is counted over; 0 unknown */
};

/*
 * The limit that is reached, of several the one that ends last, from the params of the notification
 * or the result of the request. 1: told, also that none is reached; 0: the message says nothing (an
 * update may leave out what has not changed).
 */
int ccp_rate_limit_parse(const json_t *message, struct ccp_rate_limit *ret_limit);
/* Whether this notification says that there is another login than before. */
bool ccp_is_login_change(const char *method, const json_t *params);
