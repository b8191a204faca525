/*
 * The worker as a unit of systemd's user manager: its file.
 */
#pragma once

#include "admin/admin.h"
#include "base/error.h"

#define UNIT_NAME "codex-control-plane-mcp.service"

struct unit {
	char *path;  /* of its file */
	char *text;  /* what belongs into it */
	char *found; /* what is in it; NULL: there is none */
};

/* Where it stands, and what stands there. CODEXCP_E_CONFIG_INVALID: there is no place for it. */
int unit_init(struct unit *unit, const struct admin_setup *setup, struct codexcp_error *err);
/* What belongs there. CODEXCP_E_CONFIG_INVALID when there is no server, or something has a line
 * break or the like in it. */
int unit_compose(struct unit *unit, const struct admin_setup *setup, struct codexcp_error *err);
/* 1 written, 0 it was right already. A file that somebody else has written is left alone:
 * CODEXCP_E_INVALID_ARGUMENT. */
int unit_write(const struct unit *unit, struct codexcp_error *err);
/* 1 removed, 0 there was none. */
int unit_remove(const struct unit *unit, struct codexcp_error *err);
bool unit_is_current(const struct unit *unit);
void unit_done(struct unit *unit);
