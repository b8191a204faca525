#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "server/request.h"

#define META_SERVER_INFO "io.modelcontextprotocol/serverInfo"
#define CACHE_TTL_MS     300000

static const char *const version_names[MCP_VERSIONS] = {
	[MCP_2024_11_05] = "2024-11-05", [MCP_2025_03_26] = "2025-03-26",
	[MCP_2025_06_18] = "2025-06-18", [MCP_2025_11_25] = "2025-11-25",
	[MCP_2026_07_28] = "2026-07-28",
};

/* When a member of a tool's definition came. */
static const struct {
	enum codexcp_tool_parts part;
	enum mcp_version since;
} tool_members[] = {
	{ CODEXCP_TOOL_ANNOTATIONS, MCP_2025_03_26 },
	{ CODEXCP_TOOL_TITLE, MCP_2025_06_18 },
	{ CODEXCP_TOOL_OUTPUT_SCHEMA, MCP_2025_06_18 },
};

const char *mcp_version_name(enum mcp_version version)
{
	return version_names[version];
}

bool mcp_version_parse(const char *name, enum mcp_version *ret_version)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(version_names); i++) {
		if (!ccp_streq(name, version_names[i]))
			continue;
		*ret_version = (enum mcp_version)i;
		return true;
	}
	return false;
}

json_t *mcp_server_info(enum mcp_version version)
{
	json_t *info = json_object();

	ccp_json_set_str(&info, "name", MCP_SERVER_NAME);
	if (version >= MCP_2025_06_18)
		ccp_json_set_str(&info, "title", "Codex Control Plane");
	ccp_json_set_str(&info, "version", codexcp_version());
	return info;
}

json_t *mcp_capabilities(void)
{
	json_t *capabilities = json_object();

	ccp_json_set_new(&capabilities, "tools", json_object());
	return capabilities;
}

json_t *mcp_result_new(enum mcp_version version)
{
	json_t *result = json_object(), *meta;

	if (version < MCP_MODERN)
		return result;
	meta = json_object();
	ccp_json_set_new(&meta, META_SERVER_INFO, mcp_server_info(version));
	ccp_json_set_str(&result, "resultType", "complete");
	ccp_json_set_new(&result, "_meta", meta);
	return result;
}

void mcp_result_set_cache(json_t **result, enum mcp_version version)
{
	if (version < MCP_MODERN)
		return;
	ccp_json_set_int(result, "ttlMs", CACHE_TTL_MS);
	ccp_json_set_str(result, "cacheScope", "private");
}

char *mcp_response_text(json_t *id, const char *result, size_t *ret_len)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(MCP_MESSAGE_MAX);
	_cleanup_free_ char *id_text = ccp_json_dump(id, NULL);
	char *text;

	if (!id_text)
		return NULL;
	ccp_strbuf_append(&sb, "{\"jsonrpc\":\"2.0\",\"id\":");
	ccp_strbuf_append(&sb, id_text);
	ccp_strbuf_append(&sb, ",\"result\":");
	ccp_strbuf_append(&sb, result);
	ccp_strbuf_append_char(&sb, '}');
	*ret_len = sb.len;
	text = ccp_strbuf_take(&sb);
	return text;
}

/* JSON text as a JSON string: it has no raw control characters, so two characters need care. */
static void append_quoted_json(struct ccp_strbuf *sb, const char *json)
{
	ccp_strbuf_append_char(sb, '"');
	while (*json) {
		size_t plain = strcspn(json, "\"\\");

		ccp_strbuf_append_n(sb, json, plain);
		json += plain;
		if (!*json)
			break;
		ccp_strbuf_append_char(sb, '\\');
		ccp_strbuf_append_char(sb, *json++);
	}
	ccp_strbuf_append_char(sb, '"');
}

/* The members that every result of the version has, each with a comma after it. */
static void append_head(struct ccp_strbuf *sb, enum mcp_version version)
{
	json_auto_t *head = mcp_result_new(version);
	_cleanup_free_ char *text = NULL;
	size_t len;

	text = head ? ccp_json_dump(head, &len) : NULL;
	if (!text)
		sb->failed = true;
	else if (len > strlen("{}")) {
		ccp_strbuf_append_n(sb, text + 1, len - strlen("{}"));
		ccp_strbuf_append_char(sb, ',');
	}
}

/* The payload may be large and is wanted twice: it is dumped once and put into the text around it.
 */
char *mcp_tool_result_text(enum mcp_version version, const json_t *payload, bool ok)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(MCP_MESSAGE_MAX);
	_cleanup_free_ char *text = ccp_json_dump(payload, NULL);

	if (!text)
		return NULL;
	ccp_strbuf_append_char(&sb, '{');
	append_head(&sb, version);
	ccp_strbuf_append(&sb, "\"content\":[{\"type\":\"text\",\"text\":");
	append_quoted_json(&sb, text);
	ccp_strbuf_append(&sb, "}],");
	if (version >= MCP_2025_06_18) {
		ccp_strbuf_append(&sb, "\"structuredContent\":");
		ccp_strbuf_append(&sb, text);
		ccp_strbuf_append_char(&sb, ',');
	}
	ccp_strbuf_append(&sb, ok ? "\"isError\":false}" : "\"isError\":true}");
	return ccp_strbuf_take(&sb);
}

static unsigned tool_parts(enum mcp_version version)
{
	unsigned parts = 0;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(tool_members); i++)
		if (version >= tool_members[i].since)
			parts |= tool_members[i].part;
	return parts;
}

char *mcp_tools_text(enum mcp_version version)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(MCP_MESSAGE_MAX);
	_cleanup_free_ char *tools = codexcp_tools_text(tool_parts(version)), *text = NULL;
	json_auto_t *head = mcp_result_new(version);
	size_t len = 0;

	mcp_result_set_cache(&head, version);
	text = head ? ccp_json_dump(head, &len) : NULL;
	if (!text || !tools)
		return NULL;
	ccp_strbuf_append_n(&sb, text, len - 1);
	ccp_strbuf_append(&sb, len > strlen("{}") ? ",\"tools\":" : "\"tools\":");
	ccp_strbuf_append(&sb, tools);
	ccp_strbuf_append_char(&sb, '}');
	return ccp_strbuf_take(&sb);
}
