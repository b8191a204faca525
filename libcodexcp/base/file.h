/*
 * Files: bounded reading, atomic replacement, private directories. Every descriptor is
 * close-on-exec.
 */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/* The whole file, NUL-terminated. More than max bytes is an error. A missing file: returns 0 with
 * *ret_data NULL; found: 1. */
int ccp_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len,
		  struct codexcp_error *err);
/* Temporary file beside it, fsync, rename: a reader sees the old or the new content, never half. */
int ccp_file_replace(const char *path, const char *data, size_t len, mode_t mode,
		     struct codexcp_error *err);
/* A new file from a template of mkstemp(), mode 0600; the descriptor. */
int ccp_file_temp(char *template, struct codexcp_error *err);
/* Give a finished file its name, and only if nobody has it: synced, renamed, the directory synced.
 * CODEXCP_E_INVALID_ARGUMENT when the name is taken. After a failure it does not have the name. */
int ccp_file_publish(int fd, const char *temp, const char *path, struct codexcp_error *err);
/* In bytes; -1 when it cannot be looked at. */
int64_t ccp_file_size(const char *path);
/* mkdir -p; directories that are made get `mode`. */
int ccp_dir_make(const char *path, mode_t mode, struct codexcp_error *err);
/* Owned by us, a directory, and without permissions for group and others: 0, or an error that says
 * which command makes it right. */
int ccp_dir_check_private(const char *path, struct codexcp_error *err);
/* 0, or CODEXCP_E_STATE_UNAVAILABLE (reason network_fs) for a directory on a network file system,
 * where SQLite's locks cannot be trusted. */
int ccp_dir_check_local(const char *path, struct codexcp_error *err);
/* Open with O_CLOEXEC; the mode is explicit. Returns the descriptor. */
int ccp_file_open(const char *path, int flags, mode_t mode, struct codexcp_error *err);
void ccp_closep(int *fd);
#define _cleanup_close_ _cleanup_(ccp_closep)
