#include <ccp_check.h>

#include "appserver/server_log.h"
#include "base/file.h"
#include "base/path.h"

#define LARGE ((8 << 20) + 1)

START_TEST(test_log)
{
	char *dir = ccp_test_make_dir(), *path = ccp_path_join(dir, "log"), *tail;
	char *large = calloc(1, LARGE);

	ck_assert_int_eq(ccp_server_log_trim(NULL), 0);
	ck_assert_int_eq(ccp_server_log_trim(path), 0);
	ck_assert_ptr_null(ccp_server_log_tail(path, 0));
	ck_assert_int_eq(ccp_file_replace(path, "before\nafter\xff", 13, 0600, NULL), 0);
	ck_assert_int_eq(ccp_server_log_trim(path), 13);
	tail = ccp_server_log_tail(path, 7);
	ck_assert_str_eq(tail, "after\xef\xbf\xbd");
	free(tail);
	ck_assert_ptr_null(ccp_server_log_tail(path, 13));
	ck_assert_int_eq(ccp_file_replace(path, large, LARGE, 0600, NULL), 0);
	ck_assert_int_eq(ccp_server_log_trim(path), 0);
	ck_assert_ptr_null(ccp_server_log_tail(path, 0));
	free(large);
	free(path);
	ccp_test_remove_dir(dir);
}
END_TEST

CCP_TEST_MAIN("server_log", test_log)
