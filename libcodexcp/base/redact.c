#include "base/redact.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/strbuf.h"

#define MARK "[redacted]"

enum char_class {
	UPPER = 1 << 0,
	LOWER = 1 << 1,
	DIGIT = 1 << 2,
	UNDERSCORE = 1 << 3,
	DASH = 1 << 4,
	BASE64 = 1 << 5, /* what base64 and bearer tokens have besides */
	BLANK = 1 << 6,  /* within a line */
	NEWLINE = 1 << 7,
	QUOTE = 1 << 8,
	BACKSLASH = 1 << 9,
	BRACKET = 1 << 10,     /* closes a subscript: config["password"] = */
	DELIMITER = 1 << 11,   /* ends a bare value, besides blanks and quotes */
	CODE = 1 << 12,        /* behind a bare value: it is an expression */
	NO_VALUE = 1 << 13,    /* what starts with it is an operator, a variable or a placeholder */
	NO_PASSWORD = 1 << 14, /* cannot stand in the user info of a URL */

	LETTER = UPPER | LOWER,
	ALNUM = LETTER | DIGIT,
	WORD = ALNUM | UNDERSCORE,
	URL64 = WORD | DASH,
	TOKEN = URL64 | BASE64,
	SPACE = BLANK | NEWLINE,
	BARE_END = SPACE | QUOTE | BACKSLASH | DELIMITER,
	NAME_TAIL = BLANK | QUOTE | BACKSLASH | BRACKET,
	PEM_GAP = SPACE | BACKSLASH,
	USERINFO_END = SPACE | QUOTE | BACKSLASH | NO_PASSWORD,
};

static const unsigned short classes[256] = {
	['A' ... 'Z'] = UPPER,
	['a' ... 'z'] = LOWER,
	['0' ... '9'] = DIGIT,
	['_'] = UNDERSCORE,
	['-'] = DASH,
	['.'] = BASE64,
	['~'] = BASE64,
	['+'] = BASE64,
	['/'] = BASE64 | NO_PASSWORD,
	['='] = BASE64 | NO_VALUE,
	[':'] = NO_VALUE,
	['$'] = NO_VALUE,
	[' '] = BLANK,
	['\t'] = BLANK,
	['\n'] = NEWLINE,
	['\r'] = NEWLINE,
	['"'] = QUOTE,
	['\''] = QUOTE,
	['`'] = QUOTE,
	['\\'] = BACKSLASH,
	[']'] = BRACKET | DELIMITER,
	[','] = DELIMITER,
	[';'] = DELIMITER,
	[')'] = DELIMITER,
	['}'] = DELIMITER,
	['&'] = DELIMITER,
	['|'] = DELIMITER,
	['('] = DELIMITER | NO_VALUE | CODE,
	['['] = DELIMITER | NO_VALUE | CODE,
	['{'] = DELIMITER | NO_VALUE | CODE,
	['<'] = DELIMITER | NO_VALUE | NO_PASSWORD,
	['>'] = DELIMITER | CODE | NO_PASSWORD,
	['?'] = NO_PASSWORD,
	['#'] = NO_PASSWORD,
};

/* Keys that tell themselves by how they start; prefixes stand at the start of a word. */
static const struct pattern {
	const char *prefix;
	unsigned chars;  /* of what follows */
	size_t min, max; /* how many; max 0 = no limit */
	bool keep;       /* the prefix is not part of the secret */
} patterns[] = {
	{ "sk-", URL64, 17, 0, false },           { "sess-", URL64, 20, 0, false },
	{ "ghp_", ALNUM, 20, 0, false },          { "gho_", ALNUM, 20, 0, false },
	{ "ghu_", ALNUM, 20, 0, false },          { "ghs_", ALNUM, 20, 0, false },
	{ "ghr_", ALNUM, 20, 0, false },          { "github_pat_", WORD, 20, 0, false },
	{ "glpat-", URL64, 20, 0, false },        { "xoxa-", ALNUM | DASH, 10, 0, false },
	{ "xoxb-", ALNUM | DASH, 10, 0, false },  { "xoxp-", ALNUM | DASH, 10, 0, false },
	{ "xoxr-", ALNUM | DASH, 10, 0, false },  { "xoxs-", ALNUM | DASH, 10, 0, false },
	{ "AKIA", UPPER | DIGIT, 16, 16, false }, { "ASIA", UPPER | DIGIT, 16, 16, false },
	{ "AIza", URL64, 35, 0, false },          { "npm_", ALNUM, 36, 0, false },
	{ "Bearer ", TOKEN, 16, 0, true },        { "bearer ", TOKEN, 16, 0, true },
	{ "BEARER ", TOKEN, 16, 0, true },
};

