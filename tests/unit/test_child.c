#include <ccp_check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "runtime/child.h"

struct fixture {
	struct ccp_loop *loop;
	struct ccp_child *child;
	struct ccp_strbuf log;
	bool free_at_line, free_at_exit;
	bool stop_at_line; /* the loop, not the child */
	bool close_at_line;
	int exits, status;
	char *tail;
};

static void on_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct fixture *f = data;

	ck_assert_int_eq(f->exits, 0);
	ccp_strbuf_appendf(&f->log, "[%s]", line);
	if (f->close_at_line)
		ccp_child_close_stdin(child);
	if (f->free_at_line)
		ccp_child_free(TAKE_PTR(f->child));
	if (f->stop_at_line)
		ccp_loop_stop(f->loop);
}

static void on_overlong(struct ccp_child *child, size_t len, void *data)
{
	struct fixture *f = data;

	ccp_strbuf_append(&f->log, "{overlong}");
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct fixture *f = data;

	f->exits++;
	f->status = status;
	free(f->tail);
	f->tail = strdup(stderr_tail);
	if (f->free_at_exit)
		ccp_child_free(TAKE_PTR(f->child));
}

static const struct ccp_child_events events = { on_line, on_overlong, on_exited };
static const struct ccp_child_events silent = { NULL, NULL, on_exited };

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(1024 * 1024) };
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(ccp_loop_new(NULL, &f->loop, NULL), 0);
}

static void done(struct fixture *f)
{
	ccp_child_free(f->child);
	ccp_loop_free(f->loop);
	ccp_strbuf_done(&f->log);
	free(f->tail);
}

static void spawn(struct fixture *f, struct ccp_child_options options, const char *script,
		  const struct ccp_child_events *with)
{
	const char *argv[] = { "sh", "-c", script, NULL };

	options.file = "sh";
	options.argv = argv;
	options.max_line = 100;
	ck_assert_int_eq(ccp_child_spawn(f->loop, &options, with, f, &f->child, NULL), 0);
}

static void start(struct fixture *f, const char *script)
{
	setup(f);
	spawn(f, (struct ccp_child_options){ 0 }, script, &events);
}

static void check_exit(struct fixture *f, int status, const char *log)
{
	ck_assert_int_eq(f->exits, 1);
	ck_assert_int_eq(f->status, status);
	ck_assert_str_eq(ccp_strbuf_str(&f->log), log);
}

static void no_child_left(void)
{
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

START_TEST(test_output_and_status)
{
	struct fixture f;

	start(&f, "echo out; printf last; echo oops >&2; exit 7");
	ck_assert_int_gt(ccp_child_pid(f.child), 1);
	ccp_loop_run(f.loop);
	check_exit(&f, 7, "[out][last]");
	ck_assert_str_eq(f.tail, "oops\n");
	done(&f);
	no_child_left();
}
END_TEST

START_TEST(test_input)
{
	struct fixture f;

	start(&f, "exec cat");
	ck_assert_int_eq(ccp_child_write_line(f.child, "one", 3, NULL), 0);
	ck_assert_int_eq(ccp_child_write_line(f.child, "two", 3, NULL), 0);
	ccp_child_close_stdin(f.child); /* what was written still arrives */
	ck_assert_int_eq(ccp_child_write_line(f.child, "no", 2, NULL), 0);
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "[one][two]");
	done(&f);
}
END_TEST

START_TEST(test_close_after_much_input)
{
	const size_t len = 1024 * 1024;
	char *text = malloc(len);
	struct fixture f;

	memset(text, 'x', len);
	start(&f, "wc -c");
	ck_assert_int_eq(ccp_child_write_line(f.child, text, len, NULL), 0);
	ccp_child_close_stdin(f.child);
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "[1048577]");
	done(&f);
	free(text);
}
END_TEST

START_TEST(test_input_that_nobody_reads)
{
	char text[4096] = "";
	struct fixture f;

	start(&f, "exec 0<&-; echo ready; exec sleep 1000");
	f.stop_at_line = true;
	ccp_loop_run(f.loop);
	ck_assert_int_eq(ccp_child_write_line(f.child, text, sizeof(text), NULL), 0);
	ccp_child_stop(f.child, 10 * 1000);
	ccp_loop_run(f.loop);
	check_exit(&f, -SIGTERM, "[ready]");
	done(&f);
}
END_TEST

START_TEST(test_overlong)
{
	struct fixture f;

	start(&f, "printf '%0500d\\nshort\\n' 1");
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "{overlong}[short]");
	done(&f);
}
END_TEST

