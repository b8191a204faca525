/*
 * A worker as its row tells of it: the process behind the row, and what people and clients see.
 * What only the worker itself can know it writes into the row (details).
 */
#pragma once

#include "runtime/process.h"
#include "service/context.h"
#include "store/worker_store.h"

/* For the row of this process: {pidNamespace, hostname, unit, cgroup, logPath, stay,
 * environmentVariables, configuration}, of the environment the names alone. NULL: no memory. */
json_t *ccp_worker_details(const struct codexcp *cp, const struct ccp_process_id *self);
/* The same read back; a new reference, NULL when the row has none. */
json_t *ccp_worker_read_details(const struct ccp_worker_row *row);
/* Who wrote the row. The namespace of a row that an older program wrote is unknown (0), unless that
 * process is seen from here. */
struct ccp_process_id ccp_worker_process(const struct ccp_worker_row *row);
/* "running"; "degraded", something troubles it or its heartbeat is late; "stopped"; "stale", it has
 * gone without a word. */
const char *ccp_worker_effective_status(const struct ccp_worker_row *row, int64_t now);

enum ccp_worker_parts {
	CCP_WORKER_BRIEF,
	CCP_WORKER_WHOLE, /* with its details */
};
/* New references, NULL when memory ran out. */
json_t *ccp_worker_json(const struct ccp_worker_row *row, int64_t now, enum ccp_worker_parts parts);
/* {running, pid, instance, codexVersion, ...}: the one that lives, with or without a worker. db
 * NULL: there is none. */
json_t *ccp_app_server_json(struct ccp_db *db);
/* {activeOperationCount, queuedOperationCount, ...} */
json_t *ccp_counts_json(const struct ccp_op_counts *counts);

/* Whether anybody holds the lock. 1, 0, negative error. */
int ccp_worker_lock_is_held(const struct codexcp *cp, struct codexcp_error *err);
