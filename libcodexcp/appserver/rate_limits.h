/*
 * The account's usage limits as Codex tells them: in account/rateLimits/updated, which may be
 * sparse and may be late (a turn tells again what it heard when it began), and in the answer to
 * account/rateLimits/read, which is how things are. There are several limits, each with an id, and
 * each is counted over two windows of time.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

#define CCP_RATE_LIMIT_ID_SIZE 64

/* A limit that is reached. */
struct ccp_rate_limit {
	char id[CCP_RATE_LIMIT_ID_SIZE]; /* "": none is */
	int64_t resets_at;               /* wall ms; 0: not told */
	int64_t window;                  /* minutes that it is counted over; 0 unknown */
};

/*
 * The limit that is reached: of several one that Codex calls so rather than one that is only full,
 * and of those the one that ends last. `id`: look at this one only; NULL: at all. 1: told, also
 * that none is reached; 0: the message says nothing (an update may leave out what has not changed).
 */
int ccp_rate_limit_parse(const json_t *message, const char *id, struct ccp_rate_limit *ret_limit);
/*
 * Whether turns that this limit has stopped (NULL: any) would run again. A window that is full
 * stops nobody who has credits, or whom Codex says to be allowed.
 */
bool ccp_rate_limit_is_open(const json_t *message, const char *id);
/* Whether this notification says that there is another login than before. */
bool ccp_is_login_change(const char *method, const json_t *params);
