/*
 * The life of whoever executes: takes the worker lock, counts the epoch up, runs a runner, answers
 * the doorbell, carries out commands, reports itself, and leaves when nobody needs it. A worker
 * process has one, and so has an inline context while it holds the lock.
 */
#pragma once

#include "service/context.h"

struct ccp_engine;

/*
 * Worker: waits up to 10 s for the lock, and stops the context when another worker answers instead.
 * Inline: CODEXCP_E_BUSY when somebody else has the lock. Observer: needs no lock.
 */
int ccp_engine_new(struct codexcp *cp, struct ccp_engine **ret_engine, struct codexcp_error *err);
/* Leave in order and then stop the context: nothing is claimed any more, running turns are left to
 * an app-server that outlives us or get worker_drain_seconds to end. */
void ccp_engine_leave(struct ccp_engine *engine, const char *why);
/* Whether it is the one that may act. */
bool ccp_engine_has_lock(const struct ccp_engine *engine);
/* Writes what is collected in memory, and reports the end. Operations that run are found again by
 * the next worker. */
void ccp_engine_free(struct ccp_engine *engine);
/* Why an inline engine could not go to work, or NULL: then it is to be freed. Told to the
 * starter. */
const struct codexcp_error *ccp_engine_failure(const struct ccp_engine *engine);
/* The context's state_trouble has changed: connected front ends are told. */
void ccp_engine_tell_trouble(struct ccp_engine *engine);
/* There may be work. */
void ccp_engine_look(struct ccp_engine *engine);
