/*
 * The schema, version by version: an append-only list of SQL texts. Version n is what texts 1..n
 * make; a text that has been released is never edited.
 */
#pragma once

#include <stddef.h>

struct ccp_migration {
	int version;
	/* The oldest program schema that may still read and write a database of this version. */
	int min_reader, min_writer;
	const char *sql;
};

extern const struct ccp_migration ccp_migrations[];
extern const size_t ccp_migration_count;

/* The schema this program is written for: the last migration's version. */
int ccp_schema_version(void);
