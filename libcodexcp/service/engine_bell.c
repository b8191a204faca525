/*
 * The worker's side of the doorbell: answers rings after having looked, tells every connected front
 * end that rows have changed.
 */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "base/file.h"
#include "base/str.h"
#include "service/doorbell.h"
#include "service/engine_internal.h"

/* Commits that come close together are told once. */
#define CHANGED_MS 2

struct ccp_bell {
	struct ccp_engine *engine;
	struct ccp_stream *stream;
	struct ccp_bell *next, *prev;
};

static void say(struct ccp_stream *stream, const char *line)
{
	(void)ccp_stream_write_line(stream, line, strlen(line), NULL);
}

static void say_trouble(const struct ccp_engine *engine, struct ccp_stream *stream)
{
	char line[CCP_DOORBELL_MAX_LINE];

	snprintf(line, sizeof(line), CCP_DOORBELL_TROUBLE " %s",
		 engine->cp->state_trouble.code ? engine->cp->state_trouble.message : "");
	say(stream, line);
}

static void bell_free(struct ccp_bell *bell)
{
	DL_DELETE(bell->engine->bells, bell);
	ccp_stream_free(bell->stream);
	free(bell);
}

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct ccp_bell *bell = data;

	int order;

	if (ccp_streq(line, CCP_DOORBELL_RING)) {
		ccp_engine_look(bell->engine);
		say(stream, CCP_DOORBELL_RUNG);
	} else if (ccp_doorbell_compare(line, CCP_DOORBELL_LEAVE, &order) && order > 0) {
		ccp_engine_hand_over(bell->engine);
	}
}

static void on_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_bell *bell = data;
	struct ccp_engine *engine = bell->engine;

	bell_free(bell);
	ccp_engine_check_idle(engine);
}

static void on_accept(int fd, void *data)
{
	static const struct ccp_stream_events events = { .line = on_line, .end = on_end };
	struct ccp_engine *engine = data;
	struct ccp_bell *bell = calloc(1, sizeof(*bell));
	char hello[CCP_DOORBELL_RELEASE_SIZE];

	if (!bell) {
		ccp_closep(&fd);
		return;
	}
	bell->engine = engine;
	if (ccp_stream_open(engine->cp->loop, fd, CCP_DOORBELL_MAX_LINE, &events, bell,
			    &bell->stream, NULL) < 0) {
		free(bell);
		return;
	}
	DL_APPEND(engine->bells, bell);
	ccp_doorbell_line(CCP_DOORBELL_HELLO, hello);
	say(bell->stream, hello);
	if (engine->cp->state_trouble.code)
		say_trouble(engine, bell->stream);
	ccp_engine_check_idle(engine);
}

int ccp_bell_open(struct ccp_engine *engine, struct codexcp_error *err)
{
	_cleanup_free_ char *dir = ccp_state_run_dir(engine->cp);

	if (!dir)
		return ccp_fail_oom(err);
	return ccp_listener_open(engine->cp->loop, dir, CCP_DOORBELL_NAME, on_accept, engine,
				 &engine->listener, err);
}

void ccp_bell_close(struct ccp_engine *engine)
{
	ccp_listener_free(TAKE_PTR(engine->listener));
}

void ccp_bell_free(struct ccp_engine *engine)
{
	ccp_bell_close(engine);
	while (engine->bells)
		bell_free(engine->bells);
	ccp_stream_free(TAKE_PTR(engine->holder));
}

void ccp_bell_tell_changed(struct ccp_engine *engine)
{
	struct ccp_bell *bell;

	DL_FOREACH (engine->bells, bell)
		say(bell->stream, CCP_DOORBELL_CHANGED);
	ccp_context_wake(engine->cp);
}

void ccp_engine_tell_trouble(struct ccp_engine *engine)
{
	struct ccp_bell *bell;

	DL_FOREACH (engine->bells, bell)
		say_trouble(engine, bell->stream);
}

void ccp_bell_changed(struct ccp_engine *engine)
{
	if (!ccp_timer_active(engine->changed_timer))
		ccp_timer_start(engine->changed_timer, CHANGED_MS);
}

/* The one that has the lock */

static void on_holder_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	if (ccp_streq(line, CCP_DOORBELL_RUNG))
		ccp_engine_not_needed(data);
}

static void on_holder_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_engine *engine = data;

	ccp_stream_free(TAKE_PTR(engine->holder));
}

int ccp_bell_ring_holder(struct ccp_engine *engine, struct codexcp_error *err)
{
	static const struct ccp_stream_events events = { .line = on_holder_line,
							 .end = on_holder_end };
	_cleanup_free_ char *dir = ccp_state_run_dir(engine->cp);
	int fd = dir ? ccp_socket_connect(dir, CCP_DOORBELL_NAME, err) : ccp_fail_oom(err);

	if (fd < 0)
		return fd;
	if (ccp_stream_open(engine->cp->loop, fd, CCP_DOORBELL_MAX_LINE, &events, engine,
			    &engine->holder, err) < 0)
		return CODEXCP_E_INTERNAL;
	say(engine->holder, CCP_DOORBELL_RING);
	return 0;
}
