/*
 * The configuration: one option table gives parsing of environment and JSON file, defaults, the
 * reference page docs/CONFIGURATION.md and the example file.
 *
 * Precedence: a non-empty environment variable, then the file's key, then the default. The file is
 * named by CODEX_CONTROL_PLANE_MCP_CONFIG (or OPENCLAW_CODEX_MCP_CONFIG). Unknown keys and keys
 * that have no effect are warnings, wrong values are errors that name file, key and what was
 * expected. An empty variable and a null in the file are the same as none. `~` and `$NAME` are not
 * expanded.
 */
#pragma once

#include "appserver/client.h"
#include "appserver/methods.h"
#include "base/error.h"

enum ccp_execution_mode {
	CCP_MODE_AUTO,
	CCP_MODE_INLINE,
	CCP_MODE_CLIENT,
	CCP_MODE_WORKER,
	CCP_MODE_OBSERVE,
};

enum ccp_stalled_action {
	CCP_STALLED_DIAGNOSE_ONLY,
	CCP_STALLED_INTERRUPT,
};
/* Of the state database, unless configured. */
#define CCP_STATE_DB_NAME "codex-mcp-state.sqlite3"

enum ccp_network_fs { CCP_NETWORK_FS_REFUSE, CCP_NETWORK_FS_ALLOW };

/* Strings are owned, NULL when there is none. Paths are absolute and lexically clean. */
struct ccp_config {
	char *config_file; /* what was read, or NULL */
	char *cwd;         /* where the process was started */
	char *codex_home;
	char *projects_root;   /* NULL: not configured */
	char **allowed_roots;  /* NULL-terminated, canonical where they exist */
	bool roots_configured; /* allowed_roots is not empty */
	char *projects_registry_path;
	char *codex_binary_path;     /* as configured; NULL: to be found, see codex_binary.h */
	char *state_db_path;         /* the file itself, where a link to it is configured */
	char *state_dir;             /* the directory of state_db_path */
	int64_t network_file_system; /* enum ccp_network_fs */
	char **app_server_env;       /* "NAME=value", NULL-terminated: for app-server */

	char *default_approval_policy; /* "on-request", ... as sent to Codex */
	int64_t default_sandbox;       /* enum ccp_sandbox */
	int64_t max_sandbox;           /* enum ccp_sandbox, UNSET: no ceiling */
	char *min_approval;            /* NULL: no floor */
	char *default_model, *default_effort, *default_summary; /* NULL: field not sent */
	int64_t execution_mode;                                 /* enum ccp_execution_mode */
	int64_t app_server_transport;                           /* enum ccp_appserver_transport */

	int64_t max_depth; /* of tasks that tasks start */
	int64_t max_active_turns_global, max_active_turns_per_project, max_active_turns_per_agent,
		max_active_turns_per_thread, max_active_write_turns_per_project,
		max_app_server_pending_requests;
	int64_t max_image_input_items, max_image_input_bytes;
	int64_t retention_days, retention_operations, retention_journal_days,
		retention_journal_rows, idempotency_days;
	int64_t worker_idle_seconds, worker_drain_seconds, app_server_idle_seconds;
	int64_t turn_check_seconds, turn_stall_timeout_seconds;
	int64_t quota_check_seconds;
	int64_t stalled_turn_action; /* enum ccp_stalled_action */
	int64_t approval_response_timeout_seconds;

	json_t *warnings;    /* array of strings: unknown and dead keys, suspicious values */
	json_t *environment; /* see ccp_config_environment_block() */
};

/*
 * Read everything. `environment` is a NULL-terminated list of "NAME=value"; `file` overrides the
 * variables that name it; `cwd` is what relative paths are relative to. CODEXCP_E_CONFIG_INVALID
 * with details file (or variable), key, expected.
 */
int ccp_config_load(const char *const *environment, const char *file, const char *cwd,
		    struct ccp_config **ret_config, struct codexcp_error *err);
void ccp_config_free(struct ccp_config *config);
CCP_DEFINE_CLEANUP(struct ccp_config, ccp_config_free);

/* The value of a variable in a NULL-terminated list, NULL when absent or empty. */
const char *ccp_environment_get(const char *const *environment, const char *name);

/* Printed from the option table: the page docs/CONFIGURATION.md, and the example file. New
 * allocations / references, NULL when memory ran out. */
char *ccp_config_markdown(void);
json_t *ccp_config_example(void);

/*
 * The variables that decide how a process of ours behaves, as they should stand in a client's
 * configuration block: {"CODEX_MCP_STATE_DB": "...", ...}; the state database, the configuration
 * file, places that are configured, and what the environment says; no secret. A new reference, NULL
 * when memory ran out.
 */
json_t *ccp_config_environment_block(const struct ccp_config *config);
