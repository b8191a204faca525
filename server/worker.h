/*
 * The worker as a process: the library's engine, the signals that end it, and one line on stdout
 * for whoever has started it: "ready", or "failed " and why.
 */
#pragma once

#include <codexcp/codexcp.h>

/* WORKER or OBSERVE. Returns when the worker is idle or was told to stop, or why there is none; err
 * is not NULL. */
int worker_run(enum codexcp_mode mode, struct codexcp_error *err);
