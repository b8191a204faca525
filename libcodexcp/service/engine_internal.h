/*
 * What the files of the engine share: engine.c (life), engine_bell.c (the doorbell),
 * engine_commands.c (what front ends ask for), engine_report.c (the worker's row).
 */
#pragma once

#include "domain/runner.h"
#include "domain/upkeep.h"
#include "runtime/socket.h"
#include "runtime/stream.h"
#include "service/engine.h"
#include "store/worker_store.h"

struct ccp_bell;

/* As seen_version: the next poll looks, whatever the database says. */
#define CCP_NEVER_SEEN (-1)

struct ccp_engine {
	struct codexcp *cp;
	struct ccp_txq *txq; /* what it has to write ends with it */
	int lock_fd;
	int64_t lock_until;        /* boot clock: how long the lock is waited for */
	struct ccp_stream *holder; /* doorbell of the one that has the lock */
	struct ccp_timer *lock_timer, *poll_timer, *idle_timer, *changed_timer;
	struct ccp_worker_row row; /* what was last reported */
	struct ccp_runner *runner;
	struct ccp_upkeep *upkeep;
	struct ccp_listener *listener;
	struct ccp_bell *bells; /* connected front ends */
	int64_t seen_version;
	unsigned polls;
	bool orderly;   /* the worker before this one had said goodbye */
	bool beginning; /* a command is being marked running */
	struct ccp_command_job *commands;
	struct codexcp_error failure;
};

/* engine_bell.c */
int ccp_bell_open(struct ccp_engine *engine, struct codexcp_error *err);
void ccp_bell_close(struct ccp_engine *engine); /* the listener only: connections go on */
void ccp_bell_free(struct ccp_engine *engine);
/* Tell everybody soon, and now. */
void ccp_bell_changed(struct ccp_engine *engine);
void ccp_bell_tell_changed(struct ccp_engine *engine);
/* Ring another worker, to hear whether it answers. */
int ccp_bell_ring_holder(struct ccp_engine *engine, struct codexcp_error *err);

/* engine_commands.c */
void ccp_commands_look(struct ccp_engine *engine);
void ccp_commands_free(struct ccp_engine *engine);
/* The kind of command i, NULL past the last. */
const char *ccp_command_kind(size_t i);

/* engine_report.c */
int ccp_report_init(struct ccp_engine *engine, struct codexcp_error *err);
/* Writes the row soon; losing one report is no harm. */
void ccp_report(struct ccp_engine *engine);
void ccp_report_app_server(struct ccp_engine *engine, const struct codexcp_error *why);
void ccp_report_crowded(struct ccp_engine *engine, bool crowded);
void ccp_report_stopped(struct ccp_engine *engine);

/* engine.c */
void ccp_engine_check_idle(struct ccp_engine *engine);
/* A newer program wants to be the worker. */
void ccp_engine_hand_over(struct ccp_engine *engine);
/* Another worker has answered: this one is not needed. */
void ccp_engine_not_needed(struct ccp_engine *engine);
