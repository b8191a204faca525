/*
 * The MCP server over standard input and output, until its input ends or a signal asks it to leave.
 *
 * `out` is where messages go, taken over. Returns 0 also when the other side has gone.
 */
#pragma once

#include "base/error.h"

int mcp_serve(int out, struct codexcp_error *err);
