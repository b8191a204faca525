#include "admin/lifetime.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"

#define CGROUP_FILE "/proc/self/cgroup"
#define CGROUP_MAX  (64 * 1024)

static const char *const container_files[] = { "/.dockerenv", "/run/.containerenv" };
static const char *const container_words[] = { "/docker", "/kubepods", "/libpod", "/lxc",
					       "/machine.slice/" };

/* The path of our cgroup in the unified hierarchy, else in systemd's own: "0::/user.slice/...". */
static char *read_cgroup(void)
{
	_cleanup_free_ char *text = NULL;
	const char *line, *found = NULL;

	if (ccp_file_read(CGROUP_FILE, CGROUP_MAX, &text, NULL, NULL) <= 0)
		return NULL;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (ccp_str_has_prefix(line, "0::/") || strstr(line, ":name=systemd:/") == line + 1)
			found = strchr(line, '/');
	}
	return found ? strndup(found, strcspn(found, "\n")) : NULL;
}

static bool in_container(char *const *environment, const char *cgroup)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(container_files); i++)
		if (access(container_files[i], F_OK) == 0)
			return true;
	for (size_t i = 0; i < CCP_ARRAY_SIZE(container_words); i++)
		if (cgroup && strstr(cgroup, container_words[i]))
			return true;
	/* What systemd-nspawn, podman and others tell their first process. */
	for (; *environment; environment++)
		if (ccp_str_has_prefix(*environment, "container="))
			return true;
	return false;
}

/* The innermost unit of systemd's: a service ends with everything in it; a scope is a session. */
static const char *unit_of(const char *cgroup)
{
	const char *name = cgroup ? ccp_path_base(cgroup) : "";

	return ccp_str_has_suffix(name, ".service") || ccp_str_has_suffix(name, ".scope") ? name
											  : NULL;
}

static json_t *describe(const char *what, const char *unit, bool survives, const char *detail)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "case", what);
	ccp_json_set_str(&o, "unit", unit);
	ccp_json_set_bool(&o, "survivesClient", survives);
	ccp_json_set_str(&o, "detail", detail);
	return o;
}

json_t *lifetime_describe(char *const *environment)
{
	_cleanup_free_ char *cgroup = read_cgroup();
	const char *unit = unit_of(cgroup);

	if (in_container(environment, cgroup))
		return describe("container", NULL, true,
				"a worker outlives its client, and ends with this container");
	if (unit && ccp_str_has_suffix(unit, ".service"))
		return describe("systemd_unit", unit, false,
				"a client that is started by this systemd service takes the worker "
				"down when the service stops; give it KillMode=process, or start a "
				"worker outside of it");
	if (unit)
		return describe(
			"systemd_unit", unit, true,
			"a worker outlives its client, and ends with this scope (at logout, "
			"when KillUserProcesses=yes)");
	return describe("plain", NULL, true, "a worker outlives its client");
}