/* What the left side of an assignment ends with, in any case: DB_PASSWORD=, "clientSecret": */
static const char *const names[] = {
	"password",   "passwd",     "passphrase", "secret",      "token",       "apikey",
	"api_key",    "api-key",    "accesskey",  "access_key",  "access-key",  "secretkey",
	"secret_key", "secret-key", "privatekey", "private_key", "private-key", "authorization",
};

/* What stands before the secret in the value of an Authorization header. */
static const char *const schemes[] = { "bearer ", "basic ", "token " };

#define JWT_SEGMENTS    3
#define JWT_SEGMENT_MIN 8
#define PEM_BEGIN       "-----BEGIN "
#define PEM_END         "-----END "
#define PEM_KIND        "PRIVATE KEY"
#define PEM_DASHES      "-----"
#define PEM_LABEL_MAX   64
#define PEM_KEY_MIN     32
#define PEM_MAX         16384
#define VALUE_MIN       8
#define VALUE_LOOK      128 /* how much of a value decides */

struct text {
	const char *s;
	size_t len;
	size_t pem_end; /* the first PEM_END behind any position looked at so far, or len */
};

struct span {
	size_t start, end;
};

static bool is(const struct text *t, size_t at, unsigned chars)
{
	return at < t->len && (classes[(unsigned char)t->s[at]] & chars);
}

static bool at_char(const struct text *t, size_t at, char c)
{
	return at < t->len && t->s[at] == c;
}

static bool at_string(const struct text *t, size_t at, const char *string)
{
	size_t n = strlen(string);

	return t->len - at >= n && memcmp(t->s + at, string, n) == 0;
}

/* The end of the run of at most max characters that are (or are not) of these classes. */
static size_t run_of(const struct text *t, size_t at, unsigned chars, bool wanted, size_t max)
{
	size_t end = max < t->len - at ? at + max : t->len;

	while (at < end && is(t, at, chars) == wanted)
		at++;
	return at;
}

static size_t run(const struct text *t, size_t at, unsigned chars, size_t max)
{
	return run_of(t, at, chars, true, max);
}

static size_t run_until(const struct text *t, size_t at, unsigned chars, size_t max)
{
	return run_of(t, at, chars, false, max);
}

/* In JSON text "\n" is two characters, the second of which is no part of the word behind it. */
static bool is_word_start(const struct text *t, size_t at)
{
	if (at == 0 || !is(t, at - 1, WORD))
		return true;
	return at > 1 && t->s[at - 2] == '\\' && strchr("nrt", t->s[at - 1]);
}

static bool match_pattern(const struct text *t, size_t at, struct span *ret)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(patterns); i++) {
		const struct pattern *p = &patterns[i];
		size_t start, end;

		if (t->s[at] != p->prefix[0] || !at_string(t, at, p->prefix))
			continue;
		start = at + strlen(p->prefix);
		end = run(t, start, p->chars, p->max ? p->max + 1 : SIZE_MAX);
		if (end - start < p->min || (p->max && end - start > p->max))
			continue;
		*ret = (struct span){ p->keep ? start : at, end };
		return true;
	}
	return false;
}

/* A dash before it is refused, or a row of "eyJ-eyJ-" would be read once for each of its words. */
static bool match_jwt(const struct text *t, size_t at, struct span *ret)
{
	size_t end = at;

	if (!at_string(t, at, "eyJ") || (at > 0 && is(t, at - 1, DASH)))
		return false;
	for (int segments = 1;; segments++) {
		size_t start = end;

		end = run(t, start, URL64, SIZE_MAX);
		if (end - start < JWT_SEGMENT_MIN)
			return false;
		if (segments == JWT_SEGMENTS)
			break;
		if (!at_char(t, end++, '.'))
			return false;
	}
	*ret = (struct span){ at, end };
	return true;
}

