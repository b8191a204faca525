#include "runtime/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"
#include "base/utf8.h"
#include "runtime/stream.h"

#define TAIL_MAX 8192
/* How long a process that was left behind may hold the output open, */
#define OUTPUT_GRACE_MS 500
/* and how long the last look for output takes then: at least one poll of the loop. */
#define LAST_LOOK_MS 10

struct ccp_child {
	struct ccp_loop *loop;
	uv_process_t process;
	struct ccp_stream *in, *out; /* NULL: closed, or the null device */
	uv_pipe_t err;
	struct ccp_timer *timer;   /* until the exit: to SIGKILL; afterwards: for the output */
	struct ccp_loop_hook hook; /* while the object is gone and the process is not */
	unsigned holds;            /* the object itself, and the handles of libuv's in it */
	int status;
	bool outlives;
	bool closing_stdin;
	bool exited; /* and reaped */
	bool out_open, err_open;
	bool last_look, told, freed;
	char tail[2 * TAIL_MAX];
	size_t tail_len;
	bool tail_cut;
	struct ccp_child_events events;
	void *data;
};

static void drop_hold(struct ccp_child *child)
{
	if (--child->holds == 0)
		free(child);
}

static void on_closed(uv_handle_t *handle)
{
	drop_hold(handle->data);
}

/* ---- the end ---- */

static void free_stream(struct ccp_stream **stream)
{
	ccp_stream_free(TAKE_PTR(*stream));
}

static void close_err(struct ccp_child *child)
{
	uv_handle_t *handle = (uv_handle_t *)&child->err;

	child->err_open = false;
	if (handle->type == UV_NAMED_PIPE && !uv_is_closing(handle))
		uv_close(handle, on_closed);
}

static void close_output(struct ccp_child *child)
{
	child->out_open = false;
	free_stream(&child->out);
	close_err(child);
}

static char *tail_text(struct ccp_child *child)
{
	size_t start = child->tail_len > TAIL_MAX ? child->tail_len - TAIL_MAX : 0;

	/* Not from the middle of a character. */
	if (start || child->tail_cut)
		while (start < child->tail_len && (child->tail[start] & 0xc0) == 0x80)
			start++;
	return ccp_utf8_sanitize(child->tail + start, child->tail_len - start, NULL);
}

static void tell(struct ccp_child *child)
{
	_cleanup_free_ char *tail = NULL;

	if (child->told || child->freed)
		return;
	child->told = true;
	ccp_timer_stop(child->timer);
	free_stream(&child->in);
	close_output(child);
	tail = tail_text(child);
	if (child->events.exited)
		child->events.exited(child, child->status, tail ? tail : "", child->data);
}

static void tell_when_complete(struct ccp_child *child)
{
	if (child->exited && !child->out_open && !child->err_open)
		tell(child);
}

static void kill_group(struct ccp_child *child)
{
	/* As long as it was not reaped, the pid is that of the child and of its group. */
	if (!child->exited)
		kill(-child->process.pid, SIGKILL);
}

static void on_timer(void *data)
{
	struct ccp_child *child = data;

	if (!child->exited) {
		kill_group(child);
	} else if (!child->last_look) {
		/* The loop may have been late, with output still unread: it polls once more. */
		child->last_look = true;
		ccp_timer_start(child->timer, LAST_LOOK_MS);
	} else {
		tell(child);
	}
}

static void on_exit_status(uv_process_t *process, int64_t status, int signum)
{
	struct ccp_child *child = process->data;

	child->exited = true;
	child->status = signum ? -signum : (int)status;
	if (child->freed) {
		if (child->outlives)
			ccp_loop_hook_remove(child->loop, &child->hook);
		uv_close((uv_handle_t *)process, on_closed);
		return;
	}
	ccp_timer_start(child->timer, OUTPUT_GRACE_MS);
	tell_when_complete(child);
}

/* ---- standard streams ---- */

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct ccp_child *child = data;

	child->events.line(child, line, len, child->data);
}

static void on_overlong(struct ccp_stream *stream, size_t len, void *data)
{
	struct ccp_child *child = data;

	if (child->events.overlong)
		child->events.overlong(child, len, child->data);
}

