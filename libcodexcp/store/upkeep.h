/*
 * The database as a file: its size, giving space back, the write-ahead log, a copy, an examination.
 */
#pragma once

#include "store/db.h"

struct ccp_db_size {
	int64_t page_bytes, pages, free_pages;
	int64_t log_bytes; /* of the write-ahead log */
};
int ccp_db_size(struct ccp_db *db, struct ccp_db_size *ret_size, struct codexcp_error *err);

/* Give up to `pages` free pages back to the file system. */
int ccp_db_shrink(struct ccp_db *db, int64_t pages, struct codexcp_error *err);
/* Write the log back and empty it. 1 done, 0 a reader or writer is in the way. */
int ccp_db_checkpoint(struct ccp_db *db, struct codexcp_error *err);
/* Write the whole file anew, without free pages. CODEXCP_E_STATE_BUSY while anybody works. */
int ccp_db_rebuild(struct ccp_db *db, struct codexcp_error *err);
/* A copy of this moment, in a file that is empty or not there; readers and writers go on. */
int ccp_db_copy(struct ccp_db *db, const char *path, struct codexcp_error *err);

/* What is wrong with the file, one text each: SQLite's own check, then references that lead
 * nowhere. */
typedef void (*ccp_db_finding_fn)(const char *text, void *data);
int ccp_db_check_pages(struct ccp_db *db, ccp_db_finding_fn fn, void *data,
		       struct codexcp_error *err);
int ccp_db_check_references(struct ccp_db *db, ccp_db_finding_fn fn, void *data,
			    struct codexcp_error *err);

/* And with what the rows say; each is asked for by number, until there are no more. */
struct ccp_db_rule {
	const char *name, *meaning;
};
const struct ccp_db_rule *ccp_db_rules(size_t *ret_n);
/* The rows that break it, each as a text. */
int ccp_db_check_rule(struct ccp_db *db, size_t rule, ccp_db_finding_fn fn, void *data,
		      struct codexcp_error *err);
