#include "base/error.h"

#include <errno.h>

#include "base/json.h"
#include "ccp_check.h"

START_TEST(test_names)
{
	ck_assert_str_eq(codexcp_error_name(CODEXCP_E_BUSY), "CODEX_BUSY");
	ck_assert_str_eq(codexcp_error_name(CODEXCP_E_INVALID_ARGUMENT), "INVALID_ARGUMENT");
	ck_assert_str_eq(codexcp_error_name(CODEXCP_E_INTERNAL), "CODEX_INTERNAL");
	ck_assert_str_eq(codexcp_error_name(0), "CODEX_INTERNAL");
	ck_assert_str_eq(codexcp_error_name(1), "CODEX_INTERNAL");
	ck_assert_str_eq(codexcp_error_name(-1000), "CODEX_INTERNAL");
	ck_assert_str_eq(codexcp_error_name(CODEXCP_E_INTERNAL - 1), "CODEX_INTERNAL");
}
END_TEST

START_TEST(test_fail)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_fail(NULL, CODEXCP_E_BUSY, "x"), CODEXCP_E_BUSY);
	ck_assert_int_eq(ccp_fail(&err, CODEXCP_E_BUSY, "%s is\nbusy", "it"), CODEXCP_E_BUSY);
	ck_assert_int_eq(err.code, CODEXCP_E_BUSY);
	ck_assert_int_eq(err.retryable, 1);
	ck_assert_str_eq(err.message, "it is busy");
	ccp_error_add(&err, "n", json_integer(3));
	ck_assert_int_eq(ccp_json_int(err.details, "n", 0), 3);
	ccp_fail(&err, CODEXCP_E_INTERNAL, "again: %s", err.message);
	ck_assert_str_eq(err.message, "again: it is busy");
	ck_assert_int_eq(err.retryable, 0);
	ck_assert_ptr_null(err.details);
	codexcp_error_done(&err);
	ck_assert_int_eq(err.code, 0);
	codexcp_error_done(NULL);
}
END_TEST

START_TEST(test_message)
{
	struct codexcp_error err = { 0 };
	char big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ccp_fail(&err, CODEXCP_E_INTERNAL, "%s", big);
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	ccp_error_prefix(&err, "%s", big);
	ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
	ccp_fail(&err, CODEXCP_E_INTERNAL, "refused DB_PASSWORD=hunter2hunter2");
	ck_assert_str_eq(err.message, "refused DB_PASSWORD=[redacted]");
}
END_TEST

START_TEST(test_errno)
{
	static const struct {
		int errnum, code;
		const char *reason;
	} rows[] = {
		{ ENOMEM, CODEXCP_E_NO_MEMORY, NULL },
		{ ENOSPC, CODEXCP_E_STATE_UNAVAILABLE, "full" },
		{ EDQUOT, CODEXCP_E_STATE_UNAVAILABLE, "full" },
		{ EROFS, CODEXCP_E_STATE_UNAVAILABLE, "read_only" },
		{ ENOENT, CODEXCP_E_INTERNAL, NULL },
		{ 0, CODEXCP_E_INTERNAL, NULL },
	};
	_cleanup_error_ struct codexcp_error err = { 0 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++) {
		ck_assert_int_eq(ccp_fail_errno(NULL, rows[i].errnum, "x"), rows[i].code);
		ck_assert_int_eq(ccp_fail_errno(&err, rows[i].errnum, "a %d", 7), rows[i].code);
		ck_assert_int_eq(err.code, rows[i].code);
		ck_assert_pstr_eq(ccp_json_str(err.details, "reason"), rows[i].reason);
	}
	ccp_fail_errno(&err, ENOENT, "cannot open %s", "x");
	ck_assert_str_eq(err.message, "cannot open x: No such file or directory");
	ck_assert_int_eq(ccp_fail_oom(&err), CODEXCP_E_NO_MEMORY);
	ck_assert_str_eq(err.message, "out of memory");
	ck_assert_int_eq(ccp_fail_oom(NULL), CODEXCP_E_NO_MEMORY);
}
END_TEST

