#include "domain/roots.h"

#include <string.h>
#include <sys/stat.h>

#include "base/str.h"

void ccp_roots_done(struct ccp_roots *roots)
{
	for (size_t i = 0; i < roots->n; i++)
		free(roots->paths[i]);
	free(roots->paths);
	*roots = (struct ccp_roots){ 0 };
}

int ccp_directory_resolve(const char *path, char **ret_path, struct codexcp_error *err)
{
	_cleanup_free_ char *canonical = NULL;
	struct stat st;
	int r = ccp_path_canonical(path, &canonical, NULL);

	if (r == CODEXCP_E_NO_MEMORY)
		return ccp_fail_oom(err);
	if (r < 0 || stat(canonical, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	*ret_path = TAKE_PTR(canonical);
	return 1;
}

static int add(struct ccp_roots *roots, const char *path, struct codexcp_error *err)
{
	_cleanup_free_ char *canonical = NULL;
	char **paths;
	int r = ccp_directory_resolve(path, &canonical, err);

	if (r <= 0)
		return r;
	paths = reallocarray(roots->paths, roots->n + 2, sizeof(*paths));
	if (!paths)
		return ccp_fail_oom(err);
	paths[roots->n++] = TAKE_PTR(canonical);
	paths[roots->n] = NULL;
	roots->paths = paths;
	return 0;
}

static int add_configured(struct ccp_roots *roots, const char *const *paths,
			  struct codexcp_error *err)
{
	int r = 0;

	for (; r == 0 && *paths; paths++)
		r = add(roots, *paths, err);
	return r;
}

/* Nobody means to open the whole disk or the whole home just by starting the program there. */
static int add_start(struct ccp_roots *roots, const char *cwd, const char *home,
		     struct codexcp_error *err)
{
	_cleanup_free_ char *real_cwd = NULL, *real_home = NULL;
	int r = cwd ? ccp_directory_resolve(cwd, &real_cwd, err) : 0;

	if (r > 0 && home)
		r = ccp_directory_resolve(home, &real_home, err);
	if (r < 0 || !real_cwd || ccp_streq(real_cwd, "/") || ccp_streq(real_cwd, real_home))
		return r;
	return add(roots, real_cwd, err);
}

int ccp_roots_init(struct ccp_roots *roots, const struct ccp_project_places *places,
		   struct codexcp_error *err)
{
	int r;

	*roots = (struct ccp_roots){ 0 };
	if (places->roots_configured)
		r = add_configured(roots, places->allowed_roots, err);
	else if (places->projects_root)
		r = add(roots, places->projects_root, err);
	else
		r = add_start(roots, places->cwd, places->home, err);
	if (r < 0)
		ccp_roots_done(roots);
	return CCP_MIN(r, 0);
}

const char *ccp_roots_find(const struct ccp_roots *roots, const char *path)
{
	const char *best = NULL;

	for (size_t i = 0; i < roots->n; i++) {
		const char *root = roots->paths[i];

		if (ccp_path_is_below(path, root) && (!best || strlen(root) > strlen(best)))
			best = root;
	}
	return best;
}
