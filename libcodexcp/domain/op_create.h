/*
 * Submitting: one transaction that either adds an operation (with what it was asked and its place
 * in the queue), or finds that the same request was made before, or refuses. Committed means
 * acknowledged.
 */
#pragma once

#include "base/clock.h"
#include "base/ids.h"
#include "store/op_store.h"

/* The row as it shall be, without what the transaction decides (state columns are filled in). */
struct ccp_submit {
	struct ccp_op op;
	struct ccp_op_request request;
	bool check_prompt; /* refuse the same text while it is being worked on */
	bool sandbox_named, approval_named, model_named; /* by the caller */
	bool continue_completed; /* a completed operation with the same text lends its thread */
};
void ccp_submit_done(struct ccp_submit *submit);

struct ccp_submitted {
	char id[CCP_ID_SIZE];
	bool existed;    /* the client_request_id was known: nothing was added */
	json_t *similar; /* array of {operationId, similarity (percent)}, or NULL; owned */
	char continued[CCP_ID_SIZE]; /* the operation whose thread is continued, or "" */
};
void ccp_submitted_done(struct ccp_submitted *submitted);

/*
 * In a transaction. CODEXCP_E_IDEMPOTENCY_CONFLICT (existingOperationId, differs),
 * CODEXCP_E_DUPLICATE_PROMPT_ACTIVE (operationId, existing..., similarity).
 */
int ccp_op_submit(struct ccp_db *db, const struct ccp_clock *clock, struct ccp_submit *submit,
		  struct ccp_submitted *ret_submitted, struct codexcp_error *err);

/*
 * Whether a client_request_id was used before: 1 and the operation's id when it asked for the same,
 * 0 when it is new, CODEXCP_E_IDEMPOTENCY_CONFLICT when it asked for something else.
 */
int ccp_op_find_request(struct ccp_db *db, const char *client_request_id, const char *request_hash,
			const char *arguments, char ret_id[static CCP_ID_SIZE],
			struct codexcp_error *err);

/* What of the arguments makes two requests mean the same: a new object, and its hash. */
json_t *ccp_request_meaning(const json_t *arguments);
