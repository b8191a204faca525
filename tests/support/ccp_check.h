/*
 * The frame of a check program: CCP_TEST_MAIN lists the test cases, prints TAP and fails a test
 * case that leaves a descriptor open.
 *
 *	START_TEST(test_trim) { ... } END_TEST
 *	CCP_TEST_MAIN("str", test_trim, test_prefix)
 */
#pragma once

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int ccp_count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static int ccp_fds_before;

/* libuv, when the program is linked with it, makes a pipe for signals that lives as long as the
 * process: it has to be there before descriptors are counted. */
struct uv_loop_s;
extern struct uv_loop_s *uv_default_loop(void) __attribute__((weak));

static inline void ccp_fds_setup(void)
{
	if (uv_default_loop)
		uv_default_loop();
	ccp_fds_before = ccp_count_fds();
}

static inline void ccp_fds_teardown(void)
{
	ck_assert_int_eq(ccp_count_fds(), ccp_fds_before);
}

/* A fresh private directory below the system's temporary directory; the caller removes it with
 * ccp_test_remove_dir(). */
static inline char *ccp_test_make_dir(void)
{
	char *path = NULL;
	const char *tmp = getenv("TMPDIR");

	ck_assert_int_ge(asprintf(&path, "%s/ccp-test-XXXXXX", tmp ? tmp : "/tmp"), 0);
	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static inline void ccp_test_remove_dir(char *path)
{
	char *command = NULL;

	ck_assert_int_ge(asprintf(&command, "rm -rf '%s'", path), 0);
	ck_assert_int_eq(system(command), 0);
	free(command);
	free(path);
}

/* For one test, on a loaded machine; a sanitizer makes it several times slower. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CCP_TEST_SECONDS 100
#endif
#endif
#ifndef CCP_TEST_SECONDS
#define CCP_TEST_SECONDS 30
#endif

static inline int ccp_test_run(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, CCP_TEST_SECONDS);
	tcase_add_checked_fixture(tc, ccp_fds_setup, ccp_fds_teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define CCP_TEST_MAIN(name, ...)                                                                   \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *const tests[] = { __VA_ARGS__ };                                      \
		return ccp_test_run(name, tests, sizeof(tests) / sizeof(tests[0]));                \
	}
