/*
 * Prompts compared: the same text (after normalisation) is a duplicate and is refused while the
 * first is active; similar text is only worth a warning.
 */
#pragma once

#include "base/error.h"
#include "base/sha256.h"

/*
 * SHA-256 of the normalised prompt: NFKC, CRLF and CR to LF, every run of white space one blank,
 * trimmed, case folded; then a line each for the output schema and the input items (their canonical
 * JSON hash) when there are any, so that the same words with another image are another prompt.
 */
int ccp_prompt_hash(const char *message, const json_t *output_schema, const json_t *input_items,
		    char ret_hash[static CCP_SHA256_HEX], struct codexcp_error *err);

/* From this many characters on prompts are compared for similarity, and this is similar. */
#define CCP_PROMPT_SIMILAR_MIN_CHARS 40
#define CCP_PROMPT_SIMILAR           0.90

/*
 * The larger of the Ratcliff-Obershelp ratios of the normalised texts and of their sorted words
 * when it is at least CCP_PROMPT_SIMILAR, else 0; below the minimum length always 0. So that a
 * submit never waits for this, only the first 2,000 characters are compared, a comparison ends as
 * soon as it cannot reach CCP_PROMPT_SIMILAR any more, and one that takes too many steps is 0 as
 * well.
 */
double ccp_prompt_similarity(const char *a, const char *b);
