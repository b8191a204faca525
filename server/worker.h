/*
 * The worker as a process: the library's engine, the signals that end it, and one line on stdout
 * for whoever has started it: "ready", or "failed " and why.
 */
#pragma once

#include <codexcp/codexcp.h>

/* WORKER or OBSERVE. Returns when the worker is idle or was told to stop, or why there is none; err
 * is not NULL. With `stay` only when it was told, or failed: while another process is the worker
 * its end is waited for. */
int worker_run(enum codexcp_mode mode, bool stay, struct codexcp_error *err);
