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

/* What a tool has only since some version; everything else it always had. */
static const struct {
	const char *key;
	enum mcp_version since;
} tool_keys[] = {
	{ "annotations", MCP_2025_03_26 },  { "title", MCP_2025_06_18 },
	{ "outputSchema", MCP_2025_06_18 }, { "_meta", MCP_2025_06_18 },
	{ "icons", MCP_2025_11_25 },
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

static json_t *tool_for(enum mcp_version version, json_t *tool)
{
	json_t *copy = json_copy(tool);

	for (size_t i = 0; copy && i < CCP_ARRAY_SIZE(tool_keys); i++)
		if (version < tool_keys[i].since)
			json_object_del(copy, tool_keys[i].key);
	return copy;
}

json_t *mcp_tools_result(enum mcp_version version, const json_t *tools)
{
	json_t *result = mcp_result_new(version), *list = json_array(), *tool;
	size_t i;

	json_array_foreach (tools, i, tool)
		ccp_json_append_new(&list, tool_for(version, tool));
	ccp_json_set_new(&result, "tools", list);
	mcp_result_set_cache(&result, version);
	return result;
}
