#include <ccp_check.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/process.h"

/* Runs fn in a process of its own, where it may do harm to descriptors; fn returns the exit status.
 */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static pid_t start_sleeper(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	/* A name that is made to confuse who parses /proc/<pid>/stat. */
	prctl(PR_SET_NAME, "a) Z 1 (b c");
	for (;;)
		pause();
}

START_TEST(test_self)
{
	struct ccp_process_id id;

	ck_assert_int_eq(ccp_process_self(&id, NULL), 0);
	ck_assert_int_eq(id.pid, getpid());
	ck_assert_int_gt(id.start_time, 0);
	ck_assert_int_gt(id.pid_namespace, 0);
	ck_assert_uint_eq(strlen(id.boot), 36);
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_ALIVE);
}
END_TEST

START_TEST(test_ancestors)
{
	struct ccp_process_id self, parent, child, another;
	pid_t pid = start_sleeper();

	ck_assert_int_eq(ccp_process_self(&self, NULL), 0);
	ck_assert_int_eq(ccp_process_identify(getppid(), &parent, NULL), 0);
	ck_assert_int_eq(ccp_process_identify(pid, &child, NULL), 0);
	another = parent;
	another.start_time--;
	ck_assert(ccp_process_is_ancestor(&parent));
	ck_assert(!ccp_process_is_ancestor(&another));
	ck_assert(!ccp_process_is_ancestor(&self));
	ck_assert(!ccp_process_is_ancestor(&child));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(test_life_and_death)
{
	pid_t pid = start_sleeper();
	struct ccp_process_id id;
	siginfo_t info;

	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), 0);
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_ALIVE);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	/* A zombie does nothing any more. */
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_DEAD);
	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), CODEXCP_E_INTERNAL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_DEAD);
	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), CODEXCP_E_INTERNAL);
}
END_TEST

START_TEST(test_hostile_name)
{
	pid_t pid = start_sleeper();
	struct ccp_process_id id = { 0 }, mine;
	char path[64], *name = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	do {
		free(name);
		ck_assert_int_eq(ccp_file_read(path, 100, &name, &len, NULL), 1);
	} while (!ccp_streq(name, "a) Z 1 (b c\n"));
	free(name);
	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), 0);
	ck_assert_int_eq(ccp_process_self(&mine, NULL), 0);
	ck_assert_int_ge(id.start_time, mine.start_time);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(test_other_identity)
{
	struct ccp_process_id self, id;

	ck_assert_int_eq(ccp_process_self(&self, NULL), 0);
	id = self;
	id.start_time--; /* the pid was reused */
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_DEAD);
	id.start_time = 0;
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_UNKNOWN);
	id = self;
	id.boot[0] ^= 1;
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_LOST);
	id.boot[0] = '\0';
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_UNKNOWN);
	id = self;
	id.pid_namespace++;
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_UNKNOWN);
	id.pid_namespace = 0;
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_UNKNOWN);
	id = (struct ccp_process_id){ 0 };
	ck_assert_int_eq(ccp_process_check(&id), CCP_PROCESS_UNKNOWN);
}
END_TEST

START_TEST(test_lock)
{
	char *dir = ccp_test_make_dir(), *path = ccp_path_join(dir, "lock");
	int fd = -1, other = -1;
	struct stat st;

	ck_assert_int_eq(ccp_lock_is_held(path, NULL), 0);
	ck_assert_int_lt(access(path, F_OK), 0); /* asking makes no file */
	ck_assert_int_eq(ccp_lock_try(path, &fd, NULL), 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(ccp_lock_try(path, &other, NULL), 0);
	ck_assert_int_eq(other, -1);
	ck_assert_int_eq(ccp_lock_is_held(path, NULL), 1);
	close(fd);
	ck_assert_int_eq(ccp_lock_is_held(path, NULL), 0);
	ck_assert_int_eq(ccp_lock_try(path, &fd, NULL), 1);
	close(fd);
	free(path);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_lock_failure)
{
	int fd = -1;

	ck_assert_int_lt(ccp_lock_try("/nonexistent/lock", &fd, NULL), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(ccp_lock_is_held("/nonexistent/lock", NULL), 0);
	ck_assert_int_lt(ccp_lock_is_held("/dev/null/lock", NULL), 0);
}
END_TEST

static int is_null_device(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
}

static int fix_fds(void)
{
	int keep[2];

	if (pipe(keep) < 0 || dup2(keep[1], 1) < 0)
		return 1;
	close(0);
	close(2);
	ccp_process_fix_standard_fds();
	if (!is_null_device(0) || !is_null_device(2) || is_null_device(1))
		return 2;
	return fcntl(0, F_GETFD) & FD_CLOEXEC ? 3 : 0;
}

START_TEST(test_fix_standard_fds)
{
	ck_assert_int_eq(in_child(fix_fds), 0);
}
END_TEST

static int close_extra(void)
{
	int low = open("/dev/null", O_RDONLY), high = dup2(low, 200);

	if (low < 0 || high < 0)
		return 1;
	ccp_process_close_extra_fds();
	if (fcntl(low, F_GETFD) >= 0 || fcntl(high, F_GETFD) >= 0)
		return 2;
	return fcntl(2, F_GETFD) < 0 ? 3 : 0;
}

START_TEST(test_close_extra_fds)
{
	ck_assert_int_eq(in_child(close_extra), 0);
}
END_TEST

static int take_stdout(void)
{
	int out[2], err[2], taken;
	char c = 0;

	if (pipe(out) < 0 || pipe(err) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
		return 1;
	taken = ccp_process_take_stdout(NULL);
	if (taken < 3 || !(fcntl(taken, F_GETFD) & FD_CLOEXEC))
		return 2;
	if (write(1, "e", 1) != 1 || read(err[0], &c, 1) != 1 || c != 'e')
		return 3;
	if (write(taken, "o", 1) != 1 || read(out[0], &c, 1) != 1 || c != 'o')
		return 4;
	return 0;
}

START_TEST(test_take_stdout)
{
	ck_assert_int_eq(in_child(take_stdout), 0);
}
END_TEST

START_TEST(test_executable)
{
	char *path = NULL;

	ck_assert_int_eq(ccp_process_executable(&path, NULL), 0);
	ck_assert_int_eq(path[0], '/');
	ck_assert_int_eq(access(path, X_OK), 0);
	ck_assert(ccp_str_has_prefix(ccp_path_base(path), "t"));
	free(path);
}
END_TEST

CCP_TEST_MAIN("process", test_self, test_ancestors, test_life_and_death, test_hostile_name,
	      test_other_identity, test_lock, test_lock_failure, test_fix_standard_fds,
	      test_close_extra_fds, test_take_stdout, test_executable)
