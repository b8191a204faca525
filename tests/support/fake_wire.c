/* The fake app-server's connections: standard streams, or WebSocket on a socket. See fake.h. */
#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "base/json.h"
#include "base/str.h"

#define CONNS_MAX 8

struct fake_conn {
	unsigned number;
	int in, out;
	bool initialized;
	json_t *threads;            /* the subscriptions, as keys */
	wslay_event_context_ptr ws; /* NULL on standard streams, and before the upgrade */
	bool socket;
	struct ccp_strbuf head;  /* the request for the upgrade */
	struct ccp_strbuf lines; /* messages that have come, one a line */
};

struct fake_wire {
	int listener;
	const char *name;
	struct fake_conn *conns[CONNS_MAX];
	struct fake_conn *asking; /* whose message is being handled; NULL: it has gone */
	unsigned n_conns;         /* that there ever were */
};

static volatile sig_atomic_t told_to_end;

/* ---- one connection ---- */

/* False when the other side is gone. */
static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *bytes, size_t len, int flags,
		       void *data)
{
	struct fake_conn *conn = data;

	if (write_all(conn->out, (const char *)bytes, len))
		return (ssize_t)len;
	wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *data)
{
	struct fake_conn *conn = data;
	ssize_t n = recv(conn->in, buf, len, MSG_DONTWAIT);

	if (n > 0)
		return n;
	wslay_event_set_error(ws, n < 0 && errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK
							   : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg,
		       void *data)
{
	struct fake_conn *conn = data;

	if (arg->opcode != WSLAY_TEXT_FRAME)
		return;
	ccp_strbuf_append_n(&conn->lines, (const char *)arg->msg, arg->msg_length);
	ccp_strbuf_append_char(&conn->lines, '\n');
}

static void conn_close(struct fake_wire *wire, struct fake_conn *conn)
{
	for (int i = 0; i < CONNS_MAX; i++)
		if (wire->conns[i] == conn)
			wire->conns[i] = NULL;
	if (wire->asking == conn)
		wire->asking = NULL;
	if (conn->ws)
		wslay_event_context_free(conn->ws);
	if (conn->socket)
		close(conn->in);
	json_decref(conn->threads);
	ccp_strbuf_done(&conn->head);
	ccp_strbuf_done(&conn->lines);
	free(conn);
}

static void conn_add(struct fake_wire *wire, int in, int out, bool socket)
{
	struct fake_conn *conn = calloc(1, sizeof(*conn));

	*conn = (struct fake_conn){
		.number = ++wire->n_conns,
		.in = in,
		.out = out,
		.socket = socket,
		.threads = json_object(),
		.head = CCP_STRBUF(1u << 16),
		.lines = CCP_STRBUF(256u << 20),
	};
	for (int i = 0; i < CONNS_MAX; i++) {
		if (wire->conns[i])
			continue;
		wire->conns[i] = conn;
		return;
	}
	conn_close(wire, conn);
}

static void conn_send(struct fake_wire *wire, struct fake_conn *conn, const char *text, size_t len)
{
	const struct wslay_event_msg message = { WSLAY_TEXT_FRAME, (const uint8_t *)text, len };

	if (!conn->socket) {
		if (!write_all(conn->out, text, len) || !write_all(conn->out, "\n", 1))
			exit(0);
		return;
	}
	if (!conn->ws)
		return;
	wslay_event_queue_msg(conn->ws, &message);
	if (wslay_event_send(conn->ws) < 0)
		conn_close(wire, conn);
}

/* The accept header is not what our client looks at. */
static void upgrade(struct fake_wire *wire, struct fake_conn *conn)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = ws_recv,
		.send_callback = ws_send,
		.on_msg_recv_callback = ws_message,
	};
	const char *refusal = getenv("CCP_FAKE_UPGRADE");
	_cleanup_free_ char *answer = ccp_asprintf(
		"HTTP/1.1 %s\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
		"sec-websocket-accept: fake\r\n"
		"x-codex-websocket-max-unfragmented-message-bytes: %d\r\n\r\n",
		refusal ? refusal : "101 Switching Protocols",
		(int)fake_env("CCP_FAKE_UNFRAGMENTED", 16 << 20));

	if (!write_all(conn->out, answer, strlen(answer)) || refusal)
		conn_close(wire, conn);
	else if (wslay_event_context_server_init(&conn->ws, &callbacks, conn) < 0)
		exit(71);
}

static void conn_read(struct fake_wire *wire, struct fake_conn *conn)
{
	char buffer[65536];
	ssize_t n;

	if (conn->ws) {
		if (wslay_event_recv(conn->ws) < 0 || wslay_event_send(conn->ws) < 0 ||
		    wslay_event_get_close_received(conn->ws))
			conn_close(wire, conn);
		return;
	}
	n = read(conn->in, buffer, sizeof(buffer));
	if (n <= 0 && !conn->socket && !(n < 0 && errno == EINTR))
		exit(0);
	if (n <= 0) {
		conn_close(wire, conn);
		return;
	}
	ccp_strbuf_append_n(conn->socket ? &conn->head : &conn->lines, buffer, (size_t)n);
	if (conn->socket && memmem(conn->head.data, conn->head.len, "\r\n\r\n", 4))
		upgrade(wire, conn);
}

/* ---- all of them ---- */

static bool hears_of(struct fake_conn *conn, const json_t *message)
{
	const char *thread = ccp_json_str(json_object_get(message, "params"), "threadId");
	const char *method = ccp_json_str(message, "method");

	if (!conn->initialized)
		return false;
	return !thread || !method || ccp_str_has_prefix(method, "thread/status") ||
	       json_object_get(conn->threads, thread);
}

