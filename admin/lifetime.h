/*
 * Whether a worker outlives the client that started it. A session of its own protects it from the
 * client's end, but not from a supervisor that ends everything in a cgroup or a container.
 */
#pragma once

#include <jansson.h>

#include "base/macro.h"

/* {case: "worker_unit" | "systemd_unit" | "container" | "plain", unit, survivesClient, detail} of
 * the worker that runs, else as seen from this process, where the next one would be started; a new
 * reference or NULL. `environment`: NULL-terminated "NAME=value"; `worker`: of
 * codexcp_worker_describe(), NULL: nothing is known. */
json_t *lifetime_describe(char *const *environment, const json_t *worker);
