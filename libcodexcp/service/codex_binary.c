#include "service/codex_binary.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "service/config.h"

#define HEAD_SIZE 128
#define HOW_TO    "set CODEX_BINARY_PATH, or install Codex: npm install -g @openai/codex"

#if defined(__aarch64__)
#define ARCH_NODE   "arm64"
#define ARCH_TRIPLE "aarch64"
#else
#define ARCH_NODE   "x64"
#define ARCH_TRIPLE "x86_64"
#endif
#if defined(__APPLE__)
#define PLATFORM "darwin-" ARCH_NODE
#define TRIPLE   ARCH_TRIPLE "-apple-darwin"
#else
#define PLATFORM "linux-" ARCH_NODE
#define TRIPLE   ARCH_TRIPLE "-unknown-linux-musl"
#endif

/* Where it may be beside the PATH: below the directory that a variable names, or below /. */
static const struct place {
	const char *variable, *path;
} places[] = {
	{ NULL, "Applications/Codex.app/Contents/Resources/codex" },
	{ "HOME", "Applications/Codex.app/Contents/Resources/codex" },
	{ "CODEX_HOME", ".sandbox-bin/codex" },
	{ "HOME", ".codex/.sandbox-bin/codex" },
	/* What a program that no shell started lacks on its PATH. */
	{ "HOME", ".local/bin/codex" },
	{ NULL, "opt/homebrew/bin/codex" },
	{ NULL, "usr/local/bin/codex" },
};

/* Where the npm package (its root) has the native binaries; newer layouts first. */
static const char *const vendors[] = {
	"node_modules/@openai/codex-" PLATFORM "/vendor/" TRIPLE,
	"../codex-" PLATFORM "/vendor/" TRIPLE,
	"vendor/" TRIPLE,
};
static const char *const leaves[] = { "bin/codex", "codex/codex" };

static int fail_path(struct codexcp_error *err, const char *path, const char *why)
{
	ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE, "%s %s; %s", path, why, HOW_TO);
	ccp_error_add_str(err, "path", path);
	return CODEXCP_E_APP_SERVER_UNAVAILABLE;
}

static bool is_executable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Whether the first line names the interpreter: "#!/usr/bin/env node". */
static bool is_node_script(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[HEAD_SIZE + 1];
	ssize_t n = fd < 0 ? -1 : read(fd, head, HEAD_SIZE);

	if (n < 0)
		return false;
	head[n] = '\0';
	head[strcspn(head, "\n")] = '\0';
	return ccp_str_has_prefix(head, "#!") && strstr(head, "node");
}

/* The native binary of the npm package at root: 1 found, 0 none. */
static int find_native(const char *root, char **ret_path, struct codexcp_error *err)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(vendors) * CCP_ARRAY_SIZE(leaves); i++) {
		_cleanup_free_ char *path = ccp_asprintf("%s/%s/%s", root,
							 vendors[i / CCP_ARRAY_SIZE(leaves)],
							 leaves[i % CCP_ARRAY_SIZE(leaves)]);

		if (!path)
			return ccp_fail_oom(err);
		if (is_executable(path)) {
			int r = ccp_path_canonical(path, ret_path, err);

			return r < 0 ? r : 1;
		}
	}
	return 0;
}

/* The launcher is <root>/bin/codex.js, whatever symlinks lead to it. */
static int resolve_launcher(const char *path, char **ret_path, struct codexcp_error *err)
{
	_cleanup_free_ char *launcher = NULL, *bin = NULL, *root = NULL;
	int r = ccp_path_canonical(path, &launcher, err);

	if (r < 0)
		return r;
	bin = ccp_path_parent(launcher);
	root = bin ? ccp_path_parent(bin) : NULL;
	if (!root)
		return ccp_fail_oom(err);
	r = find_native(root, ret_path, err);
	if (r == 0)
		return fail_path(
			err, path,
			"is a Node launcher, and its package has no native binary for " TRIPLE);
	return CCP_MIN(r, 0);
}

/* Of an executable: itself, or what it launches. */
static int resolve(const char *path, char **ret_path, struct codexcp_error *err)
{
	if (is_node_script(path))
		return resolve_launcher(path, ret_path, err);
	return ccp_strdup_opt(path, ret_path) ? 0 : ccp_fail_oom(err);
}

/* 1 found, 0 none. Steals path; takes note of what was looked at. */
static int try_candidate(char *path, json_t **searched, char **ret_path, struct codexcp_error *err)
{
	_cleanup_free_ char *candidate = path;

	if (!candidate)
		return ccp_fail_oom(err);
	ccp_json_append_new(searched, ccp_json_string(candidate, strlen(candidate)));
	if (!is_executable(candidate))
		return 0;
	*ret_path = TAKE_PTR(candidate);
	return 1;
}

/* Relative directories of the PATH mean another place for every process: they are left out. */
static int search_path(const char *const *environment, json_t **searched, char **ret_path,
		       struct codexcp_error *err)
{
	const char *dirs = ccp_environment_get(environment, "PATH");
	int r = 0;

	while (r == 0 && dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		if (dirs[0] == '/')
			r = try_candidate(ccp_asprintf("%.*s/codex", (int)len, dirs), searched,
					  ret_path, err);
		dirs += len + (dirs[len] == ':');
	}
	return r;
}

static int search_places(const char *const *environment, json_t **searched, char **ret_path,
			 struct codexcp_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < CCP_ARRAY_SIZE(places); i++) {
		const struct place *place = &places[i];
		const char *dir = place->variable
					  ? ccp_environment_get(environment, place->variable)
					  : "/";

		if (dir && dir[0] == '/')
			r = try_candidate(ccp_path_join(dir, place->path), searched, ret_path, err);
	}
	return r;
}

int ccp_codex_binary_locate(const char *configured, const char *const *environment, char **ret_path,
			    struct codexcp_error *err)
{
	json_auto_t *searched = json_array();
	int r;

	if (configured && access(configured, F_OK) < 0)
		return fail_path(err, configured, "does not exist");
	if (configured && !is_executable(configured))
		return fail_path(err, configured, "is not an executable file");
	if (configured)
		return ccp_strdup_opt(configured, ret_path) ? 0 : ccp_fail_oom(err);
	r = search_path(environment, &searched, ret_path, err);
	if (r == 0)
		r = search_places(environment, &searched, ret_path, err);
	if (r)
		return CCP_MIN(r, 0);
	ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE,
		 "there is no codex on the PATH or in the usual places; %s", HOW_TO);
	ccp_error_add(err, "searched", TAKE_PTR(searched));
	return CODEXCP_E_APP_SERVER_UNAVAILABLE;
}

int ccp_codex_binary_find(const char *configured, const char *const *environment, char **ret_path,
			  struct codexcp_error *err)
{
	_cleanup_free_ char *located = NULL;
	int r = ccp_codex_binary_locate(configured, environment, &located, err);

	return r < 0 ? r : resolve(located, ret_path, err);
}
