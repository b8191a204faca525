#include "base/ids.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define ID_BYTES 16

int ccp_random_init(void)
{
	return sodium_init() < 0 ? CODEXCP_E_INTERNAL : 0;
}

void ccp_random_bytes(void *out, size_t len)
{
	randombytes_buf(out, len);
}

uint32_t ccp_random_below(uint32_t bound)
{
	assert(bound > 0);
	return randombytes_uniform(bound);
}

void ccp_uuid_new(const struct ccp_clock *clock, char out[static CCP_ID_SIZE])
{
	uint64_t ms = (uint64_t)ccp_clock_wall(clock);
	unsigned char b[ID_BYTES];

	ccp_random_bytes(b, sizeof(b));
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)(ms >> (40 - 8 * i));
	b[6] = 0x70 | (b[6] & 0x0f);
	b[8] = 0x80 | (b[8] & 0x3f);
	snprintf(out, CCP_ID_SIZE,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

void ccp_id_new(const char *prefix, char out[static CCP_ID_SIZE])
{
	size_t n = strlen(prefix);
	unsigned char b[ID_BYTES];

	assert(n + 2 * ID_BYTES < CCP_ID_SIZE);
	ccp_random_bytes(b, sizeof(b));
	memcpy(out, prefix, n);
	sodium_bin2hex(out + n, CCP_ID_SIZE - n, b, sizeof(b));
}
