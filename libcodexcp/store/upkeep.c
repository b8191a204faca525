#include "store/upkeep.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/db_internal.h"

int ccp_db_size(struct ccp_db *db, struct ccp_db_size *ret_size, struct codexcp_error *err)
{
	_cleanup_free_ char *log = ccp_asprintf("%s-wal", db->path);
	struct ccp_db_size size = { 0 };
	struct stat st;
	int r = log ? ccp_db_number(db, "PRAGMA page_size", &size.page_bytes, err)
		    : ccp_fail_oom(err);

	if (r == 0)
		r = ccp_db_number(db, "PRAGMA page_count", &size.pages, err);
	if (r == 0)
		r = ccp_db_number(db, "PRAGMA freelist_count", &size.free_pages, err);
	if (r < 0)
		return r;
	if (stat(log, &st) == 0)
		size.log_bytes = st.st_size;
	*ret_size = size;
	return 0;
}

int ccp_db_shrink(struct ccp_db *db, int64_t pages, struct codexcp_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%lld)", (long long)pages);
	return ccp_db_exec(db, sql, err);
}

int ccp_db_checkpoint(struct ccp_db *db, struct codexcp_error *err)
{
	int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
					   NULL);

	if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		return 0;
	return rc == SQLITE_OK ? 1 : ccp_db_fail(db, rc, "checkpoint", err);
}

int ccp_db_rebuild(struct ccp_db *db, struct codexcp_error *err)
{
	return ccp_db_exec(db, "VACUUM", err);
}

int ccp_db_copy(struct ccp_db *db, const char *path, struct codexcp_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, "VACUUM INTO ?", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : ccp_db_fail(db, rc, "copy", err);
}

/* Each row's first column is told, joined with the others. */
static int each_text(struct ccp_db *db, const char *sql, ccp_db_finding_fn fn, void *data,
		     struct codexcp_error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW)
			fn((const char *)sqlite3_column_text(stmt, 0), data);
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? 0 : ccp_db_fail(db, rc, "check", err);
}

struct filter {
	ccp_db_finding_fn fn;
	void *data;
};

static void tell_unless_ok(const char *text, void *data)
{
	const struct filter *filter = data;

	if (!ccp_streq(text, "ok"))
		filter->fn(text, filter->data);
}

int ccp_db_check_pages(struct ccp_db *db, ccp_db_finding_fn fn, void *data,
		       struct codexcp_error *err)
{
	struct filter filter = { fn, data };

	return each_text(db, "PRAGMA integrity_check(20)", tell_unless_ok, &filter, err);
}

int ccp_db_check_references(struct ccp_db *db, ccp_db_finding_fn fn, void *data,
			    struct codexcp_error *err)
{
	return each_text(
		db,
		"SELECT \"table\" || ' row ' || coalesce(rowid, '?') || ' names a row of ' "
		"|| parent || ' that is not there' FROM pragma_foreign_key_check LIMIT 20",
		fn, data, err);
}

/* clang-format off */
#define RULES(X)                                                                                   \
	X("requests", "every operation has what was asked",                                        \
	  "SELECT 'operation ' || o.id FROM operations o "                                         \
	  "WHERE NOT EXISTS (SELECT 1 FROM requests r WHERE r.op_id = o.id) LIMIT 20")             \
	X("ends", "what is active has not ended, and what has ended says when",                    \
	  "SELECT 'operation ' || id || ': ' || phase FROM operations "                            \
	  "WHERE active <> (completed_at = 0) OR active NOT IN (0, 1) LIMIT 20")                   \
	X("owners", "a turn belongs to one active operation",                                      \
	  "SELECT 'turn ' || turn_id || ' of thread ' || thread_id || ': ' || count(*) "           \
	  "FROM operations WHERE active = 1 AND turn_id IS NOT NULL "                              \
	  "GROUP BY thread_id, turn_id HAVING count(*) > 1 LIMIT 20")                              \
	X("turns", "turns and journal rows belong to operations that are there",                   \
	  "SELECT 'turn ' || turn_id || ' names operation ' || op_id FROM turns t "                \
	  "WHERE op_id IS NOT NULL "                                                               \
	  "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = t.op_id) "                      \
	  "UNION ALL SELECT 'journal row ' || id || ' names operation ' || op_id FROM journal j "  \
	  "WHERE op_id IS NOT NULL "                                                               \
	  "AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.id = j.op_id) LIMIT 20")             \
	X("epoch", "the epoch is at least that of every row",                                      \
	  "SELECT 'the counter says ' || e.n || ', a row ' || rows.n FROM "                        \
	  "(SELECT coalesce(max(cast(value AS INTEGER)), 0) AS n FROM meta WHERE key = 'epoch') e, " \
	  "(SELECT max(n) AS n FROM (SELECT max(epoch) AS n FROM operations "                      \
	  "UNION ALL SELECT max(epoch) FROM workers)) rows WHERE rows.n > e.n")
/* clang-format on */

#define X(name, meaning, sql) { name, meaning },
static const struct ccp_db_rule rules[] = { RULES(X) };
#undef X
#define X(name, meaning, sql) sql,
static const char *const rule_texts[] = { RULES(X) };
#undef X

const struct ccp_db_rule *ccp_db_rules(size_t *ret_n)
{
	*ret_n = CCP_ARRAY_SIZE(rules);
	return rules;
}

int ccp_db_check_rule(struct ccp_db *db, size_t rule, ccp_db_finding_fn fn, void *data,
		      struct codexcp_error *err)
{
	return each_text(db, rule_texts[rule], fn, data, err);
}
