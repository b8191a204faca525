/*
 * WebSocket on a local socket: the process outlives us, and can be found again.
 *
 *	VACATE  whoever holds the socket is ended, then the process is started
 *	CONNECT until it listens
 *	UPGRADE until it has answered the handshake
 *	OPEN
 *	LOST    the connection is gone: does the process go, too?
 *	STOP    it is being ended, and goes without a connection if it likes
 */
#include <stdio.h>
#include <string.h>

#include "appserver/server_log.h"
#include "appserver/transport.h"
#include "appserver/ws_stream.h"
#include "base/file.h"
#include "runtime/child.h"
#include "runtime/socket.h"
#include "runtime/watch.h"

/* Relative to run_dir, which is the process's working directory. */
#define SOCKET_NAME "app.sock"
#define LISTEN_ARGS "app-server", "--listen", ("unix://" SOCKET_NAME)
/* How soon to look again whether it listens. */
#define CONNECT_MS 20
/* A dying process closes its connections before its parent hears of it. */
#define LOST_MS         100
#define FAILED_GRACE_MS 500
#define LOG_CHECK_MS    60000

enum stage { VACATE, CONNECT, UPGRADE, OPEN, LOST, STOP };

struct sock {
	struct ccp_transport base;
	struct ccp_loop *loop;
	struct ccp_transport_options options;
	enum stage stage;
	struct ccp_child *child; /* what we have started, */
	struct ccp_watch *watch; /* or somebody before us */
	bool attached, opened;
	struct ccp_ws_stream *stream;
	struct ccp_timer *timer;
	struct ccp_timer *log_check;
	int64_t deadline; /* of all before OPEN */
	int64_t log_start;
	char problem[256];
};

static struct sock *self_of(struct ccp_transport *transport)
{
	return ccp_container_of(transport, struct sock, base);
}

static int64_t now_ms(const struct sock *self)
{
	return ccp_clock_boot(ccp_loop_clock(self->loop));
}

static void release(struct sock *self)
{
	ccp_ws_stream_free(self->stream);
	ccp_watch_free(self->watch);
	ccp_child_free(self->child);
	ccp_timer_free(self->timer);
	ccp_timer_free(self->log_check);
	free(self);
}

/* ---- the end ---- */

static void drop_connection(struct sock *self)
{
	ccp_ws_stream_free(TAKE_PTR(self->stream));
}

static void finish(struct sock *self, struct ccp_transport_end *end)
{
	_cleanup_free_ char *words = NULL;

	if (!end->alive && !self->attached)
		words = ccp_server_log_tail(self->options.log_path, self->log_start);
	end->problem = self->problem;
	end->words = words ? words : "";
	ccp_timer_stop(self->timer);
	drop_connection(self);
	self->base.events->closed(end, self->base.data);
}

static void problem(struct sock *self, const char *what, const char *why)
{
	if (!self->problem[0])
		snprintf(self->problem, sizeof(self->problem), "%s%s%s", what, *why ? ": " : "",
			 why);
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct sock *self = data;
	struct ccp_transport_end end = { .has_status = true, .status = status };

	/* The connection went first, but only because the process did. */
	if (self->stage == LOST)
		self->problem[0] = '\0';
	finish(self, &end);
}

static void on_watched_end(void *data)
{
	struct sock *self = data;
	struct ccp_transport_end end = { 0 };

	if (self->stage == LOST)
		self->problem[0] = '\0';
	finish(self, &end);
}

static void stop_process(struct sock *self, int64_t grace_ms)
{
	self->stage = STOP;
	if (self->child)
		ccp_child_stop(self->child, grace_ms);
	else if (self->watch)
		ccp_watch_stop(self->watch, grace_ms);
	else
		ccp_timer_start(self->timer, 0);
}

/* Without a connection, and nothing more can be said than whether the process lives. */
static void finish_lost(struct sock *self)
{
	struct ccp_transport_end end = { .alive = self->base.process.pid &&
						  !ccp_process_is_gone(&self->base.process) };

	if (self->stage == LOST && self->child && !self->opened && end.alive)
		stop_process(self, FAILED_GRACE_MS);
	else
		finish(self, &end);
}

