#include <ccp_check.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/strbuf.h"
#include "runtime/socket.h"

struct fixture {
	struct ccp_loop *loop;
	struct ccp_listener *listener;
	char *dir, *path;
	int accepted[64];
	int n, wanted;
	bool free_at_accept;
};

static void on_accept(int fd, void *data)
{
	struct fixture *f = data;

	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	f->accepted[f->n++] = fd;
	if (f->free_at_accept)
		ccp_listener_free(TAKE_PTR(f->listener));
	if (f->n == f->wanted)
		ccp_loop_stop(f->loop);
}

static void listen_on(struct fixture *f)
{
	ck_assert_int_eq(
		ccp_listener_open(f->loop, f->dir, "door", on_accept, f, &f->listener, NULL), 0);
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .dir = ccp_test_make_dir() };
	f->path = ccp_path_join(f->dir, "door");
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
}

static void done(struct fixture *f)
{
	ccp_listener_free(f->listener);
	ccp_loop_free(f->loop);
	for (int i = 0; i < f->n; i++)
		close(f->accepted[i]);
	free(f->path);
	ccp_test_remove_dir(f->dir);
}

static int connect_to(struct fixture *f)
{
	int fd = ccp_socket_connect(f->dir, "door", NULL);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void accept_all(struct fixture *f, int wanted)
{
	f->wanted = wanted;
	ccp_loop_run(f->loop);
	ck_assert_int_eq(f->n, wanted);
}

START_TEST(test_connect)
{
	struct fixture f;
	struct stat st;
	char c = 0;
	int fd;

	setup(&f);
	listen_on(&f);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	fd = connect_to(&f);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	accept_all(&f, 1);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(read(f.accepted[0], &c, 1), 1);
	ck_assert_int_eq(c, 'x');
	close(fd);
	ccp_listener_free(TAKE_PTR(f.listener));
	ck_assert_int_lt(access(f.path, F_OK), 0);
	done(&f);
}
END_TEST

START_TEST(test_many)
{
	struct fixture f;
	int fds[40];

	setup(&f);
	listen_on(&f);
	for (int i = 0; i < 40; i++)
		fds[i] = connect_to(&f);
	accept_all(&f, 40);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	done(&f);
}
END_TEST

START_TEST(test_mode_under_an_open_umask)
{
	mode_t mask = umask(0);
	struct fixture f;
	struct stat st;

	setup(&f);
	listen_on(&f);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	done(&f);
	umask(mask);
}
END_TEST

START_TEST(test_nobody_listens)
{
	struct codexcp_error err = { 0 };
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_socket_connect(f.dir, "door", &err), CODEXCP_E_BUSY);
	ck_assert_int_eq(ccp_socket_connect("/nonexistent", "door", &err), CODEXCP_E_BUSY);
	ck_assert_int_eq(ccp_socket_connect("/dev/null", "door", &err), CODEXCP_E_INTERNAL);
	codexcp_error_done(&err);
	done(&f);
}
END_TEST

/* What a listener that was killed leaves behind. */
static void make_stale(struct fixture *f)
{
	struct ccp_loop *loop = f->loop;
	char *away = ccp_path_join(f->dir, "away");

	listen_on(f);
	ck_assert_int_eq(link(f->path, away), 0);
	ccp_listener_free(TAKE_PTR(f->listener));
	ccp_loop_dispatch(loop);
	ck_assert_int_eq(rename(away, f->path), 0);
	free(away);
}

START_TEST(test_stale_file)
{
	struct fixture f;

	setup(&f);
	make_stale(&f);
	ck_assert_int_eq(ccp_socket_connect(f.dir, "door", NULL), CODEXCP_E_BUSY);
	listen_on(&f);
	close(connect_to(&f));
	accept_all(&f, 1);
	done(&f);
}
END_TEST

START_TEST(test_other_file_is_kept)
{
	struct codexcp_error err = { 0 };
	struct fixture f;

	setup(&f);
	close(open(f.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_int_eq(ccp_listener_open(f.loop, f.dir, "door", on_accept, &f, &f.listener, &err),
			 CODEXCP_E_INTERNAL);
	ck_assert_int_eq(access(f.path, F_OK), 0);
	codexcp_error_done(&err);
	done(&f);
}
END_TEST

START_TEST(test_successor_is_kept)
{
	struct ccp_listener *old;
	struct fixture f;

	setup(&f);
	listen_on(&f);
	old = f.listener;
	listen_on(&f);
	ccp_listener_free(old);
	close(connect_to(&f));
	accept_all(&f, 1);
	done(&f);
}
END_TEST

START_TEST(test_free_within_accept)
{
	struct fixture f;
	int a, b;

	setup(&f);
	listen_on(&f);
	a = connect_to(&f);
	b = connect_to(&f);
	f.free_at_accept = true;
	accept_all(&f, 1);
	ck_assert_int_eq(ccp_socket_connect(f.dir, "door", NULL), CODEXCP_E_BUSY);
	close(a);
	close(b);
	done(&f);
}
END_TEST

START_TEST(test_long_directory)
{
	struct ccp_strbuf deep = CCP_STRBUF(4096);
	struct fixture f;
	char *dir;

	setup(&f);
	dir = f.dir;
	ccp_strbuf_append(&deep, dir);
	for (int i = 0; i < 3; i++) {
		ccp_strbuf_appendf(&deep, "/%0100d", i);
		ck_assert_int_eq(mkdir(ccp_strbuf_str(&deep), 0700), 0);
	}
	f.dir = ccp_strbuf_take(&deep);
	listen_on(&f);
	close(connect_to(&f));
	accept_all(&f, 1);
	free(f.dir);
	f.dir = dir;
	done(&f);
}
END_TEST

START_TEST(test_bad_names)
{
	struct fixture f;
	char name[200] = "";

	setup(&f);
	ck_assert_int_eq(ccp_socket_connect(f.dir, "", NULL), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(ccp_socket_connect(f.dir, "a/b", NULL), CODEXCP_E_INVALID_ARGUMENT);
	memset(name, 'x', sizeof(name) - 1);
	ck_assert_int_eq(ccp_socket_connect(f.dir, name, NULL), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_lt(ccp_listener_open(f.loop, f.dir, name, on_accept, &f, &f.listener, NULL),
			 0);
	ck_assert_int_lt(
		ccp_listener_open(f.loop, "/nonexistent", "door", on_accept, &f, &f.listener, NULL),
		0);
	ck_assert_ptr_null(f.listener);
	done(&f);
}
END_TEST

static void free_descriptor(void *data)
{
	int *fd = data;

	close(*fd);
	*fd = -1;
}

START_TEST(test_out_of_descriptors)
{
	struct fixture f;
	struct rlimit limit, old;
	struct ccp_timer *timer;
	int client, spare;

	setup(&f);
	listen_on(&f);
	client = connect_to(&f);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)spare + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(ccp_timer_new(f.loop, free_descriptor, &spare, &timer, NULL), 0);
	ccp_timer_start(timer, 20);
	/* The connection waits until there is a descriptor for it. */
	accept_all(&f, 1);
	ck_assert_int_eq(spare, -1);
	setrlimit(RLIMIT_NOFILE, &old);
	ccp_timer_free(timer);
	close(client);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("socket", test_connect, test_many, test_mode_under_an_open_umask, test_nobody_listens,
	      test_stale_file, test_other_file_is_kept, test_successor_is_kept,
	      test_free_within_accept, test_long_directory, test_bad_names, test_out_of_descriptors)
