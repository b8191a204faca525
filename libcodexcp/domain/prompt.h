/*
 * Prompts compared: the same text (after normalisation) is a duplicate and is refused while the
 * first is active; similar text is only worth a warning.
 */
#pragma once

#include "base/error.h"
#include "base/sha256.h"

/* NFKC, every run of white space one blank, trimmed, case folded: an allocation. */
int ccp_prompt_normalise(const char *text, char **ret_text, struct codexcp_error *err);

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
 * A prompt that is compared with many others: what they need of it is worked out once. 1, or 0 when
 * it is too short (or no text) to be similar to anything.
 */
struct ccp_prompt;
int ccp_prompt_new(const char *text, struct ccp_prompt **ret_prompt, struct codexcp_error *err);
void ccp_prompt_free(struct ccp_prompt *prompt);
CCP_DEFINE_CLEANUP(struct ccp_prompt, ccp_prompt_free);

/*
 * Its letters, counted without regard to their order: stored beside it, and enough to see how
 * similar another prompt can be at most, without reading that one's text. NULL is the shape of
 * none.
 */
#define CCP_PROMPT_SHAPE_COUNTS 64
#define CCP_PROMPT_SHAPE_SIZE   (2 * CCP_PROMPT_SHAPE_COUNTS + 1)
const char *ccp_prompt_shape(const struct ccp_prompt *prompt);
double ccp_prompt_similarity_bound(const struct ccp_prompt *prompt, const char *shape);

/*
 * The larger of the Ratcliff-Obershelp ratios of the normalised texts and of their sorted words
 * when it is at least CCP_PROMPT_SIMILAR, else 0; below the minimum length always 0. So that a
 * submit never waits for this, only the first 2,000 characters are compared, a comparison ends as
 * soon as it cannot reach CCP_PROMPT_SIMILAR any more, and one that takes too many steps is 0 as
 * well.
 */
double ccp_prompt_similarity(const struct ccp_prompt *prompt, const char *other);
