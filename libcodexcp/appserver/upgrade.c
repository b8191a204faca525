#include "appserver/upgrade.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ids.h"
#include "base/str.h"

/* Longer headers are nothing that app-server sends. */
#define HEADERS_MAX (16u << 10)
#define KEY_LEN     24

/* The base64 of 16 random bytes, without making them: 128 bits are 21 letters and the upper two
 * bits of one more. */
static void make_key(char out[static KEY_LEN + 1])
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (int i = 0; i < KEY_LEN - 3; i++)
		out[i] = letters[ccp_random_below(64)];
	out[KEY_LEN - 3] = letters[ccp_random_below(4) * 16];
	memcpy(out + KEY_LEN - 2, "==", sizeof("=="));
}

void ccp_upgrade_request(struct ccp_strbuf *out)
{
	char key[KEY_LEN + 1];

	make_key(key);
	ccp_strbuf_appendf(out,
			   "GET / HTTP/1.1\r\n"
			   "Host: localhost\r\n"
			   "Upgrade: websocket\r\n"
			   "Connection: Upgrade\r\n"
			   "Sec-WebSocket-Key: %s\r\n"
			   "Sec-WebSocket-Version: 13\r\n"
			   "\r\n",
			   key);
}

static void refuse(struct ccp_upgrade *upgrade, const char *why, const char *text, size_t len)
{
	int shown = (int)CCP_MIN(len, 60u);

	for (int i = 0; i < shown; i++)
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] > '~')
			shown = i;
	snprintf(upgrade->problem, sizeof(upgrade->problem), "%s: %.*s", why, shown, text);
}

/* The value of a header in one line, blanks stripped, as an allocation; NULL: another header. */
static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	return ccp_strndup_trim(line + n + 1, len - n - 1);
}

static void take_header(struct ccp_upgrade *upgrade, const char *line, size_t len,
			bool *ret_upgraded)
{
	_cleanup_free_ char *protocol = header_value(line, len, "upgrade");
	_cleanup_free_ char *limit = header_value(
		line, len, "x-codex-websocket-max-unfragmented-message-bytes");
	int64_t bytes;

	if (protocol && strcasecmp(protocol, "websocket") == 0)
		*ret_upgraded = true;
	if (limit && ccp_parse_i64(limit, &bytes) && bytes > 0)
		upgrade->max_unfragmented = (size_t)bytes;
}

static void take_headers(struct ccp_upgrade *upgrade, const char *bytes)
{
	const char *line = memchr(bytes, '\n', upgrade->len), *end = bytes + upgrade->len;
	bool upgraded = false;

	while (line && ++line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));

		take_header(upgrade, line, (size_t)((next ? next : end) - line), &upgraded);
		line = next;
	}
	if (!upgraded)
		refuse(upgrade, "it is no WebSocket", bytes, upgrade->len);
}

bool ccp_upgrade_parse(const char *bytes, size_t len, struct ccp_upgrade *ret_upgrade)
{
	static const char version[] = "HTTP/1.1 ";
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);

	*ret_upgrade = (struct ccp_upgrade){ 0 };
	if (memcmp(bytes, version, CCP_MIN(len, strlen(version))) != 0 ||
	    (!end && len > HEADERS_MAX)) {
		refuse(ret_upgrade, "it does not speak HTTP", bytes, len);
		return true;
	}
	if (!end)
		return false;
	ret_upgrade->len = (size_t)(end - bytes) + 4;
	if (memcmp(bytes + strlen(version), "101", 3) != 0)
		refuse(ret_upgrade, "it refused the upgrade", bytes, ret_upgrade->len);
	else
		take_headers(ret_upgrade, bytes);
	return true;
}
