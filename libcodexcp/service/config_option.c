#include "service/config_option.h"

#include <inttypes.h>

#include "base/str.h"
#include "base/strbuf.h"
#include "service/config.h"

#define EXPECTED_MAX 1024
#define WEEK_SECONDS (7 * 24 * 60 * 60)
#define DAYS_MAX     36500
#define ROWS_MAX     1000000000

/* In the order of enum ccp_sandbox, enum ccp_execution_mode and enum ccp_network_fs. */
static const char *const sandboxes[] = { "read-only", "workspace-write", "danger-full-access",
					 NULL };
static const char *const modes[] = { "auto", "inline", "client", "worker", "observe", NULL };
static const char *const network_fs[] = { "refuse", "allow", NULL };
/* In the order of enum ccp_stalled_action. */
static const char *const stalled_actions[] = { "diagnose_only", "interrupt", NULL };
static const char *const approvals[] = { "untrusted", "on-failure",   "on-request",
					 "never",     "ask_openclaw", "never_auto_approve",
					 NULL };

#define OPTION(k, member, ...)                                                                     \
	{                                                                                          \
		.kind = CCP_OPTION_##k, .offset = offsetof(struct ccp_config, member), __VA_ARGS__ \
	}
#define LIMIT(member, variable, low, high, standard, ...)                                          \
	OPTION(INT, member, .key = #member, .env = { "CODEX_MCP_" variable }, .min = (low),        \
	       .max = (high), .def = standard, __VA_ARGS__)

