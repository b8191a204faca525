/*
 * The worker's own row: who it is, that it lives, which app-server it has. Only reported; the lock
 * decides.
 */
#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"
#include "service/engine_internal.h"
#include "service/worker_info.h"

#define REPORT_DEADLINE_MS 5000

static const char *role_of(enum codexcp_mode mode)
{
	return mode == CODEXCP_MODE_WORKER   ? "worker"
	       : mode == CODEXCP_MODE_INLINE ? "inline"
					     : "observe";
}

int ccp_report_init(struct ccp_engine *engine, struct codexcp_error *err)
{
	struct ccp_worker_row *row = &engine->row;
	json_auto_t *details = NULL;
	struct ccp_process_id self;
	char id[CCP_ID_SIZE];
	int r = ccp_process_self(&self, err);

	if (r < 0)
		return r;
	details = ccp_worker_details(engine->cp, &self);
	row->details = details ? ccp_json_dump(details, NULL) : NULL;
	ccp_id_new("wrk_", id);
	row->pid = self.pid;
	row->start_time = self.start_time;
	row->started_at = ccp_clock_wall(ccp_context_clock(engine->cp));
	row->heartbeat_at = row->started_at;
	if (!row->details || !ccp_strdup_opt(id, &row->id) ||
	    !ccp_strdup_opt(role_of(engine->cp->mode), &row->role) ||
	    !ccp_strdup_opt("running", &row->status) || !ccp_strdup_opt(self.boot, &row->boot_id) ||
	    !ccp_strdup_opt(CCP_VERSION, &row->version))
		return ccp_fail_oom(err);
	return 0;
}

static int report_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_engine *engine = data;

	engine->row.heartbeat_at = ccp_clock_wall(ccp_context_clock(engine->cp));
	return ccp_worker_put(db, &engine->row, err);
}

void ccp_report(struct ccp_engine *engine)
{
	(void)ccp_txq_add(engine->txq, report_tx, NULL, engine, REPORT_DEADLINE_MS, NULL);
}

static json_t *app_server_json(const struct ccp_appserver *as)
{
	const struct ccp_appserver_info *info = ccp_appserver_info(as);
	char version[CCP_CODEX_VERSION_SIZE];
	json_t *o = json_object();

	ccp_json_set_str(&o, "instance", info->instance);
	ccp_json_set_int(&o, "pid", info->process.pid);
	ccp_json_set_str(&o, "transport", ccp_appserver_transports[info->transport]);
	ccp_json_set_str(&o, "codexVersion", ccp_codex_version_format(&info->version, version));
	ccp_json_set_str(&o, "userAgent", info->user_agent);
	ccp_json_set_time(&o, "startedAt", info->started_at);
	return o;
}

void ccp_report_app_server(struct ccp_engine *engine, const struct codexcp_error *why)
{
	const struct ccp_appserver *as = ccp_runner_app_server(engine->runner);
	/* Neither ready nor a reason: it was stopped because nothing needed it. */
	bool ready = ccp_appserver_state(as) == CCP_APPSERVER_READY;
	json_auto_t *json = ready ? app_server_json(as) : NULL;
	_cleanup_free_ char *text = json ? ccp_json_dump(json, NULL) : NULL;

	(void)ccp_row_set(&engine->row.app_server, text, NULL);
	(void)ccp_row_set(&engine->row.instance, ready ? ccp_appserver_info(as)->instance : NULL,
			  NULL);
	(void)ccp_row_set(&engine->row.last_error, why ? why->message : NULL, NULL);
	ccp_report(engine);
}

void ccp_report_crowded(struct ccp_engine *engine, bool crowded)
{
	json_auto_t *details = ccp_worker_read_details(&engine->row);
	_cleanup_free_ char *text = NULL;

	if (crowded)
		ccp_json_set_bool(&details, CCP_WORKER_CROWDED, true);
	else
		(void)json_object_del(details, CCP_WORKER_CROWDED);
	text = details ? ccp_json_dump(details, NULL) : NULL;
	if (text)
		(void)ccp_row_set(&engine->row.details, text, NULL);
	ccp_report(engine);
}

/* Once more, at the end, without waiting long: the next worker's row replaces it anyway. */
void ccp_report_stopped(struct ccp_engine *engine)
{
	struct ccp_db *db = engine->cp->db;
	bool reported = engine->row.epoch || engine->cp->mode == CODEXCP_MODE_OBSERVE;

	if (!db || !reported || ccp_db_begin(db, NULL) < 0)
		return;
	engine->row.stopped_at = ccp_clock_wall(ccp_context_clock(engine->cp));
	(void)ccp_row_set(&engine->row.status, "stopped", NULL);
	(void)ccp_row_set(&engine->row.instance, NULL, NULL);
	(void)ccp_row_set(&engine->row.app_server, NULL, NULL);
	if (ccp_worker_put(db, &engine->row, NULL) < 0 || ccp_db_commit(db, NULL) < 0)
		ccp_db_rollback(db);
}
