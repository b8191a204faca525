/*
 * A call of a tool, from its arguments to its one answer. A handler returns a token that only the
 * three functions below can make, so a path that forgets to answer does not compile:
 *
 *	static const struct ccp_handled *handle(struct codexcp *cp, struct ccp_call *call, const
 * void *args)
 *	{
 *		if (...)
 *			return ccp_call_fail(call, &err);
 *		ccp_txq_add(cp->txq, write, written, call_ref, ...);
 *		return ccp_call_later(call);
 *	}
 *
 * A call is counted: whoever answers later holds a reference. One that was cancelled is answered
 * like any other; the answer goes nowhere.
 */
#pragma once

#include "service/context.h"

struct ccp_handled; /* never defined */
struct ccp_tool;

struct ccp_call {
	struct codexcp *cp;
	const struct ccp_tool *tool;
	unsigned refs;
	bool answered, cancelled;
	json_t *arguments;
	void *args; /* bound to the tool's struct */
	char *caller_thread_id, *caller_sandbox;
	codexcp_result_fn fn;
	codexcp_progress_fn progress;
	void *data;
	int64_t started_ms; /* boot clock */
	int64_t open_until; /* how long a busy database is tried */
	struct ccp_timer *timer;
	/* A call that waits for rows to change: looked at again by ccp_context_wake(). */
	void (*look)(struct ccp_call *call);
	unsigned wake; /* the wake that has looked at it last */
	/* What the handler keeps until the answer; freed by `done` with the call. */
	void *state;
	void (*done)(void *state);
	struct ccp_call *next, *prev;
};

/* payload is stolen; NULL is answered as out of memory. */
_must_check_ _returns_nonnull_ const struct ccp_handled *ccp_call_reply(struct ccp_call *call,
									json_t *payload);
_must_check_ _returns_nonnull_ const struct ccp_handled *
ccp_call_fail(struct ccp_call *call, const struct codexcp_error *err);
/* Somebody holds a reference and will answer with ccp_call_reply() or ccp_call_fail(). */
_must_check_ _returns_nonnull_ const struct ccp_handled *ccp_call_later(struct ccp_call *call);

/* For answers given outside a handler, where nobody is left to take the token. */
static inline void ccp_handled(const struct ccp_handled *token)
{
}

struct ccp_call *ccp_call_ref(struct ccp_call *call);
void ccp_call_unref(struct ccp_call *call);
CCP_DEFINE_CLEANUP(struct ccp_call, ccp_call_unref);

/* Tell a caller who wants to know. */
void ccp_call_progress(struct ccp_call *call, const char *message);
/* Drop everything unanswered. */
void ccp_calls_drop(struct codexcp *cp);
