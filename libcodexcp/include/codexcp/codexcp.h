/**
 * @file
 * libcodexcp: durable tasks for Codex.
 *
 * What it is
 * ----------
 * A task (an *operation*) is handed over once and gets an id. From then on it is a row in a
 * database: it waits for its turn, runs in `codex app-server` for minutes or hours, and ends in
 * exactly one explicit state, whatever process dies in between. Whoever knows the id can ask for
 * its status, wait for it, interrupt it, and read its report.
 *
 * Life of a context
 * -----------------
 * codexcp_open() reads the configuration and opens nothing else: the state database is opened by
 * the first call that needs it, a worker is started by the first work that needs one.
 * codexcp_close() ends the context; operations live on. Two contexts may coexist in one process.
 *
 * Who executes
 * ------------
 * `options.mode` decides who may run operations. AUTO (the default) starts the program at
 * `worker_path` as a worker in a session of its own whenever there is work and no worker, so that
 * work outlives this process. INLINE runs the same engine inside this context, as long as it is
 * dispatched. CLIENT never executes.
 *
 * Driving it
 * ----------
 * A context lives on one thread. Either codexcp_run() until codexcp_stop(); or, with a loop of your
 * own, poll codexcp_fd() for reading with codexcp_timeout() as the longest wait, and call
 * codexcp_dispatch(). A libuv program passes its loop in the options. Callbacks fire only from
 * dispatching, never from inside the call that registered them. codexcp_call_wait() drives the
 * context itself until its one answer is there.
 *
 * Tools
 * -----
 * codexcp_call() is the whole program: the same validated tools that the MCP server offers, with
 * arguments and results as JSON. <codexcp/operation.h> has the same as typed calls. docs/TOOLS.md
 * is the reference.
 *
 * Ownership words
 * ---------------
 * *borrowed*: not kept after the call. *steals*: owned by the callee from then on, also on failure.
 * *new reference*: yours to json_decref(). JSON is jansson's.
 *
 * Environment
 * -----------
 * The configuration comes from the variables and the file described in docs/CONFIGURATION.md. The
 * library changes no signal disposition, no locale and no umask, and never prints. A program
 * ignores SIGPIPE, as libuv wants it: a worker or an app-server may die while something is written
 * to it.
 */
#ifndef CODEXCP_CODEXCP_H
#define CODEXCP_CODEXCP_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <codexcp/error.h>
#include <codexcp/export.h>
#include <codexcp/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct codexcp;
struct codexcp_call;
struct uv_loop_s;

/**
 * What the program at `worker_path` says on its standard output, once, as a line: READY when it has
 * become the worker (options.ready), or FAILED and why when it cannot. Then it says nothing more.
 */
#define CODEXCP_WORKER_READY  "ready"
#define CODEXCP_WORKER_FAILED "failed " /**< followed by the reason */

/** Who may run operations. */
enum codexcp_mode {
	/** What the configuration says, AUTO when it says nothing. `worker` and `observe` are for
	 *  the worker's own process, which asks for them here: a context that finds them in its
	 *  configuration is a CLIENT. */
	CODEXCP_MODE_CONFIGURED,
	CODEXCP_MODE_AUTO,    /**< start a worker process when there is work and none runs */
	CODEXCP_MODE_INLINE,  /**< run operations inside this context */
	CODEXCP_MODE_CLIENT,  /**< never execute, never start anything */
	CODEXCP_MODE_WORKER,  /**< be the worker: codexcp_run() ends when idle or told to stop */
	CODEXCP_MODE_OBSERVE, /**< a worker that only reports itself */
};

/** How a context is opened. Zero-initialise it; everything is optional. */
struct codexcp_options {
	/** JSON configuration file; NULL: named by the environment, else none. Borrowed. */
	const char *config_file;
	/** "NAME=value" pairs instead of the process environment, NULL-terminated. Borrowed. */
	const char *const *environment;
	/** The executable that is started as `worker_path worker`; NULL: codex-control-plane-mcp
	 * beside
	 *  the running executable, else from PATH. Borrowed. */
	const char *worker_path;
	enum codexcp_mode mode;
	/** A libuv loop to live on; NULL: one of its own. Must outlive the context. */
	struct uv_loop_s *loop;
	/** Called once when a worker has become *the* worker and answers; may be NULL. */
	void (*ready)(void *data);
	void *ready_data; /**< passed to ready */
	bool stay;        /**< WORKER: does not leave when it is idle */
};

/**
 * Open a context.
 *
 * Wrong configuration does not fail here: every call then answers CODEX_CONFIG_INVALID with the
 * file, the key and what was expected, so that a client sees it instead of a server that does not
 * start.
 *
 * @param options borrowed; NULL: all defaults
 * @param ret_cp on success the context; untouched on failure
 * @param err why it failed; may be NULL
 * @return 0 or CODEXCP_E_NO_MEMORY or CODEXCP_E_INTERNAL
 */
CODEXCP_API int codexcp_open(const struct codexcp_options *options, struct codexcp **ret_cp,
			     struct codexcp_error *err);

/** Close a context, not from inside a callback. Unanswered calls are dropped. @param cp may be
 * NULL */
CODEXCP_API void codexcp_close(struct codexcp *cp);

/** Dispatch until codexcp_stop(), or, as a worker, until idle. @return 0, or why the worker
 * ended */
