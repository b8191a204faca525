#include "base/redact.h"

#include "base/json.h"
#include "ccp_check.h"

#define MARK "[redacted]"

#define A36     "0123456789abcdefghijABCDEFGHIJ012345"
#define SEGMENT "eyJhbGciOiJIUzI1NiJ9"
#define JWT     SEGMENT ".eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbU"
#define KEY     "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKj\n"

static void assert_redacted(const char *in, const char *expected)
{
	size_t len = 0;
	_cleanup_free_ char *out = ccp_redact(in, strlen(in), &len);
	_cleanup_free_ char *again = ccp_redact(out, strlen(out), NULL);

	ck_assert_str_eq(out, expected);
	ck_assert_uint_eq(len, strlen(expected));
	ck_assert_str_eq(again, expected);
}

START_TEST(test_keys)
{
	static const char *const keys[] = {
		"sk-abcdefghijklmnopqrstuvwx",
		"sk-proj-AbC_123-4567890abcdef",
		"sess-0123456789abcdefghij",
		"ghp_" A36,
		"gho_" A36,
		"ghu_" A36,
		"ghs_" A36,
		"ghr_" A36,
		"github_pat_11ABCDEFG0_abcdefghijklmnop",
		"glpat-abcdefghij0123456789",
		"xoxb-123456789012-abcdefABCDEF",
		"xoxp-123456789012-abcdefABCDEF",
		"AKIAIOSFODNN7EXAMPLE",
		"ASIAIOSFODNN7EXAMPLE",
		"AIzaSyA-0123456789abcdefghijklmnopqrstu",
		"npm_" A36,
		JWT,
	};
	static const char *const frames[][2] = {
		{ "", "" },       { "see ", " here" },           { "(", ")" },
		{ "\"", "\"," },  { "https://", "@github.com" }, { "x=", "\n" },
		{ "\\n", "\\n" }, { "\xc3\xbc", "\xc3\xbc" },
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(keys); i++) {
		for (size_t j = 0; j < CCP_ARRAY_SIZE(frames); j++) {
			char in[256], expected[256];

			snprintf(in, sizeof(in), "%s%s%s", frames[j][0], keys[i], frames[j][1]);
			snprintf(expected, sizeof(expected), "%s" MARK "%s", frames[j][0],
				 frames[j][1]);
			assert_redacted(in, expected);
		}
	}
}
END_TEST

START_TEST(test_headers)
{
	assert_redacted("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer " MARK);
	assert_redacted("authorization:  basic  dXNlcjpwYXNz\r\nHost: x",
			"authorization:  basic  " MARK "\r\nHost: x");
	assert_redacted("{\"Authorization\":\"Basic dXNlcjpwYXNz\"}",
			"{\"Authorization\":\"Basic " MARK "\"}");
	assert_redacted("curl -H 'Authorization: token 0123456789abcdef' x",
			"curl -H 'Authorization: token " MARK "' x");
	assert_redacted("use Bearer abc.DEF-123_456~789+/= now", "use Bearer " MARK " now");
	assert_redacted("headers['Authorization'] = 'Bearer 0123456789abcdef'",
			"headers['Authorization'] = 'Bearer " MARK "'");
}
END_TEST

START_TEST(test_pem)
{
	assert_redacted("a\n-----BEGIN PRIVATE KEY-----\n" KEY "-----END PRIVATE KEY-----\nb",
			"a\n" MARK "\nb");
	assert_redacted("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" KEY
			"-----END RSA PRIVATE KEY-----",
			MARK);
	assert_redacted("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjE\\n-----END "
			"OPENSSH PRIVATE KEY-----\\n",
			MARK "\\n");
	assert_redacted("-----BEGIN PGP PRIVATE KEY BLOCK-----\n" KEY
			"-----END PGP PRIVATE KEY BLOCK-----",
			MARK);
	assert_redacted("-----BEGIN EC PRIVATE KEY-----\n" KEY "[cut]", MARK "[cut]");
	assert_redacted("-----BEGIN PRIVATE KEY-----\n" KEY "-----END PRIVATE KEY-----\n"
			"-----BEGIN CERTIFICATE-----\n" KEY "-----END CERTIFICATE-----\n"
			"-----BEGIN PRIVATE KEY-----\n" KEY "-----END PRIVATE KEY-----",
			MARK "\n-----BEGIN CERTIFICATE-----\n" KEY
			     "-----END CERTIFICATE-----\n" MARK);
}
END_TEST

