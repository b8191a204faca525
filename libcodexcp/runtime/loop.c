#include "runtime/loop.h"

#include <assert.h>
#include <utlist.h>
#include <uv.h>

struct deferred {
	ccp_loop_fn fn;
	void *data;
	struct deferred *prev, *next;
};

struct ccp_loop {
	uv_loop_t own;
	uv_loop_t *uv; /* &own, or the borrowed one */
	const struct ccp_clock *clock;
	uv_idle_t idle; /* active while something is deferred, so that polling does not block */
	struct deferred *deferred;
	struct ccp_loop_hook *hooks;
};

struct ccp_timer {
	uv_timer_t uv;
	ccp_loop_fn fn;
	void *data;
};

struct ccp_signal {
	uv_signal_t uv;
	ccp_loop_fn fn;
	void *data;
};

struct work {
	uv_work_t uv;
	ccp_loop_fn work, done;
	void *data;
};

/* What is deferred meanwhile waits for the next pass. */
static void run_deferred(struct ccp_loop *loop)
{
	struct deferred *queue = TAKE_PTR(loop->deferred), *entry, *next;

	DL_FOREACH_SAFE (queue, entry, next) {
		entry->fn(entry->data);
		free(entry);
	}
}

static void on_idle(uv_idle_t *idle)
{
	struct ccp_loop *loop = idle->data;

	run_deferred(loop);
	if (!loop->deferred)
		uv_idle_stop(idle);
}

static void on_idle_closed(uv_handle_t *handle)
{
	struct ccp_loop *loop = handle->data;

	if (loop->uv != &loop->own)
		free(loop);
}

int ccp_loop_new(struct uv_loop_s *uv, struct ccp_loop **ret_loop, struct codexcp_error *err)
{
	struct ccp_loop *loop = calloc(1, sizeof(*loop));
	int rc;

	if (!loop)
		return ccp_fail_oom(err);
	loop->uv = uv ? uv : &loop->own;
	loop->clock = ccp_clock_system();
	rc = uv ? 0 : uv_loop_init(&loop->own);
	if (rc < 0) {
		free(loop);
		return ccp_fail_errno(err, -rc, "cannot make an event loop");
	}
	uv_idle_init(loop->uv, &loop->idle);
	loop->idle.data = loop;
	*ret_loop = loop;
	return 0;
}

static void run_to_the_end(struct ccp_loop *loop)
{
	/* Not one uv_run(): a forgotten uv_stop() would end it early. */
	while (uv_loop_alive(loop->uv))
		uv_run(loop->uv, UV_RUN_DEFAULT);
}

void ccp_loop_free(struct ccp_loop *loop)
{
	_unused_ int rc;

	if (!loop)
		return;
	while (loop->hooks) {
		struct ccp_loop_hook *hook = loop->hooks;

		ccp_loop_hook_remove(loop, hook);
		hook->fn(hook->data);
	}
	if (loop->uv != &loop->own) {
		while (loop->deferred)
			run_deferred(loop);
		uv_close((uv_handle_t *)&loop->idle, on_idle_closed);
		return;
	}
	run_to_the_end(loop);
	uv_close((uv_handle_t *)&loop->idle, on_idle_closed);
	run_to_the_end(loop);
	rc = uv_loop_close(&loop->own);
	assert(rc == 0);
	free(loop);
}

struct uv_loop_s *ccp_loop_uv(struct ccp_loop *loop)
{
	return loop->uv;
}

const struct ccp_clock *ccp_loop_clock(const struct ccp_loop *loop)
{
	return loop->clock;
}

void ccp_loop_run(struct ccp_loop *loop)
{
	uv_run(loop->uv, UV_RUN_DEFAULT);
}

void ccp_loop_stop(struct ccp_loop *loop)
{
	uv_stop(loop->uv);
}

int ccp_loop_fd(const struct ccp_loop *loop)
{
	return uv_backend_fd(loop->uv);
}

int ccp_loop_timeout(const struct ccp_loop *loop)
{
	/* libuv counts from the time that it saw last. */
	uv_update_time(loop->uv);
	return uv_backend_timeout(loop->uv);
}

void ccp_loop_dispatch(struct ccp_loop *loop)
{
	uv_run(loop->uv, UV_RUN_NOWAIT);
}

void ccp_loop_step(struct ccp_loop *loop)
{
	uv_run(loop->uv, UV_RUN_ONCE);
}

