#include "server/serve.h"

#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "runtime/loop.h"
#include "runtime/stream.h"
#include "server/mcp.h"

#define LINE_MAX_BYTES   ((size_t)16 * 1024 * 1024)
#define UNREAD_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define LEAVE_MS         200 /* for what is still to be sent when the input has ended */
#define LOOK_FOR_WORK_MS 100 /* after the first answer: a client's handshake comes before it */

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

struct server {
	struct ccp_loop *loop;
	struct ccp_stream *in, *out;
	struct ccp_signal *signals[CCP_ARRAY_SIZE(signals)];
	struct ccp_timer *leave, *look;
	struct mcp *mcp;
	struct codexcp *cp; /* NULL until it is needed */
	bool answered, leaving;
};

static int context(struct codexcp **ret_cp, void *data, struct codexcp_error *err)
{
	struct server *server = data;
	const struct codexcp_options options = { .loop = ccp_loop_uv(server->loop) };
	int rc;

	if (!server->cp) {
		rc = codexcp_open(&options, &server->cp, err);
		if (rc < 0)
			return rc;
	}
	*ret_cp = server->cp;
	return 0;
}

static void send_line(const char *line, size_t len, void *data)
{
	struct server *server = data;
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (ccp_stream_write_line(server->out, line, len, &err) < 0) {
		ccp_log(CCP_LOG_ERROR, "cannot answer", "why", err.message, NULL);
		ccp_loop_stop(server->loop);
	}
	if (!server->answered && !server->leaving)
		ccp_timer_start(server->look, LOOK_FOR_WORK_MS);
	server->answered = true;
}

static const struct mcp_host host = { .send = send_line, .context = context };

static void look_for_work(void *data)
{
	struct server *server = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct codexcp *cp;

	if (context(&cp, server, &err) < 0)
		ccp_log(CCP_LOG_ERROR, "cannot look for work", "why", err.message, NULL);
	else
		codexcp_look_for_work(cp);
}

static void stop(void *data)
{
	struct server *server = data;

	ccp_loop_stop(server->loop);
}

static void stop_when_done(struct server *server)
{
	if (server->leaving && !mcp_running(server->mcp) && !ccp_stream_pending(server->out))
		stop(server);
}

/* No more input: what was read is answered, as far as that goes quickly. */
static void leave(void *data)
{
	struct server *server = data;

	if (server->leaving)
		return;
	server->leaving = true;
	ccp_stream_pause(server->in);
	ccp_timer_stop(server->look);
	ccp_timer_start(server->leave, LEAVE_MS);
	if (server->cp)
		codexcp_finish_waiting(server->cp);
	stop_when_done(server);
}

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct server *server = data;

	mcp_feed(server->mcp, line, len);
	if (ccp_stream_pending(server->out) > UNREAD_MAX_BYTES)
		ccp_stream_pause(stream);
}

static void on_overlong(struct ccp_stream *stream, size_t len, void *data)
{
	struct server *server = data;

	mcp_overlong(server->mcp, LINE_MAX_BYTES);
}

static void on_input_end(struct ccp_stream *stream, int error, void *data)
{
	leave(data);
}

static void on_output_end(struct ccp_stream *stream, int error, void *data)
{
	stop(data);
}

static void on_drained(struct ccp_stream *stream, void *data)
{
	struct server *server = data;

	if (server->leaving)
		stop_when_done(server);
	else
		ccp_stream_resume(server->in);
}

static const struct ccp_stream_events input_events = {
	.line = on_line,
	.overlong = on_overlong,
	.end = on_input_end,
};

static const struct ccp_stream_events output_events = {
	.end = on_output_end,
	.drained = on_drained,
};

static void server_done(struct server *server)
{
	mcp_free(server->mcp);
	codexcp_close(server->cp);
	ccp_stream_free(server->in);
	ccp_stream_free(server->out);
	ccp_timer_free(server->leave);
	ccp_timer_free(server->look);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(signals); i++)
		ccp_signal_free(server->signals[i]);
	ccp_loop_free(server->loop);
}

static int open_timers(struct server *server, struct codexcp_error *err)
{
	int rc;

	rc = ccp_timer_new(server->loop, stop, server, &server->leave, err);
	if (rc < 0)
		return rc;
	return ccp_timer_new(server->loop, look_for_work, server, &server->look, err);
}

static int open_signals(struct server *server, struct codexcp_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < CCP_ARRAY_SIZE(signals); i++)
		rc = ccp_signal_new(server->loop, signals[i], leave, server, &server->signals[i],
				    err);
	return rc;
}

/* The input comes last: from then on there are callbacks. */
static int open_streams(struct server *server, int *out, struct codexcp_error *err)
{
	int fd = *out, rc;

	*out = -1;
	rc = ccp_stream_open(server->loop, fd, LINE_MAX_BYTES, &output_events, server, &server->out,
			     err);
	if (rc < 0)
		return rc;
	return ccp_stream_open(server->loop, STDIN_FILENO, LINE_MAX_BYTES, &input_events, server,
			       &server->in, err);
}

int mcp_serve(int out, struct codexcp_error *err)
{
	_cleanup_(server_done) struct server server = { 0 };
	_cleanup_close_ int owned = out;
	int rc;

	rc = ccp_loop_new(NULL, &server.loop, err);
	if (rc >= 0)
		rc = mcp_new(&host, &server, &server.mcp, err);
	if (rc >= 0)
		rc = open_timers(&server, err);
	if (rc >= 0)
		rc = open_signals(&server, err);
	if (rc >= 0)
		rc = open_streams(&server, &owned, err);
	if (rc < 0)
		return rc;
	ccp_loop_run(server.loop);
	return 0;
}