const struct ccp_option ccp_options[] = {
	OPTION(PATH, codex_home, .section = "Places", .key = "codex_home", .env = { "CODEX_HOME" },
	       .def = "$HOME/.codex", .required = true, .block = CCP_BLOCK_CONFIGURED,
	       .example = "/home/me/.codex",
	       .doc = "Codex's own directory; one state database serves one Codex home"),
	OPTION(PATH, projects_root, .key = "projects_root", .env = { "CODEX_PROJECTS_ROOT" },
	       .block = CCP_BLOCK_CONFIGURED, .example = "/home/me/projects",
	       .doc = "its sub-directories are projects; the only allowed root when "
		      "`allowed_roots` names none"),
	OPTION(ROOTS, allowed_roots, .key = "allowed_roots", .env = { "CODEX_ALLOWED_ROOTS" },
	       .block = CCP_BLOCK_CONFIGURED, .example = "/home/me/projects",
	       .doc = "tasks run and files are read only below these; none configured: the "
		      "projects root, else the directory in which the program was started, unless "
		      "that is `/` or the home directory"),
	OPTION(PATH, projects_registry_path, .key = "projects_registry_path",
	       .env = { "CODEX_PROJECTS_REGISTRY" }, .def = "$CODEX_PROJECTS_ROOT/projects.json",
	       .example = "/home/me/projects/projects.json",
	       .doc = "JSON file that names projects; it may be missing"),
	OPTION(PATH, codex_binary_path, .key = "codex_binary_path", .env = { "CODEX_BINARY_PATH" },
	       .block = CCP_BLOCK_CONFIGURED,
	       .doc = "the Codex executable; not configured: `codex` on the PATH, else the desktop "
		      "application's. One that is missing is an error, never replaced by another"),
	OPTION(PATH, state_db_path, .key = "state_db_path", .env = { "CODEX_MCP_STATE_DB" },
	       .def = "$XDG_STATE_HOME/codex-control-plane-mcp/" CCP_STATE_DB_NAME,
	       .required = true, .block = CCP_BLOCK_ALWAYS,
	       .example = "/home/me/.local/state/codex-control-plane-mcp/" CCP_STATE_DB_NAME,
	       .doc = "the state database; logs and sockets stand in the same directory, which "
		      "several databases may share"),
	OPTION(ENUM, network_file_system, .key = "network_file_system",
	       .env = { "CODEX_MCP_NETWORK_FILE_SYSTEM" }, .def = "refuse", .choices = network_fs,
	       .doc = "whether the state database may stand on NFS, SMB, sshfs and the like: its locks "
		      "and its write-ahead log need one machine; `allow` only where no other "
		      "machine ever opens it"),
	OPTION(VARIABLES, app_server_env, .key = "app_server_env",
	       .example = "{\"HTTPS_PROXY\": \"http://proxy.example:8080\"}",
	       .doc = "added to the environment of codex app-server; in the file only"),

	OPTION(APPROVAL, default_approval_policy, .section = "Policy",
	       .key = "default_approval_policy", .env = { "CODEX_MCP_DEFAULT_APPROVAL_POLICY" },
	       .def = "on-request", .choices = approvals,
	       .doc = "when Codex asks, for new threads whose task does not say; `ask_openclaw` is "
		      "`on-request`, `never_auto_approve` is `never`"),
	OPTION(SANDBOX, default_sandbox, .key = "default_sandbox_policy",
	       .env = { "CODEX_MCP_DEFAULT_SANDBOX", "CODEX_MCP_DEFAULT_SANDBOX_POLICY" },
	       .def = "read-only", .choices = sandboxes,
	       .doc = "what Codex may do, for new threads whose task does not say"),
	OPTION(SANDBOX, max_sandbox, .key = "max_sandbox", .env = { "CODEX_MCP_MAX_SANDBOX" },
	       .choices = sandboxes, .doc = "what no task may go beyond; none: the task decides"),
	OPTION(APPROVAL, min_approval, .key = "min_approval", .env = { "CODEX_MCP_MIN_APPROVAL" },
	       .choices = approvals,
	       .doc = "how often Codex asks at least, from `untrusted` (most) to `never`; none: "
		      "the task decides"),
	OPTION(TEXT, default_model, .key = "default_model", .env = { "CODEX_MCP_DEFAULT_MODEL" },
	       .doc = "model of tasks that name none; none: Codex decides"),
	OPTION(TEXT, default_effort, .key = "default_effort", .env = { "CODEX_MCP_DEFAULT_EFFORT" },
	       .doc = "reasoning effort of tasks that name none; none: Codex decides"),
	OPTION(TEXT, default_summary, .key = "default_summary",
	       .doc = "reasoning summaries of tasks that name none; none: Codex decides"),
	OPTION(ENUM, execution_mode, .key = "execution_mode", .env = { "CODEX_MCP_EXECUTION_MODE" },
	       .def = "auto", .choices = modes,
	       .doc = "who runs operations: `auto` starts a worker process when there is work, "
		      "`inline` runs them in the server itself, `client` leaves them to others, "
		      "and so do `worker` and `observe`, which are for the worker's process"),
	OPTION(ENUM, app_server_transport, .key = "app_server_transport",
	       .env = { "CODEX_MCP_APP_SERVER_TRANSPORT" }, .def = "auto",
	       .choices = ccp_appserver_transports,
	       .doc = "how codex app-server is spoken to: on a local socket (`unix`, Codex 0.130 "
		      "and later) its turns go on when the worker ends, on `stdio` they end with "
		      "it; `auto` takes the socket where Codex can"),
	LIMIT(max_depth, "MAX_DEPTH", 0, 16, "0",
	      .doc = "how deep tasks may start tasks; 0: not at all"),

	LIMIT(max_active_turns_global, "MAX_ACTIVE_TURNS_GLOBAL", 1, 64, "4", .section = "Limits",
	      .doc = "turns that run at the same time"),
	LIMIT(max_active_turns_per_project, "MAX_ACTIVE_TURNS_PER_PROJECT", 1, 64, "3",
	      .doc = "turns that run at the same time in one project"),
	LIMIT(max_active_turns_per_agent, "MAX_ACTIVE_TURNS_PER_AGENT", 1, 64, "3",
	      .doc = "turns that run at the same time for one `agent_id`, when the task names one"),
	LIMIT(max_active_turns_per_thread, "MAX_ACTIVE_TURNS_PER_THREAD", 1, 64, "1",
	      .doc = "turns that run at the same time in one thread"),
	LIMIT(max_active_write_turns_per_project, "MAX_ACTIVE_WRITE_TURNS_PER_PROJECT", 1, 64, "1",
	      .doc = "turns that may write, name no `resource_keys` and run at the same time in "
		     "one project; those with keys and those without keep each other out"),
	LIMIT(max_app_server_pending_requests, "MAX_APP_SERVER_PENDING_REQUESTS", 1, 256, "8",
	      .doc = "requests to codex app-server that are not answered yet"),
	LIMIT(max_image_input_items, "MAX_IMAGE_INPUT_ITEMS", 0, 100, "10",
	      .doc = "images of one task"),
	LIMIT(max_image_input_bytes, "MAX_IMAGE_INPUT_BYTES", 1, 100000000, "20000000",
	      .doc = "bytes of one image"),

	LIMIT(worker_idle_seconds, "WORKER_IDLE_SECONDS", 1, WEEK_SECONDS, "600",
	      .section = "Times", .doc = "a worker without work ends after this"),
	LIMIT(worker_drain_seconds, "WORKER_DRAIN_SECONDS", 0, 3600, "30",
	      .doc = "what runs may go on for this long when a worker is told to end; not in "
		     "effect yet"),
	LIMIT(app_server_idle_seconds, "APP_SERVER_IDLE_SECONDS", 1, WEEK_SECONDS, "600",
	      .doc = "an app-server without work is ended after this"),
	LIMIT(turn_check_seconds, "TURN_CHECK_SECONDS", 1, 3600, "60",
	      .doc = "a running turn that has told nothing for this long is asked for, then after "
		     "pauses that grow to sixteen times as long: an end that was missed is found"),
	LIMIT(turn_stall_timeout_seconds, "TURN_STALL_TIMEOUT_SECONDS", 1, WEEK_SECONDS, "900",
	      .doc = "a turn that has told nothing for this long is stalled, when codex app-server "
		     "says that no command or tool of it runs and nothing waits for an answer; "
		     "time without a worker and time asleep do not count"),
	OPTION(ENUM, stalled_turn_action, .key = "stalled_turn_action",
	       .env = { "CODEX_MCP_STALLED_TURN_ACTION" }, .def = "diagnose_only",
	       .choices = stalled_actions,
	       .doc = "what is done about a stalled turn: `diagnose_only` says so in its status, in "
		      "`codex_health_summary` and in the journal, `interrupt` interrupts it, too"),
	LIMIT(quota_check_seconds, "QUOTA_CHECK_SECONDS", 1, 3600, "300",
	      .doc = "while tasks wait for the end of the account's usage limit, codex app-server is "
		     "asked this often whether it has ended before its time; half as often after "
		     "each time that a task was tried in vain; when no app-server runs, one is "
		     "started for it once an hour"),
	LIMIT(approval_response_timeout_seconds, "APPROVAL_RESPONSE_TIMEOUT_SECONDS", 1,
	      WEEK_SECONDS, "900",
	      .doc = "a question that Codex asks waits this long for its answer; not in effect "
		     "yet, it is declined at once"),

	LIMIT(retention_days, "RETENTION_DAYS", 1, DAYS_MAX, "30", .section = "Retention",
	      .doc = "an operation that has ended is kept this long, with its messages, its turns "
		     "and its report; never removed are operations that are active, or that an "
		     "active one came from or goes on from"),
	LIMIT(retention_operations, "RETENTION_OPERATIONS", 1, ROWS_MAX, "10000",
	      .doc = "and so many of them at the most, the newest"),
	LIMIT(retention_journal_days, "RETENTION_JOURNAL_DAYS", 1, DAYS_MAX, "14",
	      .doc = "the journal (timeline and progress) of what has ended is kept this long"),
	LIMIT(retention_journal_rows, "RETENTION_JOURNAL_ROWS", 1, ROWS_MAX, "1000000",
	      .doc = "and so many of its rows at the most, the newest"),
	LIMIT(idempotency_days, "IDEMPOTENCY_DAYS", 1, DAYS_MAX, "7",
	      .doc = "a `client_request_id` finds its operation for at least this long, whatever "
		     "else is said here"),
	{ .key = NULL },
};

