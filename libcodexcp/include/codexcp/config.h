/**
 * @file
 * What the configuration of a context comes to, its state, and the reference pages.
 *
 * For programs that set clients up and look for trouble. A context that only serves for this is
 * opened with CODEXCP_MODE_CLIENT, so that nothing is ever started.
 *
 * @code
 *	struct codexcp_options options = { .mode = CODEXCP_MODE_CLIENT };
 *	json_t *config = NULL;
 *
 *	if (codexcp_open(&options, &cp, &err) == 0 && codexcp_config_describe(cp, &config, &err) == 0)
 *		json_dumpf(json_object_get(config, "environment"), stdout, JSON_INDENT(2));
 * @endcode
 */
#ifndef CODEXCP_CONFIG_H
#define CODEXCP_CONFIG_H

#include <codexcp/codexcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Describe what is in force. Opens nothing and changes nothing; no secret is in it.
 *
 * The description holds `configFile` (when there is one), `stateDb`, `stateDirectory`, `workerLog`,
 * `codexHome`, `projectsRoot` (when there is one), `allowedRoots` (those that exist, canonical),
 * `rootsConfigured` (false: the only root is the working directory), `server` (what a client
 * starts, and what is started as the worker), `codexBinary` ({path} or {error}), `options` (each
 * key of the file with its value; of `app_server_env` the names), `warnings` (an array of texts),
 * and `environment`: the variables that belong into a client's configuration, so that the server it
 * starts behaves as described.
 *
 * @param cp open context; call from its thread
 * @param ret_description a new reference; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_CONFIG_INVALID (details: file or variable, key, expected) or
 *         CODEXCP_E_NO_MEMORY
 */
CODEXCP_API int codexcp_config_describe(struct codexcp *cp, json_t **ret_description,
					struct codexcp_error *err);

/**
 * Look whether the state can be used: its directory is private and on a local disk, and the
 * database is readable, of a known schema, and serves this Codex home. Changes nothing.
 *
 * @param cp open context; call from its thread
 * @param err why it failed; may be NULL
 * @return 1; 0 when there is no database yet; CODEXCP_E_STATE_UNAVAILABLE (details: reason),
 *         CODEXCP_E_CONFIG_MISMATCH (details: both homes), CODEXCP_E_CONFIG_INVALID, ...
 */
CODEXCP_API int codexcp_state_check(struct codexcp *cp, struct codexcp_error *err);

/**
 * Make the state ready: the directory, the database, its present schema. What is there already is
 * checked as codexcp_state_check() does. The first call that needs the state does the same.
 *
 * @param cp open context; call from its thread
 * @param err why it failed; may be NULL
 * @return 0 or an error as of codexcp_state_check()
 */
CODEXCP_API int codexcp_state_prepare(struct codexcp *cp, struct codexcp_error *err);

/**
 * A page of the reference, printed from the tables that the program works with: "tools", "config",
 * "config-example" (JSON), "errors", "state-machines" (Markdown). Needs no context.
 *
 * @param page its name
 * @return the text, to be freed with free(); NULL when there is no such page, or memory ran out
 */
CODEXCP_API char *codexcp_reference(const char *page);

#ifdef __cplusplus
}
#endif
#endif
