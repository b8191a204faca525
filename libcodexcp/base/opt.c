#include "base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"

#define EXIT_WRONG_USE 2
#define GO_ON          (-1) /* instead of an exit status: nothing was decided yet */
#define LONG_BASE      256  /* getopt values from here on are LONG_BASE + index of the option */
#define LABEL_MAX      80

/* One run of a command, as far as messages need to know it. */
struct call {
	const struct ccp_program *program;
	const struct ccp_cmd *cmd; /* NULL: none was found */
};

/* A command's options as getopt_long() wants them. */
struct getopt_table {
	struct option *longs;
	char *letters;
};

static void getopt_table_done(struct getopt_table *table)
{
	free(table->longs);
	free(table->letters);
}

/* "admin init", or "admin" where no command is named. */
static void print_path(FILE *to, const struct call *call)
{
	bool named = call->cmd && *call->cmd->name;

	fprintf(to, "%s%s%s", call->program->name, named ? " " : "", named ? call->cmd->name : "");
}

/* One line, whatever the arguments that it repeats hold. */
_printf_(2, 3) static int wrong_use(const struct call *call, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "%s: %s (see ", call->program->name, text);
	print_path(stderr, call);
	fprintf(stderr, " --help)\n");
	return EXIT_WRONG_USE;
}

static int out_of_memory(const struct call *call)
{
	fprintf(stderr, "%s: out of memory\n", call->program->name);
	return EXIT_FAILURE;
}

static const struct ccp_cmd *find_command(const struct ccp_program *program, const char *name)
{
	for (const struct ccp_cmd *cmd = program->commands; cmd->name; cmd++)
		if (ccp_streq(cmd->name, name))
			return cmd;
	return NULL;
}

/* The command of two words ("worker stop") that the arguments begin with, else the one of one. */
static const struct ccp_cmd *find_called(const struct ccp_program *program, int argc, char **argv,
					 int *ret_words)
{
	size_t n = strlen(argv[1]);

	*ret_words = 2;
	for (const struct ccp_cmd *cmd = program->commands; cmd->name && argc > 2; cmd++)
		if (strncmp(cmd->name, argv[1], n) == 0 && cmd->name[n] == ' ' &&
		    ccp_streq(cmd->name + n + 1, argv[2]))
			return cmd;
	*ret_words = 1;
	return find_command(program, argv[1]);
}

static bool has_named_commands(const struct ccp_program *program)
{
	for (const struct ccp_cmd *cmd = program->commands; cmd->name; cmd++)
		if (*cmd->name)
			return true;
	return false;
}

static size_t count_options(const struct ccp_cmd *cmd)
{
	size_t n = 0;

	while (cmd->opts && cmd->opts[n].name)
		n++;
	return n;
}

static void print_row(int width, const char *label, const char *doc)
{
	printf("  %-*s  %s\n", width, label, doc);
}

static void option_label(const struct ccp_opt *opt, char out[static LABEL_MAX])
{
	const char letter[] = { '-', opt->letter, ',', ' ', '\0' };

	snprintf(out, LABEL_MAX, "%s--%s%s%s", opt->letter ? letter : "    ", opt->name,
		 opt->arg ? "=" : "", opt->arg ? opt->arg : "");
}

static int options_width(const struct ccp_cmd *cmd)
{
	char label[LABEL_MAX];
	size_t width = strlen("-h, --version");

	for (size_t i = 0; i < count_options(cmd); i++) {
		if (!cmd->opts[i].doc)
			continue;
		option_label(&cmd->opts[i], label);
		width = CCP_MAX(width, strlen(label));
	}
	return (int)width;
}

/* cmd may be NULL: the options that every program has. */
static void print_options(const struct ccp_cmd *cmd, bool with_version)
{
	static const struct ccp_cmd none = { .name = "" };
	char label[LABEL_MAX];
	int width;

	cmd = cmd ? cmd : &none;
	width = options_width(cmd);
	printf("\nOptions:\n");
	for (size_t i = 0; i < count_options(cmd); i++) {
		if (!cmd->opts[i].doc)
			continue;
		option_label(&cmd->opts[i], label);
		print_row(width, label, cmd->opts[i].doc);
	}
	print_row(width, "-h, --help", "show this text");
	if (with_version)
		print_row(width, "    --version", "show the version");
}

static void print_commands(const struct ccp_program *program)
{
	size_t width = 0;

	for (const struct ccp_cmd *cmd = program->commands; cmd->name; cmd++)
		if (cmd->doc)
			width = CCP_MAX(width, strlen(cmd->name));
	printf("\nCommands:\n");
	for (const struct ccp_cmd *cmd = program->commands; cmd->name; cmd++)
		if (cmd->doc && *cmd->name)
			print_row((int)width, cmd->name, cmd->doc);
	printf("\n'%s COMMAND --help' lists the options of a command.\n", program->name);
}

