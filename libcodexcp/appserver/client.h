/*
 * One `codex app-server`: started when first needed, initialised once however many callers arrive
 * at the same instant, asked questions, listened to, stopped.
 *
 *	ccp_appserver_new(loop, &options, &events, self, &as, err);
 *	ccp_appserver_start(as);	// events.ready follows, or events.gone with the reason
 *	ccp_appserver_call(as, "turn/start", params, 30000, on_answer, self, err);
 *
 * It speaks on its standard streams, or on a socket (see enum ccp_appserver_transport): then it
 * outlives us, and ccp_appserver_attach() finds it again, in another process too.
 *
 * An *instance* is one process: it has an id of its own (UUID), because pids and request ids are
 * reused. Before events.gone every open call has been answered with
 * CODEXCP_E_APP_SERVER_UNAVAILABLE; from then on start() begins a new instance. Nothing is
 * restarted by itself: the owner decides when. Any callback may call anything here,
 * ccp_appserver_free() included.
 */
#pragma once

#include "appserver/caps.h"
#include "base/error.h"
#include "base/ids.h"
#include "rpc/peer.h"
#include "runtime/loop.h"
#include "runtime/process.h"

struct ccp_appserver;

enum ccp_appserver_state {
	CCP_APPSERVER_STOPPED,
	CCP_APPSERVER_STARTING, /* spawned, `initialize` not answered yet */
	CCP_APPSERVER_READY,
	CCP_APPSERVER_STOPPING,
};

enum ccp_appserver_transport {
	/* The socket, when there is a run_dir and this Codex can: one that cannot says so by ending
	 * with status 2 (usage), is started again on stdio, and is known from then on. */
	CCP_APPSERVER_AUTO,
	CCP_APPSERVER_STDIO, /* the process ends with us */
	CCP_APPSERVER_UNIX,  /* the process outlives us, its turns with it */
};

/* Their names, in this order, and NULL. */
extern const char *const ccp_appserver_transports[];

struct ccp_appserver_options {
	const char *binary; /* native executable; NULL: `find` is asked before each start */
	/* Gives an allocation. */
	int (*find)(char **ret_binary, void *data, struct codexcp_error *err);
	void *find_data;
	const char *cwd;
	const char *const *envp;       /* complete environment of the child, CODEX_HOME included */
	int64_t initialize_timeout_ms; /* 0: 30 s */
	size_t max_line;               /* 0: 64 MiB */
	enum ccp_appserver_transport transport;
	const char *run_dir;  /* where the socket stands, private; NULL: no socket */
	const char *log_path; /* into which a process on a socket writes what it has to say */
};

/* What is known of the present (or last) instance. */
struct ccp_appserver_info {
	char instance[CCP_ID_SIZE];
	struct ccp_process_id process;
	char user_agent[256];
	struct ccp_codex_version version;
	int64_t started_at;                     /* wall clock */
	enum ccp_appserver_transport transport; /* never AUTO */
	/* From events.gone on: only the connection is lost (or could not be made), the process
	 * lives as far as known: attach to it again, or end it. */
	bool alive;
	/* A call was answered on this connection: it is of use. */
	bool answered;
};

/* An instance that was started before, by us or by a process that is no more. */
struct ccp_appserver_known {
	const char *instance;
	struct ccp_process_id process;
	int64_t started_at;
};

struct ccp_appserver_events {
	/* A process that outlives us was started, and will have to be found again. Optional. */
	void (*spawned)(void *data);
	void (*ready)(void *data);
	/* The process has ended or could not be started or initialised: `why` names the exit
	 * status, where it is known, and the last words of stderr. Or only the connection was lost:
	 * see ccp_appserver_info.alive. Not called for a stop that the owner asked for before it
	 * was started. */
	void (*gone)(const struct codexcp_error *why, void *data);
	void (*notification)(const char *method, json_t *params, void *data);
	/* A request of app-server: answer it with ccp_appserver_reply*(). The id is borrowed. */
	void (*request)(json_t *id, const char *method, json_t *params, void *data);
	/* An answer that came after its call had timed out. Optional. */
	void (*late)(int64_t id, json_t *result, json_t *error, void *data);
	/* A line that could not be parsed or was too long: `line` may be NULL. Optional. */
	void (*garbage)(const char *line, size_t len, void *data);
};

/* Strings of the options are copied, the environment included. */
int ccp_appserver_new(struct ccp_loop *loop, const struct ccp_appserver_options *options,
		      const struct ccp_appserver_events *events, void *data,
		      struct ccp_appserver **ret_as, struct codexcp_error *err);
/* SIGKILLs what still runs on stdio, leaves a process on a socket running; no callback comes any
 * more. */
void ccp_appserver_free(struct ccp_appserver *as);
CCP_DEFINE_CLEANUP(struct ccp_appserver, ccp_appserver_free);

/* Start unless it runs, starts, or is still stopping (then events.gone comes first). The outcome
 * always comes as an event, never inside this call. */
void ccp_appserver_start(struct ccp_appserver *as);
/* The same for a process that is there: on its socket, verified, with its old instance id. When
 * that fails it is left alone: events.gone tells why, ccp_appserver_info.alive whether it is still
 * there, and the owner may end it (ccp_process_kill) and start a new one. */
void ccp_appserver_attach(struct ccp_appserver *as, const struct ccp_appserver_known *known);
/* End the process. On stdio: close its stdin, SIGTERM after half of the grace, SIGKILL after all of
 * it; on a socket: SIGTERM, which lets running turns end, SIGKILL after the grace. events.gone
 * follows when it ran; a start that has not yet spawned anything is simply taken back. */
void ccp_appserver_stop(struct ccp_appserver *as, int64_t grace_ms);
/* Let go of a process on a socket, at once: open calls are answered, events.gone is not called, the
 * turns go on. On stdio this ends the process. */
void ccp_appserver_detach(struct ccp_appserver *as);
/* At the run_dir, where nobody but us may start any: what was started there and is not `but` (NULL:
 * nothing is excepted) is ended, whether or not it listens yet. */
void ccp_appserver_end_others(const struct ccp_appserver *as, const struct ccp_process_id *but);
enum ccp_appserver_state ccp_appserver_state(const struct ccp_appserver *as);
const struct ccp_appserver_info *ccp_appserver_info(const struct ccp_appserver *as);
/* Requests that have no answer yet. */
size_t ccp_appserver_pending(const struct ccp_appserver *as);

/* Steals params. timeout_ms 0: none. fn may be NULL when the answer does not matter. Fails with
 * CODEXCP_E_APP_SERVER_UNAVAILABLE unless READY (nothing was sent then). Failures that the answer
 * brings have been through ccp_codex_error(). */
int ccp_appserver_call(struct ccp_appserver *as, const char *method, json_t *params,
		       int64_t timeout_ms, ccp_reply_fn fn, void *data, struct codexcp_error *err);
int ccp_appserver_reply(struct ccp_appserver *as, json_t *id, json_t *result,
			struct codexcp_error *err);
int ccp_appserver_reply_error(struct ccp_appserver *as, json_t *id, int code, const char *message,
			      struct codexcp_error *err);
/* Nobody is there to answer: the safe answer of the request's own shape, or -32601. True when there
 * was one. */
bool ccp_appserver_answer_safely(struct ccp_appserver *as, json_t *id, const char *method,
				 const json_t *params);