static void lose(struct sock *self, const char *why)
{
	if (self->stage != STOP) {
		problem(self, "closed the connection", why);
		self->stage = LOST;
		self->base.lost = true;
		ccp_timer_start(self->timer, LOST_MS);
	}
	drop_connection(self);
}

/* It never got as far as OPEN. What somebody else has started is left alone. */
static void give_up(struct sock *self, const char *what, const char *why)
{
	problem(self, what, why);
	drop_connection(self);
	if (self->child) {
		stop_process(self, FAILED_GRACE_MS);
	} else {
		self->stage = LOST;
		ccp_timer_start(self->timer, 0);
	}
}

/* ---- the connection ---- */

static void on_open(void *data)
{
	struct sock *self = data;

	if (self->stage != UPGRADE)
		return;
	self->stage = OPEN;
	self->opened = true;
	ccp_timer_stop(self->timer);
	self->base.events->open(self->base.data);
}

static void on_message(const char *text, size_t len, void *data)
{
	struct sock *self = data;

	self->base.events->message(text, len, self->base.data);
}

static void on_overlong(size_t len, void *data)
{
	struct sock *self = data;

	self->base.events->overlong(len, self->base.data);
}

static void on_closed(const char *why, void *data)
{
	struct sock *self = data;

	if (self->stage == UPGRADE && *why)
		give_up(self, "cannot be talked to", why);
	else
		lose(self, why);
}

static const struct ccp_ws_stream_events stream_events = {
	.open = on_open,
	.message = on_message,
	.overlong = on_overlong,
	.closed = on_closed,
};

/* Takes the descriptor over. */
static int open_connection(struct sock *self, int fd, struct codexcp_error *err)
{
	int rc = ccp_ws_stream_open(self->loop, fd, self->options.max_message, &stream_events, self,
				    &self->stream, err);

	if (rc < 0)
		return rc;
	self->stage = UPGRADE;
	ccp_timer_start(self->timer, CCP_MAX(self->deadline - now_ms(self), 0));
	return 0;
}

/* Nobody listens yet, or the one whom the new process will find there. */
static void try_again(struct sock *self)
{
	if (now_ms(self) >= self->deadline)
		give_up(self, "did not listen in time", "");
	else
		ccp_timer_start(self->timer, CONNECT_MS);
}

static void try_connect(struct sock *self)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	int fd = ccp_socket_connect(self->options.run_dir, SOCKET_NAME, &err);

	if (fd >= 0 && !ccp_process_has(&self->base.process, ccp_socket_peer_pid(fd))) {
		ccp_closep(&fd);
		fd = ccp_fail(&err, CODEXCP_E_BUSY, "another process listens in its place");
	}
	if (fd == CODEXCP_E_BUSY && !self->attached)
		try_again(self);
	else if (fd < 0 || open_connection(self, fd, &err) < 0)
		give_up(self, "cannot be reached", err.message);
}

/* ---- the start ---- */

static const struct ccp_child_events child_events = { .exited = on_exited };

static int spawn(struct sock *self, struct codexcp_error *err)
{
	const char *const argv[] = { self->options.binary, LISTEN_ARGS, NULL };
	const struct ccp_child_options child = {
		.file = self->options.binary,
		.argv = argv,
		.envp = self->options.envp,
		.cwd = self->options.run_dir,
		.stdout_path = self->options.log_path,
		.stderr_path = self->options.log_path,
		.no_stdin = true,
		.outlives = true,
	};
	int rc;

	self->log_start = ccp_server_log_trim(self->options.log_path);
	rc = ccp_child_spawn(self->loop, &child, &child_events, self, &self->child, err);
	if (rc < 0)
		return rc;
	if (ccp_process_identify(ccp_child_pid(self->child), &self->base.process, NULL) < 0)
		self->base.process = (struct ccp_process_id){ .pid = ccp_child_pid(self->child) };
	self->stage = CONNECT;
	ccp_timer_start(self->timer, CONNECT_MS);
	self->base.events->spawned(self->base.data);
	return 0;
}

void ccp_transport_unix_vacate(const char *run_dir, const struct ccp_process_id *but)
{
	static const char *const words[] = { LISTEN_ARGS, NULL };

	ccp_process_kill_alike(run_dir, words, but);
}

