/**
 * @file
 * Looking after the state database: examine, copy, forget, shrink.
 *
 * All of it works while a worker runs and clients poll. These functions take as long as they take
 * and belong into programs for people; a context for them is opened with CODEXCP_MODE_CLIENT.
 *
 * @code
 *	struct codexcp_options options = { .mode = CODEXCP_MODE_CLIENT };
 *	json_t *report = NULL;
 *
 *	if (codexcp_open(&options, &cp, &err) == 0 &&
 *	    codexcp_database_backup(cp, "/backup/state.sqlite3", &report, &err) == 0)
 *		json_dumpf(report, stdout, JSON_INDENT(2));
 * @endcode
 */
#ifndef CODEXCP_DATABASE_H
#define CODEXCP_DATABASE_H

#include <codexcp/codexcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Examine it: SQLite's own check, references between rows, and what the rows of this program must
 * say (each operation has a known status and what was asked, a turn belongs to one active
 * operation, ...). Changes nothing; works on a database of an older version, too.
 *
 * @param cp open context; call from its thread
 * @param ret_report a new reference: `ok`, `path`, `schema`, `databaseBytes`, `freeBytes`,
 *        `logBytes`, `operations` ({total, active}), `checks` (an array of {name, ok,
 *        milliseconds, detail, findings}); untouched on failure
 * @param err why it could not be examined; may be NULL
 * @return 0 also when something was found; CODEXCP_E_STATE_UNAVAILABLE, ...
 */
CODEXCP_API int codexcp_database_check(struct codexcp *cp, json_t **ret_report,
				       struct codexcp_error *err);

/**
 * Copy it, as it is at one moment, into a file of mode 0600 that appears when it is whole. A file
 * that is there is never replaced.
 *
 * @param cp open context; call from its thread
 * @param path where the copy goes; its directory must exist
 * @param ret_report a new reference: `ok`, `path`, `backup`, `bytes`; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_INVALID_ARGUMENT (the file exists), CODEXCP_E_STATE_UNAVAILABLE, ...
 */
CODEXCP_API int codexcp_database_backup(struct codexcp *cp, const char *path, json_t **ret_report,
					struct codexcp_error *err);

/** What to forget, where it differs from the configuration. Zeroes: as configured. */
struct codexcp_prune {
	long long older_than_ms; /**< finished operations and journal rows, 0: as configured */
	long long keep;          /**< finished operations, 0: as configured */
	int dry_run;             /**< only count; writes nothing */
};

/**
 * Forget what has ended, by the rule that the worker goes by: never what is active, what an active
 * operation needs, or a client_request_id in its window.
 *
 * @param cp open context; call from its thread
 * @param prune what differs from the configuration; may be NULL
 * @param ret_report a new reference: `ok`, `path`, `dryRun`, `operations`, `rows` (removed; of a
 *        dry run the rows of the journal), `databaseBytes`, `freeBytes`; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_STATE_BUSY, CODEXCP_E_STATE_UNAVAILABLE, ...
 */
CODEXCP_API int codexcp_database_prune(struct codexcp *cp, const struct codexcp_prune *prune,
				       json_t **ret_report, struct codexcp_error *err);

/**
 * Give free space back to the file system and empty the write-ahead log: the whole file written
 * anew when nobody works, else page by page.
 *
 * @param cp open context; call from its thread
 * @param ret_report a new reference: `ok`, `path`, `mode` ("full" or "incremental"),
 *        `databaseBytesBefore`, `databaseBytes`, `freeBytes`, `logBytes`; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_STATE_BUSY, CODEXCP_E_STATE_UNAVAILABLE, ...
 */
CODEXCP_API int codexcp_database_vacuum(struct codexcp *cp, json_t **ret_report,
					struct codexcp_error *err);

#ifdef __cplusplus
}
#endif
#endif
