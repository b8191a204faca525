#include "domain/turn_id.h"

#include <stdio.h>
#include <string.h>

#define SEPARATOR '~'

const char *ccp_turn_id_keep(const struct ccp_codex_version *version, const char *codex_id,
			     const char *mark, char out[static CCP_TURN_ID_SIZE])
{
	if (ccp_codex_has(version, CCP_CODEX_UNIQUE_TURN_IDS))
		return codex_id;
	snprintf(out, CCP_TURN_ID_SIZE, "%.40s%c%s", codex_id, SEPARATOR, mark);
	return out;
}

static size_t codex_length(const char *kept)
{
	return strcspn(kept, (const char[]){ SEPARATOR, '\0' });
}

bool ccp_turn_id_is(const char *kept, const char *codex_id)
{
	size_t len = kept ? codex_length(kept) : 0;

	return len && codex_id && strncmp(kept, codex_id, len) == 0 && codex_id[len] == '\0';
}

const char *ccp_turn_id_codex(const char *kept, char out[static CCP_TURN_ID_SIZE])
{
	snprintf(out, CCP_TURN_ID_SIZE, "%.*s", (int)codex_length(kept), kept);
	return out;
}
