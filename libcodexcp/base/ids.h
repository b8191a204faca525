/*
 * Identifiers and random bytes. Ids are opaque to clients.
 *
 *	char id[CCP_ID_SIZE];
 *	ccp_id_new("cmd_", id);		// cmd_ + 32 hex digits
 *	ccp_uuid_new(clock, id);	// UUID version 7: rows with it arrive in index order
 */
#pragma once

#include "base/clock.h"
#include "base/macro.h"

#define CCP_ID_SIZE 48

/* Once per process, before any other function here; safe to call again. */
int ccp_random_init(void);
void ccp_random_bytes(void *out, size_t len);
/* Uniform in [0, bound); bound > 0. */
uint32_t ccp_random_below(uint32_t bound);

void ccp_uuid_new(const struct ccp_clock *clock, char out[static CCP_ID_SIZE]);
void ccp_id_new(const char *prefix, char out[static CCP_ID_SIZE]);
