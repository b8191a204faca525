#include "service/codex_binary.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "ccp_check.h"

#define LAUNCHER "#!/usr/bin/env node\nspawn();\n"
#define NATIVE                                                                                     \
	"\x7f"                                                                                     \
	"ELF"

#if defined(__aarch64__)
#define NODE_PLATFORM "linux-arm64"
#define TRIPLE        "aarch64-unknown-linux-musl"
#else
#define NODE_PLATFORM "linux-x64"
#define TRIPLE        "x86_64-unknown-linux-musl"
#endif

/* A directory in place of the disk; its names are relative and freed in the end. */
struct world {
	char *dir, *top;
	char *made[64];
	size_t n;
};

static const char *keep(struct world *w, char *text)
{
	ck_assert_uint_lt(w->n, CCP_ARRAY_SIZE(w->made));
	return w->made[w->n++] = text;
}

static const char *at(struct world *w, const char *name)
{
	return keep(w, ccp_path_join(w->top, name));
}

static void put(struct world *w, const char *name, const char *text, mode_t mode)
{
	const char *path = at(w, name);
	char *dir = ccp_path_parent(path);

	ck_assert_int_eq(ccp_dir_make(dir, 0700, NULL), 0);
	ck_assert_int_eq(ccp_file_replace(path, text, strlen(text), mode, NULL), 0);
	free(dir);
}

static struct world make_world(void)
{
	struct world w = { .dir = ccp_test_make_dir() };

	ck_assert_int_eq(ccp_path_canonical(w.dir, &w.top, NULL), 0);
	return w;
}

static void drop_world(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->made[i]);
	free(w->top);
	ccp_test_remove_dir(w->dir);
}

static void check_found(struct world *w, const char *configured, const char *const *environment,
			const char *expected)
{
	struct codexcp_error err = { 0 };
	char *path = NULL;

	ck_assert_msg(ccp_codex_binary_find(configured ? at(w, configured) : NULL, environment,
					    &path, &err) == 0,
		      "%s", err.message);
	ck_assert_str_eq(path, at(w, expected));
	free(path);
}

static void check_fails(struct world *w, const char *configured, const char *message)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	char *path = NULL;

	ck_assert_int_eq(ccp_codex_binary_find(at(w, configured), NULL, &path, &err),
			 CODEXCP_E_APP_SERVER_UNAVAILABLE);
	ck_assert_ptr_null(path);
	ck_assert_str_eq(ccp_json_str(err.details, "path"), at(w, configured));
	ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
	ck_assert_ptr_nonnull(strstr(err.message, "CODEX_BINARY_PATH"));
}

START_TEST(test_configured)
{
	struct world w = make_world();

	put(&w, "codex", NATIVE, 0700);
	put(&w, "wrapper", "#!/bin/sh\nexec codex\n", 0700);
	put(&w, "empty", "", 0700);
	check_found(&w, "codex", NULL, "codex");
	check_found(&w, "wrapper", NULL, "wrapper");
	check_found(&w, "empty", NULL, "empty");
	drop_world(&w);
}
END_TEST

START_TEST(test_configured_is_never_replaced)
{
	struct world w = make_world();

	put(&w, "data", NATIVE, 0600);
	put(&w, "dir/file", "", 0600);
	check_fails(&w, "none", "does not exist");
	check_fails(&w, "data", "is not an executable file");
	check_fails(&w, "dir", "is not an executable file");
	drop_world(&w);
}
END_TEST

START_TEST(test_path)
{
	struct world w = make_world();
	const char *search = keep(
		&w, ccp_asprintf("PATH=:bin:%s:%s:%s", at(&w, "a"), at(&w, "b"), at(&w, "c")));
	const char *const environment[] = { search, NULL };

	put(&w, "a/codex/file", "", 0700);
	put(&w, "b/codex", NATIVE, 0600);
	put(&w, "c/codex", NATIVE, 0700);
	check_found(&w, NULL, environment, "c/codex");
	ck_assert_int_eq(chmod(at(&w, "b/codex"), 0700), 0);
	check_found(&w, NULL, environment, "b/codex");
	check_found(&w, "c/codex", environment, "c/codex");
	drop_world(&w);
}
END_TEST

