#include <ccp_check.h>

#include "domain/turn_id.h"

#define OP "01a1f89d-3491-7e15-a1e9-34ec91ba4785"

static const struct ccp_codex_version old = { 0, 98, 0 }, new = { 0, 169, 0 };

START_TEST(test_unique_ids_stay)
{
	char out[CCP_TURN_ID_SIZE];
	const char *kept = ccp_turn_id_keep(&new, "01a1f89d-35ba", OP, out);

	ck_assert_str_eq(kept, "01a1f89d-35ba");
	ck_assert(ccp_turn_id_is(kept, "01a1f89d-35ba"));
	ck_assert(!ccp_turn_id_is(kept, "01a1f89d-35bb"));
	ck_assert(!ccp_turn_id_is(kept, "01a1f89d"));
	ck_assert_str_eq(ccp_turn_id_codex(kept, out), "01a1f89d-35ba");
}
END_TEST

START_TEST(test_numbers_get_their_operation)
{
	char first[CCP_TURN_ID_SIZE], second[CCP_TURN_ID_SIZE], out[CCP_TURN_ID_SIZE];
	const char *a = ccp_turn_id_keep(&old, "0", OP, first);
	const char *b = ccp_turn_id_keep(&old, "0", "another", second);

	ck_assert_str_ne(a, b);
	ck_assert(ccp_turn_id_is(a, "0"));
	ck_assert(!ccp_turn_id_is(a, "01"));
	ck_assert(!ccp_turn_id_is(a, NULL));
	ck_assert(!ccp_turn_id_is(NULL, "0"));
	ck_assert_str_eq(ccp_turn_id_codex(a, out), "0");
	ck_assert_str_eq(ccp_turn_id_codex(b, out), "0");
}
END_TEST

CCP_TEST_MAIN("turn_id", test_unique_ids_stay, test_numbers_get_their_operation)
