#include "base/opt.h"

#include <inttypes.h>
#include <limits.h>

#include "base/strbuf.h"
#include "ccp_check.h"

struct send {
	bool force;
	const char *state_db;
	int64_t lines;
	struct ccp_opt_list add;
	bool secret;
};

static const struct ccp_opt send_opts[] = {
	{ "force", 'f', NULL, CCP_OPT_FLAG, offsetof(struct send, force), "ask nothing" },
	{ "state-db", 0, "FILE", CCP_OPT_STRING, offsetof(struct send, state_db),
	  "state database to use" },
	{ "lines", 'n', "N", CCP_OPT_INT, offsetof(struct send, lines), "how many" },
	{ "add", 'a', "WORD", CCP_OPT_LIST, offsetof(struct send, add), "one more" },
	{ "secret", 0, NULL, CCP_OPT_FLAG, offsetof(struct send, secret), NULL },
	{ NULL }
};

/* What it was given, as the output that the test compares. */
static int run_send(const void *data, int argc, char **argv)
{
	const struct send *opts = data;

	printf("force=%d db=%s lines=%" PRId64 " secret=%d", opts->force,
	       opts->state_db ? opts->state_db : "-", opts->lines, opts->secret);
	for (size_t i = 0; i < opts->add.n; i++)
		printf(" +%s", opts->add.items[i]);
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	printf(argv[argc] ? " unterminated\n" : "\n");
	return 42;
}

static int run_bare(const void *data, int argc, char **argv)
{
	printf("bare %d\n", argc);
	return 7;
}

static const struct ccp_cmd commands[] = { { "init", "", "set a client up", NULL, 0, run_bare, 0 },
					   { "send", "[FILE] [FILE]", "send files", send_opts,
					     sizeof(struct send), run_send, 2 },
					   { "inner", NULL, NULL, NULL, 0, run_bare, 0 },
					   { NULL } };
static const struct ccp_program admin = { "admin", "Looks after it.", "1.2.3", commands };

static const struct ccp_cmd server_commands[] = {
	{ "", NULL, "serve", send_opts, sizeof(struct send), run_send, 0 },
	{ "check", NULL, "check only", NULL, 0, run_bare, 0 },
	{ "check all", "[FILE]", "check everything", send_opts, sizeof(struct send), run_send, 1 },
	{ "db copy", NULL, "copy it", NULL, 0, run_bare, 0 },
	{ "db check", NULL, "look at it", NULL, 0, run_bare, 0 },
	{ NULL }
};
static const struct ccp_program server = { "server", "Serves.", "2.0", server_commands };

static const struct ccp_cmd hook_commands[] = {
	{ "", "FILE", NULL, send_opts, sizeof(struct send), run_send, 1 }, { NULL }
};
static const struct ccp_program hook = { "hook", NULL, "2.0", hook_commands };

static const struct ccp_cmd wrapper_commands[] = {
	{ "", "WORD...", NULL, send_opts, sizeof(struct send), run_send, INT_MAX }, { NULL }
};
static const struct ccp_program wrapper = { "wrapper", NULL, "2.0", wrapper_commands };

struct result {
	int status;
	char out[2048], err[1024];
};

static int redirect(FILE *stream, FILE *to)
{
	int saved;

	fflush(stream);
	saved = dup(fileno(stream));
	ck_assert_int_ge(saved, 0);
	ck_assert_int_ge(dup2(fileno(to), fileno(stream)), 0);
	return saved;
}

static void restore(FILE *stream, int saved, FILE *from, char *text, size_t size)
{
	size_t n;

	fflush(stream);
	ck_assert_int_ge(dup2(saved, fileno(stream)), 0);
	close(saved);
	rewind(from);
	n = fread(text, 1, size - 1, from);
	text[n] = '\0';
	fclose(from);
}

/* Runs ccp_cmd_main() with `line` split at spaces, and catches what it prints. */
static struct result run(const struct ccp_program *program, const char *line)
{
	struct result result = { 0 };
	FILE *out = tmpfile(), *err = tmpfile();
	char *argv[64] = { (char *)program->name }, *copy = strdup(line), *rest = copy, *word;
	int argc = 1, saved_out, saved_err;

	ck_assert(out && err && copy);
	while (*line && (word = strsep(&rest, " ")))
		argv[argc++] = word;
	saved_out = redirect(stdout, out);
	saved_err = redirect(stderr, err);
	result.status = ccp_cmd_main(program, argc, argv);
	restore(stdout, saved_out, out, result.out, sizeof(result.out));
	restore(stderr, saved_err, err, result.err, sizeof(result.err));
	free(copy);
	return result;
}

static void assert_run(const struct ccp_program *program, const char *line, int status,
		       const char *out)
{
	struct result result = run(program, line);

	ck_assert_str_eq(result.err, "");
	ck_assert_str_eq(result.out, out);
	ck_assert_int_eq(result.status, status);
}

