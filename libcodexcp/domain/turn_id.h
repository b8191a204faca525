/*
 * Turn ids that are unique in a thread. Codex before 0.115 numbers turns anew whenever a thread is
 * loaded, so there "0" names many; such an id is kept together with the mark of the turn
 * (continuation.h).
 */
#pragma once

#include "appserver/caps.h"
#include "base/ids.h"

#define CCP_TURN_ID_SIZE (2 * CCP_ID_SIZE + 16)

/* Codex's id as it stands in rows and answers; returns `codex_id` itself or `out`. */
const char *ccp_turn_id_keep(const struct ccp_codex_version *version, const char *codex_id,
			     const char *mark, char out[static CCP_TURN_ID_SIZE]);
/* Whether a kept id is that of Codex's `codex_id`. */
bool ccp_turn_id_is(const char *kept, const char *codex_id);
/* What Codex calls it; returns out. */
const char *ccp_turn_id_codex(const char *kept, char out[static CCP_TURN_ID_SIZE]);