START_TEST(test_urls)
{
	assert_redacted("postgres://user:hunter2@db/x", "postgres://user:" MARK "@db/x");
	assert_redacted("redis://:p@ss:word@h:6379", "redis://:" MARK "@h:6379");
	assert_redacted("git clone https://bot:abc@host/r.git; ls",
			"git clone https://bot:" MARK "@host/r.git; ls");
}
END_TEST

START_TEST(test_assignments)
{
	assert_redacted("OPENAI_API_KEY=abc12345", "OPENAI_API_KEY=" MARK);
	assert_redacted("export DB_PASSWORD: hunter2hunter2\n", "export DB_PASSWORD: " MARK "\n");
	assert_redacted("{\"password\": \"correcthorse\", \"n\": 1}",
			"{\"password\": \"" MARK "\", \"n\": 1}");
	assert_redacted("{\\\"clientSecret\\\":\\\"correcthorse\\\"}",
			"{\\\"clientSecret\\\":\\\"" MARK "\\\"}");
	assert_redacted("password = \"ab\\\"cdefgh\"", "password = \"" MARK "\"");
	assert_redacted("token := `abcdefgh`", "token := `" MARK "`");
	assert_redacted("'secret' => 'abcdefgh'", "'secret' => '" MARK "'");
	assert_redacted("?access_token=abcd1234&x=1", "?access_token=" MARK "&x=1");
	assert_redacted("--api-key=abcd1234 -v", "--api-key=" MARK " -v");
	assert_redacted("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPx",
			"aws_secret_access_key = " MARK);
	assert_redacted("CLIENT_SECRET='aaaaaaaa", "CLIENT_SECRET='" MARK);
}
END_TEST

START_TEST(test_ordinary_text)
{
	static const char *const texts[] = {
		"",
		"int token = parse_token(ctx);",
		"token = parse_token2(ctx)",
		"token: string, password?: string",
		"\"token\": 12345678, \"tokens\": \"abcdefgh1\"",
		"\"password\": \"The password of the user\"",
		"if (password == \"\" || token != expected1token)",
		"std::token::Variant12 token::Variant12",
		"password=$DB_PASSWORD1 token=\"${TOKEN_123}\" secret=<your-secret-1>",
		"api_key = os.environ[\"OPENAI_API_KEY_2\"]",
		"password: hunter2",
		"The secret: a good night's sleep.",
		"total_tokens=12345abcdef token_count=1234abcd",
		"Bearer authentication is described in RFC 6750",
		"Authorization: Basic authentication",
		"the bearer of bad news",
		"task-force disk-usage-of-everything-here risk-assessment-of-the-project",
		"mask-abcdefghijklmnopqrstuvwxyz xsk-abcdefghijklmnopqrstuvwxyz",
		"sk-short npm_config_registry_and_some_more_words_behind_it",
		"ASIAPACIFICREGIONALHEADQUARTERS AKIA",
		"/home/user/.ssh/id_rsa C:\\Users\\me",
		"550e8400-e29b-41d4-a716-446655440000",
		"commit 3f786850e387550fdab836ed7e6dc881de23001b",
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8",
		"http://localhost:8080/x@y http://user@host ssh://git@host:22/x",
		"https://%s@%s mail me@example.com: hello://",
		"strstr(s, \"-----BEGIN PRIVATE KEY-----\")",
		"-----BEGIN CERTIFICATE-----\n" KEY "-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\n" KEY "-----END PUBLIC KEY-----",
		"eyJ eyJhbGciOiJIUzI1NiJ9 " SEGMENT "." SEGMENT " " SEGMENT ".a.b",
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(texts); i++)
		assert_redacted(texts[i], texts[i]);
}
END_TEST