static void assert_wrong(const struct ccp_program *program, const char *line, const char *err)
{
	struct result result = run(program, line);

	ck_assert_str_eq(result.err, err);
	ck_assert_str_eq(result.out, "");
	ck_assert_int_eq(result.status, 2);
}

START_TEST(test_dispatch)
{
	assert_run(&admin, "init", 7, "bare 0\n");
	assert_run(&admin, "send", 42, "force=0 db=- lines=0 secret=0\n");
	assert_run(&admin, "inner", 7, "bare 0\n");
}
END_TEST

START_TEST(test_options)
{
	assert_run(&admin, "send --force --state-db=x --lines -5 --add a --add=b f g", 42,
		   "force=1 db=x lines=-5 secret=0 +a +b [f] [g]\n");
	assert_run(&admin, "send -fn3 -a x -ay --secret", 42,
		   "force=1 db=- lines=3 secret=1 +x +y\n");
	assert_run(&admin, "send --state-db=", 42, "force=0 db= lines=0 secret=0\n");
}
END_TEST

START_TEST(test_any_order)
{
	assert_run(&admin, "send f --state-db x g --force", 42,
		   "force=1 db=x lines=0 secret=0 [f] [g]\n");
	assert_run(&server, "check all x -f", 42, "force=1 db=- lines=0 secret=0 [x]\n");
	assert_run(&hook, "x --lines=2", 42, "force=0 db=- lines=2 secret=0 [x]\n");
	assert_wrong(&admin, "send f --frce",
		     "admin: unknown option --frce; did you mean --force? "
		     "(see admin send --help)\n");
	assert_wrong(&admin, "send a --force b c",
		     "admin: unexpected argument 'c' (see admin send --help)\n");
	assert_run(&wrapper, "-f x --lines -f", 42,
		   "force=1 db=- lines=0 secret=0 [x] [--lines] [-f]\n");
}
END_TEST

START_TEST(test_options_end)
{
	assert_run(&admin, "send -- --force", 42, "force=0 db=- lines=0 secret=0 [--force]\n");
	assert_run(&admin, "send f -- --force", 42,
		   "force=0 db=- lines=0 secret=0 [f] [--force]\n");
	assert_run(&admin, "send -f -", 42, "force=1 db=- lines=0 secret=0 [-]\n");
}
END_TEST

START_TEST(test_parsing_starts_over)
{
	assert_wrong(&admin, "send -fx", "admin: unknown option -x (see admin send --help)\n");
	assert_run(&admin, "send -f a", 42, "force=1 db=- lines=0 secret=0 [a]\n");
}
END_TEST

START_TEST(test_default_command)
{
	assert_run(&server, "", 42, "force=0 db=- lines=0 secret=0\n");
	assert_run(&server, "--force --lines 3", 42, "force=1 db=- lines=3 secret=0\n");
	assert_run(&server, "check", 7, "bare 0\n");
	assert_wrong(&server, "chekc",
		     "server: unknown command 'chekc'; did you mean check? (see server --help)\n");
	assert_wrong(&server, "--force x", "server: unexpected argument 'x' (see server --help)\n");
	assert_wrong(&server, "--froce",
		     "server: unknown option --froce; did you mean --force? (see server --help)\n");
}
END_TEST

/* The longer name counts; a first word alone is a command only where one is called so. */
START_TEST(test_two_words)
{
	assert_run(&server, "check all -f x", 42, "force=1 db=- lines=0 secret=0 [x]\n");
	assert_run(&server, "check", 7, "bare 0\n");
	assert_run(&server, "db check", 7, "bare 0\n");
	assert_wrong(&server, "check al",
		     "server: unexpected argument 'al' (see server check --help)\n");
	assert_wrong(&server, "check all --no",
		     "server: unknown option --no (see server check all --help)\n");
	assert_wrong(&server, "db",
		     "server: 'db' is one of: db copy, db check (see server --help)\n");
	assert_wrong(&server, "db chekc",
		     "server: 'db' is one of: db copy, db check (see server --help)\n");
	assert_wrong(&server, "d", "server: unknown command 'd' (see server --help)\n");
}
END_TEST

START_TEST(test_only_default_command)
{
	assert_run(&hook, "x", 42, "force=0 db=- lines=0 secret=0 [x]\n");
	assert_run(&hook, "-f x", 42, "force=1 db=- lines=0 secret=0 [x]\n");
	assert_wrong(&hook, "x y", "hook: unexpected argument 'y' (see hook --help)\n");
}
END_TEST

START_TEST(test_unknown_command)
{
	assert_wrong(&admin, "inti",
		     "admin: unknown command 'inti'; did you mean init? (see admin --help)\n");
	assert_wrong(&admin, "zzzzzz", "admin: unknown command 'zzzzzz' (see admin --help)\n");
	assert_wrong(&admin, "", "admin: no command given (see admin --help)\n");
	assert_wrong(&admin, "--force", "admin: unknown option --force (see admin --help)\n");
	assert_wrong(&admin, "a\nb", "admin: unknown command 'a?b' (see admin --help)\n");
}
END_TEST

