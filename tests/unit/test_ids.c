#include "base/ids.h"

#include "base/json.h"
#include "base/sha256.h"
#include "ccp_check.h"

static int64_t fixed_wall_ms(void *data)
{
	return *(int64_t *)data;
}

START_TEST(test_id)
{
	char a[CCP_ID_SIZE], b[CCP_ID_SIZE];

	ccp_id_new("cmd_", a);
	ccp_id_new("cmd_", b);
	ck_assert_uint_eq(strlen(a), 36);
	ck_assert_int_eq(strncmp(a, "cmd_", 4), 0);
	ck_assert_uint_eq(strspn(a + 4, "0123456789abcdef"), 32);
	ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(test_uuid)
{
	int64_t now = 0x0123456789ab;
	const struct ccp_clock clock = { .wall_ms = fixed_wall_ms, .data = &now };
	char a[CCP_ID_SIZE], b[CCP_ID_SIZE];

	ccp_uuid_new(&clock, a);
	ck_assert_uint_eq(strlen(a), 36);
	ck_assert_int_eq(strncmp(a, "01234567-89ab-7", 15), 0);
	ck_assert_ptr_nonnull(strchr("89ab", a[19]));
	ccp_uuid_new(&clock, b);
	ck_assert_str_ne(a, b);
	now++;
	ccp_uuid_new(&clock, b);
	ck_assert_str_lt(a, b);
}
END_TEST

START_TEST(test_random)
{
	unsigned char bytes[64] = { 0 }, zero[64] = { 0 };
	unsigned seen = 0;

	ck_assert_int_eq(ccp_random_init(), 0);
	ck_assert_int_eq(ccp_random_init(), 0);
	ccp_random_bytes(bytes, sizeof(bytes));
	ck_assert_mem_ne(bytes, zero, sizeof(zero));
	for (int i = 0; i < 1000; i++) {
		uint32_t n = ccp_random_below(3);

		ck_assert_uint_lt(n, 3);
		seen |= 1U << n;
	}
	ck_assert_uint_eq(seen, 7);
	ck_assert_uint_eq(ccp_random_below(1), 0);
}
END_TEST

START_TEST(test_sha256)
{
	json_auto_t *a = json_pack("{s:i, s:[b, n]}", "x", 1, "a", 1);
	json_auto_t *b = json_pack("{s:[b, n], s:i}", "a", 1, "x", 1);
	char text[CCP_SHA256_HEX], hex[CCP_SHA256_HEX];

	ccp_sha256_hex("abc", 3, hex);
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ccp_sha256_hex("{\"a\":[true,null],\"x\":1}", 23, text);
	ck_assert(ccp_sha256_json(a, hex));
	ck_assert_str_eq(hex, text);
	ck_assert(ccp_sha256_json(b, hex));
	ck_assert_str_eq(hex, text);
	ck_assert(!ccp_sha256_json(NULL, hex));
}
END_TEST

CCP_TEST_MAIN("ids", test_id, test_uuid, test_random, test_sha256)
