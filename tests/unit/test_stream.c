#include <arpa/inet.h>
#include <ccp_check.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/path.h"
#include "base/strbuf.h"
#include "runtime/stream.h"

#define MAX_LINE 1000

struct fixture {
	struct ccp_loop *loop;
	struct ccp_stream *stream;
	struct ccp_strbuf log;
	const char *stop_at; /* the loop stops at this line, */
	bool pause_each;     /* or the stream is paused, */
	bool free_each;      /* or freed */
	bool free_at_end;
	int drained;
	int error;
};

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct fixture *f = data;

	ck_assert_uint_eq(strlen(line), len);
	ccp_strbuf_appendf(&f->log, "[%s]", line);
	if (f->stop_at && strcmp(line, f->stop_at) == 0)
		ccp_loop_stop(f->loop);
	if (f->pause_each) {
		ccp_stream_pause(stream);
		ccp_loop_stop(f->loop);
	}
	if (f->free_each) {
		ccp_stream_free(TAKE_PTR(f->stream));
		ck_assert_uint_eq(strlen(line), len); /* still valid */
	}
}

static void on_overlong(struct ccp_stream *stream, size_t len, void *data)
{
	struct fixture *f = data;

	ck_assert_uint_gt(len, MAX_LINE);
	ccp_strbuf_append(&f->log, "{overlong}");
}

static void on_end(struct ccp_stream *stream, int error, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_append(&f->log, error ? "error" : "end");
	f->error = error;
	if (f->free_at_end)
		ccp_stream_free(TAKE_PTR(f->stream));
	ccp_loop_stop(f->loop);
}

static void on_drained(struct ccp_stream *stream, void *data)
{
	struct fixture *f = data;

	f->drained++;
	ck_assert_uint_eq(ccp_stream_pending(stream), 0);
	ccp_loop_stop(f->loop);
}

static const struct ccp_stream_events both = { on_line, on_overlong, on_end, on_drained };
static const struct ccp_stream_events writing = { NULL, NULL, on_end, on_drained };

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(64 * 1024) };
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
}

static void open_stream(struct fixture *f, int fd, const struct ccp_stream_events *events)
{
	ck_assert_int_eq(ccp_stream_open(f->loop, fd, MAX_LINE, events, f, &f->stream, NULL), 0);
}

static void done(struct fixture *f)
{
	ccp_stream_free(f->stream);
	ccp_loop_free(f->loop);
	ccp_strbuf_done(&f->log);
}

static void check_log(struct fixture *f, const char *expected)
{
	ck_assert_str_eq(ccp_strbuf_str(&f->log), expected);
	ccp_strbuf_clear(&f->log);
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void check_got(int fd, const char *expected)
{
	char text[256] = "";

	ck_assert_int_eq(read(fd, text, sizeof(text) - 1), (ssize_t)strlen(expected));
	ck_assert_str_eq(text, expected);
}

static void make_pipe(int fds[2])
{
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
}

START_TEST(test_pipe_lines)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[0], &both);
	put(fds[1], "\xef\xbb\xbf"
		    "a\r\nb");
	f.stop_at = "a";
	ccp_loop_run(f.loop);
	check_log(&f, "[a]");
	put(fds[1], "b\n\nlast");
	close(fds[1]);
	ccp_loop_run(f.loop);
	check_log(&f, "[bb][][last]end");
	done(&f);
}
END_TEST

START_TEST(test_overlong)
{
	struct fixture f;
	char text[3 * MAX_LINE];
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[0], &both);
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(write(fds[1], text, sizeof(text)), sizeof(text));
	put(fds[1], "\nb\n");
	close(fds[1]);
	ccp_loop_run(f.loop);
	check_log(&f, "{overlong}[b]end");
	done(&f);
}
END_TEST

static void check_pausing(struct fixture *f, int fd)
{
	open_stream(f, fd, &both);
	f->pause_each = true;
	ccp_loop_run(f->loop);
	check_log(f, "[a]");
	for (int i = 0; i < 5; i++)
		ccp_loop_dispatch(f->loop);
	check_log(f, "");
	ccp_stream_resume(f->stream);
	check_log(f, ""); /* not from within resume */
	ccp_loop_run(f->loop);
	check_log(f, "[b]");
	f->pause_each = false;
	ccp_stream_resume(f->stream);
	ccp_loop_run(f->loop);
	check_log(f, "[c]end");
}

