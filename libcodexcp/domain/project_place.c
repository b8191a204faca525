#include "domain/project.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "domain/roots.h"

#define EXPECTED_SIZE 1024
/* What a submit looks at, and how long. */
#define SCAN_MAX       4096
#define SCAN_BUDGET_MS 500

void ccp_place_done(struct ccp_place *place)
{
	free(place->cwd);
	free(place->root);
	free(place->project_path);
	*place = (struct ccp_place){ 0 };
}

/* The failure names the argument, what was expected (as printf) and the roots. */
static _printf_(4, 5) int fail_place(struct codexcp_error *err, const struct ccp_roots *roots,
				     const char *argument, const char *fmt, ...)
{
	json_auto_t *list = json_array();
	char expected[EXPECTED_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(expected, sizeof(expected), fmt, args);
	va_end(args);
	for (size_t i = 0; i < roots->n; i++)
		ccp_json_append_new(&list,
				    ccp_json_string(roots->paths[i], strlen(roots->paths[i])));
	ccp_fail_argument(err, argument, expected, NULL);
	ccp_error_add(err, "allowedRoots", TAKE_PTR(list));
	return CODEXCP_E_INVALID_ARGUMENT;
}

static int fail_outside(struct codexcp_error *err, const struct ccp_roots *roots,
			const char *argument)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(EXPECTED_SIZE / 2);

	for (size_t i = 0; i < roots->n; i++)
		ccp_strbuf_appendf(&sb, "%s%s", i ? ", " : "", roots->paths[i]);
	return fail_place(err, roots, argument, "a directory below an allowed root (%s)",
			  sb.failed ? "see allowedRoots" : ccp_strbuf_str(&sb));
}

static int check_roots(const struct ccp_roots *roots, bool configured, struct codexcp_error *err)
{
	if (roots->n)
		return 0;
	return fail_place(err, roots, "cwd",
			  "%s: set CODEX_ALLOWED_ROOTS or run codex-control-plane-mcp-admin init",
			  configured ? "allowed roots that exist"
				     : "allowed roots, and there are none");
}

/* A directory below the roots, canonical. */
static int enter(const struct ccp_roots *roots, const char *argument, const char *path,
		 char **ret_path, struct codexcp_error *err)
{
	_cleanup_free_ char *canonical = NULL;
	int r = ccp_directory_resolve(path, &canonical, err);

	if (r < 0)
		return r;
	if (r == 0)
		return fail_place(err, roots, argument, "a directory that exists, not %s", path);
	if (!ccp_roots_find(roots, canonical))
		return fail_outside(err, roots, argument);
	*ret_path = TAKE_PTR(canonical);
	return 0;
}

static bool has_id(const struct ccp_project *project, const char *reference)
{
	return ccp_streq(project->id, reference) || ccp_streq(project->alias, reference);
}

static bool has_path(const struct ccp_project *project, const char *reference)
{
	return ccp_streq(project->path, reference);
}

static bool has_name(const struct ccp_project *project, const char *reference)
{
	return ccp_streq(project->name, reference);
}

/* Borrowed; NULL when none is meant, or more than one. */
static const struct ccp_project *find_project(const struct ccp_project_list *list,
					      const char *reference)
{
	static bool (*const ways[])(const struct ccp_project *, const char *) = { has_id, has_path,
										  has_name };

	for (size_t w = 0; w < CCP_ARRAY_SIZE(ways); w++) {
		const struct ccp_project *found = NULL;
		size_t hits = 0;

		for (size_t i = 0; i < list->n; i++) {
			if (!ways[w](&list->items[i], reference))
				continue;
			found = &list->items[i];
			hits++;
		}
		if (hits)
			return hits == 1 ? found : NULL;
	}
	return NULL;
}

/* The deepest project at or above the path; borrowed, or NULL. */
static const struct ccp_project *nearest_project(const struct ccp_project_list *list,
						 const struct ccp_roots *roots, const char *path)
{
	const struct ccp_project *best = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const struct ccp_project *project = &list->items[i];

		if (ccp_path_is_below(path, project->path) &&
		    ccp_roots_find(roots, project->path) &&
		    (!best || strlen(project->path) > strlen(best->path)))
			best = project;
	}
	return best;
}

/* What a submit has to choose from. */
struct choice {
	const struct ccp_roots *roots;
	const struct ccp_project_list *scanned, *known;
};

