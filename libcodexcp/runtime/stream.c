#include "runtime/stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "runtime/lines.h"

/*
 * Two backends: a libuv stream for pipes, sockets and terminals, and plain files (regular files and
 * devices such as /dev/null), which epoll does not take. Files are read in the thread pool, as a
 * disk may be slow; they are written directly, into the page cache.
 */
struct ccp_stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
		uv_tty_t tty;
	} uv;
	uv_idle_t kick; /* runs deliver() out of the caller's stack */
	uv_fs_t fs;
	int fd;         /* of a file, else -1 */
	unsigned holds; /* handles and requests of libuv's that point here */
	struct ccp_lines lines;
	size_t pending;
	int error; /* why reading or writing has stopped; told when the lines before it are out */
	int write_error; /* of a file, to be told by on_kick() */
	bool has_handle; /* uv is initialised */
	bool fs_busy, paused, drained, ended, closed;
	struct ccp_stream_events events;
	void *data;
};

struct write {
	uv_write_t uv;
	size_t len;
	char bytes[];
};

static void close_fd(int fd)
{
	/* As libuv does: closing a standard descriptor lets the next open() take its place. */
	if (fd > STDERR_FILENO)
		close(fd);
}

static void drop_hold(struct ccp_stream *stream)
{
	if (--stream->holds)
		return;
	close_fd(stream->fd);
	ccp_lines_done(&stream->lines);
	free(stream);
}

static void on_closed(uv_handle_t *handle)
{
	drop_hold(handle->data);
}

static void stop_reading(struct ccp_stream *stream)
{
	if (stream->fd < 0)
		uv_read_stop(&stream->uv.stream);
}

static void end(struct ccp_stream *stream, int error)
{
	if (stream->ended || stream->closed)
		return;
	stream->ended = true;
	stop_reading(stream);
	if (stream->events.end)
		stream->events.end(stream, error, stream->data);
}

static bool may_deliver(const struct ccp_stream *stream)
{
	return !stream->paused && !stream->ended && !stream->closed;
}

/* Hands out the lines that are there, and then the end when it is there too. */
static void deliver(struct ccp_stream *stream)
{
	while (may_deliver(stream)) {
		char *line;
		size_t len;

		switch (ccp_lines_next(&stream->lines, &line, &len)) {
		case CCP_LINES_LINE:
			stream->events.line(stream, line, len, stream->data);
			break;
		case CCP_LINES_OVERLONG:
			if (stream->events.overlong)
				stream->events.overlong(stream, len, stream->data);
			break;
		case CCP_LINES_NONE:
			if (stream->lines.eof)
				end(stream, stream->error);
			return;
		}
	}
}

/* n bytes came, or 0 for the end of input, or an error of libuv's. */
static void take_input(struct ccp_stream *stream, ssize_t n)
{
	if (n > 0) {
		ccp_lines_commit(&stream->lines, (size_t)n);
	} else {
		stream->error = (int)n;
		ccp_lines_eof(&stream->lines);
		stop_reading(stream);
	}
	deliver(stream);
}

static bool make_room(struct ccp_stream *stream, uv_buf_t *ret_buf)
{
	char *room;
	size_t len;

	if (!ccp_lines_reserve(&stream->lines, &room, &len))
		return false;
	*ret_buf = (uv_buf_t){ .base = room, .len = len };
	return true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	/* Without room libuv reports UV_ENOBUFS. */
	if (!make_room(handle->data, ret_buf))
		*ret_buf = (uv_buf_t){ .base = NULL };
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
	/* 0 is libuv's "not now". */
	if (n)
		take_input(uv->data, n == UV_EOF ? 0 : n);
}

static void read_on(struct ccp_stream *stream);

static void on_file_read(uv_fs_t *fs)
{
	struct ccp_stream *stream = fs->data;
	ssize_t n = fs->result;

	uv_fs_req_cleanup(fs);
	stream->fs_busy = false;
	if (!stream->closed && !stream->ended) {
		take_input(stream, n);
		read_on(stream);
	}
	drop_hold(stream);
}

static int read_file(struct ccp_stream *stream)
{
	uv_buf_t buf;
	int rc;

	if (stream->fs_busy)
		return 0;
	if (!make_room(stream, &buf))
		return UV_ENOMEM;
	rc = uv_fs_read(stream->kick.loop, &stream->fs, stream->fd, &buf, 1, -1, on_file_read);
	if (rc < 0)
		return rc;
	stream->fs_busy = true;
	stream->holds++;
	return 0;
}

static int start_reading(struct ccp_stream *stream)
{
	int rc;

	if (!may_deliver(stream) || stream->lines.eof || !stream->events.line)
		return 0;
	if (stream->fd >= 0)
		return read_file(stream);
	rc = uv_read_start(&stream->uv.stream, on_alloc, on_read);
	return rc == UV_EALREADY ? 0 : rc;
}

static void read_on(struct ccp_stream *stream)
{
	int rc = start_reading(stream);

	if (rc < 0)
		end(stream, rc);
}

static void on_kick(uv_idle_t *idle)
{
	struct ccp_stream *stream = idle->data;
	bool drained = stream->drained;

	uv_idle_stop(idle);
	stream->drained = false;
	if (stream->write_error)
		end(stream, stream->write_error);
	else if (drained && stream->events.drained)
		stream->events.drained(stream, stream->data);
	deliver(stream);
	read_on(stream);
}

static void kick(struct ccp_stream *stream)
{
	uv_idle_start(&stream->kick, on_kick);
}

