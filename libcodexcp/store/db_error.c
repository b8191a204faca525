#include "store/db_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

#define SEE_CHECK "see codex-control-plane-mcp-admin db check, and restore a backup"

/* Every reason, with the way out. */
static const struct way_out {
	const char *reason, *text;
} ways_out[] = {
	{ "full", "no space is left for it: free space on its file system" },
	{ "read_only", "it cannot be written: make the file, those beside it and its directory "
		       "writable, or set CODEX_MCP_STATE_DB to another place" },
	{ "corrupt", "it is damaged, or no state database: " SEE_CHECK },
	{ "missing", "it is not there: codex-control-plane-mcp-admin init or the first task makes "
		     "it" },
	{ "cannot_open", "it cannot be opened: look at the permissions of the file and of its "
			 "directory" },
	{ "io_error", "reading or writing it failed: look at the disk, then " SEE_CHECK },
	{ "locked", "another program holds it locked: fuser(1) says which" },
};

/* All that may pass, or that somebody can mend: what is recorded for as long as it takes is tried
 * again after these. The others are mistakes of ours (a constraint, a misuse): INTERNAL. */
static const struct {
	int sqlite, code;
	const char *reason;
} sqlite_errors[] = {
	{ SQLITE_BUSY, CODEXCP_E_STATE_BUSY, "locked" },
	{ SQLITE_LOCKED, CODEXCP_E_STATE_BUSY, "locked" },
	/* Too many races for the log were lost; too many changes of the schema came between. */
	{ SQLITE_PROTOCOL, CODEXCP_E_STATE_BUSY, "locked" },
	{ SQLITE_SCHEMA, CODEXCP_E_STATE_BUSY, "locked" },
	{ SQLITE_NOMEM, CODEXCP_E_NO_MEMORY, NULL },
	{ SQLITE_FULL, CODEXCP_E_STATE_UNAVAILABLE, "full" },
	{ SQLITE_NOLFS, CODEXCP_E_STATE_UNAVAILABLE, "full" },
	{ SQLITE_READONLY, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
	{ SQLITE_PERM, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
	{ SQLITE_CORRUPT, CODEXCP_E_STATE_UNAVAILABLE, "corrupt" },
	{ SQLITE_NOTADB, CODEXCP_E_STATE_UNAVAILABLE, "corrupt" },
	{ SQLITE_CANTOPEN, CODEXCP_E_STATE_UNAVAILABLE, "cannot_open" },
	{ SQLITE_IOERR, CODEXCP_E_STATE_UNAVAILABLE, "io_error" },
};

/* What the system said is closer to the cause than SQLite's word for it. */
static const struct {
	int errnum;
	const char *reason;
} causes[] = {
	{ ENOSPC, "full" },     { EDQUOT, "full" },      { EFBIG, "full" },
	{ EROFS, "read_only" }, { EACCES, "read_only" }, { EPERM, "read_only" },
	{ ENOENT, "missing" },
};

static const char *text_of(const char *reason)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(ways_out); i++)
		if (ccp_streq(ways_out[i].reason, reason))
			return ways_out[i].text;
	return "";
}

/* Only after these two does the system's error belong to what has failed. */
static const char *reason_of(const struct ccp_db *db, int rc, const char *reason)
{
	bool has_cause = (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR;
	int cause = db->handle && has_cause ? sqlite3_system_errno(db->handle) : 0;

	/* A file beside it that was looked for is no reason. */
	if (cause == ENOENT && access(db->path, F_OK) == 0)
		cause = 0;
	for (size_t i = 0; cause && i < CCP_ARRAY_SIZE(causes); i++)
		if (causes[i].errnum == cause)
			return causes[i].reason;
	/* The shared memory beside the file could not be made. */
	if (db->handle && sqlite3_extended_errcode(db->handle) == SQLITE_IOERR_SHMSIZE)
		return "full";
	return reason;
}

int ccp_db_fail(const struct ccp_db *db, int rc, const char *what, struct codexcp_error *err)
{
	const char *said = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
	int code = CODEXCP_E_INTERNAL;
	const char *reason = NULL;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(sqlite_errors); i++)
		if (sqlite_errors[i].sqlite == (rc & 0xff)) {
			code = sqlite_errors[i].code;
			reason = sqlite_errors[i].reason;
		}
	if (!reason)
		return ccp_fail(err, code, "%s: %s (%s)", db->path, said, what);
	reason = reason_of(db, rc, reason);
	ccp_fail(err, code, "%s: %s (%s: %s)", db->path, text_of(reason), what, said);
	ccp_error_add_str(err, "path", db->path);
	ccp_error_add_str(err, "reason", reason);
	return code;
}

int ccp_db_fail_state(const char *path, const char *reason, struct codexcp_error *err,
		      const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ccp_fail(err, CODEXCP_E_STATE_UNAVAILABLE, "%s: %s", path, text);
	ccp_error_add_str(err, "path", path);
	ccp_error_add_str(err, "reason", reason);
	return CODEXCP_E_STATE_UNAVAILABLE;
}
