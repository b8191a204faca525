/*
 * What a task carries beside its text: images, and the schema of its answer. Checked at submit.
 */
#pragma once

#include "base/error.h"

struct ccp_input_limits {
	int64_t max_items, max_bytes;
	const char *cwd;                  /* relative paths are below it */
	const char *const *allowed_roots; /* canonical, NULL-terminated; NULL: none */
};

/*
 * `items`: array of {type: image, url, detail?} and {type: localImage, path, detail?}. Data URLs
 * (data:image/...;base64,...) bounded by max_bytes decoded; http(s) URLs are refused with the
 * reason; local files must exist, be regular, below an allowed root, with an image's extension
 * (png, jpg, jpeg, gif, webp, bmp) and bounded. Returns the items as Codex gets them (canonical
 * paths), a new reference. INVALID_ARGUMENT with argument "input_items[N]..." , expected, index and
 * the limits that were passed.
 */
int ccp_input_items_check(const json_t *items, const struct ccp_input_limits *limits,
			  json_t **ret_items, struct codexcp_error *err);

/*
 * The subset of JSON Schema that Codex accepts for outputs: an object, canonical form <= 50,000
 * characters, known types, and at every object node additionalProperties false with every property
 * required. INVALID_ARGUMENT with argument output_schema, expected, and details path
 * ("$.properties.a.items").
 */
int ccp_output_schema_check(const json_t *schema, struct codexcp_error *err);
