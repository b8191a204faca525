/**
 * @file
 * The app-server client itself: start `codex app-server`, call its methods, hear what it says.
 *
 * For programs that want Codex's own protocol without operations, rows and workers. Nothing here is
 * durable: when the process dies, its turns are cut. Tasks that must survive go through
 * codexcp_call().
 *
 * The client lives on a context's loop and ends before it. Callbacks fire from dispatching. Facts
 * about methods and notifications: `codex app-server generate-json-schema`.
 *
 * @code
 *	codexcp_appserver_start(cp, &events, self, &as, &err);
 *	// events.ready:
 *	codexcp_appserver_call(as, "thread/start", params, 30000, on_thread, self, &err);
 * @endcode
 */
#ifndef CODEXCP_APPSERVER_H
#define CODEXCP_APPSERVER_H

#include <codexcp/codexcp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct codexcp_appserver;

/** What app-server tells its client. Every member is optional. */
struct codexcp_appserver_events {
	/** It is initialised and answers. @param user_agent borrowed; holds the Codex version */
	void (*ready)(const char *user_agent, void *data);
	/** It has ended, or could not be started. Comes once; then only freeing is left.
	 *  @param why borrowed: exit status and last words */
	void (*gone)(const struct codexcp_error *why, void *data);
	/** A notification. @param params borrowed, may be NULL */
	void (*notification)(const char *method, json_t *params, void *data);
	/** A request that waits for codexcp_appserver_answer(). Without this member requests get
	 * their
	 *  safe answer: declined, nothing granted. @param id borrowed */
	void (*request)(json_t *id, const char *method, json_t *params, void *data);
};

/** @param result borrowed; NULL on failure @param err borrowed; NULL on success */
typedef void (*codexcp_appserver_reply_fn)(json_t *result, const struct codexcp_error *err,
					   void *data);

/**
 * Start an app-server of one's own.
 *
 * The binary, the Codex home and the environment are those of the context's configuration. Returns
 * at once; events.ready or events.gone follow.
 *
 * @param cp open context
 * @param events copied
 * @param data passed to the events
 * @param ret_as on success the client; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_CONFIG_INVALID or CODEXCP_E_NO_MEMORY
 */
CODEXCP_API int codexcp_appserver_start(struct codexcp *cp,
					const struct codexcp_appserver_events *events, void *data,
					struct codexcp_appserver **ret_as,
					struct codexcp_error *err);

/**
 * Call a method.
 *
 * @param as after events.ready
 * @param method "thread/start", ...
 * @param params stolen; may be NULL
 * @param timeout_ms 0: none
 * @param fn called exactly once, unless the client is freed before; may be NULL
 * @param data passed to fn
 * @param err why it failed; may be NULL
 * @return 0 or CODEXCP_E_APP_SERVER_UNAVAILABLE
 */
CODEXCP_API int codexcp_appserver_call(struct codexcp_appserver *as, const char *method,
				       json_t *params, int timeout_ms,
				       codexcp_appserver_reply_fn fn, void *data,
				       struct codexcp_error *err);

/**
 * Answer a request of app-server.
 *
 * @param as the client that got it
 * @param id borrowed
 * @param result stolen
 * @param err why it failed; may be NULL
 * @return 0 or CODEXCP_E_APP_SERVER_UNAVAILABLE
 */
CODEXCP_API int codexcp_appserver_answer(struct codexcp_appserver *as, json_t *id, json_t *result,
					 struct codexcp_error *err);

/** End the process and free the client; no callback comes any more. @param as may be NULL */
CODEXCP_API void codexcp_appserver_free(struct codexcp_appserver *as);

#ifdef __cplusplus
}
#endif
#endif
