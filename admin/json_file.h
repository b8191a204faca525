/*
 * A JSON file that belongs to another program: read, changed, and replaced with a backup beside it.
 *
 *	r = json_file_load(path, &file, err);	// nothing is written to what is not a JSON object
 *	json_object_set_new(file.value, ...);
 *	r = json_file_save(&file, &backup, err);	// 0: nothing had changed, nothing was
 * written
 *
 * Keys keep their order and numbers their value; white space becomes an indentation by two blanks.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "base/error.h"

struct json_file {
	char *path; /* of the file itself, when a link was named */
	char *text; /* as it stands on the disk; NULL: there is no such file */
	size_t len;
	mode_t mode;
	json_t *before, *value;
};

int json_file_load(const char *path, struct json_file *ret_file, struct codexcp_error *err);
/* 1: written, and *ret_backup is an allocation that names the old text (NULL when there was none).
 */
int json_file_save(const struct json_file *file, char **ret_backup, struct codexcp_error *err);
void json_file_done(struct json_file *file);
