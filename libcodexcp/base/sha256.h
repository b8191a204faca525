/*
 * SHA-256 as lower-case hex, over bytes and over the canonical form of JSON (sorted keys, compact).
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

#define CCP_SHA256_HEX 65

void ccp_sha256_hex(const void *data, size_t len, char out[static CCP_SHA256_HEX]);
/* False when memory ran out. */
_must_check_ bool ccp_sha256_json(const json_t *value, char out[static CCP_SHA256_HEX]);
