/*
 * What the commands share: their options, the configuration that these make, and reports.
 *
 * A command is one function in cmd_<name>.c. It opens a setup, works, and ends with admin_report()
 * or admin_fail(), whose value is the exit status: 0 all well, 1 not, 2 wrong use or wrong
 * configuration.
 */
#pragma once

#include <codexcp/config.h>

#include "base/opt.h"

#define ADMIN_PROGRAM "codex-control-plane-mcp-admin"

/* Of every command; which of them a command takes says main.c. */
struct admin_options {
	const char *codex_home, *state_db, *projects_root, *server;
	struct ccp_opt_list allowed_roots;
	const char *client, *write_file;
	const char *scenario, *cwd, *timeout_seconds;
	const char *older_than, *keep;
	bool skip_hooks, skip_smoke, no_start, dry_run, text;
};

int admin_init(const void *options, int argc, char **argv);
int admin_doctor(const void *options, int argc, char **argv);
int admin_print_config(const void *options, int argc, char **argv);
int admin_smoke(const void *options, int argc, char **argv);
int admin_worker_enable(const void *options, int argc, char **argv);
int admin_worker_disable(const void *options, int argc, char **argv);
int admin_worker_status(const void *options, int argc, char **argv);
int admin_db_check(const void *options, int argc, char **argv);
int admin_db_backup(const void *options, int argc, char **argv);
int admin_db_prune(const void *options, int argc, char **argv);
int admin_db_vacuum(const void *options, int argc, char **argv);
int admin_reference(const void *options, int argc, char **argv);

/* The configuration that the options, the environment and the file make together. */
struct admin_setup {
	char **environment; /* ours with the options in it */
	struct codexcp *cp; /* starts nothing */
	json_t *config;     /* of codexcp_config_describe() */
};

enum admin_roots {
	ADMIN_ROOTS_AS_CONFIGURED,
	/* For a client's configuration, which must say in words what the working directory says
	 * here: where nothing is configured, that directory is the projects root. */
	ADMIN_ROOTS_EXPLICIT,
};

int admin_setup_open(struct admin_setup *setup, const struct admin_options *options,
		     enum admin_roots roots, struct codexcp_error *err);
void admin_setup_done(struct admin_setup *setup);
#define _cleanup_setup_ _cleanup_(admin_setup_done)
/* The environment in which a client would start the server. NULL when memory ran out. */
char **admin_client_environment(const struct admin_setup *setup);

/* "NAME=value", NULL-terminated: `environment` with other values for the variables of `changes`, an
 * object of strings. NULL when memory ran out. */
char **admin_environment_with(char *const *environment, const json_t *changes);
void admin_environment_free(char **environment);
CCP_DEFINE_CLEANUP(char *, admin_environment_free);

/* Prints the report, whose "ok" decides, as JSON; or for people: its steps and warnings, then
 * `tail` (may be NULL). Steals the report; NULL says that memory ran out. Returns the exit status.
 */
int admin_report(json_t *report, const struct admin_options *options, const char *tail);
/* Prints why there is no report. */
int admin_fail(const struct codexcp_error *err, const struct admin_options *options);
/* Prints a text as it stands. */
int admin_print(const char *text);
