#include "base/log.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/redact.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES  65536
#define VALUE_MAX_CHARS 2000

static struct {
	ccp_log_fn fn;
	void *data;
	enum ccp_log_level threshold;
} sink;

void ccp_log_set(ccp_log_fn fn, void *data, enum ccp_log_level threshold)
{
	sink.fn = fn;
	sink.data = data;
	sink.threshold = threshold;
}

const char *ccp_log_level_name(enum ccp_log_level level)
{
	static const char *const names[] = {
		[CCP_LOG_DEBUG] = "debug",
		[CCP_LOG_INFO] = "info",
		[CCP_LOG_WARNING] = "warning",
		[CCP_LOG_ERROR] = "error",
	};

	return names[level];
}

/* The inside of a quoted value. */
static void append_escaped(struct ccp_strbuf *sb, const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c == '\n')
			ccp_strbuf_append(sb, "\\n");
		else if (c < ' ' || c == 0x7f)
			ccp_strbuf_appendf(sb, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			ccp_strbuf_appendf(sb, "\\%c", c);
		else
			ccp_strbuf_append_char(sb, value[i]);
	}
}

static bool is_plain(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c <= ' ' || c == 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return len > 0;
}

/* Redacted before it is cut: half a secret has no pattern. */
static void append_value(struct ccp_strbuf *sb, const char *value, bool quoted)
{
	_cleanup_free_ char *safe = ccp_redact(value, strlen(value), NULL);
	_cleanup_free_ char *clean = safe ? ccp_utf8_sanitize(safe, strlen(safe), NULL) : NULL;
	size_t len;

	if (!clean) {
		sb->failed = true;
		return;
	}
	len = ccp_utf8_clip(clean, strlen(clean), VALUE_MAX_CHARS);
	if (!quoted && is_plain(clean, len)) {
		ccp_strbuf_append_n(sb, clean, len);
		return;
	}
	ccp_strbuf_append_char(sb, '"');
	append_escaped(sb, clean, len);
	ccp_strbuf_append_char(sb, '"');
}

void ccp_log(enum ccp_log_level level, const char *message, ...)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(LINE_MAX_BYTES);
	const char *key, *value;
	va_list args;

	if (!sink.fn || level < sink.threshold)
		return;
	ccp_strbuf_append(&sb, "msg=");
	append_value(&sb, message, true);
	va_start(args, message);
	while ((key = va_arg(args, const char *))) {
		value = va_arg(args, const char *);
		if (value) {
			ccp_strbuf_appendf(&sb, " %s=", key);
			append_value(&sb, value, false);
		}
	}
	va_end(args);
	sink.fn(level, sb.failed ? "msg=\"a log line was lost\"" : ccp_strbuf_str(&sb), sink.data);
}

void ccp_log_to_file(enum ccp_log_level level, const char *line, void *data)
{
	char now[CCP_TIME_SIZE];
	FILE *file = data;

	ccp_time_format(ccp_clock_wall(ccp_clock_system()), now);
	fprintf(file, "%s %s %s\n", now, ccp_log_level_name(level), line);
	fflush(file);
}