static void on_out_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_child *child = data;

	child->out_open = false;
	free_stream(&child->out);
	tell_when_complete(child);
}

static const struct ccp_stream_events out_events = {
	.line = on_line,
	.overlong = on_overlong,
	.end = on_out_end,
};

static void on_in_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_child *child = data;

	free_stream(&child->in);
}

static void on_in_drained(struct ccp_stream *stream, void *data)
{
	struct ccp_child *child = data;

	if (child->closing_stdin)
		free_stream(&child->in);
}

static const struct ccp_stream_events in_events = {
	.end = on_in_end,
	.drained = on_in_drained,
};

/* The tail is what stands before tail_len; there is always room for as much again. */
static void on_err_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct ccp_child *child = handle->data;

	*ret_buf = (uv_buf_t){ .base = child->tail + child->tail_len,
			       .len = sizeof(child->tail) - child->tail_len };
}

static void on_err_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct ccp_child *child = stream->data;

	if (n < 0) {
		close_err(child);
		tell_when_complete(child);
		return;
	}
	child->tail_len += (size_t)n;
	if (child->tail_len > TAIL_MAX) {
		memmove(child->tail, child->tail + child->tail_len - TAIL_MAX, TAIL_MAX);
		child->tail_len = TAIL_MAX;
		child->tail_cut = true;
	}
}

/* ---- the start ---- */

/* The two ends of each standard stream; -1: none. */
struct ends {
	int child[3], parent[3];
};

static void close_ends(struct ends *ends)
{
	for (int i = 0; i < 3; i++) {
		ccp_closep(&ends->child[i]);
		ccp_closep(&ends->parent[i]);
	}
}

/* Pipes of our own and not libuv's socket pairs: what we make non-blocking stays so on our end
 * only. */
