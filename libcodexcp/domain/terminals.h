/*
 * The commands that an interrupted turn leaves running, and what is told about them: turn/interrupt
 * ends the model's part only. Pure; runner_terminals.c asks and ends.
 */
#pragma once

#include <jansson.h>

#include "store/op_store.h"

/* X(HOW, name, meaning) */
#define CCP_TERMINALS_HOWS(X)                                                                      \
	X(TERMINATE, "terminate", "each command of the turn was ended by itself")                  \
	X(CLEAN, "clean", "this Codex ends all of a thread at once, and does not say which")       \
	X(UNSUPPORTED, "unsupported", "this Codex cannot end them: commands may still run")        \
	X(UNKNOWN, "unknown", "app-server did not answer: commands may still run")

enum ccp_terminals_how {
#define X(how, name, meaning) CCP_TERMINALS_##how,
	CCP_TERMINALS_HOWS(X)
#undef X
};

struct ccp_terminals_report {
	enum ccp_terminals_how how;
	json_t *before; /* as listed, or NULL: nobody could say; borrowed */
	int64_t terminated;
	json_t *remaining; /* as listed at the end, or NULL; borrowed */
};

/* The column: {method, before, terminated, remaining: [{command, cwd}]}. "" when there was nothing
 * to end, NULL when memory ran out. */
char *ccp_terminals_text(const struct ccp_terminals_report *report);
/* Sets `terminals` of an answer, when there is something to tell. */
void ccp_terminals_view(json_t **obj, const struct ccp_op *op);
