/*
 * Command lines: a table of commands, each with a table of options; parsing, usage text and error
 * messages come from the tables.
 *
 *	static const struct ccp_opt init_opts[] = {
 *		{ "state-db", 0, "FILE", CCP_OPT_STRING, offsetof(struct init, state_db),
 *		  "state database to use" },
 *		{ NULL }
 *	};
 *	static const struct ccp_cmd commands[] = {
 *		{ "init", "", "set a client up", init_opts, sizeof(struct init), cmd_init },
 *		{ NULL }
 *	};
 *	int main(int argc, char **argv) { return ccp_cmd_main(&program, argc, argv); }
 *
 * Wrong use prints one line to stderr (what was wrong, and "see PROGRAM --help") and exits 2.
 *
 * Every command also knows --help and -h. Options and positional arguments come in any order; "--"
 * ends the options, and so does the first argument of a command that takes any number of them
 * (max_args INT_MAX): what follows is its own. What has no doc works, but is not listed. A program
 * whose only command is "" takes positional arguments; beside other commands "" runs with options
 * only.
 */
#pragma once

#include "base/macro.h"

enum ccp_opt_kind {
	CCP_OPT_FLAG,   /* bool */
	CCP_OPT_STRING, /* const char *, borrowed from argv */
	CCP_OPT_INT,    /* int64_t */
	CCP_OPT_LIST,   /* struct ccp_opt_list, in order */
};

#define CCP_OPT_LIST_MAX 32
struct ccp_opt_list {
	const char *items[CCP_OPT_LIST_MAX];
	size_t n;
};

struct ccp_opt {
	const char *name; /* long name without dashes */
	char letter;      /* or 0; not 'h' */
	const char *arg;  /* what it is called in the usage text; NULL for flags */
	enum ccp_opt_kind kind;
	size_t offset;
	const char *doc;
};

struct ccp_cmd {
	/* One word or two ("worker stop"); "" = what runs when no command is named. */
	const char *name;
	const char *args; /* positional arguments in the usage text: "[FILE]" */
	const char *doc;
	const struct ccp_opt *opts;
	size_t opts_size; /* of the struct that is zeroed and filled */
	/* argv: the positional arguments, NULL-terminated. Returns the exit status. */
	int (*run)(const void *opts, int argc, char **argv);
	int max_args; /* more positional arguments than this are wrong use */
};

struct ccp_program {
	const char *name, *doc, *version;
	const struct ccp_cmd *commands;
};

/* --help, --version, dispatch. Returns the exit status for main(). */
int ccp_cmd_main(const struct ccp_program *program, int argc, char **argv);
