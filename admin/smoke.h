/*
 * The server driven over its standard streams, as a client does it, step by step.
 */
#pragma once

#include "admin/admin.h"

struct smoke_plan {
	const char *scenario; /* "protocol": both eras; "safe-operation": a task that only reads */
	const char *server;
	char *const *environment;
	const char *cwd;    /* of the server and of the task */
	int64_t timeout_ms; /* for the task; 0: the scenario's own */
};

/* INVALID_ARGUMENT for an unknown scenario. */
int smoke_check_scenario(const char *scenario, struct codexcp_error *err);
/* {ok, scenario, returnCode, serverInfo, operation, steps}; the first step that fails is the last,
 * apart from those that clean up. NULL when memory ran out. */
json_t *smoke_run(const struct smoke_plan *plan);
/* The plan for the server of a setup, in the environment that a client would give it.
 * `ret_environment` keeps it. False when memory ran out. */
bool smoke_plan_init(struct smoke_plan *plan, const struct admin_setup *setup,
		     char ***ret_environment);
/* The protocol scenario for init and doctor; {skipped: true} when it is not wanted. */
json_t *smoke_protocol(const struct admin_setup *setup, bool skip);