static const struct ccp_project *choose_project(const struct choice *from, const char *reference)
{
	const struct ccp_project *project = find_project(from->scanned, reference);

	return project || !from->known ? project : find_project(from->known, reference);
}

static int place_by_project(const struct choice *from, const char *reference,
			    struct ccp_place *place, struct codexcp_error *err)
{
	const struct ccp_project *project = choose_project(from, reference);

	if (!project) {
		ccp_fail(err, CODEXCP_E_PROJECT_NOT_FOUND,
			 "no project, or more than one, is known as %s", reference);
		ccp_error_add_str(err, "project_id", reference);
		return CODEXCP_E_PROJECT_NOT_FOUND;
	}
	return enter(from->roots, "project_id", project->path, &place->project_path, err);
}

static int place_by_cwd(const struct choice *from, struct ccp_place *place,
			struct codexcp_error *err)
{
	const struct ccp_project *project = nearest_project(from->scanned, from->roots, place->cwd);

	if (!project && from->known)
		project = nearest_project(from->known, from->roots, place->cwd);
	place->project_path = strdup(project ? project->path : place->cwd);
	return place->project_path ? 0 : ccp_fail_oom(err);
}

/* A relative cwd is taken from where the front end was started. */
static int enter_cwd(const struct choice *from, const char *start, const char *cwd,
		     struct ccp_place *place, struct codexcp_error *err)
{
	_cleanup_free_ char *path = cwd[0] == '/' || !start ? strdup(cwd)
							    : ccp_path_join(start, cwd);

	return path ? enter(from->roots, "cwd", path, &place->cwd, err) : ccp_fail_oom(err);
}

/* cwd (unless it is the project itself) and project_path, both canonical. */
static int fill_place(const struct choice *from, const char *start, const char *cwd,
		      const char *project_id, struct ccp_place *place, struct codexcp_error *err)
{
	int r = cwd ? enter_cwd(from, start, cwd, place, err) : 0;

	if (r < 0)
		return r;
	if (!project_id)
		return place_by_cwd(from, place, err);
	r = place_by_project(from, project_id, place, err);
	if (r < 0)
		return r;
	if (!place->cwd && !ccp_strdup_opt(place->project_path, &place->cwd))
		return ccp_fail_oom(err);
	if (!ccp_path_is_below(place->cwd, place->project_path))
		return fail_place(err, from->roots, "cwd", "a directory inside the project %s",
				  place->project_path);
	return 0;
}

int ccp_place_resolve(const struct ccp_project_places *places, const char *cwd,
		      const char *project_id, const struct ccp_project_list *known,
		      struct ccp_place *ret_place, struct codexcp_error *err)
{
	_cleanup_(ccp_project_list_done) struct ccp_project_list scanned = { 0 };
	_cleanup_(ccp_place_done) struct ccp_place place = { 0 };
	_cleanup_(ccp_roots_done) struct ccp_roots roots = { 0 };
	struct choice from = { &roots, &scanned, known };
	int r;

	if (!cwd && !project_id)
		return ccp_fail_argument(err, "cwd", "cwd or project_id", NULL);
	r = ccp_roots_init(&roots, places, err);
	if (r == 0)
		r = check_roots(&roots, places->roots_configured || places->projects_root, err);
	if (r == 0)
		r = ccp_project_scan(places, SCAN_MAX, SCAN_BUDGET_MS, &scanned, err);
	if (r == 0)
		r = fill_place(&from, places->cwd, cwd, project_id, &place, err);
	if (r < 0)
		return r;
	place.root = strdup(ccp_roots_find(&roots, place.cwd));
	if (!place.root)
		return ccp_fail_oom(err);
	ccp_project_id(place.project_path, place.project_id);
	*ret_place = place;
	place = (struct ccp_place){ 0 };
	return 0;
}

int ccp_place_check(const char *cwd, const char *root, struct codexcp_error *err)
{
	_cleanup_free_ char *canonical = NULL;
	int r = ccp_directory_resolve(cwd, &canonical, err);

	if (r < 0)
		return r;
	if (ccp_streq(canonical, cwd) && ccp_path_is_below(cwd, root))
		return 0;
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
		 "%s is not the directory below %s any more that it was at submit", cwd, root);
	ccp_error_add_str(err, "argument", "cwd");
	ccp_error_add_str(err, "expected", "the directory that was submitted");
	return CODEXCP_E_INVALID_ARGUMENT;
}
