/*
 * How app-server is started from a context: which binary, in which environment.
 *
 * The environment is the user's, without what is ours (settings, keys of summaries, the thread of
 * a Codex that may have started us), with CODEX_HOME and what app_server_env adds.
 */
#pragma once

#include "service/context.h"

/* NULL-terminated, an allocation; NULL when memory ran out. */
char **ccp_app_server_env(const struct codexcp *cp);
void ccp_app_server_env_free(char **env);
static inline void ccp_app_server_env_freep(char ***env)
{
	ccp_app_server_env_free(*env);
}

/* For struct ccp_appserver_options: `data` is the context. */
int ccp_app_server_find(char **ret_binary, void *data, struct codexcp_error *err);