START_TEST(test_tail_is_the_end_and_valid)
{
	struct fixture f;

	/* 20000 two-byte characters, then a byte that is none. */
	start(&f,
	      "i=0; while [ $i -lt 2000 ]; do printf "
	      "'\\303\\244\\303\\244\\303\\244\\303\\244\\303\\244\\303\\244\\303\\244\\303\\244"
	      "\\303\\244\\303\\244' >&2; i=$((i+1)); done; printf 'a\\377end' >&2");
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "");
	ck_assert_uint_le(strlen(f.tail), 8192 + 2);
	ck_assert_uint_ge(strlen(f.tail), 8190);
	ck_assert_mem_eq(f.tail, "\303\244", 2);
	ck_assert_str_eq(f.tail + strlen(f.tail) - 7, "a\357\277\275end");
	done(&f);
}
END_TEST

START_TEST(test_stderr_file)
{
	char *dir = ccp_test_make_dir(), *path = ccp_path_join(dir, "log"), *text = NULL;
	struct fixture f;
	struct stat st;
	size_t len;

	setup(&f);
	for (int i = 0; i < 2; i++) {
		spawn(&f, (struct ccp_child_options){ .stderr_path = path }, "echo x >&2", &events);
		ccp_loop_run(f.loop);
		ck_assert_str_eq(f.tail, "");
		ccp_child_free(TAKE_PTR(f.child));
	}
	ck_assert_int_eq(f.exits, 2);
	ck_assert_int_eq(ccp_file_read(path, 100, &text, &len, NULL), 1);
	ck_assert_str_eq(text, "x\nx\n");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	done(&f);
	free(text);
	free(path);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_no_output_wanted)
{
	struct fixture f;

	setup(&f);
	spawn(&f, (struct ccp_child_options){ 0 }, "[ /proc/self/fd/1 -ef /dev/null ] || exit 3",
	      &silent);
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "");
	done(&f);
}
END_TEST

START_TEST(test_environment_and_directory)
{
	const char *const envp[] = { "PATH=/usr/bin:/bin", "X=y", NULL };
	struct fixture f;

	setup(&f);
	spawn(&f, (struct ccp_child_options){ .envp = envp, .cwd = "/" },
	      "echo $X; pwd; echo ${HOME-none}", &events);
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "[y][/][none]");
	done(&f);
}
END_TEST

/* A session of its own, default signals although SIGPIPE is ignored here, no descriptors of ours.
 */
START_TEST(test_clean_child)
{
	struct fixture f;
	int extra = open("/dev/null", O_RDONLY | O_CLOEXEC), high;
	char expected[64];

	high = fcntl(extra, F_DUPFD_CLOEXEC, 100);
	ck_assert_int_eq(high, 100);
	start(&f, "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '0\\t\\n'; echo; "
		  "[ ! -e /proc/$$/fd/100 ] && echo closed; "
		  "read -r a b c d e sid rest </proc/$$/stat; echo $sid");
	snprintf(expected, sizeof(expected), "[SigBlk:SigIgn:][closed][%d]",
		 ccp_child_pid(f.child));
	ccp_loop_run(f.loop);
	check_exit(&f, 0, expected);
	close(extra);
	close(high);
	done(&f);
}
END_TEST

START_TEST(test_stop)
{
	struct fixture f;

	start(&f, "exec sleep 1000");
	ccp_child_stop(f.child, 10 * 1000);
	ccp_loop_run(f.loop);
	check_exit(&f, -SIGTERM, "");
	ccp_child_stop(f.child, 0); /* too late, and harmless */
	done(&f);
}
END_TEST

START_TEST(test_stop_the_stubborn)
{
	struct fixture f;

	/* The process that it started goes with it, or the output would stay open. */
	start(&f, "trap '' TERM; echo ready; sleep 1000; sleep 1000");
	f.stop_at_line = true;
	ccp_loop_run(f.loop);
	ccp_child_stop(f.child, 20);
	ccp_loop_run(f.loop);
	check_exit(&f, -SIGKILL, "[ready]");
	done(&f);
}
END_TEST

START_TEST(test_process_left_behind)
{
	struct fixture f;
	int64_t began_ms;
	pid_t left;

	start(&f, "setsid sleep 1000 & echo $!");
	began_ms = ccp_clock_boot(ccp_clock_system());
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.exits, 1);
	ck_assert_int_lt(ccp_clock_boot(ccp_clock_system()) - began_ms, 10 * 1000);
	left = atoi(ccp_strbuf_str(&f.log) + 1);
	ck_assert_int_gt(left, 1);
	ck_assert_int_eq(kill(left, SIGKILL), 0);
	done(&f);
}
END_TEST

START_TEST(test_free_within_line)
{
	struct fixture f;

	start(&f, "echo a; echo b; echo c; exec sleep 1000");
	f.free_at_line = true;
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.exits, 0);
	ck_assert_str_eq(ccp_strbuf_str(&f.log), "[a]");
	done(&f);
	no_child_left(); /* killed and reaped */
}
END_TEST

