/*
 * One side of a JSON-RPC connection that asks questions: numbered requests, deadlines, answers
 * matched to their callers, and the other side's requests and notifications handed on. No I/O and
 * no clock: the owner feeds lines, passes the time in, and sends what `send` gives it.
 *
 * Every call is answered exactly once: by its response, by its deadline, or by ccp_peer_fail_all().
 */
#pragma once

#include "base/error.h"
#include "rpc/jsonrpc.h"

struct ccp_peer;

/* result: borrowed, NULL on failure. err: NULL on success. A JSON-RPC error is
 * CODEXCP_E_SEND_FAILED with details {rpcCode, data} and the other side's message; its -32001
 * (overload) is the retryable CODEXCP_E_BUSY. A callback may call anything, ccp_peer_free() too. */
typedef void (*ccp_reply_fn)(json_t *result, const struct codexcp_error *err, void *data);

struct ccp_peer_events {
	int (*send)(const char *line, size_t len, void *data, struct codexcp_error *err);
	void (*request)(json_t *id, const char *method, json_t *params, void *data);
	void (*notification)(const char *method, json_t *params, void *data);
	/* An answer to a call that nobody waits for any more (it was one of the last 64 that
	 * timed out). Optional. */
	void (*late)(int64_t id, json_t *result, json_t *error, void *data);
	/* A line that is not JSON-RPC. Optional. */
	void (*garbage)(const char *line, size_t len, void *data);
};

int ccp_peer_new(const struct ccp_peer_events *events, void *data, struct ccp_peer **ret_peer,
		 struct codexcp_error *err);
/* Calls still waiting are dropped without an answer: ccp_peer_fail_all() first. */
void ccp_peer_free(struct ccp_peer *peer);

/* Steals params. `deadline_ms` on the clock of the owner, 0 = none. On failure fn is not called. */
int ccp_peer_call(struct ccp_peer *peer, const char *method, json_t *params, int64_t deadline_ms,
		  ccp_reply_fn fn, void *data, struct codexcp_error *err);
int ccp_peer_notify(struct ccp_peer *peer, const char *method, json_t *params,
		    struct codexcp_error *err);
/* Answers to the other side's requests; result stolen, id borrowed. */
int ccp_peer_reply(struct ccp_peer *peer, json_t *id, json_t *result, struct codexcp_error *err);
int ccp_peer_reply_error(struct ccp_peer *peer, json_t *id, int code, const char *message,
			 struct codexcp_error *err);

/* One line from the other side. */
void ccp_peer_feed(struct ccp_peer *peer, const char *line, size_t len);
/* When the next deadline passes, or 0 when there is none. */
int64_t ccp_peer_next_deadline(const struct ccp_peer *peer);
/* Answer every call whose deadline has passed with CODEXCP_E_TIMEOUT (details: method). */
void ccp_peer_expire(struct ccp_peer *peer, int64_t now_ms);
void ccp_peer_fail_all(struct ccp_peer *peer, const struct codexcp_error *why);
size_t ccp_peer_pending(const struct ccp_peer *peer);