static void append_choices(struct ccp_strbuf *sb, const struct ccp_option *option)
{
	for (const char *const *choice = option->choices; *choice; choice++) {
		const char *between = choice[1] ? ", " : " or ";

		ccp_strbuf_appendf(sb, "%s%s", choice == option->choices ? "" : between, *choice);
	}
}

char *ccp_option_expected(const struct ccp_option *option)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(EXPECTED_MAX);

	switch (option->kind) {
	case CCP_OPTION_PATH:
		ccp_strbuf_append(&sb, "a path");
		break;
	case CCP_OPTION_ROOTS:
		ccp_strbuf_append(&sb, "directories, as an array or separated by ;");
		break;
	case CCP_OPTION_INT:
		ccp_strbuf_appendf(&sb, "an integer from %" PRId64 " to %" PRId64, option->min,
				   option->max);
		break;
	case CCP_OPTION_ENUM:
	case CCP_OPTION_SANDBOX:
	case CCP_OPTION_APPROVAL:
		append_choices(&sb, option);
		break;
	case CCP_OPTION_TEXT:
		ccp_strbuf_append(&sb, "text");
		break;
	case CCP_OPTION_VARIABLES:
		ccp_strbuf_append(&sb, "an object {\"NAME\": \"value\"}");
		break;
	}
	return ccp_strbuf_take(&sb);
}
