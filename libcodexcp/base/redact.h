/*
 * Hiding secrets, by one table of patterns (API keys, tokens, Authorization headers, private key
 * blocks, passwords in URLs and assignments). The text decides, never a JSON key: `"token": 12`
 * stays, `ghp_...` goes wherever it stands. Everything that is not a secret is passed on byte for
 * byte. Linear in the length of the text.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

/* A copy of text[0..len) with each secret replaced by "[redacted]". NULL when memory ran out. */
char *ccp_redact(const char *text, size_t len, size_t *ret_len);
/* A deep copy with every string value (not the keys) redacted. NULL when memory ran out. */
json_t *ccp_redact_json(const json_t *value);