/* libuv's stream for fd; a file is only noted. Returns an error of libuv's. */
static int init_handle(struct ccp_stream *stream, uv_loop_t *loop, int fd)
{
	uv_handle_type type = uv_guess_handle(fd);
	int rc;

	if (type == UV_FILE) {
		stream->fd = fd;
		return 0;
	}
	if (type == UV_NAMED_PIPE)
		rc = uv_pipe_init(loop, &stream->uv.pipe, 0);
	else if (type == UV_TCP)
		rc = uv_tcp_init(loop, &stream->uv.tcp);
	else if (type == UV_TTY)
		rc = uv_tty_init(loop, &stream->uv.tty, fd, 0);
	else
		return UV_EINVAL;
	if (rc < 0)
		return rc;
	stream->has_handle = true;
	stream->holds++;
	stream->uv.handle.data = stream;
	if (type == UV_NAMED_PIPE)
		return uv_pipe_open(&stream->uv.pipe, fd);
	return type == UV_TCP ? uv_tcp_open(&stream->uv.tcp, fd) : 0;
}

/* Whether libuv closes fd with the handle: not when opening has failed, and a terminal is opened
 * anew. */
static bool handle_owns(const struct ccp_stream *stream, int fd)
{
	uv_os_fd_t actual;

	return stream->has_handle && uv_fileno(&stream->uv.handle, &actual) == 0 && actual == fd;
}

static int open_stream(struct ccp_stream *stream, uv_loop_t *loop, int fd,
		       struct codexcp_error *err)
{
	int rc = init_handle(stream, loop, fd);

	if (stream->fd < 0 && !handle_owns(stream, fd))
		close_fd(fd);
	if (rc == 0)
		rc = start_reading(stream);
	return rc < 0 ? ccp_fail_errno(err, -rc, "cannot use descriptor %d as a stream", fd) : 0;
}

int ccp_stream_open(struct ccp_loop *loop, int fd, size_t max_line,
		    const struct ccp_stream_events *events, void *data,
		    struct ccp_stream **ret_stream, struct codexcp_error *err)
{
	struct ccp_stream *stream = calloc(1, sizeof(*stream));
	int rc;

	if (!stream) {
		close_fd(fd);
		return ccp_fail_oom(err);
	}
	stream->fd = -1;
	stream->lines = CCP_LINES(max_line);
	stream->events = *events;
	stream->data = data;
	uv_idle_init(ccp_loop_uv(loop), &stream->kick);
	stream->kick.data = stream->fs.data = stream;
	stream->holds = 1;
	rc = open_stream(stream, ccp_loop_uv(loop), fd, err);
	if (rc < 0) {
		ccp_stream_free(stream);
		return rc;
	}
	*ret_stream = stream;
	return 0;
}

static void on_written(uv_write_t *uv, int status)
{
	struct write *write = ccp_container_of(uv, struct write, uv);
	struct ccp_stream *stream = uv->data;

	stream->pending -= write->len;
	free(write);
	if (status < 0)
		end(stream, status);
	else if (!stream->pending && !stream->closed && stream->events.drained)
		stream->events.drained(stream, stream->data);
}

static int write_file(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Steals write. */
static int submit(struct ccp_stream *stream, struct write *write, struct codexcp_error *err)
{
	uv_buf_t buf = { .base = write->bytes, .len = write->len };
	int rc;

	if (stream->fd >= 0) {
		stream->write_error = write_file(stream->fd, buf.base, buf.len);
		stream->drained = true;
		kick(stream);
		free(write);
		return 0;
	}
	write->uv.data = stream;
	rc = uv_write(&write->uv, &stream->uv.stream, &buf, 1, on_written);
	if (rc < 0) {
		free(write);
		return ccp_fail_errno(err, -rc, "cannot write to a stream");
	}
	stream->pending += buf.len;
	return 0;
}

static int write_copy(struct ccp_stream *stream, const char *bytes, size_t len, const char *tail,
		      struct codexcp_error *err)
{
	size_t tail_len = strlen(tail), total = len + tail_len;
	struct write *write;

	if (!total || stream->ended || stream->write_error)
		return 0;
	write = malloc(sizeof(*write) + total);
	if (!write)
		return ccp_fail_oom(err);
	write->len = total;
	if (len)
		memcpy(write->bytes, bytes, len);
	memcpy(write->bytes + len, tail, tail_len);
	return submit(stream, write, err);
}

int ccp_stream_write(struct ccp_stream *stream, const char *bytes, size_t len,
		     struct codexcp_error *err)
{
	return write_copy(stream, bytes, len, "", err);
}

int ccp_stream_write_line(struct ccp_stream *stream, const char *line, size_t len,
			  struct codexcp_error *err)
{
	return write_copy(stream, line, len, "\n", err);
}

size_t ccp_stream_pending(const struct ccp_stream *stream)
{
	return stream->pending;
}

void ccp_stream_pause(struct ccp_stream *stream)
{
	stream->paused = true;
	stop_reading(stream);
}

void ccp_stream_resume(struct ccp_stream *stream)
{
	if (!stream->paused)
		return;
	stream->paused = false;
	kick(stream);
}

void ccp_stream_free(struct ccp_stream *stream)
{
	if (!stream)
		return;
	stream->closed = true;
	uv_close((uv_handle_t *)&stream->kick, on_closed);
	if (stream->has_handle)
		uv_close(&stream->uv.handle, on_closed);
}
