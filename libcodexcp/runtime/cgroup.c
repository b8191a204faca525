#include "runtime/cgroup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/path.h"
#include "base/str.h"

#define FILE_MAX (64 * 1024)

char *ccp_cgroup_of(int64_t pid)
{
	_cleanup_free_ char *text = NULL;
	const char *line, *found = NULL;
	char path[64] = "/proc/self/cgroup";

	if (pid)
		snprintf(path, sizeof(path), "/proc/%" PRId64 "/cgroup", pid);
	if (ccp_file_read(path, FILE_MAX, &text, NULL, NULL) <= 0)
		return NULL;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (ccp_str_has_prefix(line, "0::/") || strstr(line, ":name=systemd:/") == line + 1)
			found = strchr(line, '/');
	}
	return found ? strndup(found, strcspn(found, "\n")) : NULL;
}

const char *ccp_cgroup_unit(const char *cgroup)
{
	const char *name = cgroup ? ccp_path_base(cgroup) : "";

	return ccp_str_has_suffix(name, ".service") || ccp_str_has_suffix(name, ".scope") ? name
											  : NULL;
}
