/*
 * The file into which an app-server that outlives us writes: kept from growing without end, and
 * asked for the last words of a process that did not come up. For transport_unix.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Emptied when it has grown past 8 MiB. Returns its size then. `path` may be NULL. */
int64_t ccp_server_log_trim(const char *path);
/* What was written after `from`, at most the last 4 KiB, as valid UTF-8; an allocation, NULL when
 * there is nothing. */
char *ccp_server_log_tail(const char *path, int64_t from);
