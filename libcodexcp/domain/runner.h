/*
 * Runs operations: takes them from the queue within the limits, carries out the effects of the
 * machine on one app-server, feeds what app-server says back as events, looks up what was lost.
 * Whoever has the worker lock has one runner; everything it knows is in rows, so the next one goes
 * on where this one stopped.
 *
 *	ccp_runner_new(&options, &events, self, &runner, err);
 *	ccp_runner_adopt(runner, err);	// what an earlier worker left half-way
 *	ccp_runner_look(runner);	// there may be work
 */
#pragma once

#include "appserver/client.h"
#include "domain/slots.h"
#include "domain/txq.h"
#include "store/db.h"

struct ccp_runner;

struct ccp_runner_options {
	struct ccp_loop *loop;
	struct ccp_db *db;   /* borrowed, for reading between transactions */
	struct ccp_txq *txq; /* borrowed */
	struct ccp_appserver_options app_server;
	struct ccp_limits limits;
	int64_t epoch;
	bool orderly;               /* the worker before this one had said goodbye */
	int64_t app_server_idle_ms; /* stop app-server after this long without work; 0: never */
	int64_t check_ms;           /* a turn that has told nothing for this long is looked at */
	int64_t stall_ms;           /* and may be stalled after this */
	bool interrupt_stalled;
	int64_t quota_check_ms; /* who waits for the account's limit asks this often */
};

struct ccp_runner_events {
	/* Rows have changed: tell whoever waits. */
	void (*changed)(void *data);
	/* app-server is ready or was stopped for want of work (NULL), or it ended or could not be
	 * started. */
	void (*app_server)(const struct codexcp_error *why, void *data);
	/* The queue waits because app-server has as many unanswered requests as it may; or not any
	 * more. */
	void (*crowded)(bool crowded, void *data);
};

int ccp_runner_new(const struct ccp_runner_options *options, const struct ccp_runner_events *events,
		   void *data, struct ccp_runner **ret_runner, struct codexcp_error *err);
/* Ends app-server too, unless turns run on one that outlives us. Rows stay as they are: the next
 * worker adopts them. */
void ccp_runner_free(struct ccp_runner *runner);

/* Operations that an earlier worker left between queue and end. Once, before anything else. */
int ccp_runner_adopt(struct ccp_runner *runner, struct codexcp_error *err);
void ccp_runner_look(struct ccp_runner *runner);
/* Write what is collected, at once: the end is near. */
void ccp_runner_flush(struct ccp_runner *runner);
/*
 * Leave in order: nothing is claimed any more. An app-server on a socket keeps its running turns
 * and is let go of at once; on stdio, where they end with us, they get up to drain_ms to end by
 * themselves. An app-server without turns is stopped. Then left() is called, once.
 */
void ccp_runner_leave(struct ccp_runner *runner, int64_t drain_ms, void (*left)(void *data));

/* Interrupt the turn of an operation. fn comes when Codex has answered; err NULL: it will stop. */
typedef void (*ccp_interrupt_fn)(const struct codexcp_error *err, void *data);
void ccp_runner_interrupt(struct ccp_runner *runner, const char *op_id, ccp_interrupt_fn fn,
			  void *data);

/* Operations between queue and end. */
size_t ccp_runner_active(const struct ccp_runner *runner);
const struct ccp_appserver *ccp_runner_app_server(const struct ccp_runner *runner);
