/**
 * @file
 * The worker of a state database, seen and controlled from outside of it.
 *
 * For programs that look after an installation. Each function here drives the context until it is
 * done: it is called from the context's thread, never from inside a callback.
 *
 * @code
 *	struct codexcp_options options = { .mode = CODEXCP_MODE_AUTO };
 *
 *	if (codexcp_open(&options, &cp, &err) == 0 && codexcp_worker_stop(cp, 0, &report, &err) >= 0)
 *		r = codexcp_worker_start(cp, 0, &err);
 * @endcode
 */
#ifndef CODEXCP_WORKER_H
#define CODEXCP_WORKER_H

#include <codexcp/codexcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whether somebody is the worker. Touches the lock only: no database is needed.
 *  @return 1, 0 or CODEXCP_E_CONFIG_INVALID, ... */
CODEXCP_API int codexcp_worker_running(struct codexcp *cp, struct codexcp_error *err);

/**
 * Describe the worker and what it does. Changes nothing, starts nothing.
 *
 * The description holds `running` (the lock is held), `worker` (the newest one: `pid`,
 * `processState`, `startTime`, `bootId`, `version`, `epoch`, `startedAt`, `stalenessSeconds` since
 * its heartbeat, `lastError`, `unit` of systemd, ...), `appServer` (`pid`, `instance`,
 * `codexVersion`, `transport`, `unsupportedFeatures`), `operations` (counts), `stateDb`, `lock`,
 * `logPath`, and `stateProblem` when the database cannot be read. What there is nothing to tell of
 * is absent.
 *
 * @param cp open context
 * @param ret_description a new reference; untouched on failure
 * @param err why it failed; may be NULL
 * @return 1 running, 0 not, or CODEXCP_E_CONFIG_INVALID, CODEXCP_E_NO_MEMORY, ...
 */
CODEXCP_API int codexcp_worker_describe(struct codexcp *cp, json_t **ret_description,
					struct codexcp_error *err);

/**
 * Ask the worker to end (SIGTERM) and wait until it has. What is queued stays queued.
 *
 * The process is known by its start time and boot id, never by its pid alone. Another one may be
 * the worker when this returns: a front end with unfinished work starts it.
 *
 * @param cp open context
 * @param timeout_ms 0: as long as a worker may take by its configuration
 * @param ret_stopped on 1 a new reference: `pid`, `epoch` and `version` of the one that has ended
 * @param err why it failed; may be NULL
 * @return 1 it has ended, 0 none ran; CODEXCP_E_TIMEOUT, or CODEXCP_E_BUSY when it is no process of
 *         its own (inline) or cannot be seen from here
 */
CODEXCP_API int codexcp_worker_stop(struct codexcp *cp, int timeout_ms, json_t **ret_stopped,
				    struct codexcp_error *err);

/**
 * See to it that a worker runs: start one as a front end does, and wait until it answers.
 *
 * @param cp open context in the mode AUTO, whose environment the worker gets
 * @param timeout_ms 0: 30 s
 * @param err why there is none; may be NULL
 * @return 0, CODEXCP_E_TIMEOUT or CODEXCP_E_BUSY
 */
CODEXCP_API int codexcp_worker_start(struct codexcp *cp, int timeout_ms, struct codexcp_error *err);

#ifdef __cplusplus
}
#endif
#endif
