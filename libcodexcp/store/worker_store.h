/*
 * Workers, app-server instances, commands, and the counters of `meta`.
 *
 * The kernel lock decides who is the worker; these rows only report. The epoch is the one
 * exception: it is incremented by whoever has just taken the lock, and every send carries it.
 */
#pragma once

#include "store/row.h"

struct ccp_worker_row {
	CCP_WORKER_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_worker_row_done(struct ccp_worker_row *worker);
#define _cleanup_worker_row_ _cleanup_(ccp_worker_row_done)

int ccp_worker_put(struct ccp_db *db, const struct ccp_worker_row *worker,
		   struct codexcp_error *err);
/* A member of `details`: its app-server has as many unanswered requests as it may. */
#define CCP_WORKER_CROWDED "backpressure"

/* The one with the highest epoch, observers left out. 1 found, 0 none. */
int ccp_worker_latest(struct ccp_db *db, struct ccp_worker_row *ret_worker,
		      struct codexcp_error *err);

/* The newest first, observers too, until fn returns non-zero; a struct ccp_worker_row. */
int ccp_workers_each(struct ccp_db *db, int64_t limit, ccp_row_fn fn, void *data,
		     struct codexcp_error *err);

struct ccp_instance_row {
	CCP_INSTANCE_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_instance_row_done(struct ccp_instance_row *instance);
#define _cleanup_instance_row_ _cleanup_(ccp_instance_row_done)

int ccp_instance_put(struct ccp_db *db, const struct ccp_instance_row *instance,
		     struct codexcp_error *err);
int ccp_instance_get(struct ccp_db *db, const char *id, struct ccp_instance_row *ret_instance,
		     struct codexcp_error *err);
int ccp_instance_end(struct ccp_db *db, const char *id, int64_t at, const char *reason,
		     struct codexcp_error *err);
/* Those that have not ended as far as their rows know, newest first; fn gets a struct
 * ccp_instance_row. */
int ccp_instance_each_open(struct ccp_db *db, ccp_row_fn fn, void *data, struct codexcp_error *err);

struct ccp_command {
	CCP_COMMAND_COLUMNS(CCP_ROW_TEXT_MEMBER, CCP_ROW_INT_MEMBER)
};
void ccp_command_done(struct ccp_command *command);
#define _cleanup_command_ _cleanup_(ccp_command_done)

int ccp_command_insert(struct ccp_db *db, const struct ccp_command *command,
		       struct codexcp_error *err);
int ccp_command_get(struct ccp_db *db, const char *id, struct ccp_command *ret_command,
		    struct codexcp_error *err);
/* The oldest queued one. */
int ccp_command_next(struct ccp_db *db, struct ccp_command *ret_command, struct codexcp_error *err);
/* The newest first, until fn returns non-zero; a struct ccp_command. */
int ccp_commands_each(struct ccp_db *db, int64_t limit, ccp_row_fn fn, void *data,
		      struct codexcp_error *err);
/* status, result, error, updated_at, completed_at; only while it is not finished. 1 written, 0
 * not. */
int ccp_command_update(struct ccp_db *db, const struct ccp_command *command,
		       struct codexcp_error *err);
/* Commands that a dead worker left running go back to the queue. */
int ccp_command_requeue(struct ccp_db *db, struct codexcp_error *err);

/* meta */
int ccp_meta_get(struct ccp_db *db, const char *key, char **ret_value, struct codexcp_error *err);
int ccp_meta_set(struct ccp_db *db, const char *key, const char *value, struct codexcp_error *err);
/* Add one to the epoch and return it. In a transaction. */
int ccp_meta_next_epoch(struct ccp_db *db, int64_t *ret_epoch, struct codexcp_error *err);