START_TEST(test_wrong_options)
{
	assert_wrong(&admin, "send --frce=1",
		     "admin: unknown option --frce; did you mean --force? "
		     "(see admin send --help)\n");
	assert_wrong(&admin, "send --zzzzzzzz",
		     "admin: unknown option --zzzzzzzz (see admin send --help)\n");
	assert_wrong(&admin, "send --secre1",
		     "admin: unknown option --secre1 (see admin send --help)\n");
	assert_wrong(&admin, "send -x", "admin: unknown option -x (see admin send --help)\n");
	assert_wrong(&admin, "send --force=1",
		     "admin: --force takes no argument (see admin send --help)\n");
	assert_wrong(&admin, "send --help=1",
		     "admin: --help takes no argument (see admin send --help)\n");
}
END_TEST

START_TEST(test_wrong_arguments)
{
	assert_wrong(&admin, "send --state-db",
		     "admin: --state-db needs an argument (see admin send --help)\n");
	assert_wrong(&admin, "send -n",
		     "admin: --lines needs an argument (see admin send --help)\n");
	assert_wrong(&admin, "send --lines 5x",
		     "admin: --lines: '5x' is not an integer (see admin send --help)\n");
	assert_wrong(&admin, "send --lines=",
		     "admin: --lines: '' is not an integer (see admin send --help)\n");
	assert_wrong(&admin, "send a b c",
		     "admin: unexpected argument 'c' (see admin send --help)\n");
	assert_wrong(&admin, "init a", "admin: unexpected argument 'a' (see admin init --help)\n");
}
END_TEST

START_TEST(test_list_is_bounded)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf line = CCP_STRBUF(SIZE_MAX);
	struct result result;

	ccp_strbuf_append(&line, "send");
	for (size_t i = 0; i < CCP_OPT_LIST_MAX; i++)
		ccp_strbuf_append(&line, " -ax");
	result = run(&admin, ccp_strbuf_str(&line));
	ck_assert_int_eq(result.status, 42);
	ccp_strbuf_append(&line, " -ax");
	assert_wrong(&admin, ccp_strbuf_str(&line),
		     "admin: --add: more than 32 of them (see admin send --help)\n");
}
END_TEST

START_TEST(test_version)
{
	assert_run(&admin, "--version", 0, "admin 1.2.3\n");
	assert_run(&server, "--version", 0, "server 2.0\n");
}
END_TEST

START_TEST(test_help_of_program)
{
	static const char text[] = "Usage: admin COMMAND [OPTION]... [ARGUMENT]...\n"
				   "\n"
				   "Looks after it.\n"
				   "\n"
				   "Options:\n"
				   "  -h, --help     show this text\n"
				   "      --version  show the version\n"
				   "\n"
				   "Commands:\n"
				   "  init  set a client up\n"
				   "  send  send files\n"
				   "\n"
				   "'admin COMMAND --help' lists the options of a command.\n";

	assert_run(&admin, "--help", 0, text);
	assert_run(&admin, "-h", 0, text);
}
END_TEST

START_TEST(test_help_of_command)
{
	static const char text[] = "Usage: admin send [OPTION]... [FILE] [FILE]\n"
				   "\n"
				   "send files\n"
				   "\n"
				   "Options:\n"
				   "  -f, --force          ask nothing\n"
				   "      --state-db=FILE  state database to use\n"
				   "  -n, --lines=N        how many\n"
				   "  -a, --add=WORD       one more\n"
				   "  -h, --help           show this text\n";

	assert_run(&admin, "send --help", 0, text);
	assert_run(&admin, "send -fh", 0, text);
}
END_TEST

START_TEST(test_help_with_default_command)
{
	struct result result = run(&server, "--force --help");

	ck_assert_int_eq(result.status, 0);
	ck_assert_ptr_nonnull(strstr(result.out, "Usage: server COMMAND [OPTION]... [ARGUMENT]...\n"
						 "       server [OPTION]...\n"));
	ck_assert_ptr_nonnull(strstr(result.out, "  -f, --force          ask nothing\n"));
	ck_assert_ptr_nonnull(strstr(result.out, "      --version        show the version\n"));
	ck_assert_ptr_nonnull(strstr(result.out, "\nCommands:\n  check      check only\n"));
	result = run(&hook, "--help");
	ck_assert_ptr_eq(strstr(result.out, "Usage: hook [OPTION]... FILE\n\nOptions:\n"),
			 result.out);
	ck_assert_ptr_null(strstr(result.out, "Commands:"));
}
END_TEST

CCP_TEST_MAIN("opt", test_dispatch, test_options, test_any_order, test_options_end,
	      test_parsing_starts_over, test_default_command, test_two_words,
	      test_only_default_command, test_unknown_command, test_wrong_options,
	      test_wrong_arguments, test_list_is_bounded, test_version, test_help_of_program,
	      test_help_of_command, test_help_with_default_command)