START_TEST(test_pause_pipe)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	put(fds[1], "a\nb\nc");
	close(fds[1]);
	check_pausing(&f, fds[0]);
	done(&f);
}
END_TEST

static int make_file(const char *dir, const char *text)
{
	char *path = ccp_path_join(dir, "file");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	put(fd, text);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	free(path);
	return fd;
}

START_TEST(test_pause_file)
{
	char *dir = ccp_test_make_dir();
	struct fixture f;

	setup(&f);
	check_pausing(&f, make_file(dir, "a\nb\nc"));
	done(&f);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_resume_within_line)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[0], &both);
	ccp_stream_pause(f.stream);
	put(fds[1], "a\nb\n");
	close(fds[1]);
	ccp_stream_resume(f.stream);
	ccp_stream_pause(f.stream);
	ccp_loop_run(f.loop); /* nothing is waited for while it is paused */
	check_log(&f, "");
	ccp_stream_resume(f.stream);
	ccp_loop_run(f.loop);
	check_log(&f, "[a][b]end");
	done(&f);
}
END_TEST

static void check_freed_in_line(struct fixture *f, int fd)
{
	open_stream(f, fd, &both);
	f->free_each = true;
	ccp_loop_run(f->loop);
	check_log(f, "[a]");
	done(f);
}

START_TEST(test_free_within_line)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	put(fds[1], "a\nb\n");
	check_freed_in_line(&f, fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(test_free_file_within_line)
{
	char *dir = ccp_test_make_dir();
	struct fixture f;

	setup(&f);
	check_freed_in_line(&f, make_file(dir, "a\nb\n"));
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_free_within_end)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[0], &both);
	close(fds[1]);
	f.free_at_end = true;
	ccp_loop_run(f.loop);
	check_log(&f, "end");
	done(&f);
}
END_TEST

START_TEST(test_free_file_while_it_is_read)
{
	char *dir = ccp_test_make_dir();
	struct fixture f;

	setup(&f);
	open_stream(&f, make_file(dir, "a\n"), &both);
	ccp_stream_free(TAKE_PTR(f.stream));
	ccp_loop_run(f.loop);
	check_log(&f, "");
	done(&f);
	ccp_test_remove_dir(dir);
}
END_TEST

static void check_both_ways(int near, int far)
{
	struct fixture f;

	setup(&f);
	open_stream(&f, near, &both);
	ck_assert_int_eq(ccp_stream_write(f.stream, "one", 3, NULL), 0);
	ck_assert_int_eq(ccp_stream_write_line(f.stream, "two", 3, NULL), 0);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.drained, 1);
	check_got(far, "onetwo\n");
	put(far, "back\n");
	f.stop_at = "back";
	ccp_loop_run(f.loop);
	check_log(&f, "[back]");
	close(far);
	ccp_loop_run(f.loop);
	check_log(&f, "end");
	ck_assert_int_eq(ccp_stream_write(f.stream, "x", 1, NULL), 0);
	ck_assert_uint_eq(ccp_stream_pending(f.stream), 0);
	done(&f);
}

START_TEST(test_local_socket)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	check_both_ways(fds[0], fds[1]);
}
END_TEST

START_TEST(test_tcp_socket)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), far;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_eq(connect(near, (struct sockaddr *)&addr, len), 0);
	far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(far, 0);
	close(listener);
	check_both_ways(near, far);
}
END_TEST

START_TEST(test_terminal)
{
	struct fixture f;
	char name[64], text[64] = "";
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	setup(&f);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	ck_assert_int_eq(ptsname_r(master, name, sizeof(name)), 0);
	open_stream(&f, open(name, O_RDWR | O_NOCTTY | O_CLOEXEC), &both);
	put(master, "hello\n");
	f.stop_at = "hello";
	ccp_loop_run(f.loop);
	check_log(&f, "[hello]");
	ck_assert_int_eq(ccp_stream_write(f.stream, "x", 1, NULL), 0);
	ccp_loop_run(f.loop);
	ck_assert_int_gt(read(master, text, sizeof(text) - 1), 0);
	done(&f);
	close(master);
}
END_TEST

