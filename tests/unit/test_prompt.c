#include "domain/prompt.h"

#include <math.h>

#include "base/str.h"
#include "ccp_check.h"

#define MODULE(n) "fix module " n " of the parser and add the unit tests that go with it"

static void hash(const char *message, json_t *schema, json_t *items, char out[CCP_SHA256_HEX])
{
	struct codexcp_error err = { 0 };

	ck_assert_int_eq(ccp_prompt_hash(message, schema, items, out, &err), 0);
}

static void check_same(const char *a, const char *b, bool same)
{
	char hash_a[CCP_SHA256_HEX], hash_b[CCP_SHA256_HEX];

	hash(a, NULL, NULL, hash_a);
	hash(b, NULL, NULL, hash_b);
	ck_assert_msg((strcmp(hash_a, hash_b) == 0) == same, "\"%s\" and \"%s\"", a, b);
}

START_TEST(test_hash_is_of_the_normal_form)
{
	char of_prompt[CCP_SHA256_HEX], of_text[CCP_SHA256_HEX];

	hash("  Fix\r\nthe   BUG ", NULL, NULL, of_prompt);
	ccp_sha256_hex("fix the bug", 11, of_text);
	ck_assert_str_eq(of_prompt, of_text);
}
END_TEST

START_TEST(test_same)
{
	static const char *const pairs[][2] = {
		{ "fix it", "Fix it" },
		{ "a b", "a\r\nb" },
		{ "a b", "a\rb" },
		{ "a b", "\t a \n\n\v\f b\n" },
		{ "a b", "a\u00a0b" },
		{ "a b", "a\u3000b" },
		{ "a b", "a\u2028\u2029\xc2\x85\u1680"
			 "b" },
		{ "\u00e9t\u00e9", "e\u0301te\u0301" },
		{ "stra\u00dfe", "STRASSE" },
		{ "\ufb01x", "FIX" },
		{ "\uff21\uff22", "ab" },
		{ "", " \n " },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(pairs); i++)
		check_same(pairs[i][0], pairs[i][1], true);
}
END_TEST

START_TEST(test_not_same)
{
	static const char *const pairs[][2] = {
		{ "fix it", "fixit" },
		{ "fix it", "fix it!" },
		{ "a\u200bb", "a b" },
		{ "\u00e9", "e" },
		{ "fix module 17", "fix module 18" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(pairs); i++)
		check_same(pairs[i][0], pairs[i][1], false);
}
END_TEST

START_TEST(test_what_comes_with_it)
{
	json_auto_t *schema = json_loads("{\"type\":\"object\",\"x\":1}", 0, NULL);
	json_auto_t *other_order = json_loads("{\"x\":1,\"type\":\"object\"}", 0, NULL);
	json_auto_t *items = json_loads("[{\"type\":\"image\",\"url\":\"data:1\"}]", 0, NULL);
	json_auto_t *other = json_loads("[{\"type\":\"image\",\"url\":\"data:2\"}]", 0, NULL);
	json_auto_t *empty = json_array(), *null = json_null();
	char bare[CCP_SHA256_HEX], hashes[4][CCP_SHA256_HEX], again[CCP_SHA256_HEX];

	hash("go", NULL, NULL, bare);
	hash("go", schema, NULL, hashes[0]);
	hash("go", NULL, items, hashes[1]);
	hash("go", NULL, other, hashes[2]);
	hash("go", schema, items, hashes[3]);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_ne(hashes[i], bare);
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(hashes[i], hashes[j]);
	}
	hash("go", null, empty, again);
	ck_assert_str_eq(again, bare);
	hash("GO", other_order, NULL, again);
	ck_assert_str_eq(again, hashes[0]);
}
END_TEST

START_TEST(test_message_cannot_pose_as_schema)
{
	json_auto_t *schema = json_loads("{\"type\":\"object\"}", 0, NULL);
	char of_schema[CCP_SHA256_HEX], posed[CCP_SHA256_HEX], hex[CCP_SHA256_HEX];
	char *text;

	ck_assert(ccp_sha256_json(schema, hex));
	text = ccp_asprintf("go\noutput_schema:%s", hex);
	hash("go", schema, NULL, of_schema);
	hash(text, NULL, NULL, posed);
	ck_assert_str_ne(of_schema, posed);
	free(text);
}
END_TEST

START_TEST(test_invalid_text)
{
	struct codexcp_error err = { 0 };
	char out[CCP_SHA256_HEX] = "untouched";

	ck_assert_int_eq(ccp_prompt_hash("a\xff", NULL, NULL, out, &err),
			 CODEXCP_E_INVALID_ARGUMENT);
	ck_assert_str_eq(out, "untouched");
	codexcp_error_done(&err);
	ck_assert_int_eq(ccp_prompt_hash("\xc3", NULL, NULL, out, NULL),
			 CODEXCP_E_INVALID_ARGUMENT);
}
END_TEST