START_TEST(test_argument)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_fail_argument(&err, "timeout", "a number", "timeout_seconds"),
			 CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(err.message, "timeout: expected a number; did you mean timeout_seconds?");
	ck_assert_str_eq(ccp_json_str(err.details, "argument"), "timeout");
	ck_assert_str_eq(ccp_json_str(err.details, "expected"), "a number");
	ck_assert_str_eq(ccp_json_str(err.details, "didYouMean"), "timeout_seconds");
	ccp_fail_argument(&err, "cwd", "a path", NULL);
	ck_assert_str_eq(err.message, "cwd: expected a path");
	ck_assert_uint_eq(json_object_size(err.details), 2);
	ck_assert_int_lt(ccp_fail_argument(NULL, "a", "b", NULL), 0);
}
END_TEST

START_TEST(test_copy)
{
	_cleanup_error_ struct codexcp_error a = { 0 }, b = { 0 };

	ccp_fail(&a, CODEXCP_E_BUSY, "busy");
	ccp_error_add_str(&a, "k", "v");
	ccp_fail_argument(&b, "x", "y", NULL);
	ck_assert_int_eq(ccp_fail_copy(&b, &a), CODEXCP_E_BUSY);
	ck_assert_int_eq(ccp_fail_copy(&b, &b), CODEXCP_E_BUSY);
	ck_assert_int_eq(ccp_fail_copy(NULL, &a), CODEXCP_E_BUSY);
	ck_assert_str_eq(b.message, "busy");
	ck_assert_int_eq(b.retryable, 1);
	ck_assert_ptr_eq(b.details, a.details);
	ccp_error_add_str(&b, "only", "b");
	ck_assert_str_eq(ccp_json_str(b.details, "k"), "v");
	ck_assert_str_eq(ccp_json_str(b.details, "only"), "b");
	ck_assert_ptr_null(ccp_json_str(a.details, "only"));
}
END_TEST

START_TEST(test_add)
{
	_cleanup_error_ struct codexcp_error err = { 0 };

	ccp_error_add(NULL, "k", json_integer(1));
	ccp_error_add(&err, "k", json_integer(1));
	ccp_error_prefix(&err, "nothing failed");
	ck_assert_ptr_null(err.details);
	ck_assert_str_eq(err.message, "");
	ccp_fail(&err, CODEXCP_E_CONFIG_INVALID, "expected an object");
	ccp_error_add(&err, "k", NULL);
	ccp_error_add_str(&err, "k", NULL);
	ck_assert_ptr_null(err.details);
	ccp_error_prefix(&err, "%s.json", "config");
	ck_assert_str_eq(err.message, "config.json: expected an object");
	ccp_error_prefix(NULL, "x");
}
END_TEST

START_TEST(test_json)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_auto_t *value = NULL;
	_cleanup_free_ char *text = NULL;

	ccp_fail(&err, CODEXCP_E_TIMEOUT, "late \xff");
	ccp_error_add(&err, "ms", json_integer(5));
	value = ccp_error_json(&err);
	text = ccp_json_dump(value, NULL);
	ck_assert_str_eq(text, "{\"code\":\"CODEX_TIMEOUT\",\"message\":\"late \xef\xbf\xbd\","
			       "\"details\":{\"ms\":5},\"retryable\":true}");
}
END_TEST

START_TEST(test_from_json)
{
	_cleanup_error_ struct codexcp_error err = { 0 }, back = { 0 };
	json_auto_t *value = NULL, *odd = json_pack("{s:s}", "code", "OF_TOMORROW");

	ccp_fail(&err, CODEXCP_E_TIMEOUT, "late");
	ccp_error_add(&err, "ms", json_integer(5));
	err.retryable = false;
	value = ccp_error_json(&err);
	ck_assert_int_eq(ccp_error_from_json(value, NULL), CODEXCP_E_TIMEOUT);
	ck_assert_int_eq(ccp_error_from_json(value, &back), CODEXCP_E_TIMEOUT);
	ck_assert_int_eq(back.code, CODEXCP_E_TIMEOUT);
	ck_assert_str_eq(back.message, "late");
	ck_assert(!back.retryable);
	ck_assert(json_equal(back.details, err.details));
	ck_assert_int_eq(ccp_error_from_json(odd, &back), CODEXCP_E_INTERNAL);
	ck_assert_ptr_null(back.details);
	ck_assert_int_eq(ccp_error_from_json(NULL, &back), CODEXCP_E_INTERNAL);
}
END_TEST

CCP_TEST_MAIN("error", test_names, test_fail, test_message, test_errno, test_argument, test_copy,
	      test_add, test_json, test_from_json)
