/*
 * `worker status`, `worker stop`, `worker restart`: the worker of the configured state database,
 * looked at and controlled by a person or a script. A report goes to stdout, as JSON or for people.
 */
#pragma once

#include "base/macro.h"

struct control_options {
	const char *timeout_seconds; /* NULL: not said */
	bool text;
};

/* Exit status: 0 it runs, 3 it does not, 1 that cannot be told, 2 wrong configuration. */
int control_status(const void *options, int argc, char **argv);
/* 0 none runs any more, 1 it could not be ended. */
int control_stop(const void *options, int argc, char **argv);
/* 0 another one runs, 1 none does. */
int control_restart(const void *options, int argc, char **argv);
