#include <signal.h>

#include "admin/admin.h"
#include "runtime/process.h"

#define OPTION(name, arg, kind, member, doc)                                                       \
	{                                                                                          \
		name, 0, arg, CCP_OPT_##kind, offsetof(struct admin_options, member), doc          \
	}

#define PLACES                                                                                     \
	OPTION("codex-home", "DIR", STRING, codex_home, "Codex's own directory"),                  \
		OPTION("state-db", "FILE", STRING, state_db, "the state database"),                \
		OPTION("projects-root", "DIR", STRING, projects_root,                              \
		       "the directory of the projects; default: the working directory"),           \
		OPTION("allowed-root", "DIR", LIST, allowed_roots,                                 \
		       "tasks run only below it; may be repeated; default: the projects root"),    \
		OPTION("server", "FILE", STRING, server,                                           \
		       "the server; default: beside this program, else from PATH")
#define CLIENT                                                                                     \
	OPTION("client", "NAME", STRING, client,                                                   \
	       "claude-code, codex, cursor, vscode, openclaw or hermes"),                          \
		OPTION("write", "FILE", STRING, write_file,                                        \
		       "merge the block into this JSON file, with a backup beside it")
#define SKIP_SMOKE OPTION("skip-smoke", NULL, FLAG, skip_smoke, "do not start the server")
#define TEXT       OPTION("text", NULL, FLAG, text, "for people instead of JSON")
#define END                                                                                        \
	{                                                                                          \
		NULL                                                                               \
	}

static const struct ccp_opt init_options[] = {
	PLACES,     CLIENT,
	SKIP_SMOKE, OPTION("skip-hooks", NULL, FLAG, skip_hooks, "do not install hooks"),
	TEXT,       END
};
static const struct ccp_opt doctor_options[] = { PLACES, SKIP_SMOKE, TEXT, END };
static const struct ccp_opt print_config_options[] = { PLACES, CLIENT, TEXT, END };
static const struct ccp_opt smoke_options[] = {
	OPTION("scenario", "NAME", STRING, scenario, "protocol (default) or safe-operation"),
	OPTION("cwd", "DIR", STRING, cwd, "where the task works; default: the working directory"),
	OPTION("timeout-seconds", "N", STRING, timeout_seconds,
	       "how long the task may take; default: 300"),
	PLACES,
	TEXT,
	END
};

static const struct ccp_opt worker_enable_options[] = {
	PLACES,
	OPTION("no-start", NULL, FLAG, no_start, "write the unit, and say how it is started"), TEXT,
	END
};
static const struct ccp_opt worker_options[] = { PLACES, TEXT, END };
static const struct ccp_opt db_options[] = { PLACES, TEXT, END };
static const struct ccp_opt db_prune_options[] = {
	OPTION("older-than", "AGE", STRING, older_than,
	       "forget what ended before that: 30d, 12h; default: as configured"),
	OPTION("keep", "N", STRING, keep, "keep at most so many; default: as configured"),
	OPTION("dry-run", NULL, FLAG, dry_run, "only say what would go"),
	PLACES,
	TEXT,
	END
};

#define COMMAND(name, doc, options, run)                                                           \
	{                                                                                          \
		name, "", doc, options, sizeof(struct admin_options), run, 0                       \
	}

static const struct ccp_cmd commands[] = {
	COMMAND("init", "make the state ready, try the server, print or write a client's block",
		init_options, admin_init),
	COMMAND("doctor", "look for what keeps tasks from running", doctor_options, admin_doctor),
	COMMAND("print-config", "print or write the block for a client", print_config_options,
		admin_print_config),
	COMMAND("smoke", "drive the server as a client does", smoke_options, admin_smoke),
	COMMAND("worker enable", "run the worker as a user unit of systemd", worker_enable_options,
		admin_worker_enable),
	COMMAND("worker disable", "stop that unit and remove it", worker_options,
		admin_worker_disable),
	COMMAND("worker status", "show the unit and the worker", worker_options,
		admin_worker_status),
	COMMAND("db check", "examine the state database", db_options, admin_db_check),
	{ "db backup", "FILE", "copy the state database, while it is in use", db_options,
	  sizeof(struct admin_options), admin_db_backup, 1 },
	COMMAND("db prune", "forget what has ended, as the worker does by and by", db_prune_options,
		admin_db_prune),
	COMMAND("db vacuum", "give free space back", db_options, admin_db_vacuum),
	/* For the build: not listed. */
	{ "reference", "PAGE", NULL, NULL, sizeof(struct admin_options), admin_reference, 1 },
	{ NULL },
};

int main(int argc, char **argv)
{
	const struct ccp_program program = {
		.name = ADMIN_PROGRAM,
		.doc = "Sets the control plane for Codex up, and looks after it.",
		.version = codexcp_version(),
		.commands = commands,
	};

	ccp_process_fix_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	return ccp_cmd_main(&program, argc, argv);
}
