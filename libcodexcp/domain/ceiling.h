/*
 * What a turn may do at most: a ceiling for the sandbox, a floor for the approval policy. Applied
 * to what was asked for at submit, and again to what a thread turns out to have when the turn is
 * sent.
 */
#pragma once

#include "appserver/methods.h"
#include "store/op_store.h"

/* Whether `sandbox` permits more than `ceiling`; UNSET as a ceiling permits everything. */
bool ccp_sandbox_above(enum ccp_sandbox sandbox, enum ccp_sandbox ceiling);
/* Whether an approval policy asks less often than the floor; NULL as a floor permits everything.
 * Unknown policies (objects of newer versions) are above every floor. */
bool ccp_approval_above(const char *approval, const char *floor);

/*
 * What the operation's turn runs under: what was asked for, else what the thread has, lowered to
 * the ceiling. UNSET (NULL) while nothing is known.
 */
enum ccp_sandbox ccp_op_sandbox(const struct ccp_op *op);
const char *ccp_op_approval(const struct ccp_op *op);
