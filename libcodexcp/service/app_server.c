#include "service/app_server.h"

#include <string.h>

#include "base/str.h"
#include "service/codex_binary.h"

static const char *const not_passed_on[] = {
	"CODEX_MCP_", "CODEX_CONTROL_PLANE_MCP_", "OPENCLAW_CODEX_MCP_",
	"DEEPSEEK_",  "CODEX_THREAD_ID=",         "CODEX_HOME=",
};

static bool passed_on(const char *entry)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(not_passed_on); i++)
		if (ccp_str_has_prefix(entry, not_passed_on[i]))
			return false;
	return true;
}

/* "NAME=" of both is the same. */
static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=") + 1;

	return strncmp(a, b, n) == 0;
}

static bool overridden(char *const *extra, const char *entry)
{
	for (; extra && *extra; extra++)
		if (same_name(*extra, entry))
			return true;
	return false;
}

static size_t count(char *const *strings)
{
	size_t n = 0;

	while (strings && strings[n])
		n++;
	return n;
}

void ccp_app_server_env_free(char **env)
{
	for (char **entry = env; entry && *entry; entry++)
		free(*entry);
	free(env);
}

char **ccp_app_server_env(const struct codexcp *cp)
{
	char *const *extra = cp->config->app_server_env, *const *own = cp->environment;
	size_t n = 0;
	char **env = calloc(count(own) + count(extra) + 2, sizeof(*env));
	bool ok = env;

	if (ok)
		ok = (env[n++] = ccp_asprintf("CODEX_HOME=%s", cp->config->codex_home));
	for (; ok && own && *own; own++)
		if (passed_on(*own) && !overridden(extra, *own))
			ok = ccp_strdup_opt(*own, &env[n++]);
	for (; ok && extra && *extra; extra++)
		ok = ccp_strdup_opt(*extra, &env[n++]);
	if (ok)
		return env;
	ccp_app_server_env_free(env);
	return NULL;
}

int ccp_app_server_find(char **ret_binary, void *data, struct codexcp_error *err)
{
	const struct codexcp *cp = data;

	return ccp_codex_binary_find(cp->config->codex_binary_path,
				     (const char *const *)cp->environment, ret_binary, err);
}
