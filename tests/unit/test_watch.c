#include <ccp_check.h>
#include <signal.h>
#include <sys/wait.h>

#include "runtime/watch.h"

struct fixture {
	struct ccp_loop *loop;
	struct ccp_watch *watch;
	struct ccp_process_id id;
	pid_t pid;
	int ended;
};

static void on_ended(void *data)
{
	struct fixture *f = data;

	f->ended++;
	ccp_watch_free(TAKE_PTR(f->watch));
}

/* A process in a session of its own; the pipe's end tells that it is ready. */
static void setup(struct fixture *f, void (*on_term)(int))
{
	int fds[2];
	char c;

	*f = (struct fixture){ 0 };
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
	ck_assert_int_eq(pipe(fds), 0);
	f->pid = fork();
	if (f->pid == 0) {
		setsid();
		signal(SIGTERM, on_term);
		close(fds[0]);
		close(fds[1]);
		for (;;)
			pause();
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 0);
	close(fds[0]);
	ck_assert_int_eq(ccp_process_identify(f->pid, &f->id, NULL), 0);
}

static void watch(struct fixture *f)
{
	ck_assert_int_eq(ccp_watch_new(f->loop, &f->id, on_ended, f, &f->watch, NULL), 0);
}

static int done(struct fixture *f)
{
	int status;

	ccp_watch_free(f->watch);
	ccp_loop_free(f->loop);
	ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
	return WTERMSIG(status);
}

START_TEST(test_end)
{
	struct fixture f;

	setup(&f, SIG_DFL);
	watch(&f);
	kill(f.pid, SIGUSR1);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.ended, 1);
	ck_assert_int_eq(done(&f), SIGUSR1);
}
END_TEST

START_TEST(test_stop)
{
	struct fixture f;

	setup(&f, SIG_DFL);
	watch(&f);
	ccp_watch_stop(f.watch, 20000);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.ended, 1);
	ck_assert_int_eq(done(&f), SIGTERM);
}
END_TEST

START_TEST(test_stop_the_stubborn)
{
	struct fixture f;

	setup(&f, SIG_IGN);
	watch(&f);
	ccp_watch_stop(f.watch, 50);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.ended, 1);
	ck_assert_int_eq(done(&f), SIGKILL);
}
END_TEST

START_TEST(test_free_leaves_it)
{
	struct fixture f;

	setup(&f, SIG_DFL);
	watch(&f);
	ccp_watch_free(TAKE_PTR(f.watch));
	ccp_loop_run(f.loop);
	ck_assert_int_eq(ccp_process_check(&f.id), CCP_PROCESS_ALIVE);
	ccp_process_kill(&f.id);
	ck_assert_int_eq(done(&f), SIGKILL);
}
END_TEST

START_TEST(test_another)
{
	struct fixture f;

	setup(&f, SIG_DFL);
	f.id.start_time++;
	ck_assert_int_eq(ccp_watch_new(f.loop, &f.id, on_ended, &f, &f.watch, NULL),
			 CODEXCP_E_BUSY);
	kill(f.pid, SIGKILL);
	ck_assert_int_eq(done(&f), SIGKILL);
}
END_TEST

CCP_TEST_MAIN("watch", test_end, test_stop, test_stop_the_stubborn, test_free_leaves_it,
	      test_another)
