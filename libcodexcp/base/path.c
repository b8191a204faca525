#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/str.h"

int ccp_path_canonical(const char *path, char **ret_path, struct codexcp_error *err)
{
	char *real = realpath(path, NULL);

	if (!real && errno == ENOMEM)
		return ccp_fail_oom(err);
	if (!real)
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "cannot resolve %s: %m", path);
	*ret_path = real;
	return 0;
}

/* As many as the kernel follows. */
#define LINKS_MAX 40

/* What the link names, in the directory that it really stands in: an allocation, or NULL when there
 * is no link, or nothing behind it. */
static char *link_target(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	_cleanup_free_ char *dir = n > 0 ? ccp_path_parent(path) : NULL, *named = NULL,
			    *parent = NULL, *real = NULL;

	if (!dir)
		return NULL;
	target[n] = '\0';
	named = target[0] == '/' ? strdup(target) : ccp_path_join(dir, target);
	parent = named ? ccp_path_parent(named) : NULL;
	real = parent ? realpath(parent, NULL) : NULL;
	return real ? ccp_path_join(real, ccp_path_base(named)) : NULL;
}

int ccp_path_follow(const char *path, char **ret_path, struct codexcp_error *err)
{
	char *found = strdup(path);

	for (int i = 0; found && i < LINKS_MAX; i++) {
		char *next = link_target(found);

		if (!next)
			break;
		free(found);
		found = next;
	}
	if (!found)
		return ccp_fail_oom(err);
	*ret_path = found;
	return 0;
}

/* Rewrites an absolute path in place; what is written never overtakes what is read. */
static void clean_in_place(char *path)
{
	const char *in = path;
	char *out = path;

	while (*in) {
		size_t n = strcspn(in, "/");

		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (n && !(n == 1 && in[0] == '.')) {
			*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n + (in[n] == '/');
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

int ccp_path_clean(const char *path, const char *base, char **ret_path, struct codexcp_error *err)
{
	bool absolute = path[0] == '/';
	char *clean;

	if (!path[0])
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "the path is empty");
	if (!absolute && (!base || base[0] != '/'))
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s is not an absolute path",
				path);
	clean = absolute ? strdup(path) : ccp_path_join(base, path);
	if (!clean)
		return ccp_fail_oom(err);
	clean_in_place(clean);
	*ret_path = clean;
	return 0;
}

bool ccp_path_is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (ccp_streq(root, "/"))
		return path[0] == '/';
	return ccp_str_has_prefix(path, root) && (path[n] == '/' || path[n] == '\0');
}

char *ccp_path_join(const char *dir, const char *name)
{
	return ccp_asprintf("%s%s%s", dir, ccp_str_has_suffix(dir, "/") ? "" : "/", name);
}

const char *ccp_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

char *ccp_path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

void ccp_project_id(const char *canonical_path, char out[static CCP_PROJECT_ID_SIZE])
{
	char hex[CCP_SHA256_HEX];

	ccp_sha256_hex(canonical_path, strlen(canonical_path), hex);
	snprintf(out, CCP_PROJECT_ID_SIZE, "prj_%.32s", hex);
}