/* The end of the line "-----BEGIN (or END) ... PRIVATE KEY...-----", 0 when it is not one. */
static size_t pem_line_end(const struct text *t, size_t at, const char *start)
{
	size_t label, end;

	if (!at_string(t, at, start))
		return 0;
	label = at + strlen(start);
	end = run(t, label, UPPER | DIGIT | BLANK, PEM_LABEL_MAX);
	if (!memmem(t->s + label, end - label, PEM_KIND, strlen(PEM_KIND)) ||
	    !at_string(t, end, PEM_DASHES))
		return 0;
	return end + strlen(PEM_DASHES);
}

/* The end of a block whose body starts at `body`, 0 when it has none. */
static size_t pem_block_end(struct text *t, size_t body)
{
	if (t->pem_end < body) {
		const char *end = memmem(t->s + body, t->len - body, PEM_END, strlen(PEM_END));

		t->pem_end = end ? (size_t)(end - t->s) : t->len;
	}
	return t->pem_end - body <= PEM_MAX ? pem_line_end(t, t->pem_end, PEM_END) : 0;
}

/* A block that was cut off still ends where its text is no longer that of a key. */
static bool match_pem(struct text *t, size_t at, struct span *ret)
{
	size_t body = pem_line_end(t, at, PEM_BEGIN), end, key;

	if (!body)
		return false;
	end = pem_block_end(t, body);
	if (!end) {
		key = run(t, body, PEM_GAP, SIZE_MAX);
		if (run(t, key, TOKEN, PEM_KEY_MIN) - key < PEM_KEY_MIN)
			return false;
		end = run(t, key, TOKEN | PEM_GAP, SIZE_MAX);
	}
	*ret = (struct span){ at, end };
	return true;
}

/* scheme://user:PASSWORD@, from the colon of "://" on; a password may hold a colon or an @. */
static bool match_userinfo(const struct text *t, size_t at, struct span *ret)
{
	const char *user, *colon, *host;

	if (!at_string(t, at, "://"))
		return false;
	at += strlen("://");
	user = t->s + at;
	host = memrchr(user, '@', run_until(t, at, USERINFO_END, SIZE_MAX) - at);
	colon = host ? memchr(user, ':', (size_t)(host - user)) : NULL;
	if (!colon || colon + 1 == host)
		return false;
	*ret = (struct span){ (size_t)(colon + 1 - t->s), (size_t)(host - t->s) };
	return !is(t, ret->start, NO_VALUE);
}

static bool is_secret_name(const struct text *t, size_t end)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (n <= end && strncasecmp(t->s + end - n, names[i], n) == 0)
			return true;
	}
	return false;
}

/* Where the name before the operator at `at` ends: password=, "password": , ['password'] := */
static size_t name_end(const struct text *t, size_t at)
{
	if (at > 0 && t->s[at] == '=' && t->s[at - 1] == ':')
		at--;
	while (at > 0 && is(t, at - 1, NAME_TAIL))
		at--;
	return at;
}

static size_t scheme_end(const struct text *t, size_t at)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (t->len - at >= n && strncasecmp(t->s + at, schemes[i], n) == 0)
			return run(t, at + n, BLANK, SIZE_MAX);
	}
	return at;
}

/* The right side of an assignment. */
struct value {
	struct span span;
	bool quoted, scheme;
};

/* Blanks in quotes make it prose, not a value. In JSON text the quotes themselves are escaped. */
static bool take_quoted(const struct text *t, size_t start, char quote, bool escaped,
			struct span *ret)
{
	size_t end = start;

	while (end < t->len && t->s[end] != quote && !is(t, end, SPACE)) {
		if (is(t, end, BACKSLASH)) {
			if (escaped)
				break;
			end = CCP_MIN(end + 2, t->len);
		} else {
			end++;
		}
	}
	*ret = (struct span){ start, end };
	return !is(t, end, SPACE);
}

/* As far as it is looked at. */
static bool take_bare(const struct text *t, size_t start, struct span *ret)
{
	*ret = (struct span){ start, run_until(t, start, BARE_END, VALUE_LOOK) };
	return !is(t, ret->end, CODE);
}

