#include <ccp_check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <uv.h>

#include "base/strbuf.h"
#include "runtime/loop.h"
#include "runtime/stream.h"

struct fixture {
	struct ccp_loop *loop;
	struct ccp_timer *timer, *other;
	struct ccp_signal *signal;
	struct ccp_strbuf log;
	int64_t fired_ms;
	int n;
	pthread_t thread;
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(4096) };
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
}

static void done(struct fixture *f)
{
	ccp_timer_free(f->timer);
	ccp_timer_free(f->other);
	ccp_signal_free(f->signal);
	ccp_loop_free(f->loop);
	ccp_strbuf_done(&f->log);
}

static int64_t boot_ms(struct fixture *f)
{
	return ccp_clock_boot(ccp_loop_clock(f->loop));
}

static void on_tick(void *data)
{
	struct fixture *f = data;

	f->fired_ms = boot_ms(f);
	if (++f->n < 3)
		ccp_timer_start(f->timer, 0);
}

START_TEST(test_timer_repeats)
{
	struct fixture f;
	int64_t started_ms;

	setup(&f);
	ck_assert_int_eq(ccp_timer_new(f.loop, on_tick, &f, &f.timer, NULL), 0);
	ck_assert(!ccp_timer_active(f.timer));
	started_ms = boot_ms(&f);
	ccp_timer_start(f.timer, 20);
	ck_assert(ccp_timer_active(f.timer));
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.n, 3);
	ck_assert_int_ge(f.fired_ms - started_ms, 20);
	done(&f);
}
END_TEST

START_TEST(test_timer_counts_from_now)
{
	struct fixture f;
	struct timespec pause = { .tv_nsec = 30 * 1000 * 1000 };
	int64_t started_ms;

	setup(&f);
	f.n = 2;
	ck_assert_int_eq(ccp_timer_new(f.loop, on_tick, &f, &f.timer, NULL), 0);
	/* The loop looked at the clock last when it was made. */
	nanosleep(&pause, NULL);
	started_ms = boot_ms(&f);
	ccp_timer_start(f.timer, 20);
	ccp_loop_run(f.loop);
	ck_assert_int_ge(f.fired_ms - started_ms, 19);
	done(&f);
}
END_TEST

static void restart(void *data)
{
	struct fixture *f = data;

	f->n++;
	ccp_timer_start(f->timer, 0);
}

static void stop_loop(void *data)
{
	struct fixture *f = data;

	ccp_loop_stop(f->loop);
}

START_TEST(test_timer_of_zero_starves_nobody)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_timer_new(f.loop, restart, &f, &f.timer, NULL), 0);
	ck_assert_int_eq(ccp_timer_new(f.loop, stop_loop, &f, &f.other, NULL), 0);
	ccp_timer_start(f.timer, 0);
	ccp_timer_start(f.other, 20);
	ccp_loop_run(f.loop);
	ck_assert_int_gt(f.n, 0);
	done(&f);
}
END_TEST

static void never(void *data)
{
	ck_abort_msg("must not be called");
}

START_TEST(test_timer_stop_and_background)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_timer_new(f.loop, never, &f, &f.timer, NULL), 0);
	ccp_timer_start(f.timer, 1);
	ccp_timer_stop(f.timer);
	ck_assert(!ccp_timer_active(f.timer));
	ccp_timer_set_background(f.timer);
	ccp_timer_start(f.timer, 3600 * 1000);
	ccp_loop_run(f.loop); /* returns: nothing is waited for */
	done(&f);
}
END_TEST

static void free_timer(void *data)
{
	struct fixture *f = data;

	f->n++;
	ccp_timer_free(TAKE_PTR(f->timer));
}

START_TEST(test_timer_freed_in_callback)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_timer_new(f.loop, free_timer, &f, &f.timer, NULL), 0);
	ccp_timer_start(f.timer, 1);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.n, 1);
	done(&f);
}
END_TEST

static void log_b(void *data)
{
	struct fixture *f = data;

	ccp_strbuf_append(&f->log, "b");
}

static void log_a(void *data)
{
	struct fixture *f = data;

	ck_assert_int_eq(ccp_loop_defer(f->loop, log_b, f, NULL), 0);
	ccp_strbuf_append(&f->log, "a");
}

START_TEST(test_defer)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_loop_defer(f.loop, log_a, &f, NULL), 0);
	ck_assert_int_eq(ccp_loop_defer(f.loop, log_a, &f, NULL), 0);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "");
	ck_assert_int_eq(ccp_loop_timeout(f.loop), 0);
	ccp_loop_dispatch(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "aa");
	ccp_loop_run(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "aabb");
	ck_assert_int_eq(ccp_loop_timeout(f.loop), 0); /* nothing is left, not even waiting */
	done(&f);
}
END_TEST

