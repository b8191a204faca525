/*
 * Keeps the database in shape while a worker lives: forgets what has ended (retention.h), gives
 * free pages back, keeps the write-ahead log small.
 *
 * All of it in slices of a few milliseconds, only while nothing else waits to be written; whoever
 * polls reads on, and whoever writes meets a lock that is released at once.
 */
#pragma once

#include "domain/retention.h"
#include "domain/txq.h"

struct ccp_upkeep;

struct ccp_upkeep_options {
	struct ccp_loop *loop;
	struct ccp_db *db;
	struct ccp_txq *txq;
	struct ccp_retention_rule rule;
	/* 0: as a worker does. The first pass after the start; the pauses between slices, between
	 * passes, and between looks at the log. */
	int64_t first_ms, slice_ms, pass_ms, log_ms;
};

/* Copies the options, borrows what they point to. */
int ccp_upkeep_new(const struct ccp_upkeep_options *options, struct ccp_upkeep **ret_upkeep,
		   struct codexcp_error *err);
void ccp_upkeep_free(struct ccp_upkeep *upkeep);
/* How many passes are done. */
int ccp_upkeep_passes(const struct ccp_upkeep *upkeep);