static bool take_value(const struct text *t, size_t at, struct value *ret)
{
	size_t start = run(t, at, BLANK, SIZE_MAX);
	bool escaped = at_char(t, start, '\\') && is(t, start + 1, QUOTE);
	size_t open = start + escaped;

	ret->quoted = is(t, open, QUOTE);
	start = scheme_end(t, open + ret->quoted);
	ret->scheme = start > open + ret->quoted;
	if (is(t, start, NO_VALUE))
		return false;
	return ret->quoted ? take_quoted(t, start, t->s[open], escaped, &ret->span)
			   : take_bare(t, start, &ret->span);
}

/* "token: string" and "Authorization: Basic authentication" are prose. */
static bool looks_secret(const struct text *t, const struct value *value)
{
	size_t start = value->span.start, len = value->span.end - start;
	unsigned first = 0, rest = 0;

	if (len < VALUE_MIN)
		return false;
	first = classes[(unsigned char)t->s[start]];
	for (size_t i = 1; i < CCP_MIN(len, VALUE_LOOK); i++)
		rest |= classes[(unsigned char)t->s[start + i]];
	if (value->scheme)
		return rest & (UPPER | DIGIT);
	return value->quoted || (((first | rest) & DIGIT) && ((first | rest) & LETTER));
}

static bool match_assignment(const struct text *t, size_t at, struct span *ret)
{
	struct value value;

	if (!is_secret_name(t, name_end(t, at)))
		return false;
	at += at_string(t, at, "=>") ? 2 : 1;
	if (!take_value(t, at, &value) || !looks_secret(t, &value))
		return false;
	*ret = value.span;
	if (!value.quoted)
		ret->end = run_until(t, ret->end, BARE_END, SIZE_MAX);
	return true;
}

static bool match_at(struct text *t, size_t at, struct span *ret)
{
	switch (t->s[at]) {
	case '-':
		return match_pem(t, at, ret);
	case ':':
		return match_userinfo(t, at, ret) || match_assignment(t, at, ret);
	case '=':
		return match_assignment(t, at, ret);
	default:
		return is(t, at, LETTER) && is_word_start(t, at) &&
		       (match_pattern(t, at, ret) || match_jwt(t, at, ret));
	}
}

/* The first secret from `at` on. Every matcher is bounded or takes what it has read. */
static bool find_secret(struct text *t, size_t at, struct span *ret)
{
	for (; at < t->len; at++) {
		if (match_at(t, at, ret))
			return true;
	}
	return false;
}

char *ccp_redact(const char *text, size_t len, size_t *ret_len)
{
	struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);
	struct text t = { .s = text, .len = len };
	struct span secret;
	size_t done = 0, out_len;
	char *out;

	while (find_secret(&t, done, &secret)) {
		ccp_strbuf_append_n(&sb, text + done, secret.start - done);
		ccp_strbuf_append(&sb, MARK);
		done = secret.end;
	}
	ccp_strbuf_append_n(&sb, text + done, len - done);
	out_len = sb.len;
	out = ccp_strbuf_take(&sb);
	if (out && ret_len)
		*ret_len = out_len;
	return out;
}

static json_t *redact_string(const json_t *value)
{
	size_t len = json_string_length(value);
	_cleanup_free_ char *safe = ccp_redact(json_string_value(value), len, &len);

	return safe ? json_stringn_nocheck(safe, len) : NULL;
}

static json_t *redact_object(const json_t *value)
{
	json_t *copy = json_object(), *member;
	const char *key;

	json_object_foreach ((json_t *)value, key, member)
		ccp_json_set_new(&copy, key, ccp_redact_json(member));
	return copy;
}

static json_t *redact_array(const json_t *value)
{
	json_t *copy = json_array(), *member;
	size_t i;

	json_array_foreach (value, i, member)
		ccp_json_append_new(&copy, ccp_redact_json(member));
	return copy;
}

json_t *ccp_redact_json(const json_t *value)
{
	if (json_is_string(value))
		return redact_string(value);
	if (json_is_object(value))
		return redact_object(value);
	if (json_is_array(value))
		return redact_array(value);
	return json_copy((json_t *)value);
}
