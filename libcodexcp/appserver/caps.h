/*
 * What differs between Codex versions: one table of features and the version that brought each.
 *
 * The version is the running instance's, read from the userAgent of its `initialize` answer; the
 * binary on disk may have been replaced since.
 */
#pragma once

#include "base/error.h"

struct ccp_codex_version {
	int major, minor, patch; /* all 0: unknown, taken for the newest */
};

/* X(name, what users call it, minor version of 0.x that brought it, minor that removed it or 0) */
#define CCP_CODEX_FEATURES(X)                                                                      \
	X(UNIQUE_TURN_IDS, "turn ids that are unique in a thread", 115, 0)                         \
	X(TURN_STEER, "turn/steer", 115, 0)                                                        \
	X(THREAD_STATUS, "the status of a thread", 115, 0)                                         \
	X(TERMINALS_CLEAN, "thread/backgroundTerminals/clean", 115, 0)                             \
	X(TURNS_LIST, "thread/turns/list", 130, 0)                                                 \
	X(CALLER_THREAD, "the thread that calls a tool", 130, 0)                                   \
	X(UNIX_LISTEN, "app-server --listen unix://", 130, 0)                                      \
	X(EXCLUDE_TURNS, "thread/resume excludeTurns", 130, 0)                                     \
	X(CLIENT_MESSAGE_ID, "clientUserMessageId", 145, 0)                                        \
	X(THREAD_SOURCE, "threadSource", 145, 0)                                                   \
	X(TERMINALS_LIST, "thread/backgroundTerminals/list", 145, 0)                               \
	X(TURN_OUTCOMES, "how a turn ended, in a thread's history", 146, 0)                        \
	X(WRITER_LOCK, "the lock of a thread that another Codex has open", 147, 0)                 \
	X(THREAD_POLICY, "the policy of a thread, after a restart", 163, 0)                        \
	X(APPROVAL_ON_FAILURE, "approval policy on-failure", 0, 145)

enum ccp_codex_feature {
#define X(name, words, since, until) CCP_CODEX_##name,
	CCP_CODEX_FEATURES(X)
#undef X
};

/* "codex_cli_rs/0.169.0 (Debian ...)": the first N.N.N after a slash; else all 0. */
void ccp_codex_version_parse(const char *user_agent, struct ccp_codex_version *ret_version);
bool ccp_codex_has(const struct ccp_codex_version *version, enum ccp_codex_feature feature);
/* CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION with feature, codexVersion, minimumVersion; or 0. */
int ccp_codex_require(const struct ccp_codex_version *version, enum ccp_codex_feature feature,
		      struct codexcp_error *err);
/* What it lacks: [{feature, minimumVersion | removedInVersion}]; a new reference or NULL. */
json_t *ccp_codex_lacks(const struct ccp_codex_version *version);
#define CCP_CODEX_VERSION_SIZE 32
const char *ccp_codex_version_format(const struct ccp_codex_version *version,
				     char out[static CCP_CODEX_VERSION_SIZE]);