START_TEST(test_free_runs_what_is_deferred)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_loop_defer(f.loop, log_b, &f, NULL), 0);
	ccp_loop_stop(f.loop); /* must not keep the loop from being run to its end */
	ccp_loop_free(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "b");
	ccp_strbuf_done(&f.log);
}
END_TEST

static void on_hook(void *data)
{
	struct fixture *f = data;

	f->n++;
}

START_TEST(test_hooks)
{
	struct fixture f;
	struct ccp_loop_hook a = { .fn = on_hook, .data = &f }, b = a, c = a;

	setup(&f);
	ccp_loop_hook_add(f.loop, &a);
	ccp_loop_hook_add(f.loop, &b);
	ccp_loop_hook_add(f.loop, &c);
	ccp_loop_hook_remove(f.loop, &b);
	done(&f);
	ck_assert_int_eq(f.n, 2);
}
END_TEST

static void on_signal(void *data)
{
	struct fixture *f = data;

	f->n++;
	ccp_loop_stop(f->loop);
}

START_TEST(test_signal)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_signal_new(f.loop, SIGUSR1, on_signal, &f, &f.signal, NULL), 0);
	ccp_loop_run(f.loop); /* a watched signal alone is nothing to wait for */
	ck_assert_int_eq(ccp_timer_new(f.loop, never, &f, &f.timer, NULL), 0);
	ccp_timer_start(f.timer, 20 * 1000);
	raise(SIGUSR1);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.n, 1);
	done(&f);
}
END_TEST

START_TEST(test_signal_that_cannot_be_caught)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_signal_new(f.loop, SIGKILL, never, &f, &f.signal, NULL),
			 CODEXCP_E_INTERNAL);
	ck_assert_ptr_null(f.signal);
	done(&f);
}
END_TEST

static void work(void *data)
{
	struct fixture *f = data;

	f->thread = pthread_self();
	f->n = 1;
}

static void work_done(void *data)
{
	struct fixture *f = data;

	ck_assert_int_eq(f->n, 1);
	ck_assert(!pthread_equal(f->thread, pthread_self()));
	f->n = 2;
}

START_TEST(test_work)
{
	struct fixture f;

	setup(&f);
	ck_assert_int_eq(ccp_loop_work(f.loop, work, work_done, &f, NULL), 0);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.n, 2);
	done(&f);
}
END_TEST

START_TEST(test_borrowed)
{
	struct fixture f = { .log = CCP_STRBUF(16) };
	uv_loop_t uv;

	ck_assert_int_eq(uv_loop_init(&uv), 0);
	ck_assert_int_eq(ccp_loop_new(&uv, &f.loop, NULL), 0);
	ck_assert_ptr_eq(ccp_loop_uv(f.loop), &uv);
	ck_assert_int_eq(ccp_loop_defer(f.loop, log_b, &f, NULL), 0);
	ccp_loop_free(f.loop);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "b");
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&uv), 0);
	ccp_strbuf_done(&f.log);
}
END_TEST

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_append(&f->log, line);
}

/* The way of an embedder: poll the descriptor, then let the loop make one pass. */
static void embed_until(struct fixture *f, const char *expected)
{
	for (int i = 0; i < 100 && strcmp(ccp_strbuf_str(&f->log), expected) != 0; i++) {
		struct pollfd fd = { .fd = ccp_loop_fd(f->loop), .events = POLLIN };

		ck_assert_int_ge(poll(&fd, 1, ccp_loop_timeout(f->loop)), 0);
		ccp_loop_dispatch(f->loop);
	}
	ck_assert_str_eq(ccp_strbuf_str(&f->log), expected);
}

START_TEST(test_embedding)
{
	static const struct ccp_stream_events events = { .line = on_line };
	struct ccp_stream *stream;
	struct fixture f;
	int fds[2];

	setup(&f);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(ccp_stream_open(f.loop, fds[0], 10, &events, &f, &stream, NULL), 0);
	ck_assert_int_eq(write(fds[1], "x\n", 2), 2);
	embed_until(&f, "x");
	ck_assert_int_eq(write(fds[1], "y\n", 2), 2);
	embed_until(&f, "xy");
	ck_assert_int_eq(ccp_timer_new(f.loop, log_b, &f, &f.timer, NULL), 0);
	ccp_timer_start(f.timer, 5);
	embed_until(&f, "xyb");
	ccp_stream_free(stream);
	close(fds[1]);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("loop", test_timer_repeats, test_timer_counts_from_now,
	      test_timer_of_zero_starves_nobody, test_timer_stop_and_background,
	      test_timer_freed_in_callback, test_defer, test_free_runs_what_is_deferred, test_hooks,
	      test_signal, test_signal_that_cannot_be_caught, test_work, test_borrowed,
	      test_embedding)
