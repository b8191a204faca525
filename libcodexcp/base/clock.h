/*
 * Time: an injectable clock, and RFC 3339 text.
 *
 * The store and all deadlines hold integer milliseconds. `wall` is Unix time and goes into rows;
 * `boot` never jumps, counts through sleep, and measures deadlines within one boot.
 */
#pragma once

#include "base/macro.h"

struct ccp_clock {
	int64_t (*wall_ms)(void *data);
	int64_t (*boot_ms)(void *data);
	void *data;
};

/* The system's clock; static. */
const struct ccp_clock *ccp_clock_system(void);
static inline int64_t ccp_clock_wall(const struct ccp_clock *c)
{
	return c->wall_ms(c->data);
}
static inline int64_t ccp_clock_boot(const struct ccp_clock *c)
{
	return c->boot_ms(c->data);
}

#define CCP_TIME_SIZE 32
/* "2026-11-20T09:00:00.000Z"; returns out. */
const char *ccp_time_format(int64_t wall_ms, char out[static CCP_TIME_SIZE]);
/* RFC 3339 with Z or an offset, fraction optional. */
_must_check_ bool ccp_time_parse(const char *s, int64_t *ret_wall_ms);