/* How similar the shape of another prompt says that it may be. */
static double bound(const struct ccp_prompt *prompt, const char *other)
{
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *b = NULL;

	ck_assert_int_eq(ccp_prompt_new(other, &b, NULL), 1);
	return ccp_prompt_similarity_bound(prompt, ccp_prompt_shape(b));
}

static void check_similarity(const char *a, const char *b, double expected)
{
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *prompt = NULL;
	double similarity = 0;

	if (ccp_prompt_new(a, &prompt, NULL) == 1)
		similarity = ccp_prompt_similarity(prompt, b);
	/* What is similar must not be lost by its shape. */
	if (expected > 0)
		ck_assert_double_ge(bound(prompt, b), expected);

	ck_assert_msg(fabs(similarity - expected) < 1e-9, "%.9f, not %.9f: %s", similarity,
		      expected, a);
}

/* The numbers are those of Python's difflib without its junk heuristic. */
START_TEST(test_similarity)
{
	check_similarity(MODULE("17"), MODULE("17"), 1);
	check_similarity(MODULE("17"), "  " MODULE("17") "\n", 1);
	check_similarity(MODULE("17"), MODULE("18"), 65.0 / 66);
	check_similarity("abcdefghijabcdefghijabcdefghijabcdefghij xyz",
			 "abcdefghijabcdefghijabcdefghijabcdefghij uvw12", 82.0 / 90);
	check_similarity("please refactor the configuration loader, then write the documentation "
			 "for the command line",
			 "then write the documentation for the command line please refactor the "
			 "configuration loader,",
			 1);
}
END_TEST

START_TEST(test_not_similar)
{
	check_similarity("review the storage layer and say what could be made simpler there",
			 "add a command line option that prints the version of the program", 0);
	/* the same letters */
	check_similarity("abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
			 "zyxwvutsrqponmlkjihgfedcba9876543210zyxwvutsrqponmlkjihgfedcba", 0);
	check_similarity(MODULE("17"), MODULE("17") " and then do the same for all others", 0);
}
END_TEST

START_TEST(test_shape)
{
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *prompt = NULL;

	ck_assert_int_eq(ccp_prompt_new(MODULE("17"), &prompt, NULL), 1);
	ck_assert_uint_eq(strlen(ccp_prompt_shape(prompt)), CCP_PROMPT_SHAPE_SIZE - 1);
	ck_assert_double_eq(bound(prompt, MODULE("17")), 1);
	ck_assert_double_eq(bound(prompt, MODULE("71")), 1);
	ck_assert_double_eq(bound(prompt, MODULE("18")), 2.0 * 65 / (2 * 66));
	ck_assert_double_lt(bound(prompt, MODULE("17") " and then do the same for all others"),
			    CCP_PROMPT_SIMILAR);
	ck_assert_double_lt(bound(prompt, "review the storage layer and say what could be simpler"),
			    CCP_PROMPT_SIMILAR);
	ck_assert_double_eq(ccp_prompt_similarity_bound(prompt, NULL), 0);
	ck_assert_double_eq(ccp_prompt_similarity_bound(prompt, "01"), 0);
}
END_TEST

START_TEST(test_short_texts_are_never_similar)
{
	/* 39 and 40 characters, more bytes */
	check_similarity("\u00e9123456789012345678901234567890123456\u00e91",
			 "\u00e9123456789012345678901234567890123456\u00e91", 0);
	check_similarity("\u00e91234567890123456789012345678901234567\u00e91",
			 "\u00e91234567890123456789012345678901234567\u00e91", 1);
	/* blanks do not count */
	check_similarity("a                                                  b",
			 "a                                                  b", 0);
	check_similarity("", MODULE("17"), 0);
	check_similarity("\xff", MODULE("17"), 0);
}
END_TEST

static char *repeat(const char *text, size_t times)
{
	size_t len = strlen(text);
	char *all = malloc(times * len + 1);

	for (size_t i = 0; i < times; i++)
		memcpy(all + i * len, text, len);
	all[times * len] = '\0';
	return all;
}

START_TEST(test_only_the_beginning_is_compared)
{
	char *a = repeat("0123456789", 300), *b = repeat("0123456789", 300);

	memset(b + 2000, 'x', 1000);
	check_similarity(a, b, 1);
	memset(b + 1700, 'x', 300);
	check_similarity(a, b, 0);
	free(a);
	free(b);
}
END_TEST

/* What is worst for the algorithm, and 0.9995 alike, is given up. */
START_TEST(test_bounded_work)
{
	char *a = repeat("a", 2000), *b = repeat("a", 2000);

	b[1999] = 'b';
	check_similarity(a, b, 0);
	a[300] = '\0';
	b[300] = '\0';
	b[299] = 'b';
	check_similarity(a, b, 2.0 * 299 / 600);
	free(a);
	free(b);
}
END_TEST

CCP_TEST_MAIN("prompt", test_hash_is_of_the_normal_form, test_same, test_not_same,
	      test_what_comes_with_it, test_message_cannot_pose_as_schema, test_invalid_text,
	      test_similarity, test_not_similar, test_shape, test_short_texts_are_never_similar,
	      test_only_the_beginning_is_compared, test_bounded_work)
