#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/path.h"
#include "ccp_check.h"

static char *dir;

static void setup(void)
{
	dir = ccp_test_make_dir();
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(test_replace)
{
	_cleanup_free_ char *path = NULL, *data = NULL;
	size_t len = 0;

	setup();
	path = ccp_path_join(dir, "f");
	umask(077);
	ck_assert_int_eq(ccp_file_replace(path, "one", 3, 0600, NULL), 0);
	ck_assert_uint_eq(mode_of(path), 0600);
	ck_assert_int_eq(ccp_file_replace(path, "t\0o!", 4, 0644, NULL), 0);
	ck_assert_uint_eq(mode_of(path), 0644);
	ck_assert_int_eq(count_entries(dir), 1);
	ck_assert_int_eq(ccp_file_read(path, 4, &data, &len, NULL), 1);
	ck_assert_uint_eq(len, 4);
	ck_assert_mem_eq(data, "t\0o!", 5);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_replace_fails)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *path = NULL, *below = NULL;

	setup();
	path = ccp_path_join(dir, "taken");
	below = ccp_path_join(path, "f");
	ck_assert_int_lt(ccp_file_replace(below, "x", 1, 0600, &err), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_lt(ccp_file_replace(path, "x", 1, 0600, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, path));
	ck_assert_int_eq(count_entries(dir), 1);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_read)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *path = NULL, *big = calloc(1, 100000), *data = NULL;
	char *none = big;
	size_t len = 42;

	setup();
	path = ccp_path_join(dir, "f");
	ck_assert_int_eq(ccp_file_read(path, 10, &none, &len, &err), 0);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(ccp_file_replace(path, big, 100000, 0600, NULL), 0);
	ck_assert_int_eq(ccp_file_read(path, 99999, &data, &len, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_ptr_null(data);
	ck_assert_int_eq(ccp_file_read(path, 100000, &data, &len, &err), 1);
	ck_assert_uint_eq(len, 100000);
	ck_assert_int_eq(ccp_file_read(dir, 10, &none, &len, &err), CODEXCP_E_INTERNAL);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_read_empty)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 42;

	ck_assert_int_eq(ccp_file_read("/dev/null", 0, &data, &len, NULL), 1);
	ck_assert_str_eq(data, "");
	ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(test_open)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_close_ int fd = ccp_file_open("/dev/null", O_RDONLY, 0, &err);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ccp_file_open("/nonexistent/x", O_RDONLY, 0, &err), CODEXCP_E_INTERNAL);
	ck_assert_str_eq(err.message, "cannot open /nonexistent/x: No such file or directory");
}
END_TEST

START_TEST(test_dir_make)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *a = NULL, *deep = NULL, *file = NULL, *below = NULL;

	setup();
	a = ccp_path_join(dir, "a");
	deep = ccp_path_join(a, "b/c/");
	file = ccp_path_join(a, "file");
	below = ccp_path_join(file, "d");
	umask(077);
	ck_assert_int_eq(ccp_dir_make(deep, 0755, &err), 0);
	ck_assert_uint_eq(mode_of(a), 0755);
	ck_assert_uint_eq(mode_of(deep), 0755);
	ck_assert_int_eq(ccp_dir_make(deep, 0700, &err), 0);
	ck_assert_uint_eq(mode_of(deep), 0755);
	ck_assert_int_eq(ccp_file_replace(file, "", 0, 0600, NULL), 0);
	ck_assert_int_lt(ccp_dir_make(file, 0700, &err), 0);
	ck_assert_int_lt(ccp_dir_make(below, 0700, &err), 0);
	ck_assert_int_lt(ccp_dir_make("", 0700, &err), 0);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_dir_check_private)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *command = NULL;

	setup();
	ck_assert_int_ge(asprintf(&command, "run: chmod 700 %s", dir), 0);
	ck_assert_int_eq(ccp_dir_check_private(dir, &err), 0);
	ck_assert_int_eq(chmod(dir, 0750), 0);
	ck_assert_int_eq(ccp_dir_check_private(dir, &err), CODEXCP_E_STATE_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(err.message, command));
	ck_assert_int_lt(ccp_dir_check_private("/dev/null", &err), 0);
	ck_assert_str_eq(err.message, "/dev/null is not a directory");
	ccp_test_remove_dir(dir);
	ck_assert_int_lt(ccp_dir_check_private("/nonexistent", &err), 0);
}
END_TEST

START_TEST(test_dir_of_another)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	if (geteuid() == 0) {
		setup();
		ck_assert_int_eq(chown(dir, 12345, (gid_t)-1), 0);
	}
	ck_assert_int_lt(ccp_dir_check_private(dir ? dir : "/", &err), 0);
	ck_assert_ptr_nonnull(strstr(err.message, "run: chown"));
	if (dir)
		ccp_test_remove_dir(dir);
}
END_TEST

/* In a directory that cannot be opened, and so not be synced; as somebody to whom permissions
 * apply. Which step failed, 0: none. */
static int publish_in_closed(const char *path)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *temp = NULL;
	_cleanup_close_ int fd = -1;

	if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0)
		return 1;
	if (asprintf(&temp, "%s.XXXXXX", path) < 0 || (fd = ccp_file_temp(temp, NULL)) < 0)
		return 2;
	if (ccp_file_publish(fd, temp, path, &err) == 0)
		return 3;
	if (!strstr(err.message, "cannot open"))
		return 4;
	return access(path, F_OK) == 0 ? 5 : 0;
}

/* What is told as failed is not there. */
START_TEST(test_publish_fails)
{
	_cleanup_free_ char *path = NULL;
	int status;
	pid_t pid;

	setup();
	path = ccp_path_join(dir, "f");
	if (geteuid() == 0)
		ck_assert_int_eq(chown(dir, 12345, (gid_t)-1), 0);
	ck_assert_int_eq(chmod(dir, 0300), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(publish_in_closed(path));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ccp_test_remove_dir(dir);
}
END_TEST

CCP_TEST_MAIN("file", test_replace, test_replace_fails, test_read, test_read_empty, test_open,
	      test_dir_make, test_dir_check_private, test_dir_of_another, test_publish_fails)
