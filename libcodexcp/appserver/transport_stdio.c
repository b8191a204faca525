/* Lines on the standard streams of a child: it ends with us. */
#include <string.h>

#include "appserver/transport.h"
#include "runtime/child.h"

struct stdio {
	struct ccp_transport base;
	struct ccp_child *child;
	struct ccp_timer *timer; /* at 0 to `open`; then from the end of its stdin to SIGTERM */
	int64_t kill_after_ms;
	bool stopping;
};

static struct stdio *self_of(struct ccp_transport *transport)
{
	return ccp_container_of(transport, struct stdio, base);
}

static void on_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct stdio *self = data;

	self->base.events->message(line, len, self->base.data);
}

static void on_overlong(struct ccp_child *child, size_t len, void *data)
{
	struct stdio *self = data;

	self->base.events->overlong(len, self->base.data);
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct stdio *self = data;
	const struct ccp_transport_end end = { .has_status = true,
					       .status = status,
					       .words = stderr_tail };

	ccp_timer_stop(self->timer);
	self->base.events->closed(&end, self->base.data);
}

static const struct ccp_child_events child_events = {
	.line = on_line,
	.overlong = on_overlong,
	.exited = on_exited,
};

static void on_timer(void *data)
{
	struct stdio *self = data;

	if (self->stopping)
		ccp_child_stop(self->child, self->kill_after_ms);
	else
		self->base.events->open(self->base.data);
}

static int stdio_send(struct ccp_transport *transport, const char *text, size_t len,
		      struct codexcp_error *err)
{
	return ccp_child_write_line(self_of(transport)->child, text, len, err);
}

/* The end of its input is the kind way; SIGTERM follows after half of the grace. */
static void stdio_stop(struct ccp_transport *transport, int64_t grace_ms)
{
	struct stdio *self = self_of(transport);

	self->stopping = true;
	self->kill_after_ms = grace_ms - grace_ms / 2;
	ccp_child_close_stdin(self->child);
	ccp_timer_start(self->timer, grace_ms / 2);
}

static void stdio_free(struct ccp_transport *transport)
{
	struct stdio *self = self_of(transport);

	ccp_child_free(self->child);
	ccp_timer_free(self->timer);
	free(self);
}

static const struct ccp_transport_ops ops = { stdio_send, stdio_stop, stdio_free };

static int start(struct stdio *self, struct ccp_loop *loop,
		 const struct ccp_transport_options *options, struct codexcp_error *err)
{
	const char *const argv[] = { options->binary, "app-server", NULL };
	const struct ccp_child_options child = {
		.file = options->binary,
		.argv = argv,
		.envp = options->envp,
		.cwd = options->cwd,
		.max_line = options->max_message,
	};
	int rc = ccp_timer_new(loop, on_timer, self, &self->timer, err);

	if (rc == 0)
		rc = ccp_child_spawn(loop, &child, &child_events, self, &self->child, err);
	if (rc < 0)
		return rc;
	if (ccp_process_identify(ccp_child_pid(self->child), &self->base.process, NULL) < 0)
		self->base.process = (struct ccp_process_id){ .pid = ccp_child_pid(self->child) };
	ccp_timer_start(self->timer, 0);
	return 0;
}

int ccp_transport_stdio_start(struct ccp_loop *loop, const struct ccp_transport_options *options,
			      const struct ccp_transport_events *events, void *data,
			      struct ccp_transport **ret_transport, struct codexcp_error *err)
{
	struct stdio *self = calloc(1, sizeof(*self));
	int rc;

	if (!self)
		return ccp_fail_oom(err);
	self->base = (struct ccp_transport){ .ops = &ops, .events = events, .data = data };
	rc = start(self, loop, options, err);
	if (rc < 0) {
		stdio_free(&self->base);
		return rc;
	}
	*ret_transport = &self->base;
	return 0;
}