START_TEST(test_places)
{
	struct world w = make_world();
	const char *home = keep(&w, ccp_asprintf("HOME=%s", w.top));
	const char *codex_home = keep(&w, ccp_asprintf("CODEX_HOME=%s", at(&w, "own")));
	const char *const environment[] = { home, codex_home, "PATH=/nowhere", NULL };

	put(&w, ".local/bin/codex", NATIVE, 0700);
	check_found(&w, NULL, environment, ".local/bin/codex");
	put(&w, "own/.sandbox-bin/codex", NATIVE, 0700);
	check_found(&w, NULL, environment, "own/.sandbox-bin/codex");
	drop_world(&w);
}
END_TEST

START_TEST(test_nowhere)
{
	static const char *const environment[] = { "HOME=/nowhere", "PATH=/none:relative", NULL };
	_cleanup_error_ struct codexcp_error err = { 0 };
	char *path = NULL;
	int r = ccp_codex_binary_find(NULL, environment, &path, &err);
	json_t *searched = ccp_json_arr(err.details, "searched");

	if (r == 0) { /* a machine with Codex in one of the fixed places */
		free(path);
		return;
	}
	ck_assert_int_eq(r, CODEXCP_E_APP_SERVER_UNAVAILABLE);
	ck_assert_str_eq(json_string_value(json_array_get(searched, 0)), "/none/codex");
	for (size_t i = 0; i < json_array_size(searched); i++)
		ck_assert(json_string_value(json_array_get(searched, i))[0] == '/');
	ck_assert_ptr_nonnull(strstr(err.message, "npm install"));
}
END_TEST

/* Each place where npm, pnpm and older packages put the native binary. */
START_TEST(test_launcher)
{
	static const char *const natives[] = {
		"nm/@openai/codex/vendor/" TRIPLE "/codex/codex",
		"nm/@openai/codex/vendor/" TRIPLE "/bin/codex",
		"nm/@openai/codex-" NODE_PLATFORM "/vendor/" TRIPLE "/codex/codex",
		"nm/@openai/codex-" NODE_PLATFORM "/vendor/" TRIPLE "/bin/codex",
		"nm/@openai/codex/node_modules/@openai/codex-" NODE_PLATFORM "/vendor/" TRIPLE
		"/codex/codex",
		"nm/@openai/codex/node_modules/@openai/codex-" NODE_PLATFORM "/vendor/" TRIPLE
		"/bin/codex",
	};
	struct world w = make_world();
	const char *search = keep(&w, ccp_asprintf("PATH=%s", at(&w, "bin")));
	const char *const environment[] = { search, NULL };

	put(&w, "nm/@openai/codex/bin/codex.js", LAUNCHER, 0700);
	ck_assert_int_eq(mkdir(at(&w, "bin"), 0700), 0);
	ck_assert_int_eq(symlink("../nm/@openai/codex/bin/codex.js", at(&w, "bin/codex")), 0);
	check_fails(&w, "bin/codex", "no native binary for " TRIPLE);
	put(&w, natives[0], NATIVE, 0600);
	check_fails(&w, "nm/@openai/codex/bin/codex.js", "Node launcher");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(natives); i++) {
		put(&w, natives[i], NATIVE, 0700);
		check_found(&w, "bin/codex", NULL, natives[i]);
		check_found(&w, "nm/@openai/codex/bin/codex.js", NULL, natives[i]);
		check_found(&w, NULL, environment, natives[i]);
	}
	drop_world(&w);
}
END_TEST

START_TEST(test_other_first_lines)
{
	struct world w = make_world();

	put(&w, "bin/long", "#!/usr/local/lib/node-22/bin/node --no-warnings\n", 0700);
	put(&w, "bin/second", "#!/bin/sh\n# node\n", 0700);
	check_fails(&w, "bin/long", "Node launcher");
	check_found(&w, "bin/second", NULL, "bin/second");
	drop_world(&w);
}
END_TEST

CCP_TEST_MAIN("codex_binary", test_configured, test_configured_is_never_replaced, test_path,
	      test_places, test_nowhere, test_launcher, test_other_first_lines)
