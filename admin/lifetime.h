/*
 * Whether a worker outlives the client that started it. A session of its own protects it from the
 * client's end, but not from a supervisor that ends everything in a cgroup or a container.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

/* {case: "systemd_unit" | "container" | "plain", unit, survivesClient, detail} as seen from this
 * process; a new reference or NULL. `environment`: NULL-terminated "NAME=value". */
json_t *lifetime_describe(char *const *environment);