/* Nobody can use what is left there: a lock says that we are the only one here. */
static void vacate(struct sock *self)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_close_ int fd = ccp_socket_connect(self->options.run_dir, SOCKET_NAME, &err);
	struct ccp_process_id holder;

	if (fd == CODEXCP_E_BUSY) {
		/* One that does not listen yet would take the place of ours. */
		ccp_transport_unix_vacate(self->options.run_dir, NULL);
		if (spawn(self, &err) < 0)
			give_up(self, "could not be started", err.message);
		return;
	}
	if (fd < 0) {
		give_up(self, "could not be started", err.message);
		return;
	}
	if (ccp_process_identify(ccp_socket_peer_pid(fd), &holder, NULL) == 0)
		ccp_process_kill(&holder);
	if (now_ms(self) >= self->deadline)
		give_up(self, "could not be started", "another process holds its socket");
	else
		ccp_timer_start(self->timer, CONNECT_MS);
}

static void on_timer(void *data)
{
	struct sock *self = data;

	switch (self->stage) {
	case VACATE:
		vacate(self);
		break;
	case CONNECT:
		try_connect(self);
		break;
	case UPGRADE:
		give_up(self, "did not answer in time", "");
		break;
	case OPEN:
		break;
	case LOST:
	case STOP:
		finish_lost(self);
		break;
	}
}

static void on_log_check(void *data)
{
	struct sock *self = data;

	if (ccp_server_log_trim(self->options.log_path) == 0)
		self->log_start = 0;
	ccp_timer_start(self->log_check, LOG_CHECK_MS);
}

/* ---- what client.c calls ---- */

static int sock_send(struct ccp_transport *transport, const char *text, size_t len,
		     struct codexcp_error *err)
{
	struct sock *self = self_of(transport);

	if (!self->stream)
		return ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE, "the connection is gone");
	return ccp_ws_stream_send(self->stream, text, len, err);
}

static void sock_stop(struct ccp_transport *transport, int64_t grace_ms)
{
	struct sock *self = self_of(transport);

	ccp_timer_stop(self->timer);
	stop_process(self, grace_ms);
}

static void sock_free(struct ccp_transport *transport)
{
	struct sock *self = self_of(transport);

	/* One that nobody has talked to has nothing to go on with. */
	if (self->child && !self->opened)
		ccp_process_kill(&self->base.process);
	release(self);
}

static const struct ccp_transport_ops ops = { sock_send, sock_stop, sock_free };

static int sock_new(struct ccp_loop *loop, const struct ccp_transport_options *options,
		    const struct ccp_transport_events *events, void *data, struct sock **ret_self,
		    struct codexcp_error *err)
{
	struct sock *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return ccp_fail_oom(err);
	self->base = (struct ccp_transport){ .ops = &ops, .events = events, .data = data };
	self->loop = loop;
	self->options = *options;
	self->deadline = now_ms(self) + options->open_timeout_ms;
	rc = ccp_timer_new(loop, on_timer, self, &self->timer, err);
	if (rc == 0)
		rc = ccp_timer_new(loop, on_log_check, self, &self->log_check, err);
	if (rc < 0) {
		release(self);
		return rc;
	}
	ccp_timer_set_background(self->log_check);
	ccp_timer_start(self->log_check, LOG_CHECK_MS);
	ccp_timer_start(self->timer, 0);
	*ret_self = self;
	return 0;
}

int ccp_transport_unix_start(struct ccp_loop *loop, const struct ccp_transport_options *options,
			     const struct ccp_transport_events *events, void *data,
			     struct ccp_transport **ret_transport, struct codexcp_error *err)
{
	struct sock *self;
	int rc = sock_new(loop, options, events, data, &self, err);

	if (rc == 0)
		*ret_transport = &self->base;
	return rc;
}

int ccp_transport_unix_attach(struct ccp_loop *loop, const struct ccp_transport_options *options,
			      const struct ccp_process_id *process,
			      const struct ccp_transport_events *events, void *data,
			      struct ccp_transport **ret_transport, struct codexcp_error *err)
{
	struct sock *self;
	int rc = sock_new(loop, options, events, data, &self, err);

	if (rc < 0)
		return rc;
	self->base.process = *process;
	self->attached = true;
	self->stage = CONNECT;
	rc = ccp_watch_new(loop, process, on_watched_end, self, &self->watch, err);
	if (rc < 0) {
		release(self);
		return rc;
	}
	*ret_transport = &self->base;
	return 0;
}
