/*
 * The journal: one append-only table for everything worth telling later. A timeline is a query over
 * it, a progress list is its tail.
 */
#pragma once

#include "store/row.h"

struct ccp_journal_row {
	CCP_JOURNAL_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_journal_row_done(struct ccp_journal_row *row);

#define CCP_JOURNAL_TEXT_MAX 2000
#define CCP_JOURNAL_DATA_MAX 4000

/* Bounds and redacts text and data; `id` is not read. */
int ccp_journal_append(struct ccp_db *db, const struct ccp_journal_row *row,
		       struct codexcp_error *err);
/* The newest `limit` progress rows of an operation, or of a turn when op_id is NULL; oldest of them
 * first. */
int ccp_journal_each_progress(struct ccp_db *db, const char *op_id, const char *thread_id,
			      const char *turn_id, int limit, ccp_row_fn fn, void *data,
			      struct codexcp_error *err);
/* Everything of an operation, newest first. */
int ccp_journal_each(struct ccp_db *db, const char *op_id, int limit, ccp_row_fn fn, void *data,
		     struct codexcp_error *err);
/* Progress rows of an operation or turn, and the time of the newest. */
int ccp_journal_count_progress(struct ccp_db *db, const char *op_id, const char *thread_id,
			       const char *turn_id, int64_t *ret_count, int64_t *ret_latest,
			       struct codexcp_error *err);
/* 1: the item is one that another turn of the thread began. */
int ccp_journal_item_of_other(struct ccp_db *db, const char *thread_id, const char *turn_id,
			      const char *item_id, struct codexcp_error *err);