START_TEST(test_bytes)
{
	static const char in[] = "\0\xff sk-abcdefghijklmnopqrstuvwx \0";
	static const char expected[] = "\0\xff " MARK " \0";
	size_t len = 0;
	_cleanup_free_ char *out = ccp_redact(in, sizeof(in) - 1, &len);

	ck_assert_uint_eq(len, sizeof(expected) - 1);
	ck_assert_mem_eq(out, expected, sizeof(expected));
}
END_TEST

/* Every prefix of a text must be readable without looking past its end. */
static void assert_prefixes(const char *text)
{
	for (size_t len = 0; len <= strlen(text); len++) {
		_cleanup_free_ char *exact = malloc(len + !len);
		_cleanup_free_ char *out = NULL;

		memcpy(exact, text, len);
		out = ccp_redact(exact, len, NULL);
		ck_assert_ptr_nonnull(out);
	}
}

START_TEST(test_cut_texts)
{
	assert_prefixes("x -----BEGIN RSA PRIVATE KEY-----\n" KEY "-----END RSA PRIVATE KEY-----");
	assert_prefixes("Authorization: Basic dXNlcjpwYXNz " JWT " AKIAIOSFODNN7EXAMPLE");
	assert_prefixes("'password'] => \\\"ab\\cdefghi\\\" postgres://u:p@h token := \"a\\");
}
END_TEST

/* Nothing is timed: what is quadratic in texts of this size does not end within the limit. */
static void redact_repeated(const char *unit, size_t len)
{
	_cleanup_free_ char *text = malloc(len), *out = NULL;

	for (size_t i = 0, n = strlen(unit); i < len; i++)
		text[i] = unit[i % n];
	out = ccp_redact(text, len, NULL);
	ck_assert_ptr_nonnull(out);
}

START_TEST(test_linear)
{
	static const char *const units[] = {
		"sk-sk-sk-",
		"sk-a ",
		"eyJeyJ",
		"eyJ-",
		"eyJaaaaa.",
		"eyJaaaaa.eyJaaaaa. ",
		"-----BEGIN PRIVATE KEY-----\"",
		"-----BEGIN PRIVATE KEY-----",
		"-----BEGIN ",
		"password=",
		"password=\"",
		"password='password=\"password=\\\"password=`",
		"password=\\\"",
		"password=a\\",
		"password= ",
		"= ",
		"\" ]=",
		"://",
		"://a:",
		"a://a:@@",
		"Bearer ",
		"AKIA",
		"AIza-",
		"-",
		" ",
		"a",
	};

	for (size_t i = 0; i < CCP_ARRAY_SIZE(units); i++)
		redact_repeated(units[i], 512 * 1024);
}
END_TEST

START_TEST(test_large)
{
	static const char *const units[] = { "sk-sk-sk-", "eyJeyJ", "eyJ-", "password='" };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(units); i++)
		redact_repeated(units[i], 5 * 1024 * 1024);
}
END_TEST

START_TEST(test_json)
{
	json_auto_t *in = json_pack("{s:s, s:i, s:[s, b, n, {s:s}], s:s}", "token", "plain",
				    "password", 12, "list", "sk-abcdefghijklmnopqrstuvwx", 1, "k",
				    "see ghp_" A36, "ghp_" A36, "key");
	json_auto_t *out = ccp_redact_json(in);
	_cleanup_free_ char *text = ccp_json_dump(out, NULL);

	ck_assert_str_eq(text, "{\"token\":\"plain\",\"password\":12,\"list\":[\"" MARK
			       "\",true,null,{\"k\":\"see " MARK "\"}],\"ghp_" A36 "\":\"key\"}");
	json_object_set_new(out, "token", json_null());
	ck_assert_str_eq(ccp_json_str(in, "token"), "plain");
	ck_assert_ptr_null(ccp_redact_json(NULL));
}
END_TEST

CCP_TEST_MAIN("redact", test_keys, test_headers, test_pem, test_urls, test_assignments,
	      test_ordinary_text, test_bytes, test_cut_texts, test_linear, test_large, test_json)
