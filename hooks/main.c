#include <limits.h>
#include <stdio.h>

#include <codexcp/version.h>

#include "base/opt.h"
#include "runtime/process.h"

#define PROGRAM        "codex-control-plane-mcp-hooks"
#define EXIT_WRONG_USE 2

/* There are no commands yet. What users may know from elsewhere must not seem to have worked. */
static int refuse(const void *opts, int argc, char **argv)
{
	fprintf(stderr, "%s: %s%sthis version has no hooks yet, only --help and --version\n",
		PROGRAM, argc ? argv[0] : "", argc ? ": " : "");
	return EXIT_WRONG_USE;
}

int main(int argc, char **argv)
{
	static const struct ccp_cmd commands[] = {
		{ .name = "", .run = refuse, .max_args = INT_MAX },
		{ .name = NULL },
	};
	const struct ccp_program program = {
		.name = PROGRAM,
		.doc = "Hooks that let Codex report to the control plane. This version has none yet.",
		.version = codexcp_version(),
		.commands = commands,
	};

	ccp_process_fix_standard_fds();
	return ccp_cmd_main(&program, argc, argv);
}
