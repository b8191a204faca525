/**
 * @file
 * Error codes and the error object.
 *
 * A fallible function returns 0 or a negative CODEXCP_E_* and fills its last parameter, a
 * `struct codexcp_error *` that may be NULL. The return value always equals `err->code`.
 *
 * @code
 *	struct codexcp_error err = { 0 };
 *
 *	if (codexcp_open(&options, &cp, &err) < 0) {
 *		fprintf(stderr, "%s: %s\n", codexcp_error_name(err.code), err.message);
 *		codexcp_error_done(&err);
 *	}
 * @endcode
 */
#ifndef CODEXCP_ERROR_H
#define CODEXCP_ERROR_H

#include <jansson.h>

#include <codexcp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Every error the program knows: X(name, wire code, retryable by default, meaning).
 *
 * One list makes the enumeration, the code that clients see, the default of `retryable`, and the
 * table in docs/API_CONTRACT.md.
 */
#define CODEXCP_ERRORS(X)                                                                          \
	X(INVALID_ARGUMENT, "INVALID_ARGUMENT", 0,                                                 \
	  "An argument is wrong; details name the argument and what was expected.")                \
	X(PROJECT_NOT_FOUND, "CODEX_PROJECT_NOT_FOUND", 0, "No project has this id.")              \
	X(THREAD_NOT_FOUND, "CODEX_THREAD_NOT_FOUND", 0, "Codex knows no such thread.")            \
	X(TURN_NOT_FOUND, "CODEX_TURN_NOT_FOUND", 0, "No such turn is known.")                     \
	X(DUPLICATE_PROMPT_ACTIVE, "CODEX_DUPLICATE_PROMPT_ACTIVE", 0,                             \
	  "The same text is being worked on; details name the operation.")                         \
	X(IDEMPOTENCY_CONFLICT, "CODEX_IDEMPOTENCY_CONFLICT", 0,                                   \
	  "This client_request_id was used for another request.")                                  \
	X(RECURSION_REFUSED, "CODEX_RECURSION_REFUSED", 0,                                         \
	  "A task of this program may not start or change tasks.")                                 \
	X(CONFIG_INVALID, "CODEX_CONFIG_INVALID", 0, "The configuration is wrong.")                \
	X(CONFIG_MISMATCH, "CODEX_CONFIG_MISMATCH", 0,                                             \
	  "The state database belongs to another Codex home.")                                     \
	X(UNSUPPORTED_BY_CODEX_VERSION, "CODEX_UNSUPPORTED_BY_CODEX_VERSION", 0,                   \
	  "The running Codex does not know this.")                                                 \
	X(LOGIN_REQUIRED, "CODEX_LOGIN_REQUIRED", 0, "Codex has no valid login.")                  \
	X(APP_SERVER_UNAVAILABLE, "CODEX_APP_SERVER_UNAVAILABLE", 1,                               \
	  "codex app-server cannot be started or has gone.")                                       \
	X(SEND_FAILED, "CODEX_SEND_FAILED", 0, "Codex refused or failed the request or the turn.") \
	X(BUSY, "CODEX_BUSY", 1, "Codex or the thread is busy.")                                   \
	X(TIMEOUT, "CODEX_TIMEOUT", 1, "No answer came in time.")                                  \
	X(STATE_BUSY, "CODEX_STATE_BUSY", 1, "The state database is locked by another writer.")    \
	X(STATE_UNAVAILABLE, "CODEX_STATE_UNAVAILABLE", 1,                                         \
	  "The state database cannot be used; details say why.")                                   \
	X(WORKER_CRASHED, "CODEX_WORKER_CRASHED", 1,                                               \
	  "The worker died three times while it worked on this operation.")                        \
	X(CANCELLED, "CODEX_CANCELLED", 1, "The caller cancelled the call.")                       \
	X(NO_MEMORY, "CODEX_NO_MEMORY", 1, "Out of memory.")                                       \
	X(INTERNAL, "CODEX_INTERNAL", 0, "A failure of the program or the system.")

enum codexcp_error_number {
	CODEXCP_N_OK,
#define X(name, wire, retryable, meaning) CODEXCP_N_##name,
	CODEXCP_ERRORS(X)
#undef X
};

enum codexcp_error_code {
#define X(name, wire, retryable, meaning) CODEXCP_E_##name = -CODEXCP_N_##name,
	CODEXCP_ERRORS(X)
#undef X
};

/** What went wrong. Zero-initialise it; release it with codexcp_error_done(). */
struct codexcp_error {
	int code;          /**< 0 or a negative CODEXCP_E_* */
	int retryable;     /**< whether the same call may succeed later */
	char message[512]; /**< English, one line, never a secret */
	json_t *details;   /**< owned; an object or NULL */
};

/** Release what an error holds and make it empty. @param err may be NULL */
CODEXCP_API void codexcp_error_done(struct codexcp_error *err);

/** @return the code as clients see it ("CODEX_BUSY"), static; "CODEX_INTERNAL" for unknown ones */
CODEXCP_API const char *codexcp_error_name(int code);

#ifdef __cplusplus
}
#endif
#endif
