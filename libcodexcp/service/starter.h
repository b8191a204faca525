/*
 * A front end's side of the doorbell: finds the worker, starts one when there is none, rings, and
 * hears that rows have changed. The doorbell carries no state; whoever misses a ring looks at the
 * database.
 */
#pragma once

#include "service/context.h"

struct ccp_starter;

int ccp_starter_new(struct codexcp *cp, struct ccp_starter **ret_starter,
		    struct codexcp_error *err);
void ccp_starter_free(struct ccp_starter *starter);
/* There may be work: make sure that somebody looks. */
void ccp_starter_ring(struct ccp_starter *starter);
/* The context is about to close: what was to be tried later is tried now. */
void ccp_starter_finish(struct ccp_starter *starter);
/* The engine of an inline context gives its reason: it is freed soon. */
void ccp_starter_engine_failed(struct ccp_starter *starter);
bool ccp_starter_connected(const struct ccp_starter *starter);
/* The last start came to nothing: it is tried again, but whoever waits for it need not. */
bool ccp_starter_failed(const struct ccp_starter *starter);
/* Why no worker could be started, or what keeps the one that runs from writing, or NULL. */
const char *ccp_starter_trouble(const struct ccp_starter *starter);
