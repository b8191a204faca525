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
	/* Said for a moment after the first turn/start of a thread. */
	{ "list_turns is not supported yet", NULL, CCP_PROBLEM_NOT_READY, "0.169" },
	{ "failed to read session metadata", NULL, CCP_PROBLEM_NOT_READY, "0.169" },
	{ "is empty", "rollout", CCP_PROBLEM_EMPTY, "0.145" },
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

static enum ccp_codex_problem problem_of_words(const char *message)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(patterns); i++) {
		const struct pattern *p = &patterns[i];

		if (strstr(message, p->words) && (!p->more || strstr(message, p->more)))
			return p->problem;
	}
	return CCP_PROBLEM_INVALID;
}

enum ccp_codex_problem ccp_codex_problem(const struct codexcp_error *err)
{
	if (err->code == CODEXCP_E_TIMEOUT)
		return CCP_PROBLEM_TIMEOUT;
	if (err->code == CODEXCP_E_APP_SERVER_UNAVAILABLE)
		return CCP_PROBLEM_GONE;
	if (ccp_json_int(err->details, "rpcCode", 0) == RPC_OVERLOADED)
		return CCP_PROBLEM_OVERLOADED;
	return problem_of_words(err->message);
}

static const int codes[] = {
	[CCP_PROBLEM_INVALID] = CODEXCP_E_SEND_FAILED,
	[CCP_PROBLEM_OVERLOADED] = CODEXCP_E_BUSY,
	[CCP_PROBLEM_TIMEOUT] = CODEXCP_E_TIMEOUT,
	[CCP_PROBLEM_GONE] = CODEXCP_E_APP_SERVER_UNAVAILABLE,
	[CCP_PROBLEM_ELSEWHERE] = CODEXCP_E_BUSY,
	[CCP_PROBLEM_NO_THREAD] = CODEXCP_E_THREAD_NOT_FOUND,
	[CCP_PROBLEM_ARCHIVED] = CODEXCP_E_SEND_FAILED,
	[CCP_PROBLEM_NOT_READY] = CODEXCP_E_BUSY,
	[CCP_PROBLEM_EMPTY] = CODEXCP_E_BUSY,
	[CCP_PROBLEM_NO_TURN] = CODEXCP_E_TURN_NOT_FOUND,
	[CCP_PROBLEM_LOGIN] = CODEXCP_E_LOGIN_REQUIRED,
};

int ccp_codex_error(struct codexcp_error *err, const struct codexcp_error *answer)
{
	int code;

	if (answer->code != CODEXCP_E_SEND_FAILED)
		return ccp_fail_copy(err, answer);
	code = ccp_fail(err, codes[ccp_codex_problem(answer)], "%s", answer->message);
	if (err && answer->details) {
		json_decref(err->details);
		err->details = json_incref(answer->details);
	}
	return code;
}
