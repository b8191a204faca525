/*
 * The allowed roots: below which directories tasks may run and files may be read.
 *
 * They are the configured ones, else the projects root, else the directory in which the program was
 * started unless that is "/" or the home directory. Only roots that exist count, in their canonical
 * form, so a path is compared with them after it was made canonical itself.
 */
#pragma once

#include "domain/project.h"

struct ccp_roots {
	char **paths; /* NULL-terminated; NULL when there is none */
	size_t n;
};

int ccp_roots_init(struct ccp_roots *roots, const struct ccp_project_places *places,
		   struct codexcp_error *err);
void ccp_roots_done(struct ccp_roots *roots);
/* The deepest root that the canonical path is below; borrowed, or NULL. */
const char *ccp_roots_find(const struct ccp_roots *roots, const char *path);

/* The canonical form of a directory: 1; there is no such directory: 0. */
int ccp_directory_resolve(const char *path, char **ret_path, struct codexcp_error *err);