static void print_usage_line(const char *lead, const struct call *call)
{
	const char *args = call->cmd->args ? call->cmd->args : "";

	printf("%s", lead);
	print_path(stdout, call);
	printf(" [OPTION]...%s%s\n", *args ? " " : "", args);
}

static int help_program(const struct ccp_program *program)
{
	const struct call call = { program, find_command(program, "") };
	bool named = has_named_commands(program);

	if (named)
		printf("Usage: %s COMMAND [OPTION]... [ARGUMENT]...\n", program->name);
	if (call.cmd)
		print_usage_line(named ? "       " : "Usage: ", &call);
	if (program->doc)
		printf("\n%s\n", program->doc);
	print_options(call.cmd, true);
	if (named)
		print_commands(program);
	return EXIT_SUCCESS;
}

static int help_command(const struct call *call)
{
	if (!*call->cmd->name)
		return help_program(call->program);
	print_usage_line("Usage: ", call);
	if (call->cmd->doc)
		printf("\n%s\n", call->cmd->doc);
	print_options(call->cmd, false);
	return EXIT_SUCCESS;
}

/* "+": stop at the first positional argument; ":": tell a missing argument from an unknown
 * option. */
static bool getopt_table_fill(struct getopt_table *table, const struct ccp_cmd *cmd)
{
	size_t n = count_options(cmd);
	char *letter;

	table->longs = calloc(n + 2, sizeof(*table->longs));
	table->letters = letter = calloc(2 * n + sizeof("+:h"), 1);
	if (!table->longs || !table->letters)
		return false;
	letter = stpcpy(letter, cmd->max_args == INT_MAX ? "+:h" : ":h");
	for (size_t i = 0; i < n; i++) {
		const struct ccp_opt *opt = &cmd->opts[i];
		bool flag = opt->kind == CCP_OPT_FLAG;

		assert(opt->letter != 'h' && flag == !opt->arg);
		table->longs[i] = (struct option){ .name = opt->name,
						   .has_arg = flag ? no_argument
								   : required_argument,
						   .val = LONG_BASE + (int)i };
		if (opt->letter)
			*letter++ = opt->letter;
		if (opt->letter && !flag)
			*letter++ = ':';
	}
	table->longs[n] = (struct option){ .name = "help", .val = 'h' };
	return true;
}

/* The option behind a value of getopt's: an index or a letter. */
static const struct ccp_opt *find_option(const struct ccp_cmd *cmd, int value)
{
	if (value >= LONG_BASE)
		return &cmd->opts[value - LONG_BASE];
	for (size_t i = 0; i < count_options(cmd); i++)
		if (value && cmd->opts[i].letter == value)
			return &cmd->opts[i];
	return NULL;
}

/* word is "--nmae" or "--nmae=value". */
static int unknown_long(const struct call *call, const char *word)
{
	_cleanup_free_ char *name = strndup(word + 2, strcspn(word + 2, "="));
	_cleanup_free_ const char **names = NULL;
	size_t n = 0;
	const char *nearest;

	names = calloc(count_options(call->cmd) + 2, sizeof(*names));
	if (!name || !names)
		return out_of_memory(call);
	for (size_t i = 0; i < count_options(call->cmd); i++)
		if (call->cmd->opts[i].doc)
			names[n++] = call->cmd->opts[i].name;
	names[n++] = "help";
	nearest = ccp_str_nearest(name, names);
	return wrong_use(call, "unknown option --%s%s%s%s", name,
			 nearest ? "; did you mean --" : "", nearest ? nearest : "",
			 nearest ? "?" : "");
}

/* What getopt_long() returned '?' for; word is the last one that it looked at. */
static int refuse_option(const struct call *call, const char *word)
{
	const struct ccp_opt *opt = find_option(call->cmd, optopt);

	if (opt)
		return wrong_use(call, "--%s takes no argument", opt->name);
	if (optopt == 'h')
		return wrong_use(call, "--help takes no argument");
	if (optopt)
		return wrong_use(call, "unknown option -%c", optopt);
	return unknown_long(call, word);
}

static int list_add(const struct call *call, const struct ccp_opt *opt, struct ccp_opt_list *list)
{
	if (list->n == CCP_OPT_LIST_MAX)
		return wrong_use(call, "--%s: more than %d of them", opt->name, CCP_OPT_LIST_MAX);
	list->items[list->n++] = optarg;
	return GO_ON;
}

