/*
 * Where the Codex executable is: CODEX_BINARY_PATH, then PATH, then the places of the desktop
 * application.
 *
 * A Node launcher (the npm package's `codex`, a script) is resolved to the native binary inside its
 * package, so that the pid we know is the process that runs. A configured binary that is missing is
 * an error, never replaced by another.
 */
#pragma once

#include "base/error.h"

/* `configured` may be NULL. CODEXCP_E_APP_SERVER_UNAVAILABLE with details path (or searched) and
 * how to set it right. */
int ccp_codex_binary_find(const char *configured, const char *const *environment, char **ret_path,
			  struct codexcp_error *err);
/* The same place before a launcher is resolved: the path that stays valid when npm updates the
 * package. */
int ccp_codex_binary_locate(const char *configured, const char *const *environment, char **ret_path,
			    struct codexcp_error *err);
