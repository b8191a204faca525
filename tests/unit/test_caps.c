#include <ccp_check.h>

#include "appserver/caps.h"
#include "base/json.h"

static struct ccp_codex_version parse(const char *user_agent)
{
	struct ccp_codex_version v = { 9, 9, 9 };

	ccp_codex_version_parse(user_agent, &v);
	return v;
}

static void check_version(const char *user_agent, const char *want)
{
	char text[CCP_CODEX_VERSION_SIZE];
	struct ccp_codex_version v = parse(user_agent);

	ck_assert_str_eq(ccp_codex_version_format(&v, text), want);
}

START_TEST(test_parse)
{
	check_version("codex_cli_rs/0.169.0 (Debian 12.0.0; x86_64) xterm (x; 0.1.0)", "0.169.0");
	check_version("codex-control-plane-mcp/0.98.3-alpha.1", "0.98.3");
	check_version("a/b/1.22.333", "1.22.333");
	check_version("a/0.1 b/0.2.3", "0.2.3");
	check_version("no slash 0.169.0", "unknown");
	check_version("x/0.1.", "unknown");
	check_version("x/0.99999999.1", "unknown");
	check_version("", "unknown");
	check_version(NULL, "unknown");
}
END_TEST

START_TEST(test_has)
{
	struct ccp_codex_version old = parse("x/0.98.0"), edge = parse("x/0.145.0"),
				 before = parse("x/0.144.9"), unknown = parse(NULL),
				 major = parse("x/1.0.0");

	ck_assert(!ccp_codex_has(&old, CCP_CODEX_TURN_STEER));
	ck_assert(ccp_codex_has(&old, CCP_CODEX_APPROVAL_ON_FAILURE));
	ck_assert(!ccp_codex_has(&before, CCP_CODEX_CLIENT_MESSAGE_ID));
	ck_assert(ccp_codex_has(&before, CCP_CODEX_APPROVAL_ON_FAILURE));
	ck_assert(ccp_codex_has(&edge, CCP_CODEX_CLIENT_MESSAGE_ID));
	ck_assert(!ccp_codex_has(&edge, CCP_CODEX_APPROVAL_ON_FAILURE));
	ck_assert(ccp_codex_has(&unknown, CCP_CODEX_THREAD_SOURCE));
	ck_assert(!ccp_codex_has(&unknown, CCP_CODEX_APPROVAL_ON_FAILURE));
	ck_assert(ccp_codex_has(&major, CCP_CODEX_THREAD_SOURCE));
	ck_assert(!ccp_codex_has(&major, CCP_CODEX_APPROVAL_ON_FAILURE));
}
END_TEST

START_TEST(test_require)
{
	struct ccp_codex_version old = parse("x/0.98.0"), new = parse("x/0.169.0");
	_cleanup_error_ struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_codex_require(&new, CCP_CODEX_TURNS_LIST, &err), 0);
	ck_assert_int_eq(err.code, 0);
	ck_assert_int_eq(ccp_codex_require(&old, CCP_CODEX_TURNS_LIST, NULL),
			 CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION);
	ck_assert_int_eq(ccp_codex_require(&old, CCP_CODEX_TURNS_LIST, &err),
			 CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION);
	ck_assert_str_eq(ccp_json_str(err.details, "feature"), "thread/turns/list");
	ck_assert_str_eq(ccp_json_str(err.details, "codexVersion"), "0.98.0");
	ck_assert_str_eq(ccp_json_str(err.details, "minimumVersion"), "0.130.0");
}
END_TEST

START_TEST(test_require_removed)
{
	struct ccp_codex_version new = parse("x/0.169.0");
	_cleanup_error_ struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_codex_require(&new, CCP_CODEX_APPROVAL_ON_FAILURE, &err),
			 CODEXCP_E_UNSUPPORTED_BY_CODEX_VERSION);
	ck_assert_ptr_nonnull(strstr(err.message, "removed in 0.145.0"));
	ck_assert_str_eq(ccp_json_str(err.details, "removedInVersion"), "0.145.0");
	ck_assert_ptr_null(ccp_json_str(err.details, "minimumVersion"));
}
END_TEST

START_TEST(test_lacks)
{
	struct ccp_codex_version old = parse("x/0.98.0"), new = parse("x/0.169.0"), unknown = { 0 };
	json_auto_t *of_old = ccp_codex_lacks(&old), *of_new = ccp_codex_lacks(&new),
		    *of_unknown = ccp_codex_lacks(&unknown);
	const json_t *first = json_array_get(of_old, 0), *only = json_array_get(of_new, 0);

	ck_assert_uint_gt(json_array_size(of_old), 6);
	ck_assert_str_eq(ccp_json_str(first, "minimumVersion"), "0.115.0");
	ck_assert_uint_eq(json_array_size(of_new), 1);
	ck_assert_str_eq(ccp_json_str(only, "feature"), "approval policy on-failure");
	ck_assert_str_eq(ccp_json_str(only, "removedInVersion"), "0.145.0");
	ck_assert(json_equal(of_unknown, of_new));
}
END_TEST

CCP_TEST_MAIN("caps", test_parse, test_has, test_require, test_require_removed, test_lacks)
