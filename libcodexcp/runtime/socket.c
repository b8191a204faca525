#include "runtime/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"

/* One event accepts at most so many, to leave the loop to others. */
#define ACCEPT_BURST 16
/* How long to wait when there is no descriptor to accept with. */
#define ACCEPT_PAUSE_MS 100

struct ccp_listener {
	uv_poll_t poll;
	struct ccp_timer *pause;
	int fd, dir_fd;
	char *name;
	dev_t dev; /* the socket file that is ours */
	ino_t ino;
	bool closed;
	ccp_accept_fn fn;
	void *data;
};

/* The address of dir/name: through the descriptor of the directory it always fits. */
static int make_address(int dir_fd, const char *name, struct sockaddr_un *ret_addr,
			struct codexcp_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);

	if (!name[0] || strchr(name, '/') || n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "%s is no name for a socket",
				name);
	*ret_addr = addr;
	return 0;
}

static int open_dir(const char *dir)
{
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int remove_stale(int dir_fd, const char *dir, const char *name, struct codexcp_error *err)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : ccp_fail_errno(err, errno, "cannot see %s/%s", dir, name);
	if (!S_ISSOCK(st.st_mode))
		return ccp_fail(err, CODEXCP_E_INTERNAL, "%s/%s is not a socket", dir, name);
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return ccp_fail_errno(err, errno, "cannot remove %s/%s", dir, name);
	return 0;
}

/* Only the file that we made: a successor may have put its own in the place. */
static void remove_own(const struct ccp_listener *listener)
{
	struct stat st;

	if (listener->ino &&
	    fstatat(listener->dir_fd, listener->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == listener->dev && st.st_ino == listener->ino)
		unlinkat(listener->dir_fd, listener->name, 0);
}

static int bind_and_listen(struct ccp_listener *listener, const char *dir,
			   struct codexcp_error *err)
{
	struct sockaddr_un addr;
	struct stat st;
	int rc;

	listener->dir_fd = open_dir(dir);
	if (listener->dir_fd < 0)
		return ccp_fail_errno(err, errno, "cannot open %s", dir);
	rc = make_address(listener->dir_fd, listener->name, &addr, err);
	if (rc == 0)
		rc = remove_stale(listener->dir_fd, dir, listener->name, err);
	if (rc < 0)
		return rc;
	listener->fd = new_socket();
	/* The file gets the mode that the socket has when it is bound. */
	if (listener->fd < 0 || fchmod(listener->fd, 0600) < 0 ||
	    bind(listener->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fstatat(listener->dir_fd, listener->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ccp_fail_errno(err, errno, "cannot bind %s/%s", dir, listener->name);
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	if (listen(listener->fd, SOMAXCONN) < 0)
		return ccp_fail_errno(err, errno, "cannot listen on %s/%s", dir, listener->name);
	return 0;
}

/* Whoever connects from now on is refused. */
static void release(struct ccp_listener *listener)
{
	remove_own(listener);
	ccp_timer_free(listener->pause);
	ccp_closep(&listener->fd);
	ccp_closep(&listener->dir_fd);
	free(listener->name);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void poll_again(void *data)
{
	struct ccp_listener *listener = data;

	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct ccp_listener *listener = poll->data;

	for (int i = 0; i < ACCEPT_BURST && !listener->closed; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			listener->fn(fd, listener->data);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			/* Out of descriptors or memory: the connection waits, and would wake us up
			 * at once again. */
			uv_poll_stop(poll);
			ccp_timer_start(listener->pause, ACCEPT_PAUSE_MS);
		}
		return;
	}
}

static int start_listener(struct ccp_listener *listener, struct ccp_loop *loop, const char *dir,
			  struct codexcp_error *err)
{
	int rc;

	if (!listener->name)
		return ccp_fail_oom(err);
	rc = bind_and_listen(listener, dir, err);
	if (rc == 0)
		rc = ccp_timer_new(loop, poll_again, listener, &listener->pause, err);
	if (rc < 0)
		return rc;
	rc = uv_poll_init(ccp_loop_uv(loop), &listener->poll, listener->fd);
	return rc < 0 ? ccp_fail_errno(err, -rc, "cannot watch a socket") : 0;
}

int ccp_listener_open(struct ccp_loop *loop, const char *dir, const char *name, ccp_accept_fn fn,
		      void *data, struct ccp_listener **ret_listener, struct codexcp_error *err)
{
	struct ccp_listener *listener = calloc(1, sizeof(*listener));
	int rc;

	if (!listener)
		return ccp_fail_oom(err);
	listener->fd = listener->dir_fd = -1;
	listener->fn = fn;
	listener->data = data;
	listener->name = strdup(name);
	rc = start_listener(listener, loop, dir, err);
	if (rc < 0) {
		release(listener);
		free(listener);
		return rc;
	}
	listener->poll.data = listener;
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	*ret_listener = listener;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void ccp_listener_free(struct ccp_listener *listener)
{
	if (!listener)
		return;
	listener->closed = true;
	uv_close((uv_handle_t *)&listener->poll, on_closed);
	release(listener);
}

int ccp_socket_connect(const char *dir, const char *name, struct codexcp_error *err)
{
	_cleanup_close_ int dir_fd = open_dir(dir);
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int rc;

	if (dir_fd < 0 && errno != ENOENT)
		return ccp_fail_errno(err, errno, "cannot open %s", dir);
	if (dir_fd < 0)
		return ccp_fail(err, CODEXCP_E_BUSY, "there is no %s", dir);
	rc = make_address(dir_fd, name, &addr, err);
	if (rc < 0)
		return rc;
	fd = new_socket();
	if (fd < 0)
		return ccp_fail_errno(err, errno, "cannot make a socket");
	do
		rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	while (rc < 0 && errno == EINTR);
	/* EAGAIN: the queue of the listener is full. */
	if (rc < 0 && (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN))
		return ccp_fail(err, CODEXCP_E_BUSY, "nobody listens on %s/%s", dir, name);
	if (rc < 0)
		return ccp_fail_errno(err, errno, "cannot connect to %s/%s", dir, name);
	rc = fd;
	fd = -1;
	return rc;
}

int64_t ccp_socket_peer_pid(int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 ? peer.pid : 0;
}
