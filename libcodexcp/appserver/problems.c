/*
 * What app-server's refusals mean, by their words.
 */
#include <string.h>

#include "appserver/methods.h"
#include "base/json.h"

#define RPC_OVERLOADED (-32001)

struct pattern {
	const char *words, *more; /* both must occur; `more` may be NULL */
	enum ccp_codex_problem problem;
	const char *seen; /* the newest version that was heard saying it */
};

/* The first that fits counts. */
static const struct pattern patterns[] = {
	{ "Server overloaded", NULL, CCP_PROBLEM_OVERLOADED, "0.169" },
	{ "already has an active writer", NULL, CCP_PROBLEM_ELSEWHERE, "0.169" },
	/* Also where the metadata cannot be read: of a process that is dead this is for ever. */
	{ "is empty", "rollout", CCP_PROBLEM_EMPTY, "0.169" },
	/* Said for a moment after the first turn/start of a thread. */
	{ "list_turns is not supported yet", NULL, CCP_PROBLEM_NOT_READY, "0.169" },
	{ "failed to read session metadata", NULL, CCP_PROBLEM_NOT_READY, "0.169" },
	/* Said for a moment after thread/unsubscribe. */
	{ "is closing", "thread", CCP_PROBLEM_NOT_READY, "0.115" },
	{ "no rollout found", NULL, CCP_PROBLEM_NO_THREAD, "0.169" },
	{ "thread not loaded", NULL, CCP_PROBLEM_NO_THREAD, "0.169" },
	{ "thread not found", NULL, CCP_PROBLEM_NO_THREAD, "0.169" },
	{ "invalid session id", NULL, CCP_PROBLEM_NO_THREAD, "0.169" },
	{ "is archived", NULL, CCP_PROBLEM_ARCHIVED, "0.169" },
	{ "no active turn", NULL, CCP_PROBLEM_NO_TURN, "0.169" },
	{ "expected active turn id", NULL, CCP_PROBLEM_NO_TURN, "0.169" },
	{ "authentication required", NULL, CCP_PROBLEM_LOGIN, "0.169" },
	{ "401 Unauthorized", NULL, CCP_PROBLEM_LOGIN, "0.169" },
};

size_t ccp_codex_patterns(void)
{
	return CCP_ARRAY_SIZE(patterns);
}

int ccp_codex_pattern(const char *message)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(patterns); i++) {
		const struct pattern *p = &patterns[i];

		if (strstr(message, p->words) && (!p->more || strstr(message, p->more)))
			return (int)i;
	}
	return -1;
}

enum ccp_codex_problem ccp_codex_problem(const struct codexcp_error *err)
{
	int pattern;

	if (err->code == CODEXCP_E_TIMEOUT)
		return CCP_PROBLEM_TIMEOUT;
	if (err->code == CODEXCP_E_APP_SERVER_UNAVAILABLE)
		return CCP_PROBLEM_GONE;
	if (ccp_json_int(err->details, "rpcCode", 0) == RPC_OVERLOADED)
		return CCP_PROBLEM_OVERLOADED;
	pattern = ccp_codex_pattern(err->message);
	return pattern < 0 ? CCP_PROBLEM_INVALID : patterns[pattern].problem;
}

static const struct {
	int code;
	const char *class;
} meanings[] = {
	[CCP_PROBLEM_INVALID] = { CODEXCP_E_SEND_FAILED, "invalidRequest" },
	[CCP_PROBLEM_OVERLOADED] = { CODEXCP_E_BUSY, "appServerOverloaded" },
	[CCP_PROBLEM_TIMEOUT] = { CODEXCP_E_TIMEOUT, "noAnswer" },
	[CCP_PROBLEM_GONE] = { CODEXCP_E_APP_SERVER_UNAVAILABLE, "appServerGone" },
	[CCP_PROBLEM_ELSEWHERE] = { CODEXCP_E_BUSY, "threadOpenElsewhere" },
	[CCP_PROBLEM_NO_THREAD] = { CODEXCP_E_THREAD_NOT_FOUND, "threadNotFound" },
	[CCP_PROBLEM_ARCHIVED] = { CODEXCP_E_SEND_FAILED, "threadArchived" },
	[CCP_PROBLEM_NOT_READY] = { CODEXCP_E_BUSY, "threadNotReady" },
	[CCP_PROBLEM_EMPTY] = { CODEXCP_E_BUSY, "threadEmpty" },
	[CCP_PROBLEM_NO_TURN] = { CODEXCP_E_TURN_NOT_FOUND, "turnNotFound" },
	[CCP_PROBLEM_LOGIN] = { CODEXCP_E_LOGIN_REQUIRED, "unauthorized" },
};

const char *ccp_codex_problem_class(enum ccp_codex_problem problem)
{
	return meanings[problem].class;
}

int ccp_codex_error(struct codexcp_error *err, const struct codexcp_error *answer)
{
	int code;

	if (answer->code != CODEXCP_E_SEND_FAILED)
		return ccp_fail_copy(err, answer);
	code = meanings[ccp_codex_problem(answer)].code;
	ccp_fail(err, code, code == CODEXCP_E_LOGIN_REQUIRED ? "%s (" CCP_CODEX_LOG_IN ")" : "%s",
		 answer->message);
	if (err && answer->details) {
		json_decref(err->details);
		err->details = json_incref(answer->details);
	}
	return code;
}
