#include <ccp_check.h>

#include "appserver/upgrade.h"
#include "appserver/websocket.h"
#include "base/ids.h"

#define YES          "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nUpgrade: WebSocket\r\n"
#define ANNOUNCED(n) YES "x-codex-websocket-max-unfragmented-message-bytes: " n "\r\n\r\n"

/* What comes out, written down: "[text]", "{length}", "open", "closed: why". */
static void drain(struct ccp_ws *ws, struct ccp_strbuf *log)
{
	const char *text;
	size_t len;

	for (;;) {
		switch (ccp_ws_next(ws, &text, &len)) {
		case CCP_WS_NONE:
			return;
		case CCP_WS_OPEN:
			ccp_strbuf_append(log, "open ");
			break;
		case CCP_WS_MESSAGE:
			ck_assert_uint_eq(strlen(text), len);
			ccp_strbuf_appendf(log, "[%s]", text);
			break;
		case CCP_WS_OVERLONG:
			ck_assert_ptr_null(text);
			ccp_strbuf_appendf(log, "{%zu}", len);
			break;
		case CCP_WS_CLOSED:
			ccp_strbuf_appendf(log, "closed: %s", text);
			return;
		}
	}
}

/* Feeds it in pieces of every size. */
static void check(const char *bytes, size_t len, size_t max, const char *expected)
{
	for (size_t step = 1; step <= len; step++) {
		struct ccp_strbuf log = CCP_STRBUF(1 << 16);
		struct ccp_ws *ws;

		ck_assert_int_eq(ccp_ws_new(max, &ws, NULL), 0);
		for (size_t at = 0; at < len; at += step)
			ccp_ws_feed(ws, bytes + at, CCP_MIN(step, len - at));
		drain(ws, &log);
		ck_assert_msg(strcmp(ccp_strbuf_str(&log), expected) == 0, "by %zu: %s", step,
			      ccp_strbuf_str(&log));
		ccp_ws_free(ws);
		ccp_strbuf_done(&log);
	}
}

#define CHECK(bytes, max, expected) check(bytes, sizeof(bytes) - 1, max, expected)

START_TEST(test_messages)
{
	CHECK(YES "\r\n\x81\x02hi\x81\x00\x81\x03you", 100, "open [hi][][you]");
	/* Fragments, with a ping between them. */
	CHECK(YES "\r\n\x01\x02he\x89\x01p\x00\x01l\x80\x02lo", 100, "open [hello]");
}
END_TEST

START_TEST(test_ceiling)
{
	CHECK(YES "\r\n\x81\x05"
		  "12345\x81\x06"
		  "123456\x81\x01"
		  "1",
	      5, "open [12345]{6}[1]");
	CHECK(YES "\r\n\x01\x03"
		  "123\x00\x03"
		  "456\x80\x03"
		  "789\x81\x01"
		  "1",
	      5, "open {9}[1]");
}
END_TEST

START_TEST(test_ends)
{
	CHECK("HTTP/1.1 403 Forbidden\r\n\r\n", 9,
	      "closed: it refused the upgrade: HTTP/1.1 403 Forbidden");
	CHECK("{\n\"id\":1}\n", 9, "closed: it does not speak HTTP: {");
	CHECK("HTTP/1.1 101 Fine\r\nupgrade: h2c\r\n\r\n", 9,
	      "closed: it is no WebSocket: HTTP/1.1 101 Fine");
	CHECK(YES "\r\n\x81\x02hi\x88\x02\x03\xe9", 9,
	      "open [hi]closed: closed by the other side (1001)");
	CHECK(YES "\r\n\x83\x00", 9, "open closed: it broke the protocol");
	CHECK(YES "\r\n\x81\x01\xff", 9, "open closed: it broke the protocol");
}
END_TEST

/* The frames of a client, unmasked: "81:hello " a frame. */
static char *frames(struct ccp_strbuf *out)
{
	struct ccp_strbuf log = CCP_STRBUF(1 << 16);
	const unsigned char *p = (const unsigned char *)out->data, *end = p + out->len;

	while (p < end) {
		size_t len = p[1] & 0x7f;
		const unsigned char *mask = p + 2;

		ck_assert(p[1] & 0x80);
		ck_assert_uint_lt(len, 126);
		ccp_strbuf_appendf(&log, "%02x:", p[0]);
		for (size_t i = 0; i < len; i++)
			ccp_strbuf_append_char(&log, (char)(mask[4 + i] ^ mask[i % 4]));
		ccp_strbuf_append_char(&log, ' ');
		p = mask + 4 + len;
	}
	ccp_strbuf_clear(out);
	return ccp_strbuf_take(&log);
}

static void check_out(struct ccp_ws *ws, const char *expected)
{
	char *seen = frames(ccp_ws_output(ws));

	ck_assert_str_eq(seen, expected);
	free(seen);
}

static struct ccp_ws *opened(const char *answer)
{
	struct ccp_ws *ws;
	const char *text;
	size_t len;

	ck_assert_int_eq(ccp_ws_new(100, &ws, NULL), 0);
	ck_assert_int_eq(ccp_ws_queue(ws, "x", 1, NULL), CODEXCP_E_BUSY);
	ccp_ws_feed(ws, answer, strlen(answer));
	ck_assert_int_eq(ccp_ws_next(ws, &text, &len), CCP_WS_OPEN);
	return ws;
}

START_TEST(test_sending)
{
	struct ccp_ws *ws = opened(ANNOUNCED("5"));

	ck_assert_int_eq(ccp_ws_queue(ws, "hello", 5, NULL), 0);
	ck_assert_int_eq(ccp_ws_queue(ws, "longer", 6, NULL), 0);
	check_out(ws, "81:hello 81:longer ");
	ccp_ws_feed(ws, "\x89\x02hi", 4);
	check_out(ws, "8a:hi ");
	ccp_ws_close(ws);
	check_out(ws, "88:\x03\xe8 ");
	ck_assert_int_eq(ccp_ws_queue(ws, "x", 1, NULL), CODEXCP_E_BUSY);
	ccp_ws_free(ws);
}
END_TEST

START_TEST(test_fragments)
{
	struct ccp_ws *ws = opened(ANNOUNCED("5000"));
	char text[5001];
	struct ccp_strbuf *out;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(ccp_ws_queue(ws, text, 5000, NULL), 0);
	out = ccp_ws_output(ws);
	ck_assert_int_eq((unsigned char)out->data[0], 0x81);
	ccp_strbuf_clear(out);
	ck_assert_int_eq(ccp_ws_queue(ws, text, 5001, NULL), 0);
	ck_assert_int_eq(out->data[0], 0x01);
	ck_assert_uint_gt(out->len, 5001);
	ccp_ws_free(ws);
}
END_TEST

START_TEST(test_request)
{
	struct ccp_strbuf out = CCP_STRBUF(1 << 16);
	const char *key;

	ccp_upgrade_request(&out);
	ck_assert_int_eq(strncmp(out.data, "GET / HTTP/1.1\r\n", 16), 0);
	key = strstr(out.data, "Sec-WebSocket-Key: ") + 19;
	/* 16 bytes in base64: 22 letters, the last with four empty bits. */
	ck_assert_int_eq(strncmp(key + 22, "==\r\n", 4), 0);
	ck_assert_ptr_nonnull(strchr("AQgw", key[21]));
	ccp_strbuf_done(&out);
}
END_TEST

CCP_TEST_MAIN("websocket", test_messages, test_ceiling, test_ends, test_sending, test_fragments,
	      test_request)
