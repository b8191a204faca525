#include "base/sha256.h"

#include <sodium.h>
#include <string.h>

#include "base/json.h"

void ccp_sha256_hex(const void *data, size_t len, char out[static CCP_SHA256_HEX])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, data, len);
	sodium_bin2hex(out, CCP_SHA256_HEX, hash, sizeof(hash));
}

bool ccp_sha256_json(const json_t *value, char out[static CCP_SHA256_HEX])
{
	_cleanup_free_ char *text = ccp_json_dump_canonical(value);

	if (!text)
		return false;
	ccp_sha256_hex(text, strlen(text), out);
	return true;
}
