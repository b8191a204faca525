#include "base/path.h"

#include <sys/stat.h>

#include "base/str.h"
#include "ccp_check.h"

START_TEST(test_clean)
{
	static const struct {
		const char *path, *base, *clean;
	} rows[] = {
		{ "/", NULL, "/" },
		{ "//", NULL, "/" },
		{ "/a/b", NULL, "/a/b" },
		{ "/a//b/", NULL, "/a/b" },
		{ "/a/./b/.", NULL, "/a/b" },
		{ "/a/../b", NULL, "/b" },
		{ "/../..", NULL, "/" },
		{ "/a/b/../../..", NULL, "/" },
		{ "/a/..b/.c/...", NULL, "/a/..b/.c/..." },
		{ "b", "/a", "/a/b" },
		{ "../b", "/a/x/", "/a/b" },
		{ ".", "/", "/" },
		{ "/abs", "relative", "/abs" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *clean = NULL;

		ck_assert_int_eq(ccp_path_clean(rows[i].path, rows[i].base, &clean, NULL), 0);
		ck_assert_str_eq(clean, rows[i].clean);
	}
}
END_TEST

START_TEST(test_clean_fails)
{
	char *clean = NULL;

	ck_assert_int_eq(ccp_path_clean("", "/a", &clean, NULL), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(ccp_path_clean("b", NULL, &clean, NULL), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_int_eq(ccp_path_clean("b", "a", &clean, NULL), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_ptr_null(clean);
}
END_TEST

START_TEST(test_below)
{
	ck_assert(ccp_path_is_below("/a/b", "/a"));
	ck_assert(ccp_path_is_below("/a", "/a"));
	ck_assert(ccp_path_is_below("/a", "/"));
	ck_assert(ccp_path_is_below("/", "/"));
	ck_assert(!ccp_path_is_below("/ab", "/a"));
	ck_assert(!ccp_path_is_below("/", "/a"));
	ck_assert(!ccp_path_is_below("/b/a", "/a"));
}
END_TEST

START_TEST(test_parts)
{
	static const struct {
		const char *path, *base, *parent;
	} rows[] = {
		{ "/a/b", "b", "/a" },
		{ "/a", "a", "/" },
		{ "/", "/", "/" },
		{ "a", "a", "." },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *parent = ccp_path_parent(rows[i].path);

		ck_assert_str_eq(ccp_path_base(rows[i].path), rows[i].base);
		ck_assert_str_eq(parent, rows[i].parent);
	}
}
END_TEST

START_TEST(test_join)
{
	_cleanup_free_ char *a = ccp_path_join("/a", "b");
	_cleanup_free_ char *b = ccp_path_join("/", "b");

	ck_assert_str_eq(a, "/a/b");
	ck_assert_str_eq(b, "/b");
}
END_TEST

START_TEST(test_canonical)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	char *dir = ccp_test_make_dir();
	_cleanup_free_ char *real = realpath(dir, NULL), *link = ccp_path_join(dir, "link");
	_cleanup_free_ char *inside = ccp_path_join(real, "inside"), *found = NULL;

	ck_assert_int_eq(mkdir(inside, 0700), 0);
	ck_assert_int_eq(symlink("inside", link), 0);
	ck_assert_int_eq(ccp_path_canonical(link, &found, &err), 0);
	ck_assert_str_eq(found, inside);
	ck_assert_int_eq(rmdir(inside), 0);
	ck_assert_int_eq(ccp_path_canonical(link, &found, &err), CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(found, inside);
	ck_assert_ptr_nonnull(strstr(err.message, "No such file or directory"));
	ccp_test_remove_dir(dir);
}
END_TEST

/* Files only, and also those that are not there yet. */
START_TEST(test_follow)
{
	char *dir = ccp_test_make_dir();
	_cleanup_free_ char *real = realpath(dir, NULL);
	static const struct {
		const char *name, *target, *found;
	} links[] = {
		{ "plain", NULL, "plain" },         { "link", "file", "file" },
		{ "chain", "link", "file" },        { "down", "below/file", "below/file" },
		{ "below/up", "../file", "file" },  { "through", "alias/../file", "file" },
		{ "lost", "nowhere/file", "lost" },
	};
	_cleanup_free_ char *below = ccp_path_join(real, "below"),
			    *alias = ccp_path_join(real, "alias"),
			    *loop = ccp_path_join(real, "loop"), *found = NULL;

	ck_assert_int_eq(mkdir(below, 0700), 0);
	ck_assert_int_eq(symlink("below", alias), 0);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(links); i++) {
		_cleanup_free_ char *path = ccp_path_join(real, links[i].name),
				    *want = ccp_path_join(real, links[i].found), *got = NULL;

		if (links[i].target)
			ck_assert_int_eq(symlink(links[i].target, path), 0);
		ck_assert_int_eq(ccp_path_follow(path, &got, NULL), 0);
		ck_assert_str_eq(got, want);
	}
	ck_assert_int_eq(symlink("loop", loop), 0);
	ck_assert_int_eq(ccp_path_follow(loop, &found, NULL), 0);
	ck_assert_str_eq(found, loop);
	ccp_test_remove_dir(dir);
}
END_TEST

START_TEST(test_project_id)
{
	char id[CCP_PROJECT_ID_SIZE];

	ccp_project_id("abc", id);
	ck_assert_str_eq(id, "prj_ba7816bf8f01cfea414140de5dae2223");
}
END_TEST

CCP_TEST_MAIN("path", test_clean, test_clean_fails, test_below, test_parts, test_join,
	      test_canonical, test_follow, test_project_id)
