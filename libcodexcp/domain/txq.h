/*
 * Write transactions of one connection, one after the other, without ever blocking the loop: a
 * locked database is tried again by a timer until the job's deadline.
 *
 *	ccp_txq_add(q, write_something, written, self, 10000, err);
 *
 * A job runs inside BEGIN IMMEDIATE ... COMMIT; `done` comes after the commit and may do what
 * cannot be undone (send, answer). Jobs run in the order in which they were added, at once when
 * nothing waits, so `done` may come before ccp_txq_add() returns.
 */
#pragma once

#include "runtime/loop.h"
#include "store/db.h"

struct ccp_txq;

/* May run more than once: whatever it leaves in `data` must be set anew each time. */
typedef int (*ccp_tx_fn)(struct ccp_db *db, void *data, struct codexcp_error *err);
/* err is NULL when the transaction is on disk. */
typedef void (*ccp_tx_done_fn)(const struct codexcp_error *err, void *data);

/* Borrows the connection. */
int ccp_txq_new(struct ccp_loop *loop, struct ccp_db *db, struct ccp_txq **ret_q,
		struct codexcp_error *err);
/* Jobs that wait are answered with CODEXCP_E_CANCELLED. */
void ccp_txq_free(struct ccp_txq *q);
/* As a deadline: what happened outside must be recorded, so a busy, full or unavailable database is
 * tried again for as long as it takes. */
#define CCP_TXQ_FOR_EVER (-1)

/* On failure nothing was added and `done` is not called. done may be NULL. */
int ccp_txq_add(struct ccp_txq *q, ccp_tx_fn fn, ccp_tx_done_fn done, void *data,
		int64_t deadline_ms, struct codexcp_error *err);
/* Told when the first job cannot be written for a reason that does not pass in a moment (a full or
 * failing disk at once, a lock after 5 s), and with NULL when writing works again. */
typedef void (*ccp_txq_trouble_fn)(const struct codexcp_error *why, void *data);
void ccp_txq_on_trouble(struct ccp_txq *q, ccp_txq_trouble_fn fn, void *data);
bool ccp_txq_idle(const struct ccp_txq *q);
