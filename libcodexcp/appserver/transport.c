#include "appserver/transport.h"

#include <stdio.h>
#include <string.h>

#include "base/redact.h"
#include "base/str.h"

/* How much of the last words of stderr goes into a message. */
#define TAIL_IN_MESSAGE 300

/* One line of at most TAIL_IN_MESSAGE bytes, the last ones, without secrets. NULL when there is
 * none. */
static char *message_tail(const char *words)
{
	size_t len = words ? strlen(words) : 0;
	_cleanup_free_ char *clean = len ? ccp_redact(words, len, &len) : NULL;
	const char *start = clean;

	if (!clean)
		return NULL;
	if (len > TAIL_IN_MESSAGE) {
		start = clean + len - TAIL_IN_MESSAGE;
		while ((*start & 0xc0) == 0x80)
			start++;
	}
	for (char *c = clean; *c; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
	return ccp_strndup_trim(start, strlen(start));
}

static void tell_how(const struct ccp_transport_end *end, char *out, size_t size)
{
	if (end->problem && *end->problem)
		snprintf(out, size, "codex app-server %s", end->problem);
	else if (!end->has_status)
		snprintf(out, size, "codex app-server has ended");
	else if (end->status < 0)
		snprintf(out, size, "codex app-server was killed by signal %d", -end->status);
	else
		snprintf(out, size, "codex app-server ended with status %d", end->status);
}

void ccp_transport_describe(const struct ccp_transport_end *end, const char *instead,
			    struct codexcp_error *ret_why)
{
	_cleanup_free_ char *tail = message_tail(end->words);
	char how[512];

	tell_how(end, how, sizeof(how));
	ccp_fail(ret_why, CODEXCP_E_APP_SERVER_UNAVAILABLE, "%s%s%s", instead ? instead : how,
		 tail ? ": " : "", tail ? tail : "");
	if (end->has_status)
		ccp_error_add(ret_why, end->status < 0 ? "signal" : "exitStatus",
			      json_integer(end->status < 0 ? -end->status : end->status));
}
