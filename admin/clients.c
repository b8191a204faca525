#include "admin/clients.h"

#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"

#define SERVER_NAME "codex-control-plane-mcp"
#define NAMES_MAX   16

enum format { JSON, TOML, YAML };

struct client {
	const char *name;
	enum format format;
	const char *keys[2]; /* where the servers stand in the document */
	bool typed;          /* a server says that it is one of stdio */
	const char *file;    /* where it goes, for people */
};

/* The first one is meant when none is named. */
static const struct client clients[] = {
	{ "claude-code", JSON, { "mcpServers" }, false, ".mcp.json of the project" },
	{ "codex", TOML, { "mcp_servers" }, false, "~/.codex/config.toml" },
	{ "cursor", JSON, { "mcpServers" }, false, "~/.cursor/mcp.json" },
	{ "vscode", JSON, { "servers" }, true, ".vscode/mcp.json of the workspace" },
	{ "openclaw", JSON, { "mcp", "servers" }, false, "~/.openclaw/openclaw.json" },
	{ "hermes", YAML, { "mcp_servers" }, false, "~/.hermes/config.yaml" },
};

static const char *const format_names[] = { [JSON] = "JSON", [TOML] = "TOML", [YAML] = "YAML" };

int client_find(const char *name, const struct client **ret_client, struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf expected = CCP_STRBUF(SIZE_MAX);
	const char *names[NAMES_MAX] = { NULL };

	_Static_assert(CCP_ARRAY_SIZE(clients) < NAMES_MAX, "the list ends with NULL");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(clients); i++) {
		if (!name || ccp_streq(clients[i].name, name)) {
			*ret_client = &clients[i];
			return 0;
		}
		names[i] = clients[i].name;
		ccp_strbuf_appendf(&expected, i ? ", %s" : "one of %s", names[i]);
	}
	return ccp_fail_argument(err, "--client", ccp_strbuf_str(&expected),
				 ccp_str_nearest(name, names));
}

const char *client_name(const struct client *client)
{
	return client->name;
}

int client_check_writable(const struct client *client, struct codexcp_error *err)
{
	if (client->format == JSON)
		return 0;
	ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
		 "--write: %s reads %s, and a file that is written anew would lose its comments; "
		 "append what \"print-config --client %s\" prints to %s",
		 client->name, format_names[client->format], client->name, client->file);
	ccp_error_add_str(err, "argument", "--write");
	ccp_error_add_str(err, "expected", "a client that reads JSON");
	return CODEXCP_E_INVALID_ARGUMENT;
}

static json_t *server_json(const struct client *client, const char *server,
			   const json_t *environment)
{
	json_t *o = json_object();

	ccp_json_set_str(&o, "type", client->typed ? "stdio" : NULL);
	ccp_json_set_str(&o, "command", server);
	ccp_json_set_new(&o, "env", json_copy((json_t *)environment));
	return o;
}

/* Steals value. */
static json_t *nest(const char *key, json_t *value)
{
	json_t *o = json_object();

	ccp_json_set_new(&o, key, value);
	return o;
}

json_t *client_config(const struct client *client, const char *server, const json_t *environment)
{
	json_t *config = nest(SERVER_NAME, server_json(client, server, environment));

	for (size_t i = CCP_ARRAY_SIZE(client->keys); i-- > 0;)
		if (client->keys[i])
			config = nest(client->keys[i], config);
	return config;
}

/* A quoted text that means the same in JSON, TOML and YAML. */
static void append_quoted(struct ccp_strbuf *sb, const char *text)
{
	ccp_strbuf_append_char(sb, '"');
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\')
			ccp_strbuf_append_char(sb, '\\');
		if (*c < ' ' || *c == 0x7f)
			ccp_strbuf_appendf(sb, "\\u%04x", *c);
		else
			ccp_strbuf_append_char(sb, (char)*c);
	}
	ccp_strbuf_append_char(sb, '"');
}

/* "lead" KEY "between" QUOTED, one a line. */
static void append_pairs(struct ccp_strbuf *sb, const char *lead, const char *between,
			 const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (!json_is_string(value))
			continue;
		ccp_strbuf_appendf(sb, "%s%s%s", lead, key, between);
		append_quoted(sb, json_string_value(value));
		ccp_strbuf_append_char(sb, '\n');
	}
}

static void append_toml(struct ccp_strbuf *sb, const char *table, const json_t *server)
{
	ccp_strbuf_appendf(sb, "[%s." SERVER_NAME "]\n", table);
	append_pairs(sb, "", " = ", server);
	ccp_strbuf_appendf(sb, "\n[%s." SERVER_NAME ".env]\n", table);
	append_pairs(sb, "", " = ", ccp_json_obj(server, "env"));
}

static void append_yaml(struct ccp_strbuf *sb, const char *key, const json_t *server)
{
	ccp_strbuf_appendf(sb, "%s:\n  " SERVER_NAME ":\n", key);
	append_pairs(sb, "    ", ": ", server);
	ccp_strbuf_append(sb, "    env:\n");
	append_pairs(sb, "      ", ": ", ccp_json_obj(server, "env"));
}

static void append_json(struct ccp_strbuf *sb, const json_t *config)
{
	_cleanup_free_ char *text = json_dumps(config, JSON_INDENT(2));

	if (text)
		ccp_strbuf_appendf(sb, "%s\n", text);
	else
		sb->failed = true;
}

char *client_text(const struct client *client, const json_t *config)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);
	const char *key = client->keys[0];
	const json_t *server = json_object_get(json_object_get(config, key), SERVER_NAME);

	switch (client->format) {
	case JSON:
		append_json(&sb, config);
		break;
	case TOML:
		append_toml(&sb, key, server);
		break;
	case YAML:
		append_yaml(&sb, key, server);
		break;
	}
	return ccp_strbuf_take(&sb);
}

/* How the server was reached before, by another program or another transport. */
static void forget_transport(json_t *server)
{
	const char *type = ccp_json_str(server, "type");

	(void)json_object_del(server, "url");
	(void)json_object_del(server, "headers");
	if (json_array_size(ccp_json_arr(server, "args")))
		(void)json_object_del(server, "args");
	if (type && !ccp_streq(type, "stdio"))
		(void)json_object_del(server, "type");
}

/* Objects are merged key by key, everything else is replaced. */
int client_merge(const json_t *config, json_t *document, struct codexcp_error *err)
{
	const char *key;
	json_t *value, *old;
	int r = 0;

	json_object_foreach ((json_t *)config, key, value) {
		old = json_object_get(document, key);
		if (old && json_is_object(value) && !json_is_object(old))
			return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
					"\"%s\" is not an object, so nothing can be put into it",
					key);
		if (old && ccp_streq(key, SERVER_NAME))
			forget_transport(old);
		if (old && json_is_object(value))
			r = client_merge(value, old, err);
		else if (json_object_set_new(document, key, json_deep_copy(value)) < 0)
			r = ccp_fail_oom(err);
		if (r < 0)
			return r;
	}
	return 0;
}
