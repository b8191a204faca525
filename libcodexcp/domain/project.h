/*
 * Projects and allowed roots: where a task may run, and which project that is.
 *
 * Everything is decided on canonical paths, so a symlink that leads out of the allowed roots (see
 * roots.h) does not count as inside.
 */
#pragma once

#include "base/error.h"
#include "base/path.h"

struct ccp_project_places {
	const char *const *allowed_roots; /* NULL-terminated; may be empty */
	bool roots_configured;
	const char *projects_root; /* or NULL */
	const char *registry_path; /* JSON file, may be missing; or NULL */
	const char *cwd;           /* where the front end was started */
	const char *home;          /* or NULL */
};

struct ccp_project {
	char id[CCP_PROJECT_ID_SIZE];
	char *path; /* canonical */
	char *name;
	char *alias;              /* another id that the registry gives it, or NULL */
	const char *source;       /* static: registry, disk_scan, operations, mixed */
	int64_t last_activity_at; /* wall ms, 0 unknown */
};
struct ccp_project_list {
	struct ccp_project *items;
	size_t n, capacity;
	bool truncated;
};
void ccp_project_list_done(struct ccp_project_list *list);
/* Add or merge by path (source becomes mixed, newer activity wins, a NULL name is the last
 * component of the path unless there is a better one). Beyond max items only sets truncated. */
int ccp_project_list_add(struct ccp_project_list *list, size_t max, const char *path,
			 const char *name, const char *source, int64_t last_activity_at,
			 struct codexcp_error *err);

/*
 * Projects root scan (its direct sub-directories that are not hidden, the root itself when it is a
 * git work tree; bounded by `max` and by budget_ms) and the JSON registry. Paths outside the
 * allowed roots are left out. Sorted by path.
 *
 * The registry is {"projects": [{"path", "name"?, "id"?}, ...]} (or "root_path" and "project_id"),
 * or that array itself, or {"name": "path", ...}. What it says wrongly is skipped.
 */
int ccp_project_scan(const struct ccp_project_places *places, size_t max, int64_t budget_ms,
		     struct ccp_project_list *ret_list, struct codexcp_error *err);

/* Where a task would run. */
struct ccp_place {
	char *cwd;  /* canonical */
	char *root; /* the allowed root that cwd is below, canonical */
	char project_id[CCP_PROJECT_ID_SIZE];
	char *project_path; /* canonical */
};
void ccp_place_done(struct ccp_place *place);

/*
 * From cwd, project_id, or both (cwd must then be inside the project). The project of a cwd is the
 * nearest known project above it, else cwd itself. `known` is consulted after scan and registry
 * (directories in which operations ran before) and may be NULL. project_id may also be a project's
 * path, unique name, or id in the registry. A relative cwd is taken from where the front end was
 * started.
 *
 * CODEXCP_E_INVALID_ARGUMENT (argument cwd: missing, not a directory, outside the roots (the roots
 * named), no roots configured: names CODEX_ALLOWED_ROOTS and `codex-control-plane-mcp-admin init`)
 * or CODEXCP_E_PROJECT_NOT_FOUND (details project_id).
 */
int ccp_place_resolve(const struct ccp_project_places *places, const char *cwd,
		      const char *project_id, const struct ccp_project_list *known,
		      struct ccp_place *ret_place, struct codexcp_error *err);

/* Before each send: cwd still resolves to itself and is below root; else INVALID_ARGUMENT, argument
 * cwd. */
int ccp_place_check(const char *cwd, const char *root, struct codexcp_error *err);