START_TEST(test_file_to_the_end)
{
	struct ccp_strbuf text = CCP_STRBUF(1024 * 1024);
	char *dir = ccp_test_make_dir();
	struct fixture f;

	for (int i = 0; i < 400; i++)
		ccp_strbuf_appendf(&text, "%0999d\n", i);
	setup(&f);
	f.log.max = 1024 * 1024;
	open_stream(&f, make_file(dir, ccp_strbuf_str(&text)), &both);
	ccp_loop_run(f.loop);
	ck_assert_uint_eq(f.log.len, 400 * 1001 + strlen("end"));
	done(&f);
	ccp_strbuf_done(&text);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_null_device)
{
	struct fixture f;

	setup(&f);
	open_stream(&f, open("/dev/null", O_RDONLY | O_CLOEXEC), &both);
	ccp_loop_run(f.loop);
	check_log(&f, "end");
	done(&f);
}
END_TEST

START_TEST(test_write_file)
{
	char *dir = ccp_test_make_dir();
	struct fixture f;
	int fd = make_file(dir, ""), copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	setup(&f);
	open_stream(&f, fd, &writing);
	ck_assert_int_eq(ccp_stream_write_line(f.stream, "one", 3, NULL), 0);
	ck_assert_int_eq(ccp_stream_write_line(f.stream, "", 0, NULL), 0);
	ck_assert_int_eq(f.drained, 0);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.drained, 1);
	ck_assert_int_eq(lseek(copy, 0, SEEK_SET), 0);
	check_got(copy, "one\n\n");
	close(copy);
	done(&f);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_write_to_full_device)
{
	struct fixture f;

	setup(&f);
	open_stream(&f, open("/dev/full", O_WRONLY | O_CLOEXEC), &writing);
	ck_assert_int_eq(ccp_stream_write(f.stream, "x", 1, NULL), 0);
	check_log(&f, "");
	ck_assert_int_eq(ccp_stream_write(f.stream, "x", 1, NULL), 0);
	ccp_loop_run(f.loop);
	check_log(&f, "error");
	ck_assert_int_eq(f.error, UV_ENOSPC);
	ck_assert_int_eq(f.drained, 0);
	done(&f);
}
END_TEST

START_TEST(test_write_to_nobody)
{
	struct fixture f;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[1], &writing);
	close(fds[0]);
	ck_assert_int_eq(ccp_stream_write(f.stream, "x", 1, NULL), 0);
	ccp_loop_run(f.loop);
	check_log(&f, "error");
	ck_assert_int_eq(f.error, UV_EPIPE);
	done(&f);
}
END_TEST

START_TEST(test_pending)
{
	const size_t len = 4 * 1024 * 1024;
	char *text = calloc(1, len), buf[65536];
	struct fixture f;
	size_t left = len;
	int fds[2];

	setup(&f);
	make_pipe(fds);
	open_stream(&f, fds[1], &writing);
	ck_assert_int_eq(ccp_stream_write(f.stream, text, len, NULL), 0);
	ck_assert_uint_eq(ccp_stream_pending(f.stream), len);
	while (left) {
		ssize_t n = read(fds[0], buf, sizeof(buf));

		ck_assert_int_gt(n, 0);
		left -= (size_t)n;
		ccp_loop_dispatch(f.loop);
	}
	ck_assert_int_eq(f.drained, 1);
	/* Freed with bytes on the way: nothing is called, nothing leaks. */
	ck_assert_int_eq(ccp_stream_write(f.stream, text, len, NULL), 0);
	done(&f);
	ck_assert_int_eq(f.drained, 1);
	free(text);
	close(fds[0]);
}
END_TEST

START_TEST(test_useless_descriptors)
{
	struct codexcp_error err = { 0 };
	struct fixture f;
	int fds[2];

	setup(&f);
	ck_assert_int_eq(ccp_stream_open(f.loop, open("/tmp", O_RDONLY | O_CLOEXEC), 1, &both, &f,
					 &f.stream, &err),
			 CODEXCP_E_INTERNAL);
	/* The writing end cannot be read; it is closed with the failure. */
	make_pipe(fds);
	ck_assert_int_lt(ccp_stream_open(f.loop, fds[1], 1, &both, &f, &f.stream, &err), 0);
	ck_assert_int_lt(ccp_stream_open(f.loop, -1, 1, &both, &f, &f.stream, &err), 0);
	ck_assert_ptr_null(f.stream);
	close(fds[0]);
	codexcp_error_done(&err);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("stream", test_pipe_lines, test_overlong, test_pause_pipe, test_pause_file,
	      test_resume_within_line, test_free_within_line, test_free_file_within_line,
	      test_free_within_end, test_free_file_while_it_is_read, test_local_socket,
	      test_tcp_socket, test_terminal, test_file_to_the_end, test_null_device,
	      test_write_file, test_write_to_full_device, test_write_to_nobody, test_pending,
	      test_useless_descriptors)
