#include "service/handover.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "service/worker_info.h"

/* What has to happen before the state can be had. */
static char *way_out(const struct ccp_worker_row *holder, int64_t active)
{
	if (ccp_streq(holder->role, "inline") && ccp_streq(holder->status, "running"))
		return ccp_asprintf("process %" PRId64 " executes by itself (execution mode "
				    "inline): close that client",
				    holder->pid);
	if (active)
		return ccp_asprintf("it still works on %" PRId64 " operations, and hands over when "
				    "they have ended",
				    active);
	return strdup("it is being replaced: try again");
}

static int fail_waiting(const struct codexcp *cp, const struct ccp_worker_row *holder,
			int64_t active, struct codexcp_error *err)
{
	_cleanup_free_ char *text = way_out(holder, active);

	if (!text)
		return ccp_fail_oom(err);
	ccp_fail(err, CODEXCP_E_STATE_BUSY, "%s is served by an older version (%s); %s",
		 cp->config->state_db_path, holder->version ? holder->version : "unknown", text);
	ccp_error_add_str(err, "path", cp->config->state_db_path);
	ccp_error_add_str(err, "reason", "older_worker");
	ccp_error_add_str(err, "workerVersion", holder->version);
	ccp_error_add(err, "activeOperations", json_integer(active));
	return CODEXCP_E_STATE_BUSY;
}

/* Told once: a second signal may mean more than the first. */
static void end_worker(struct codexcp *cp, const struct ccp_worker_row *holder)
{
	struct ccp_process_id id;

	if (cp->handed_over == holder->epoch || !ccp_streq(holder->role, "worker") ||
	    !ccp_streq(holder->status, "running"))
		return;
	id = ccp_worker_process(holder);
	if (ccp_process_check(&id) != CCP_PROCESS_ALIVE)
		return;
	cp->handed_over = holder->epoch;
	ccp_log(CCP_LOG_INFO, "an older worker is asked to leave", "version", holder->version,
		NULL);
	ccp_process_signal(&id, SIGTERM);
}

int ccp_handover_ask(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	_cleanup_worker_row_ struct ccp_worker_row holder = { 0 };
	struct ccp_op_counts counts = { 0 };
	int r = ccp_db_open(cp->config->state_db_path, CCP_DB_READ, &db, err);

	if (r == 0)
		r = ccp_op_count(db, &counts, err);
	if (r == 0)
		r = ccp_worker_latest(db, &holder, err);
	if (r < 0)
		return r;
	if (r == 1 && !counts.active)
		end_worker(cp, &holder);
	return fail_waiting(cp, &holder, counts.active, err);
}
