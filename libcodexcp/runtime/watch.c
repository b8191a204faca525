#include "runtime/watch.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"

/* How often to look where the kernel has no descriptors of processes (before 5.3, sandboxes). */
#define LOOK_MS 200

struct ccp_watch {
	uv_poll_t poll;
	struct ccp_process_id id;
	struct ccp_timer *look;  /* in place of the descriptor */
	struct ccp_timer *grace; /* until SIGKILL */
	int fd;
	bool ended;
	ccp_loop_fn fn;
	void *data;
};

static void check(struct ccp_watch *watch)
{
	if (!ccp_process_is_gone(&watch->id)) {
		ccp_timer_start(watch->look, LOOK_MS);
		return;
	}
	watch->ended = true;
	ccp_timer_stop(watch->grace);
	watch->fn(watch->data);
}

static void on_look(void *data)
{
	check(data);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
	uv_poll_stop(poll);
	check(poll->data);
}

static void on_grace(void *data)
{
	struct ccp_watch *watch = data;

	ccp_process_kill(&watch->id);
}

static void on_closed(uv_handle_t *handle)
{
	struct ccp_watch *watch = handle->data;

	ccp_closep(&watch->fd);
	free(watch);
}

static int open_process(int64_t pid)
{
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static int start(struct ccp_watch *watch, struct ccp_loop *loop, struct codexcp_error *err)
{
	int rc = ccp_timer_new(loop, on_look, watch, &watch->look, err);

	if (rc == 0)
		rc = ccp_timer_new(loop, on_grace, watch, &watch->grace, err);
	if (rc < 0)
		return rc;
	/* The check comes after the descriptor was opened: it is that of this process. */
	watch->fd = open_process(watch->id.pid);
	if (ccp_process_check(&watch->id) != CCP_PROCESS_ALIVE)
		return ccp_fail(err, CODEXCP_E_BUSY, "process %" PRId64 " is not known to run",
				watch->id.pid);
	if (watch->fd >= 0 && uv_poll_init(ccp_loop_uv(loop), &watch->poll, watch->fd) == 0)
		uv_poll_start(&watch->poll, UV_READABLE, on_ended);
	else
		ccp_timer_start(watch->look, LOOK_MS);
	return 0;
}

int ccp_watch_new(struct ccp_loop *loop, const struct ccp_process_id *id, ccp_loop_fn ended,
		  void *data, struct ccp_watch **ret_watch, struct codexcp_error *err)
{
	_cleanup_(ccp_watch_freep) struct ccp_watch *watch = calloc(1, sizeof(*watch));
	int rc;

	if (!watch)
		return ccp_fail_oom(err);
	*watch = (struct ccp_watch){ .id = *id, .fd = -1, .fn = ended, .data = data };
	watch->poll.data = watch;
	rc = start(watch, loop, err);
	if (rc < 0)
		return rc;
	*ret_watch = TAKE_PTR(watch);
	return 0;
}

void ccp_watch_stop(struct ccp_watch *watch, int64_t grace_ms)
{
	if (watch->ended)
		return;
	ccp_process_signal(&watch->id, SIGTERM);
	ccp_timer_start(watch->grace, grace_ms);
}

void ccp_watch_free(struct ccp_watch *watch)
{
	uv_handle_t *handle;

	if (!watch)
		return;
	ccp_timer_free(watch->look);
	ccp_timer_free(watch->grace);
	handle = (uv_handle_t *)&watch->poll;
	if (handle->type == UV_POLL)
		uv_close(handle, on_closed);
	else
		on_closed(handle);
}
