#include "runtime/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

#define FIRST_EXTRA_FD 3

/* A small file of /proc, NUL-terminated; longer text is cut. Returns 0 or -errno. */
static int read_small(const char *path, char *out, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, out, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

static void read_boot_id(char out[static CCP_BOOT_ID_SIZE])
{
	if (read_small("/proc/sys/kernel/random/boot_id", out, CCP_BOOT_ID_SIZE) < 0)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static int64_t read_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? (int64_t)st.st_ino : 0;
}

struct look {
	char state;
	int64_t parent, start_time;
};

#define MAX_ANCESTORS 64

/* "pid (comm) S ppid ... starttime ...": comm may hold blanks and parentheses. */
static bool parse_stat(const char *text, struct look *ret_look)
{
	const char *rest = strrchr(text, ')');

	/* The state is field 3, the start time field 22. */
	return rest && sscanf(rest,
			      ") %c %" SCNd64 " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
			      " %*s %*s %*s %*s %*s %" SCNd64,
			      &ret_look->state, &ret_look->parent, &ret_look->start_time) == 3;
}

/* 1 alive, 0 proven to be gone (or a zombie), negative: it cannot be told. */
static int look_at(int64_t pid, struct look *ret_look)
{
	char path[64], text[1024];

	if (pid <= 0 || pid > INT_MAX)
		return 0;
	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	if (read_small(path, text, sizeof(text)) < 0)
		/* /proc may hide a process that is there. */
		return kill((pid_t)pid, 0) < 0 && errno == ESRCH ? 0 : -1;
	if (!parse_stat(text, ret_look))
		return -1;
	return ret_look->state != 'Z' && ret_look->state != 'X';
}

int ccp_process_identify(int64_t pid, struct ccp_process_id *ret_id, struct codexcp_error *err)
{
	struct ccp_process_id id = { .pid = pid, .pid_namespace = read_pid_namespace() };
	struct look look = { 0 };
	int rc = look_at(pid, &look);

	if (rc == 0)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "there is no process %" PRId64, pid);
	if (rc > 0)
		id.start_time = look.start_time;
	read_boot_id(id.boot);
	*ret_id = id;
	return 0;
}

int ccp_process_self(struct ccp_process_id *ret_id, struct codexcp_error *err)
{
	return ccp_process_identify(getpid(), ret_id, err);
}

enum ccp_process_state ccp_process_check(const struct ccp_process_id *id)
{
	char boot[CCP_BOOT_ID_SIZE];
	struct look look = { 0 };
	int rc;

	read_boot_id(boot);
	if (!id->pid || !id->boot[0] || !boot[0])
		return CCP_PROCESS_UNKNOWN;
	if (!ccp_streq(id->boot, boot))
		return CCP_PROCESS_LOST;
	if (!id->pid_namespace || id->pid_namespace != read_pid_namespace())
		return CCP_PROCESS_UNKNOWN;
	rc = look_at(id->pid, &look);
	if (rc == 0)
		return CCP_PROCESS_DEAD;
	if (rc < 0 || !id->start_time)
		return CCP_PROCESS_UNKNOWN;
	return look.start_time == id->start_time ? CCP_PROCESS_ALIVE : CCP_PROCESS_DEAD;
}

bool ccp_process_is_gone(const struct ccp_process_id *id)
{
	enum ccp_process_state state = ccp_process_check(id);

	return state == CCP_PROCESS_DEAD || state == CCP_PROCESS_LOST;
}

void ccp_process_kill(const struct ccp_process_id *id)
{
	pid_t pid = (pid_t)id->pid;

	if (ccp_process_check(id) == CCP_PROCESS_ALIVE)
		kill(getpgid(pid) == pid ? -pid : pid, SIGKILL);
}

void ccp_process_signal(const struct ccp_process_id *id, int signum)
{
	if (ccp_process_check(id) == CCP_PROCESS_ALIVE)
		kill((pid_t)id->pid, signum);
}

#define MAX_COMMAND_LINE (128 << 10)

static bool works_in(int64_t pid, const struct stat *dir)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/cwd", pid);
	return stat(path, &st) == 0 && st.st_dev == dir->st_dev && st.st_ino == dir->st_ino;
}

