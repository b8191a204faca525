#include "admin/lifetime.h"

#include <string.h>
#include <unistd.h>

#include "admin/unit.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/cgroup.h"

static const char *const container_files[] = { "/.dockerenv", "/run/.containerenv" };
static const char *const container_words[] = { "/docker", "/kubepods", "/libpod", "/lxc",
					       "/machine.slice/" };

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

static json_t *describe(const char *what, const char *unit, bool survives, const char *detail)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "case", what);
	ccp_json_set_str(&o, "unit", unit);
	ccp_json_set_bool(&o, "survivesClient", survives);
	ccp_json_set_str(&o, "detail", detail);
	return o;
}

json_t *lifetime_describe(char *const *environment, const json_t *worker)
{
	bool running = ccp_json_bool(worker, "running", false);
	const char *of_worker = ccp_json_str(ccp_json_obj(worker, "worker"), "cgroup");
	_cleanup_free_ char *own = ccp_cgroup_of(0);
	const char *cgroup = running && of_worker ? of_worker : own;
	const char *unit = ccp_cgroup_unit(cgroup);

	if (running && ccp_streq(unit, UNIT_NAME))
		return describe(
			"worker_unit", unit, true,
			"the worker runs as a unit of its own, whatever becomes of clients");
	if (in_container(environment, cgroup))
		return describe("container", NULL, true,
				"a worker outlives its client, and ends with this container");
	if (unit && ccp_str_has_suffix(unit, ".service"))
		return describe(
			"systemd_unit", unit, false,
			"a client that is started by this systemd service takes the worker "
			"down when the service stops; give it KillMode=process, or have the "
			"worker run as a unit of its own: " ADMIN_PROGRAM " worker enable");
	if (unit)
		return describe(
			"systemd_unit", unit, true,
			"a worker outlives its client, and ends with this scope (at logout, "
			"when KillUserProcesses=yes)");
	return describe("plain", NULL, true, "a worker outlives its client");
}