int ccp_loop_defer(struct ccp_loop *loop, ccp_loop_fn fn, void *data, struct codexcp_error *err)
{
	struct deferred *entry = malloc(sizeof(*entry));

	if (!entry)
		return ccp_fail_oom(err);
	*entry = (struct deferred){ .fn = fn, .data = data };
	DL_APPEND(loop->deferred, entry);
	uv_idle_start(&loop->idle, on_idle);
	return 0;
}

static void on_timer(uv_timer_t *uv)
{
	struct ccp_timer *timer = uv->data;

	timer->fn(timer->data);
}

/* All handles here are the first member of what is freed with them. */
static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

int ccp_timer_new(struct ccp_loop *loop, ccp_loop_fn fn, void *data, struct ccp_timer **ret_timer,
		  struct codexcp_error *err)
{
	struct ccp_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return ccp_fail_oom(err);
	timer->fn = fn;
	timer->data = data;
	uv_timer_init(loop->uv, &timer->uv);
	timer->uv.data = timer;
	*ret_timer = timer;
	return 0;
}

void ccp_timer_start(struct ccp_timer *timer, int64_t delay_ms)
{
	uint64_t now_ms = uv_hrtime() / 1000000, loop_ms = uv_now(timer->uv.loop);
	/* libuv counts from when it last looked at the clock, which a long callback leaves behind.
	 * The clock is not moved instead: a timer that starts itself anew could then be due again
	 * and again within one pass and starve everything else, as one of 0 ms always would. */
	uint64_t lag_ms = now_ms > loop_ms ? now_ms - loop_ms : 0;

	uv_timer_start(&timer->uv, on_timer, lag_ms + (uint64_t)CCP_MAX(delay_ms, 1), 0);
}

void ccp_timer_stop(struct ccp_timer *timer)
{
	uv_timer_stop(&timer->uv);
}

bool ccp_timer_active(const struct ccp_timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->uv);
}

void ccp_timer_set_background(struct ccp_timer *timer)
{
	uv_unref((uv_handle_t *)&timer->uv);
}

void ccp_timer_free(struct ccp_timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, free_handle);
}

static void on_signal(uv_signal_t *uv, int signum)
{
	struct ccp_signal *signal = uv->data;

	signal->fn(signal->data);
}

int ccp_signal_new(struct ccp_loop *loop, int signum, ccp_loop_fn fn, void *data,
		   struct ccp_signal **ret_signal, struct codexcp_error *err)
{
	struct ccp_signal *signal = calloc(1, sizeof(*signal));
	int rc;

	if (!signal)
		return ccp_fail_oom(err);
	signal->fn = fn;
	signal->data = data;
	rc = uv_signal_init(loop->uv, &signal->uv);
	if (rc < 0) {
		free(signal);
		return ccp_fail_errno(err, -rc, "cannot watch signals");
	}
	signal->uv.data = signal;
	rc = uv_signal_start(&signal->uv, on_signal, signum);
	if (rc < 0) {
		ccp_signal_free(signal);
		return ccp_fail_errno(err, -rc, "cannot watch signal %d", signum);
	}
	uv_unref((uv_handle_t *)&signal->uv);
	*ret_signal = signal;
	return 0;
}

void ccp_signal_free(struct ccp_signal *signal)
{
	if (signal)
		uv_close((uv_handle_t *)&signal->uv, free_handle);
}

static void run_work(uv_work_t *uv)
{
	struct work *work = uv->data;

	work->work(work->data);
}

static void after_work(uv_work_t *uv, int status)
{
	struct work *work = uv->data;

	work->done(work->data);
	free(work);
}

int ccp_loop_work(struct ccp_loop *loop, ccp_loop_fn work, ccp_loop_fn done, void *data,
		  struct codexcp_error *err)
{
	struct work *entry = calloc(1, sizeof(*entry));
	int rc;

	if (!entry)
		return ccp_fail_oom(err);
	entry->work = work;
	entry->done = done;
	entry->data = data;
	entry->uv.data = entry;
	rc = uv_queue_work(loop->uv, &entry->uv, run_work, after_work);
	if (rc < 0) {
		free(entry);
		return ccp_fail_errno(err, -rc, "cannot queue work");
	}
	return 0;
}

void ccp_loop_hook_add(struct ccp_loop *loop, struct ccp_loop_hook *hook)
{
	DL_APPEND(loop->hooks, hook);
}

void ccp_loop_hook_remove(struct ccp_loop *loop, struct ccp_loop_hook *hook)
{
	DL_DELETE(loop->hooks, hook);
}
