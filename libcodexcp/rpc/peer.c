#include "rpc/peer.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "base/json.h"

/* How many calls that had no answer in time are remembered, to know a late answer from a wrong one.
 */
#define LATE_MAX 64
/* What codex app-server says when it has too much to do. */
#define RPC_OVERLOADED (-32001)

struct call {
	int64_t id;
	int64_t deadline_ms; /* 0: none */
	ccp_reply_fn fn;
	void *data;
	struct call *prev, *next; /* in a list of calls that are about to fail */
	UT_hash_handle hh;
	char method[];
};

struct ccp_peer {
	struct ccp_peer_events events;
	void *data;
	struct call *calls; /* by id, in the order in which they were made */
	int64_t last_id;
	int64_t late[LATE_MAX]; /* ids, 0: free; the oldest is overwritten */
	size_t late_next;
	unsigned busy; /* how deep we are in callbacks */
	bool freed;
};

int ccp_peer_new(const struct ccp_peer_events *events, void *data, struct ccp_peer **ret_peer,
		 struct codexcp_error *err)
{
	struct ccp_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return ccp_fail_oom(err);
	peer->events = *events;
	peer->data = data;
	*ret_peer = peer;
	return 0;
}

static void drop_calls(struct ccp_peer *peer)
{
	struct call *call, *next;

	HASH_ITER (hh, peer->calls, call, next) {
		HASH_DEL(peer->calls, call);
		free(call);
	}
}

/* A callback may free the peer: the memory goes when the last one has returned. */
static void enter(struct ccp_peer *peer)
{
	peer->busy++;
}

static void leave(struct ccp_peer *peer)
{
	if (--peer->busy == 0 && peer->freed)
		free(peer);
}

void ccp_peer_free(struct ccp_peer *peer)
{
	if (!peer)
		return;
	drop_calls(peer);
	enter(peer);
	peer->freed = true;
	leave(peer);
}

/* ---- what goes out ---- */

/* Steals message. */
static int send_message(struct ccp_peer *peer, json_t *message, struct codexcp_error *err)
{
	_cleanup_free_ char *line = NULL;
	size_t len = 0;
	int rc;

	if (message)
		line = ccp_json_dump(message, &len);
	json_decref(message);
	if (!line)
		return ccp_fail_oom(err);
	enter(peer);
	rc = peer->events.send(line, len, peer->data, err);
	leave(peer);
	return rc;
}

static struct call *find_call(const struct ccp_peer *peer, int64_t id)
{
	struct call *call;

	HASH_FIND(hh, peer->calls, &id, sizeof(id), call);
	return call;
}

static struct call *add_call(struct ccp_peer *peer, const char *method, int64_t deadline_ms,
			     ccp_reply_fn fn, void *data)
{
	size_t size = strlen(method) + 1;
	struct call *call = calloc(1, sizeof(*call) + size);

	if (!call)
		return NULL;
	call->id = peer->last_id + 1;
	call->deadline_ms = deadline_ms;
	call->fn = fn;
	call->data = data;
	memcpy(call->method, method, size);
	HASH_ADD(hh, peer->calls, id, sizeof(call->id), call);
	if (!call->hh.tbl) {
		free(call);
		return NULL;
	}
	peer->last_id = call->id;
	return call;
}

/* Sending may answer the call or free the peer already. */
static void remove_call(struct ccp_peer *peer, int64_t id)
{
	struct call *call = peer->freed ? NULL : find_call(peer, id);

	if (call)
		HASH_DEL(peer->calls, call);
	free(call);
}

int ccp_peer_call(struct ccp_peer *peer, const char *method, json_t *params, int64_t deadline_ms,
		  ccp_reply_fn fn, void *data, struct codexcp_error *err)
{
	struct call *call = add_call(peer, method, deadline_ms, fn, data);
	json_auto_t *id = NULL;
	int64_t number;
	int rc;

	if (!call) {
		json_decref(params);
		return ccp_fail_oom(err);
	}
	number = call->id;
	id = json_integer(number);
	enter(peer);
	rc = send_message(peer, ccp_rpc_request(false, id, method, params), err);
	if (rc < 0)
		remove_call(peer, number);
	leave(peer);
	return rc;
}

int ccp_peer_notify(struct ccp_peer *peer, const char *method, json_t *params,
		    struct codexcp_error *err)
{
	return send_message(peer, ccp_rpc_notification(false, method, params), err);
}

int ccp_peer_reply(struct ccp_peer *peer, json_t *id, json_t *result, struct codexcp_error *err)
{
	return send_message(peer, ccp_rpc_response(false, id, result), err);
}

int ccp_peer_reply_error(struct ccp_peer *peer, json_t *id, int code, const char *message,
			 struct codexcp_error *err)
{
	return send_message(peer, ccp_rpc_error(false, id, code, message, NULL), err);
}

/* ---- what comes in ---- */