static int store_option(const struct call *call, const struct ccp_opt *opt, char *out)
{
	void *to = out + opt->offset;

	switch (opt->kind) {
	case CCP_OPT_FLAG:
		*(bool *)to = true;
		return GO_ON;
	case CCP_OPT_STRING:
		*(const char **)to = optarg;
		return GO_ON;
	case CCP_OPT_INT:
		if (!ccp_parse_i64(optarg, to))
			return wrong_use(call, "--%s: '%s' is not an integer", opt->name, optarg);
		return GO_ON;
	case CCP_OPT_LIST:
		return list_add(call, opt, to);
	}
	assert(!"unknown kind of option");
	return EXIT_FAILURE;
}

static int parse(const struct call *call, const struct getopt_table *table, int argc, char **argv,
		 void *out)
{
	int value, status = GO_ON;

	opterr = 0;
	optind = 0; /* GNU: start over, also after an earlier run in this process */
	while (status == GO_ON) {
		value = getopt_long(argc, argv, table->letters, table->longs, NULL);
		if (value < 0)
			break;
		if (value == 'h')
			return help_command(call);
		if (value == '?')
			return refuse_option(call, argv[optind - 1]);
		if (value == ':')
			return wrong_use(call, "--%s needs an argument",
					 find_option(call->cmd, optopt)->name);
		status = store_option(call, find_option(call->cmd, value), out);
	}
	return status;
}

/* argv[0] is the command or the program; the rest is the command's. */
static int run_command(const struct call *call, int argc, char **argv)
{
	_cleanup_(getopt_table_done) struct getopt_table table = { 0 };
	_cleanup_free_ void *opts = calloc(1, CCP_MAX(call->cmd->opts_size, (size_t)1));
	int status;

	if (!opts || !getopt_table_fill(&table, call->cmd))
		return out_of_memory(call);
	status = parse(call, &table, argc, argv, opts);
	if (status != GO_ON)
		return status;
	argc -= optind;
	argv += optind;
	if (argc > call->cmd->max_args)
		return wrong_use(call, "unexpected argument '%s'", argv[call->cmd->max_args]);
	return call->cmd->run(opts, argc, argv);
}

/* A first word alone, or one that has no such second: which there are. */
static int unknown_second(const struct call *call, const char *word)
{
	char names[256] = "";
	size_t n = strlen(word), len = 0;

	for (const struct ccp_cmd *cmd = call->program->commands; cmd->name; cmd++)
		if (cmd->doc && strncmp(cmd->name, word, n) == 0 && cmd->name[n] == ' ' &&
		    len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", cmd->name);
	return len ? wrong_use(call, "'%s' is one of: %s", word, names) : GO_ON;
}

static int unknown_command(const struct call *call, const char *word)
{
	_cleanup_free_ const char **names = NULL;
	const char *nearest;
	size_t n = 0;

	for (const struct ccp_cmd *cmd = call->program->commands; cmd->name; cmd++)
		n++;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return out_of_memory(call);
	n = 0;
	for (const struct ccp_cmd *cmd = call->program->commands; cmd->name; cmd++)
		if (*cmd->name && cmd->doc)
			names[n++] = cmd->name;
	nearest = ccp_str_nearest(word, names);
	return wrong_use(call, "unknown command '%s'%s%s%s", word, nearest ? "; did you mean " : "",
			 nearest ? nearest : "", nearest ? "?" : "");
}

/* No command is named: word is an option, NULL, or what a program without commands works on. */
static int run_unnamed(const struct ccp_program *program, int argc, char **argv)
{
	const struct call call = { program, find_command(program, "") };

	if (call.cmd)
		return run_command(&call, argc, argv);
	if (argc > 1)
		return wrong_use(&call, "unknown option %s", argv[1]);
	return wrong_use(&call, "no command given");
}

int ccp_cmd_main(const struct ccp_program *program, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	struct call call = { program, NULL };
	int words = 1;

	if (ccp_streq(word, "--help") || ccp_streq(word, "-h"))
		return help_program(program);
	if (ccp_streq(word, "--version")) {
		printf("%s %s\n", program->name, program->version);
		return EXIT_SUCCESS;
	}
	if (!word || *word == '-' || !has_named_commands(program))
		return run_unnamed(program, argc, argv);
	call.cmd = *word ? find_called(program, argc, argv, &words) : NULL;
	if (!call.cmd) {
		int status = *word ? unknown_second(&call, word) : GO_ON;

		return status == GO_ON ? unknown_command(&call, word) : status;
	}
	return run_command(&call, argc - words, argv + words);
}
