#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <codexcp/codexcp.h>

#include "base/log.h"
#include "base/opt.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/process.h"
#include "server/control.h"
#include "server/serve.h"
#include "server/worker.h"

#define PROGRAM "codex-control-plane-mcp"

struct worker_opts {
	bool observe, stay;
	const char *interval_seconds;
};

static const struct ccp_opt worker_opts[] = {
	{ "observe", 0, NULL, CCP_OPT_FLAG, offsetof(struct worker_opts, observe),
	  "report a heartbeat, execute nothing" },
	{ "stay", 0, NULL, CCP_OPT_FLAG, offsetof(struct worker_opts, stay),
	  "do not end when idle; while another worker runs, wait for its end (for a service unit)" },
	{ "interval-seconds", 0, "F", CCP_OPT_STRING,
	  offsetof(struct worker_opts, interval_seconds), "accepted and ignored" },
	{ NULL },
};

static const struct ccp_opt control_opts[] = {
	{ "timeout", 0, "S", CCP_OPT_STRING, offsetof(struct control_options, timeout_seconds),
	  "how long it may take; default: as long as running work is given, and a bit" },
	{ "text", 0, NULL, CCP_OPT_FLAG, offsetof(struct control_options, text),
	  "for people instead of JSON" },
	{ NULL },
};

/* status waits for nothing. */
#define STATUS_OPTS (control_opts + 1)

/* The one place where an error is told. */
static int exit_status(const char *what, int rc, const struct codexcp_error *err)
{
	if (rc >= 0)
		return EXIT_SUCCESS;
	ccp_log(CCP_LOG_ERROR, what, "code", codexcp_error_name(err->code), "why", err->message,
		NULL);
	return err->code == CODEXCP_E_CONFIG_INVALID ? 2 : EXIT_FAILURE;
}

static int run_server(const void *opts, int argc, char **argv)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	int rc = ccp_process_take_stdout(&err);

	ccp_log_set(ccp_log_to_file, stderr, CCP_LOG_WARNING);
	if (rc >= 0)
		rc = mcp_serve(rc, &err);
	return exit_status("the server cannot run", rc, &err);
}

static int run_worker(const void *data, int argc, char **argv)
{
	const struct worker_opts *opts = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	int rc;

	/* Whatever its starter had open must not live on with it. */
	ccp_process_close_extra_fds();
	ccp_log_set(ccp_log_to_file, stderr, CCP_LOG_INFO);
	rc = worker_run(opts->observe ? CODEXCP_MODE_OBSERVE : CODEXCP_MODE_WORKER, opts->stay,
			&err);
	return exit_status("the worker has ended", rc, &err);
}

static const struct ccp_cmd commands[] = {
	{ "", "", "serve MCP on standard input and output", NULL, 0, run_server, 0 },
	{ "worker", "", "execute operations until there are none and nobody is connected",
	  worker_opts, sizeof(struct worker_opts), run_worker, 0 },
	{ "worker status", "", "show the worker; exits 0 when one runs, 3 when none does",
	  STATUS_OPTS, sizeof(struct control_options), control_status, 0 },
	{ "worker stop", "", "end the worker, and wait for its end", control_opts,
	  sizeof(struct control_options), control_stop, 0 },
	{ "worker restart", "", "end the worker and start another", control_opts,
	  sizeof(struct control_options), control_restart, 0 },
	{ NULL },
};

/* "worker" and the arguments, for a program that was started as codex-control-plane-mcp-worker. */
static char **worker_argv(int argc, char **argv)
{
	char **args = calloc((size_t)argc + 2, sizeof(*args));

	if (!args)
		return NULL;
	args[0] = argv[0];
	args[1] = (char *)"worker";
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	return args;
}

int main(int argc, char **argv)
{
	const struct ccp_program program = {
		.name = PROGRAM,
		.doc = "A durable control plane for Codex, as an MCP server.",
		.version = codexcp_version(),
		.commands = commands,
	};
	_cleanup_free_ char **args = NULL;

	ccp_process_fix_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 1 || !ccp_str_has_suffix(ccp_path_base(argv[0]), "-worker"))
		return ccp_cmd_main(&program, argc, argv);
	args = worker_argv(argc, argv);
	return args ? ccp_cmd_main(&program, argc + 1, args) : EXIT_FAILURE;
}
