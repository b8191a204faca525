/*
 * Paths: canonical form, containment, and what a project is called.
 *
 * "Below" is decided component by component on canonical paths; a path that leaves a root through a
 * symlink is not below it, because canonical paths have no symlinks.
 */
#pragma once

#include "base/error.h"

/* realpath() of something that exists, as an allocation. */
int ccp_path_canonical(const char *path, char **ret_path, struct codexcp_error *err);
/* The file itself where `path` (absolute) ends in a link, even when it does not exist yet; else the
 * same path. The directories stay as they were named. */
int ccp_path_follow(const char *path, char **ret_path, struct codexcp_error *err);
/* Absolute and lexically clean ("." and ".." resolved, no double or trailing slash) without looking
 * at the disk; relative paths are taken from `base` (absolute). */
int ccp_path_clean(const char *path, const char *base, char **ret_path, struct codexcp_error *err);
/* Both absolute and clean. A path is below itself. */
bool ccp_path_is_below(const char *path, const char *root);
char *ccp_path_join(const char *dir, const char *name);
/* The last component; "/" for the root. Borrowed from path. */
const char *ccp_path_base(const char *path);
/* The parent directory as an allocation; "/" for the root. */
char *ccp_path_parent(const char *path);

#define CCP_PROJECT_ID_SIZE 37
/* prj_ + the first 32 hex digits of the SHA-256 of the canonical path. */
void ccp_project_id(const char *canonical_path, char out[static CCP_PROJECT_ID_SIZE]);
