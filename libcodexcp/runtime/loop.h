/*
 * The event loop: a thin face over libuv, so that nothing above this folder names libuv.
 *
 *	ccp_loop_new(NULL, &loop, err);
 *	ccp_timer_new(loop, on_tick, self, &timer);
 *	ccp_timer_start(timer, 1000);
 *	ccp_loop_run(loop);
 *
 * One thread. A callback may free any object, its own included: libuv handles are closed, and
 * memory goes when libuv has let go of it. Everything here is called from the loop's thread.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"

struct ccp_loop;
struct ccp_timer;
struct ccp_signal;
struct uv_loop_s;

typedef void (*ccp_loop_fn)(void *data);

/* `uv` is borrowed, or NULL for a loop of our own. */
int ccp_loop_new(struct uv_loop_s *uv, struct ccp_loop **ret_loop, struct codexcp_error *err);
/* Runs what is still closing, deferred or in the thread pool; every object of the loop must have
 * been freed before. A borrowed loop is not run: what closes then goes when its owner runs it once
 * more. */
void ccp_loop_free(struct ccp_loop *loop);
CCP_DEFINE_CLEANUP(struct ccp_loop, ccp_loop_free);
struct uv_loop_s *ccp_loop_uv(struct ccp_loop *loop);
const struct ccp_clock *ccp_loop_clock(const struct ccp_loop *loop);

/* Until ccp_loop_stop() or nothing is left to wait for. */
void ccp_loop_run(struct ccp_loop *loop);
void ccp_loop_stop(struct ccp_loop *loop);
/* For embedders: a descriptor to poll, how many milliseconds at most (-1 = for ever), one pass. */
int ccp_loop_fd(const struct ccp_loop *loop);
int ccp_loop_timeout(const struct ccp_loop *loop);
void ccp_loop_dispatch(struct ccp_loop *loop);
/* One pass that waits until something happens. */
void ccp_loop_step(struct ccp_loop *loop);

/* Call fn once, from the loop, after the present callback has returned. */
int ccp_loop_defer(struct ccp_loop *loop, ccp_loop_fn fn, void *data, struct codexcp_error *err);

/* One-shot; start again in the callback to repeat. `start` replaces a pending one. A delay is at
 * least one millisecond. */
int ccp_timer_new(struct ccp_loop *loop, ccp_loop_fn fn, void *data, struct ccp_timer **ret_timer,
		  struct codexcp_error *err);
void ccp_timer_start(struct ccp_timer *timer, int64_t delay_ms);
void ccp_timer_stop(struct ccp_timer *timer);
bool ccp_timer_active(const struct ccp_timer *timer);
/* A timer that does not keep ccp_loop_run() going. */
void ccp_timer_set_background(struct ccp_timer *timer);
void ccp_timer_free(struct ccp_timer *timer);

/* For programs only: the library changes no signal dispositions by itself (libuv takes SIGCHLD when
 * there are children). Does not keep ccp_loop_run() going. */
int ccp_signal_new(struct ccp_loop *loop, int signum, ccp_loop_fn fn, void *data,
		   struct ccp_signal **ret_signal, struct codexcp_error *err);
void ccp_signal_free(struct ccp_signal *signal);

/* Run `work` in the thread pool, then `done` on the loop. `work` touches nothing of the loop's. */
int ccp_loop_work(struct ccp_loop *loop, ccp_loop_fn work, ccp_loop_fn done, void *data,
		  struct codexcp_error *err);

/* For this folder: `fn` is called by ccp_loop_free(), unless the hook was removed before. It lets
 * go of handles that outlive the object they belonged to. */
struct ccp_loop_hook {
	ccp_loop_fn fn;
	void *data;
	struct ccp_loop_hook *prev, *next;
};
void ccp_loop_hook_add(struct ccp_loop *loop, struct ccp_loop_hook *hook);
void ccp_loop_hook_remove(struct ccp_loop *loop, struct ccp_loop_hook *hook);