static int make_pipe(int *ret_read, int *ret_write, struct codexcp_error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return ccp_fail_errno(err, errno, "cannot make a pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

static int open_file(const char *path, int *ret_fd, struct codexcp_error *err)
{
	int fd = ccp_file_open(path, O_WRONLY | O_CREAT | O_APPEND, 0600, err);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* Into a file, a pipe, or nowhere. */
static int make_output(struct ends *ends, int which, const char *path, bool wanted,
		       struct codexcp_error *err)
{
	if (path)
		return open_file(path, &ends->child[which], err);
	return wanted ? make_pipe(&ends->parent[which], &ends->child[which], err) : 0;
}

static int make_ends(const struct ccp_child_options *options, bool with_stdout, struct ends *ends,
		     struct codexcp_error *err)
{
	int rc = options->no_stdin ? 0 : make_pipe(&ends->child[0], &ends->parent[0], err);

	if (rc == 0)
		rc = make_output(ends, 1, options->stdout_path, with_stdout, err);
	if (rc == 0)
		rc = make_output(ends, 2, options->stderr_path, !options->outlives, err);
	return rc;
}

static int open_err(struct ccp_child *child, int *fd, struct codexcp_error *err)
{
	int rc = uv_pipe_init(ccp_loop_uv(child->loop), &child->err, 0);

	child->err.data = child;
	child->holds++;
	if (rc == 0)
		rc = uv_pipe_open(&child->err, *fd);
	if (rc < 0)
		return ccp_fail_errno(err, -rc, "cannot read a pipe");
	*fd = -1;
	child->err_open = true;
	uv_read_start((uv_stream_t *)&child->err, on_err_alloc, on_err_read);
	return 0;
}

static int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int open_streams(struct ccp_child *child, size_t max_line, struct ends *ends,
			struct codexcp_error *err)
{
	int rc = 0;

	if (ends->parent[0] >= 0)
		rc = ccp_stream_open(child->loop, take_fd(&ends->parent[0]), 0, &in_events, child,
				     &child->in, err);
	if (rc == 0 && ends->parent[1] >= 0) {
		rc = ccp_stream_open(child->loop, take_fd(&ends->parent[1]), max_line, &out_events,
				     child, &child->out, err);
		child->out_open = rc == 0;
	}
	if (rc == 0 && ends->parent[2] >= 0)
		rc = open_err(child, &ends->parent[2], err);
	return rc;
}

static int start_process(struct ccp_child *child, const struct ccp_child_options *options,
			 const struct ends *ends, struct codexcp_error *err)
{
	uv_stdio_container_t stdio[3];
	uv_process_options_t uv = {
		.exit_cb = on_exit_status,
		.file = options->file,
		.args = (char **)options->argv,
		.env = (char **)options->envp,
		.cwd = options->cwd,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 3,
		.stdio = stdio,
	};
	int rc, code;

	for (int i = 0; i < 3; i++) {
		stdio[i].flags = ends->child[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
		stdio[i].data.fd = ends->child[i];
	}
	child->process.data = child;
	rc = uv_spawn(ccp_loop_uv(child->loop), &child->process, &uv);
	child->holds++;
	if (rc == 0)
		return 0;
	child->exited = true;
	code = ccp_fail_errno(err, -rc, "cannot start %s", options->file);
	ccp_error_add_str(err, "errno", uv_err_name(rc));
	return code;
}

static int start(struct ccp_child *child, const struct ccp_child_options *options,
		 struct codexcp_error *err)
{
	_cleanup_(close_ends) struct ends ends = { { -1, -1, -1 }, { -1, -1, -1 } };
	int rc = ccp_timer_new(child->loop, on_timer, child, &child->timer, err);

	if (rc == 0)
		rc = make_ends(options, child->events.line, &ends, err);
	if (rc == 0)
		rc = open_streams(child, options->max_line, &ends, err);
	return rc == 0 ? start_process(child, options, &ends, err) : rc;
}

int ccp_child_spawn(struct ccp_loop *loop, const struct ccp_child_options *options,
		    const struct ccp_child_events *events, void *data, struct ccp_child **ret_child,
		    struct codexcp_error *err)
{
	struct ccp_child *child = calloc(1, sizeof(*child));
	int rc;

	if (!child)
		return ccp_fail_oom(err);
	child->loop = loop;
	child->holds = 1;
	child->outlives = options->outlives;
	child->events = *events;
	child->data = data;
	rc = start(child, options, err);
	if (rc < 0) {
		ccp_child_free(child);
		return rc;
	}
	*ret_child = child;
	return 0;
}

/* ---- while it runs ---- */

int ccp_child_pid(const struct ccp_child *child)
{
	return child->process.pid;
}

int ccp_child_write_line(struct ccp_child *child, const char *line, size_t len,
			 struct codexcp_error *err)
{
	if (!child->in || child->closing_stdin)
		return 0;
	return ccp_stream_write_line(child->in, line, len, err);
}

void ccp_child_close_stdin(struct ccp_child *child)
{
	child->closing_stdin = true;
	if (child->in && !ccp_stream_pending(child->in))
		free_stream(&child->in);
}

void ccp_child_stop(struct ccp_child *child, int64_t grace_ms)
{
	if (child->exited)
		return;
	uv_process_kill(&child->process, SIGTERM);
	ccp_timer_start(child->timer, grace_ms);
}

static void abandon(void *data)
{
	struct ccp_child *child = data;

	uv_close((uv_handle_t *)&child->process, on_closed);
}

/* A process that lives on keeps its handle, or it would become a zombie one day. */
static void let_go_of_process(struct ccp_child *child)
{
	uv_handle_t *handle = (uv_handle_t *)&child->process;

	if (handle->type != UV_PROCESS)
		return; /* never started */
	if (child->exited) {
		uv_close(handle, on_closed);
	} else if (child->outlives) {
		uv_unref(handle);
		child->hook = (struct ccp_loop_hook){ .fn = abandon, .data = child };
		ccp_loop_hook_add(child->loop, &child->hook);
	} else {
		kill_group(child);
	}
}

void ccp_child_free(struct ccp_child *child)
{
	if (!child)
		return;
	child->freed = true;
	free_stream(&child->in);
	close_output(child);
	ccp_timer_free(child->timer);
	let_go_of_process(child);
	drop_hold(child);
}
