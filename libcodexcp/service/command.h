/*
 * Commands as front ends see them: what a call asks of the worker beside the queue, how it waits
 * for the result, and what it answers when the worker takes longer than the caller wants to wait.
 * The worker's side is engine_commands.c.
 *
 * A tool fills a request, whose `ask` records the wish and says whether a worker has to do
 * something; the command is written in the same transaction. Then `look` is asked after every
 * change whether there is an answer. A command that failed is answered with its error; one that has
 * no end when the caller's time is over is answered with its id, by which
 * codex_get_worker_command_status follows it.
 *
 *	request->command = (struct ccp_command_request){ .call = call, .kind = "interrupt", ... };
 *	return ccp_command_request(&request->command, err) < 0 ? ccp_call_fail(call, err)
 *							       : ccp_call_later(call);
 */
#pragma once

#include "base/ids.h"
#include "service/call.h"
#include "store/worker_store.h"

struct ccp_command_request {
	struct ccp_call *call; /* whose state holds this */
	const char *kind;
	char op_id[CCP_ID_SIZE]; /* "": concerns no operation */
	int64_t timeout_ms;      /* how long the caller waits */
	int64_t valid_ms;        /* not begun later than this; 0: whenever a worker comes */
	/* In the transaction: 1, a worker has to do something; 0, nothing is left to do. */
	int (*ask)(struct ccp_db *db, struct ccp_command_request *request,
		   struct codexcp_error *err);
	/* Answers, or returns NULL: not yet. `command` is NULL when there is none. `late`: the
	 * caller waits no longer. */
	const struct ccp_handled *(*look)(struct ccp_command_request *request,
					  const struct ccp_command *command, bool late);

	char id[CCP_ID_SIZE]; /* "" until the command is written */
	int64_t until;        /* boot clock */
};

/* Writes and waits. 0: the answer comes later. */
int ccp_command_request(struct ccp_command_request *request, struct codexcp_error *err);

/* What clients know a kind by: the tool that asks for it. */
const char *ccp_command_tool(const char *kind);
/* As clients see it: "timed_out" also when nobody has looked since its deadline. */
const char *ccp_command_status(const struct ccp_command *command, int64_t now);
bool ccp_command_is_over(const struct ccp_command *command, int64_t now);
/* {ok, commandId, commandType, status, nextRecommendedAction, ...}; a new reference or NULL. */
json_t *ccp_command_ack(const struct ccp_command *command, int64_t now);
/* Members that every view of a command has: ids, status, times, lastError. */
void ccp_command_describe(json_t **obj, const struct ccp_command *command, int64_t now);