void fake_say(struct fake *f, const char *text, size_t len)
{
	for (int i = 0; i < CONNS_MAX; i++)
		if (f->wire->conns[i])
			conn_send(f->wire, f->wire->conns[i], text, len);
}

void fake_send(struct fake *f, const json_t *message)
{
	size_t len;
	_cleanup_free_ char *text = ccp_json_dump(message, &len);

	for (int i = 0; i < CONNS_MAX; i++) {
		struct fake_conn *conn = f->wire->conns[i];

		if (conn && hears_of(conn, message))
			conn_send(f->wire, conn, text, len);
	}
}

void fake_answer_send(struct fake *f, const json_t *message)
{
	size_t len;
	_cleanup_free_ char *text = ccp_json_dump(message, &len);

	if (f->wire->asking)
		conn_send(f->wire, f->wire->asking, text, len);
}

void fake_subscribe(struct fake *f, const char *thread)
{
	if (f->wire->asking)
		json_object_set_new(f->wire->asking->threads, thread, json_true());
}

void fake_unsubscribe(struct fake *f, const char *thread)
{
	if (f->wire->asking)
		json_object_del(f->wire->asking->threads, thread);
}

bool fake_initialize(struct fake *f)
{
	struct fake_conn *conn = f->wire->asking;
	bool first = conn && !conn->initialized;

	if (conn)
		conn->initialized = true;
	return first;
}

bool fake_initialized(const struct fake *f)
{
	return !f->wire->asking || f->wire->asking->initialized;
}

unsigned fake_asker(const struct fake *f)
{
	return f->wire->asking ? f->wire->asking->number : 0;
}

void fake_set_asker(struct fake *f, unsigned asker)
{
	f->wire->asking = NULL;
	for (int i = 0; i < CONNS_MAX; i++)
		if (f->wire->conns[i] && f->wire->conns[i]->number == asker)
			f->wire->asking = f->wire->conns[i];
}

void fake_disconnect(struct fake *f)
{
	for (int i = 0; i < CONNS_MAX; i++)
		if (f->wire->conns[i])
			conn_close(f->wire, f->wire->conns[i]);
}

char *fake_next_line(struct fake *f, size_t *ret_len)
{
	for (int i = 0; i < CONNS_MAX; i++) {
		struct fake_conn *conn = f->wire->conns[i];
		char *end = conn && conn->lines.len
				    ? memchr(conn->lines.data, '\n', conn->lines.len)
				    : NULL;
		char *line;

		if (!end)
			continue;
		*ret_len = (size_t)(end - conn->lines.data);
		line = strndup(conn->lines.data, *ret_len);
		ccp_strbuf_consume(&conn->lines, *ret_len + 1);
		f->wire->asking = conn;
		return line;
	}
	return NULL;
}

void fake_wait(struct fake *f, int timeout_ms)
{
	struct pollfd fds[CONNS_MAX + 1];
	struct fake_conn *conns[CONNS_MAX + 1];
	nfds_t n = 0;

	for (int i = 0; i < CONNS_MAX; i++) {
		struct fake_conn *conn = f->wire->conns[i];

		if (!conn)
			continue;
		conns[n] = conn;
		fds[n++] = (struct pollfd){ .fd = conn->in, .events = POLLIN };
	}
	fds[n] = (struct pollfd){ .fd = f->wire->listener, .events = POLLIN };
	if (poll(fds, n + 1, timeout_ms) <= 0)
		return;
	for (nfds_t i = 0; i < n; i++)
		if (fds[i].revents)
			conn_read(f->wire, conns[i]);
	if (fds[n].revents) {
		int fd = accept4(f->wire->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			conn_add(f->wire, fd, fd, true);
	}
}

/* ---- start and end ---- */

static void on_term(int signum)
{
	told_to_end++;
}

/* They are logged, and that is all. */
static void log_terms(void)
{
	for (; told_to_end > 0; told_to_end--)
		fake_log("SIGTERM", json_true());
}

void fake_end_when_told(struct fake *f, bool idle)
{
	if (f->log_terms) {
		log_terms();
		return;
	}
	/* On a socket, SIGTERM lets running turns end. */
	if (!told_to_end || (f->wire->listener >= 0 && !idle))
		return;
	if (f->wire->listener >= 0)
		unlink(f->wire->name);
	exit(0);
}

static bool is_in_use(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool used = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;

	close(fd);
	return used;
}

static void listen_on(struct fake_wire *wire, const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", name);
	if (is_in_use(&addr)) {
		fprintf(stderr, "Error: app-server control socket is already in use at %s\n", name);
		exit(1);
	}
	unlink(name);
	wire->name = name;
	wire->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	fchmod(wire->listener, 0600);
	if (bind(wire->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(wire->listener, CONNS_MAX) < 0) {
		perror(name);
		exit(1);
	}
}

void fake_open_wire(struct fake *f, const char *listen)
{
	static struct fake_wire wire = { .listener = -1 };
	const struct sigaction action = { .sa_handler = on_term }; /* poll() notices */

	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	f->wire = &wire;
	if (!listen) {
		conn_add(&wire, STDIN_FILENO, STDOUT_FILENO, false);
		return;
	}
	if (!ccp_str_has_prefix(listen, "unix://") || fake_env("CCP_FAKE_NO_SOCKET", 0)) {
		fprintf(stderr, "error: unexpected argument '--listen' found\n");
		exit(2);
	}
	listen_on(&wire, listen + strlen("unix://"));
}
