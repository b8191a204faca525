/*
 * Who is next, and why somebody waits. Both by the slots that are taken (slots.h) and the rows of
 * the queue, so a front end says of an operation what the worker decides.
 *
 * Order: classes first. A class of priority is worth ten minutes of waiting, and waiting lifts up
 * to the highest class. Within a class agents take turns: first the one that has waited longest,
 * since an operation of its was begun or, if that was before, since it submitted this one. Those
 * who name no agent take turns as one, so that naming one is never a disadvantage. An agent's own
 * operations go by priority with ageing, then by age. Of these the first that the slots admit is
 * taken: what has to wait for its slot holds up only what wants the same lock.
 *
 * While the account's usage limit holds, nobody is next but one of those that it has stopped.
 */
#pragma once

#include "base/ids.h"
#include "domain/slots.h"

/* What is taken, and who waits for a lock. */
int ccp_queue_slots(struct ccp_db *db, const struct ccp_limits *limits, int64_t now,
		    struct ccp_slots *ret_slots, struct codexcp_error *err);
/* 1 and the operation that may run now, or 0. */
int ccp_queue_next(struct ccp_db *db, const struct ccp_limits *limits,
		   const struct ccp_slots *slots, int64_t now, char ret_id[static CCP_ID_SIZE],
		   struct codexcp_error *err);
/*
 * Why a queued operation waits, as clients are told: for what its row says, while that is a point
 * in time, else for what is taken, else for its turn. Without a worker (`slots` NULL) only its row
 * says something.
 */
int ccp_queue_reason(struct ccp_db *db, const struct ccp_limits *limits,
		     const struct ccp_slots *slots, const struct ccp_op *op, int64_t now,
		     const char **ret_reason, struct codexcp_error *err);
