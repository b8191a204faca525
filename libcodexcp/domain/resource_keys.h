/*
 * `resource_keys`: what a caller says that its task writes to, so that tasks with different keys
 * may work side by side. Names, not paths: nothing is looked up. Compared with white space
 * collapsed and case folded.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

/* A column's JSON array as a set (an object whose keys they are); NULL when there are none. */
int ccp_keys_parse(const char *text, json_t **ret_keys, struct codexcp_error *err);
/* Whether a key is in both; NULL has none. */
bool ccp_keys_meet(const json_t *a, const json_t *b);