CODEXCP_API int codexcp_run(struct codexcp *cp, struct codexcp_error *err);

/** Make codexcp_run() return after the present callback; a worker first writes what it knows. */
CODEXCP_API void codexcp_stop(struct codexcp *cp);

/**
 * Stop in order: a worker (or an inline context) takes nothing new from the queue, and
 * codexcp_run() returns when it has let go of what runs. Turns on an app-server of the `unix`
 * transport are left running for the next worker, at once; on `stdio`, where they end with this
 * process, they get `worker_drain_seconds` to end by themselves. Without a worker in this process
 * the same as codexcp_stop(). codexcp_stop() afterwards cuts it short.
 */
CODEXCP_API void codexcp_drain(struct codexcp *cp);

/** @return a descriptor to poll for reading; owned by the context */
CODEXCP_API int codexcp_fd(const struct codexcp *cp);

/** @return milliseconds until codexcp_dispatch() is due; -1: only when the descriptor is
 * readable */
CODEXCP_API int codexcp_timeout(const struct codexcp *cp);

/** Do what is due, without waiting. Callbacks fire from here. */
CODEXCP_API void codexcp_dispatch(struct codexcp *cp);

/**
 * The answer of a tool: `{"ok": true, ...}` or `{"ok": false, "error": {code, message, details,
 * retryable}}`.
 *
 * @param payload borrowed
 * @param ok the value of its "ok"
 * @param data as given to codexcp_call()
 */
typedef void (*codexcp_result_fn)(json_t *payload, bool ok, void *data);

/** Something to tell somebody who waits. @param message borrowed */
typedef void (*codexcp_progress_fn)(const char *message, void *data);

/** On whose behalf a call is made. Zero-initialise it. */
struct codexcp_call_options {
	/** The Codex thread that calls, when the caller is one (MCP `_meta.threadId`). Borrowed. */
	const char *caller_thread_id;
	/** That caller's own sandbox mode, a ceiling for what it may start. Borrowed. */
	const char *caller_sandbox;
	/** Called while the call waits; NULL: nobody is told. */
	codexcp_progress_fn progress;
};

/**
 * Call a tool.
 *
 * @param cp open context; call from its thread
 * @param tool "codex_submit_task", ...
 * @param arguments an object or NULL; borrowed
 * @param options borrowed; may be NULL
 * @param fn called exactly once from dispatching, unless the call is cancelled or the context is
 *           closed
 * @param data passed to fn and to options->progress
 * @param ret_call when not NULL: a handle for codexcp_cancel(), valid until fn has returned
 * @param err why it failed; may be NULL
 * @return 0, CODEXCP_E_INVALID_ARGUMENT for an unknown tool (details: didYouMean), or
 *         CODEXCP_E_NO_MEMORY. Everything else arrives as a payload.
 */
CODEXCP_API int codexcp_call(struct codexcp *cp, const char *tool, const json_t *arguments,
			     const struct codexcp_call_options *options, codexcp_result_fn fn,
			     void *data, struct codexcp_call **ret_call, struct codexcp_error *err);

/** Stop waiting for an answer: fn is not called any more. The operation is not touched. */
CODEXCP_API void codexcp_cancel(struct codexcp_call *call);

/** Answer every call that only waits (codex_wait) with the present state, from inside this call:
 * the caller wants to leave. */
CODEXCP_API void codexcp_finish_waiting(struct codexcp *cp);

/** @return the number of calls that have no answer yet */
CODEXCP_API int codexcp_calls_pending(const struct codexcp *cp);

/**
 * Look once whether unfinished work needs a worker, and start one if so (AUTO mode). The MCP server
 * does this after its first answer.
 */
CODEXCP_API void codexcp_look_for_work(struct codexcp *cp);

/**
 * Call a tool and dispatch until its answer is there. Not from inside a callback.
 *
 * @param ret_payload a new reference, also when the payload says ok:false; untouched on failure
 * @return 0 when the payload says ok:true; else the error's code, with err filled from the payload
 */
CODEXCP_API int codexcp_call_wait(struct codexcp *cp, const char *tool, const json_t *arguments,
				  json_t **ret_payload, struct codexcp_error *err);

/**
 * What the tools are: an array of {name, title, description, inputSchema, outputSchema,
 * annotations}, in a fixed order, as MCP's tools/list has it. Needs no context, touches no disk.
 *
 * @return a new reference, or NULL when memory ran out
 */
CODEXCP_API json_t *codexcp_tools(void);

/** Members of a tool's definition that older clients do not know. */
enum codexcp_tool_parts {
	CODEXCP_TOOL_TITLE = 1,
	CODEXCP_TOOL_OUTPUT_SCHEMA = 2,
	CODEXCP_TOOL_ANNOTATIONS = 4,
	CODEXCP_TOOL_ALL = 7,
};

/**
 * The same list as compact JSON text, with the chosen members beside name, description and
 * inputSchema.
 *
 * @param parts of enum codexcp_tool_parts
 * @return an allocation for free(), or NULL when memory ran out
 */
CODEXCP_API char *codexcp_tools_text(unsigned parts);

/** @return what a model is told about the whole server (MCP `instructions`); static */
CODEXCP_API const char *codexcp_instructions(void);

#ifdef __cplusplus
}
#endif
#endif