static void fill_error(const json_t *error, struct codexcp_error *err)
{
	int64_t code = ccp_json_int(error, "code", 0);
	const char *message = ccp_json_str(error, "message");
	json_t *data = json_object_get(error, "data");

	ccp_fail(err, code == RPC_OVERLOADED ? CODEXCP_E_BUSY : CODEXCP_E_SEND_FAILED, "%s",
		 message ? message : "the request failed without a message");
	ccp_error_add(err, "rpcCode", json_integer(code));
	ccp_error_add(err, "data", json_incref(data));
}

static void answer(struct call *call, const struct ccp_rpc_message *message)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (message->kind == CCP_RPC_ERROR) {
		fill_error(message->error, &err);
		call->fn(NULL, &err, call->data);
	} else {
		call->fn(message->result, NULL, call->data);
	}
}

static bool forget_late(struct ccp_peer *peer, int64_t id)
{
	for (size_t i = 0; i < LATE_MAX; i++) {
		if (id && peer->late[i] == id) {
			peer->late[i] = 0;
			return true;
		}
	}
	return false;
}

/* False when it answers nothing that was asked. */
static bool take_answer(struct ccp_peer *peer, const struct ccp_rpc_message *message)
{
	int64_t id = json_integer_value(message->id);
	struct call *call = json_is_integer(message->id) ? find_call(peer, id) : NULL;

	if (call) {
		HASH_DEL(peer->calls, call);
		answer(call, message);
		free(call);
		return true;
	}
	if (!forget_late(peer, id))
		return false;
	if (peer->events.late)
		peer->events.late(id, message->result, message->error, peer->data);
	return true;
}

static bool take_message(struct ccp_peer *peer, const json_t *value)
{
	struct ccp_rpc_message message;

	ccp_rpc_classify(value, &message);
	switch (message.kind) {
	case CCP_RPC_REQUEST:
		peer->events.request(message.id, message.method, message.params, peer->data);
		return true;
	case CCP_RPC_NOTIFICATION:
		peer->events.notification(message.method, message.params, peer->data);
		return true;
	case CCP_RPC_RESPONSE:
	case CCP_RPC_ERROR:
		return take_answer(peer, &message);
	case CCP_RPC_INVALID:
		break;
	}
	return false;
}

/* Output of commands may hold NUL. */
static int parse(const char *line, size_t len, json_t **ret_value)
{
	_cleanup_free_ char *clean = NULL;

	if (!memmem(line, len, "\\u0000", 6))
		return ccp_json_parse(line, len, 0, ret_value, NULL);
	clean = ccp_json_replace_nul(line, len);
	return clean ? ccp_json_parse(clean, len, 0, ret_value, NULL) : CODEXCP_E_NO_MEMORY;
}

void ccp_peer_feed(struct ccp_peer *peer, const char *line, size_t len)
{
	json_auto_t *value = NULL;

	enter(peer);
	if ((parse(line, len, &value) < 0 || !take_message(peer, value)) && peer->events.garbage)
		peer->events.garbage(line, len, peer->data);
	leave(peer);
}

/* ---- calls that are not answered ---- */

int64_t ccp_peer_next_deadline(const struct ccp_peer *peer)
{
	int64_t next_ms = 0;

	for (const struct call *call = peer->calls; call; call = call->hh.next)
		if (call->deadline_ms && (!next_ms || call->deadline_ms < next_ms))
			next_ms = call->deadline_ms;
	return next_ms;
}

static void fail_call(struct call *call, const struct codexcp_error *why)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (why) {
		ccp_fail_copy(&err, why);
	} else {
		ccp_fail(&err, CODEXCP_E_TIMEOUT, "no answer to %s came in time", call->method);
		ccp_error_add_str(&err, "method", call->method);
	}
	call->fn(NULL, &err, call->data);
}

/* Takes the list apart, as calls are made and answered meanwhile. `why` NULL: their time is over.
 */
static void fail_calls(struct ccp_peer *peer, struct call *list, const struct codexcp_error *why)
{
	struct call *call, *next;

	enter(peer);
	DL_FOREACH_SAFE (list, call, next) {
		if (!peer->freed)
			fail_call(call, why);
		free(call);
	}
	leave(peer);
}

void ccp_peer_expire(struct ccp_peer *peer, int64_t now_ms)
{
	struct call *list = NULL, *call, *next;

	HASH_ITER (hh, peer->calls, call, next) {
		if (!call->deadline_ms || call->deadline_ms > now_ms)
			continue;
		HASH_DEL(peer->calls, call);
		DL_APPEND(list, call);
		peer->late[peer->late_next++ % LATE_MAX] = call->id;
	}
	fail_calls(peer, list, NULL);
}

void ccp_peer_fail_all(struct ccp_peer *peer, const struct codexcp_error *why)
{
	_cleanup_error_ struct codexcp_error copy = { 0 };
	struct call *list = NULL, *call, *next;

	HASH_ITER (hh, peer->calls, call, next) {
		HASH_DEL(peer->calls, call);
		DL_APPEND(list, call);
	}
	/* `why` may belong to what a callback frees. */
	ccp_fail_copy(&copy, why);
	fail_calls(peer, list, &copy);
}

size_t ccp_peer_pending(const struct ccp_peer *peer)
{
	return HASH_COUNT(peer->calls);
}
