/*
 * The worker as a process: the library's engine, and the signals that end it.
 */
#pragma once

#include <codexcp/codexcp.h>

/* WORKER or OBSERVE. Returns when the worker is idle or was told to stop, or why there is none. */
int worker_run(enum codexcp_mode mode, struct codexcp_error *err);
