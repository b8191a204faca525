/*
 * How the messages of one app-server process travel: its standard streams (transport_stdio.c), or a
 * local socket that outlives us (transport_unix.c). For client.c.
 *
 * A transport is one process and one connection to it. Opening never calls back; `open` or `closed`
 * follows from the loop. A callback may free the transport.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"
#include "runtime/process.h"

struct ccp_transport;

/* How it came to an end. */
struct ccp_transport_end {
	bool alive;          /* as far as known, the process lives: only the connection is gone */
	bool has_status;     /* it was our child */
	int status;          /* exit status, or -signal */
	const char *problem; /* what went wrong before, "" when it simply ended */
	const char *words;   /* the last words of its stderr, "" when there are none */
};

struct ccp_transport_events {
	/* There is a process that outlives us. */
	void (*spawned)(void *data);
	void (*open)(void *data); /* messages can be sent */
	void (*message)(const char *text, size_t len, void *data);
	/* A message longer than the ceiling was dropped. */
	void (*overlong)(size_t len, void *data);
	/* Once, and the last. */
	void (*closed)(const struct ccp_transport_end *end, void *data);
};

struct ccp_transport_ops {
	int (*send)(struct ccp_transport *transport, const char *text, size_t len,
		    struct codexcp_error *err);
	/* End the process: kindly, after the grace by force. `closed` follows. */
	void (*stop)(struct ccp_transport *transport, int64_t grace_ms);
	/* Let go: a process on standard streams ends with it, one on a socket runs on, unless it
	 * never got as far as `open`. */
	void (*free)(struct ccp_transport *transport);
};

/* What all of them begin with. */
struct ccp_transport {
	const struct ccp_transport_ops *ops;
	const struct ccp_transport_events *events;
	void *data;
	struct ccp_process_id process; /* pid 0 as long as there is none */
	bool lost;                     /* nothing can be sent any more: `closed` is to come */
};

/* Strings are borrowed as long as the transport lives. */
struct ccp_transport_options {
	const char *binary, *cwd;
	const char *const *envp;
	size_t max_message;
	/* The socket's only. */
	const char *run_dir;  /* of the socket, and the process's directory */
	const char *log_path; /* NULL: what it says is lost */
	int64_t open_timeout_ms;
};

int ccp_transport_stdio_start(struct ccp_loop *loop, const struct ccp_transport_options *options,
			      const struct ccp_transport_events *events, void *data,
			      struct ccp_transport **ret_transport, struct codexcp_error *err);

/* Whoever still listens on the socket is ended first: one directory is one app-server's. */
int ccp_transport_unix_start(struct ccp_loop *loop, const struct ccp_transport_options *options,
			     const struct ccp_transport_events *events, void *data,
			     struct ccp_transport **ret_transport, struct codexcp_error *err);
/* Ends whatever was started to listen in this directory, but not `but` (NULL: all). */
void ccp_transport_unix_vacate(const char *run_dir, const struct ccp_process_id *but);
/* To a process that somebody started before; it is never ended by a failure. */
int ccp_transport_unix_attach(struct ccp_loop *loop, const struct ccp_transport_options *options,
			      const struct ccp_process_id *process,
			      const struct ccp_transport_events *events, void *data,
			      struct ccp_transport **ret_transport, struct codexcp_error *err);

static inline void ccp_transport_free(struct ccp_transport *transport)
{
	if (transport)
		transport->ops->free(transport);
}

/* The end as a sentence, CODEXCP_E_APP_SERVER_UNAVAILABLE with details exitStatus or signal.
 * `instead` replaces what is said to have happened, NULL: nothing does. */
void ccp_transport_describe(const struct ccp_transport_end *end, const char *instead,
			    struct codexcp_error *ret_why);
