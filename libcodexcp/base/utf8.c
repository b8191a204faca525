#include "base/utf8.h"

#include "base/strbuf.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Table 3-7 of the Unicode standard: which second byte may follow which first byte. */
static const struct form {
	unsigned char first_min, first_max, second_min, second_max, len;
} forms[] = {
	{ 0x01, 0x7f, 0x00, 0x00, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static const struct form *find_form(unsigned char first)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(forms); i++) {
		if (first >= forms[i].first_min && first <= forms[i].first_max)
			return &forms[i];
	}
	return NULL;
}

/* The bytes of the sequence at s; of a bad one those that could have been one (at least 1). */
static size_t sequence(const char *s, size_t len, bool *ret_valid)
{
	const struct form *form = find_form((unsigned char)s[0]);
	size_t n = 1;

	if (form && form->len > 1 && len > 1) {
		unsigned char second = (unsigned char)s[1];

		if (second >= form->second_min && second <= form->second_max)
			n = 2;
		while (n > 1 && n < form->len && n < len && is_continuation(s[n]))
			n++;
	}
	*ret_valid = form && n == form->len;
	return n;
}

bool ccp_utf8_valid(const char *s, size_t len)
{
	bool valid = true;

	for (size_t i = 0; valid && i < len;)
		i += sequence(s + i, len - i, &valid);
	return valid;
}

char *ccp_utf8_sanitize(const char *s, size_t len, size_t *ret_len)
{
	struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);
	size_t out_len;
	char *out;

	for (size_t i = 0, n; i < len; i += n) {
		bool valid;

		n = sequence(s + i, len - i, &valid);
		if (valid)
			ccp_strbuf_append_n(&sb, s + i, n);
		else
			ccp_strbuf_append(&sb, REPLACEMENT);
	}
	out_len = sb.len;
	out = ccp_strbuf_take(&sb);
	if (out && ret_len)
		*ret_len = out_len;
	return out;
}

size_t ccp_utf8_chars(const char *s, size_t len)
{
	size_t chars = 0;

	for (size_t i = 0; i < len; i++)
		chars += !is_continuation(s[i]);
	return chars;
}

size_t ccp_utf8_clip(const char *s, size_t len, size_t max_chars)
{
	size_t chars = 0;

	for (size_t i = 0; i < len; i++) {
		if (!is_continuation(s[i]) && chars++ == max_chars)
			return i;
	}
	return len;
}
