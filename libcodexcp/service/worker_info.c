#include "service/worker_info.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appserver/caps.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "domain/instance.h"
#include "runtime/cgroup.h"
#include "runtime/socket.h"
#include "service/doorbell.h"

/* Three heartbeats and a bit. */
#define LATE_MS 35000

/* The names of variables: the values may be secrets. */
static json_t *names_of(char *const *environment)
{
	json_t *names = json_array();

	for (; environment && *environment; environment++)
		ccp_json_append_new(&names,
				    ccp_json_string(*environment, strcspn(*environment, "=")));
	return names;
}

json_t *ccp_worker_details(const struct codexcp *cp, const struct ccp_process_id *self)
{
	_cleanup_free_ char *cgroup = ccp_cgroup_of(0), *log = ccp_state_path(cp, CCP_STATE_LOG);
	json_t *o = json_object();
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	ccp_json_set_int(&o, "pidNamespace", self->pid_namespace);
	ccp_json_set_str(&o, "hostname", host);
	ccp_json_set_str(&o, "unit", ccp_cgroup_unit(cgroup));
	ccp_json_set_str(&o, "cgroup", cgroup);
	ccp_json_set_str(&o, "logPath", log);
	ccp_json_set_bool(&o, "stay", cp->stay);
	ccp_json_set_new(&o, "environmentVariables", names_of(cp->environment));
	ccp_json_set_new(&o, "configuration", ccp_config_environment_block(cp->config));
	return o;
}

json_t *ccp_worker_read_details(const struct ccp_worker_row *row)
{
	json_t *details = NULL;

	if (row->details)
		(void)ccp_json_parse(row->details, strlen(row->details), 0, &details, NULL);
	return details;
}

/* A process of ours that began in the same instant is the one; any other may be in a namespace
 * that is not ours. */
static int64_t namespace_here(const struct ccp_worker_row *row)
{
	struct ccp_process_id seen;

	return ccp_process_identify(row->pid, &seen, NULL) == 0 &&
			       seen.start_time == row->start_time
		       ? seen.pid_namespace
		       : 0;
}

struct ccp_process_id ccp_worker_process(const struct ccp_worker_row *row)
{
	json_auto_t *details = ccp_worker_read_details(row);
	struct ccp_process_id id = {
		.pid = row->pid,
		.start_time = row->start_time,
		.pid_namespace = ccp_json_int(details, "pidNamespace", 0),
	};

	if (!id.pid_namespace)
		id.pid_namespace = namespace_here(row);

	if (row->boot_id)
		snprintf(id.boot, sizeof(id.boot), "%s", row->boot_id);
	return id;
}

const char *ccp_worker_effective_status(const struct ccp_worker_row *row, int64_t now)
{
	const struct ccp_process_id id = ccp_worker_process(row);
	bool late = now - row->heartbeat_at > LATE_MS;

	if (ccp_streq(row->status, "stopped"))
		return "stopped";
	if (ccp_process_is_gone(&id))
		return "stale";
	if (late && ccp_process_check(&id) != CCP_PROCESS_ALIVE)
		return "stale";
	return late || row->last_error ? "degraded" : "running";
}

static const char *process_word(const struct ccp_worker_row *row)
{
	const struct ccp_process_id id = ccp_worker_process(row);

	switch (ccp_process_check(&id)) {
	case CCP_PROCESS_ALIVE:
		return "alive";
	case CCP_PROCESS_DEAD:
	case CCP_PROCESS_LOST:
		return "gone";
	case CCP_PROCESS_UNKNOWN:
		break;
	}
	return "unknown";
}

/* What was written into the row, as far as this part of it is shown. */
static void set_details(json_t **o, const struct ccp_worker_row *row, enum ccp_worker_parts parts)
{
	static const char *const shown[] = {
		"hostname", CCP_WORKER_CROWDED,     "unit",         "cgroup", "logPath",
		"stay",     "environmentVariables", "configuration"
	};
	size_t n = parts == CCP_WORKER_WHOLE ? CCP_ARRAY_SIZE(shown) : 2;
	json_auto_t *details = ccp_worker_read_details(row);

	for (size_t i = 0; i < n; i++)
		ccp_json_set(o, shown[i], json_object_get(details, shown[i]));
}

json_t *ccp_worker_json(const struct ccp_worker_row *row, int64_t now, enum ccp_worker_parts parts)
{
	int64_t age = CCP_MAX(now - row->heartbeat_at, 0) / 1000;
	json_t *o = json_object();

	ccp_json_set_str(&o, "workerId", row->id);
	ccp_json_set_str(&o, "role", row->role);
	ccp_json_set_str(&o, "status", row->status);
	ccp_json_set_str(&o, "effectiveStatus", ccp_worker_effective_status(row, now));
	ccp_json_set_int(&o, "pid", row->pid);
	ccp_json_set_str(&o, "processState", process_word(row));
	ccp_json_set_str(&o, "bootId", row->boot_id);
	ccp_json_set_int(&o, "startTime", row->start_time);
	ccp_json_set_int(&o, "epoch", row->epoch);
	ccp_json_set_str(&o, "version", row->version);
	ccp_json_set_time(&o, "startedAt", row->started_at);
	ccp_json_set_time(&o, "lastHeartbeatAt", row->heartbeat_at);
	ccp_json_set_int(&o, "stalenessSeconds", age);
	ccp_json_set_time(&o, "stoppedAt", row->stopped_at);
	ccp_json_set_str(&o, "lastError", row->last_error);
	set_details(&o, row, parts);
	return o;
}

static void set_instance(json_t **o, const struct ccp_instance_row *row)
{
	char text[CCP_CODEX_VERSION_SIZE];
	struct ccp_codex_version version;

	ccp_codex_version_parse(row->user_agent, &version);
	ccp_json_set_str(o, "instance", row->id);
	ccp_json_set_int(o, "pid", row->pid);
	ccp_json_set_str(o, "transport", row->transport);
	ccp_json_set_str(o, "codexVersion", ccp_codex_version_format(&version, text));
	ccp_json_set_str(o, "userAgent", row->user_agent);
	ccp_json_set_time(o, "startedAt", row->started_at);
	ccp_json_set_new(o, "unsupportedFeatures", ccp_codex_lacks(&version));
	if (row->draining)
		ccp_json_set_bool(o, "draining", true);
}

/* The newest that lives. */
static int take_running(const void *data, void *to)
{
	const struct ccp_instance_row *row = data;
	const struct ccp_process_id id = ccp_instance_process(row);
	json_t **found = to;

	if (ccp_process_is_gone(&id))
		return 0;
	*found = json_object();
	set_instance(found, row);
	return 1;
}

json_t *ccp_app_server_json(struct ccp_db *db)
{
	json_auto_t *found = NULL;
	json_t *o = json_object();

	if (db)
		(void)ccp_instance_each_open(db, take_running, &found, NULL);
	ccp_json_set_bool(&o, "running", found != NULL);
	if (found && o)
		json_object_update_missing(o, found);
	return o;
}

json_t *ccp_counts_json(const struct ccp_op_counts *counts)
{
	json_t *o = json_object();

	ccp_json_set_int(&o, "activeOperationCount", counts->active);
	ccp_json_set_int(&o, "queuedOperationCount", counts->queued);
	ccp_json_set_int(&o, "runningOperationCount", counts->active - counts->queued);
	ccp_json_set_int(&o, "waitingOperationCount", counts->waiting);
	return o;
}

int ccp_worker_lock_is_held(const struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *path = ccp_state_lock_path(cp);

	return path ? ccp_lock_is_held(path, err) : ccp_fail_oom(err);
}