START_TEST(test_free_within_exited)
{
	struct fixture f;

	start(&f, "echo a");
	f.free_at_exit = true;
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "[a]");
	ck_assert_ptr_null(f.child);
	done(&f);
}
END_TEST

START_TEST(test_close_within_line)
{
	struct fixture f;

	start(&f, "echo a; exec cat");
	f.close_at_line = true;
	ccp_loop_run(f.loop);
	check_exit(&f, 0, "[a]");
	done(&f);
}
END_TEST

START_TEST(test_free_at_once)
{
	struct fixture f;

	start(&f, "exec sleep 1000");
	done(&f);
	no_child_left();
}
END_TEST

START_TEST(test_outlives)
{
	struct fixture f;
	int pid;

	setup(&f);
	spawn(&f, (struct ccp_child_options){ .outlives = true }, "exec sleep 1000", &silent);
	pid = ccp_child_pid(f.child);
	done(&f);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0); /* lives */
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

static void stop_loop(void *data)
{
	struct fixture *f = data;

	ccp_loop_stop(f->loop);
}

START_TEST(test_outlives_and_is_reaped)
{
	struct ccp_timer *timer;
	struct fixture f;
	siginfo_t info;
	int pid;

	setup(&f);
	spawn(&f, (struct ccp_child_options){ .outlives = true }, "exec sleep 1000", &silent);
	pid = ccp_child_pid(f.child);
	ccp_child_free(TAKE_PTR(f.child));
	ccp_loop_run(f.loop); /* it is not waited for */
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(ccp_timer_new(f.loop, stop_loop, &f, &timer, NULL), 0);
	ccp_timer_start(timer, 1);
	ccp_loop_run(f.loop);
	ccp_timer_free(timer);
	no_child_left();
	ck_assert_int_eq(f.exits, 0);
	done(&f);
}
END_TEST

static void check_failure(struct ccp_child_options options, const char *name)
{
	const char *const argv[] = { "x", NULL };
	struct codexcp_error err = { 0 };
	struct fixture f;

	setup(&f);
	options.argv = argv;
	ck_assert_int_eq(ccp_child_spawn(f.loop, &options, &events, &f, &f.child, &err),
			 CODEXCP_E_INTERNAL);
	ck_assert_ptr_null(f.child);
	if (name) {
		ck_assert_str_eq(ccp_json_str(err.details, "errno"), name);
		ck_assert_ptr_nonnull(strstr(err.message, options.file));
	}
	codexcp_error_done(&err);
	done(&f);
	ck_assert_int_eq(f.exits, 0);
	no_child_left();
}

START_TEST(test_failures)
{
	check_failure((struct ccp_child_options){ .file = "/nonexistent/x" }, "ENOENT");
	check_failure((struct ccp_child_options){ .file = "no-such-program" }, "ENOENT");
	check_failure((struct ccp_child_options){ .file = "/dev/null" }, "EACCES");
	check_failure((struct ccp_child_options){ .file = "/bin/true",
						  .outlives = true,
						  .cwd = "/nonexistent" },
		      "ENOENT");
	check_failure((struct ccp_child_options){ .file = "/bin/true",
						  .stderr_path = "/nonexistent/log" },
		      NULL);
}
END_TEST

/* What outlives us reads nothing and writes into a file. */
START_TEST(test_files_only)
{
	struct fixture f;
	char *dir = ccp_test_make_dir(), *path = ccp_path_join(dir, "log"), *text = NULL;
	const struct ccp_child_options options = {
		.stdout_path = path, .stderr_path = path, .no_stdin = true, .outlives = true
	};

	setup(&f);
	spawn(&f, options, "cat; echo out; echo err >&2", &silent);
	ccp_loop_run(f.loop);
	ck_assert_int_eq(f.exits, 1);
	ck_assert_int_eq(ccp_file_read(path, 100, &text, NULL, NULL), 1);
	ck_assert_str_eq(text, "out\nerr\n");
	done(&f);
	free(text);
	free(path);
	ccp_test_remove_dir(dir);
}
END_TEST

CCP_TEST_MAIN("child", test_files_only, test_output_and_status, test_input,
	      test_close_after_much_input, test_input_that_nobody_reads, test_overlong,
	      test_tail_is_the_end_and_valid, test_stderr_file, test_no_output_wanted,
	      test_environment_and_directory, test_clean_child, test_stop, test_stop_the_stubborn,
	      test_process_left_behind, test_free_within_line, test_free_within_exited,
	      test_close_within_line, test_free_at_once, test_outlives, test_outlives_and_is_reaped,
	      test_failures)