/* In /proc each word ends in a NUL. */
static bool was_called(int64_t pid, const char *const *words)
{
	_cleanup_free_ char *line = NULL;
	size_t len = 0, n = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/cmdline", pid);
	if (ccp_file_read(path, MAX_COMMAND_LINE, &line, &len, NULL) != 1)
		return false;
	while (words[n])
		n++;
	for (const char *end = line + len; n > 0; n--) {
		size_t size = strlen(words[n - 1]) + 1;

		if ((size_t)(end - line) < size || memcmp(end - size, words[n - 1], size) != 0)
			return false;
		end -= size;
		if (end > line && end[-1])
			return false;
	}
	return true;
}

void ccp_process_kill_alike(const char *dir, const char *const *words,
			    const struct ccp_process_id *but)
{
	DIR *proc = opendir("/proc");
	struct ccp_process_id id = { 0 };
	struct dirent *entry;
	struct stat st;
	int64_t pid;

	while (proc && stat(dir, &st) == 0 && (entry = readdir(proc)))
		if (ccp_parse_i64(entry->d_name, &pid) && pid != getpid() &&
		    !(but && ccp_process_has(but, pid)) && works_in(pid, &st) &&
		    was_called(pid, words) && ccp_process_identify(pid, &id, NULL) == 0)
			ccp_process_kill(&id);
	if (proc)
		closedir(proc);
}

bool ccp_process_has(const struct ccp_process_id *id, int64_t pid)
{
	return pid > 0 && (pid == id->pid || getsid((pid_t)pid) == id->pid);
}

bool ccp_process_is_ancestor(const struct ccp_process_id *id)
{
	struct look look = { .parent = getppid() };
	int64_t pid = look.parent;

	for (int i = 0; i < MAX_ANCESTORS && pid > 1 && pid != id->pid; i++)
		pid = look_at(pid, &look) == 1 ? look.parent : 0;
	return pid > 1 && pid == id->pid && ccp_process_check(id) == CCP_PROCESS_ALIVE;
}

/* 1 locked, 0 somebody else has it. */
static int try_flock(int fd, int how, const char *path, struct codexcp_error *err)
{
	int rc;

	do
		rc = flock(fd, how | LOCK_NB);
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return 1;
	return errno == EWOULDBLOCK ? 0 : ccp_fail_errno(err, errno, "cannot lock %s", path);
}

int ccp_lock_try(const char *path, int *ret_fd, struct codexcp_error *err)
{
	_cleanup_close_ int fd = ccp_file_open(path, O_RDWR | O_CREAT, 0600, err);
	int rc;

	if (fd < 0)
		return fd;
	rc = try_flock(fd, LOCK_EX, path, err);
	if (rc > 0) {
		*ret_fd = fd;
		fd = -1;
	}
	return rc;
}

int ccp_lock_is_held(const char *path, struct codexcp_error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : ccp_fail_errno(err, errno, "cannot open %s", path);
	/* Shared, so that two who ask at once do not take each other for a holder. */
	rc = try_flock(fd, LOCK_SH, path, err);
	return rc < 0 ? rc : !rc;
}

void ccp_process_fix_standard_fds(void)
{
	for (int fd = 0; fd < FIRST_EXTRA_FD; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free descriptor is fd. Programs that we start are to inherit it, so
		 * this is the one descriptor that is not close-on-exec. */
		if (open("/dev/null", O_RDWR) != fd)
			return;
	}
}

static void close_listed_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		int64_t fd;

		if (ccp_parse_i64(entry->d_name, &fd) && fd >= FIRST_EXTRA_FD && fd != dirfd(dir))
			close((int)fd);
	}
	closedir(dir);
}

void ccp_process_close_extra_fds(void)
{
	/* Kernels before 5.9 and some sandboxes do not have it. */
	if (close_range(FIRST_EXTRA_FD, ~0U, 0) < 0)
		close_listed_fds();
}

int ccp_process_take_stdout(struct codexcp_error *err)
{
	_cleanup_close_ int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, FIRST_EXTRA_FD);
	int taken;

	if (fd < 0)
		return ccp_fail_errno(err, errno, "cannot duplicate stdout");
	if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return ccp_fail_errno(err, errno, "cannot redirect stdout");
	taken = fd;
	fd = -1;
	return taken;
}

int ccp_process_executable(char **ret_path, struct codexcp_error *err)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *copy;

	if (n < 0)
		return ccp_fail_errno(err, errno, "cannot find the running executable");
	path[n] = '\0';
	/* The file was replaced under us, by an upgrade: the new one stands at the same path. */
	if (ccp_str_has_suffix(path, deleted) && access(path, F_OK) < 0)
		path[(size_t)n - strlen(deleted)] = '\0';
	copy = strdup(path);
	if (!copy)
		return ccp_fail_oom(err);
	*ret_path = copy;
	return 0;
}
