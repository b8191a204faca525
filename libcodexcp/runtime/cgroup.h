/*
 * Where a process stands in the system's tree of cgroups: what ends everything in one ends it, too,
 * whatever its session.
 */
#pragma once

#include "base/macro.h"

/* Of a process, 0: ours, in the unified hierarchy, else in systemd's own: "/user.slice/...". An
 * allocation; NULL when it cannot be told. */
char *ccp_cgroup_of(int64_t pid);
/* The innermost unit of systemd's: a service ends with everything in it, a scope is a session.
 * Borrowed from the path; NULL when it is none, or there is no path. */
const char *ccp_cgroup_unit(const char *cgroup);
