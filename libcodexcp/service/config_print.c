#include "base/json.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "service/config.h"
#include "service/config_option.h"

#define PAGE_MAX (64 * 1024)

static const char page_head[] =
	"# Configuration\n"
	"\n"
	"Everything has a default; nothing has to be configured. An option is looked for in\n"
	"the environment (an empty variable is none), then in the configuration file, then\n"
	"the default counts.\n"
	"\n"
	"The file is named by `CODEX_CONTROL_PLANE_MCP_CONFIG` (or\n"
	"`OPENCLAW_CODEX_MCP_CONFIG`). It is a JSON object; a key whose value is `null`\n"
	"counts as missing. Paths are relative to the file's directory, in variables to the\n"
	"working directory; `~` and `$NAME` are not expanded. In the defaults below,\n"
	"`$XDG_STATE_HOME` is `$HOME/.local/state` when it is not set.\n"
	"\n"
	"A value that cannot be used is an error that names the file or the variable, the\n"
	"key, and what was expected: every tool then answers `CODEX_CONFIG_INVALID`, and the\n"
	"command line tools exit 2. Unknown keys, and keys of older versions that have no\n"
	"effect, are warnings.\n";

static const char table_head[] = "\n"
				 "| key | variable | value | default | meaning |\n"
				 "|---|---|---|---|---|\n";

static void append_code(struct ccp_strbuf *sb, const char *text)
{
	if (text)
		ccp_strbuf_appendf(sb, "`%s`", text);
}

static void append_variables(struct ccp_strbuf *sb, const struct ccp_option *option)
{
	append_code(sb, option->env[0]);
	if (option->env[1])
		ccp_strbuf_append(sb, ", ");
	append_code(sb, option->env[1]);
}

static void append_row(struct ccp_strbuf *sb, const struct ccp_option *option)
{
	_cleanup_free_ char *expected = ccp_option_expected(option);

	if (!expected) {
		sb->failed = true;
		return;
	}
	ccp_strbuf_append(sb, "| ");
	append_code(sb, option->key);
	ccp_strbuf_append(sb, " | ");
	append_variables(sb, option);
	ccp_strbuf_appendf(sb, " | %s | ", expected);
	append_code(sb, option->def);
	ccp_strbuf_appendf(sb, " | %s |\n", option->doc);
}

char *ccp_config_markdown(void)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PAGE_MAX);

	ccp_strbuf_append(&sb, page_head);
	for (const struct ccp_option *o = ccp_options; o->key; o++) {
		if (o->section)
			ccp_strbuf_appendf(&sb, "\n## %s\n%s", o->section, table_head);
		append_row(&sb, o);
	}
	return ccp_strbuf_take(&sb);
}

static json_t *example_number(const char *text)
{
	int64_t value;

	return ccp_parse_i64(text, &value) ? json_integer(value) : NULL;
}

static json_t *example_value(const struct ccp_option *option)
{
	const char *text = option->example ? option->example : option->def;

	switch (option->kind) {
	case CCP_OPTION_INT:
		return example_number(text);
	case CCP_OPTION_ROOTS:
		return json_pack("[s]", text);
	case CCP_OPTION_VARIABLES:
		return json_loads(text, 0, NULL);
	case CCP_OPTION_PATH:
	case CCP_OPTION_ENUM:
	case CCP_OPTION_SANDBOX:
	case CCP_OPTION_APPROVAL:
	case CCP_OPTION_TEXT:
		break;
	}
	return json_string(text);
}

/* What has neither an example nor a default is left out: its value would mislead. */
json_t *ccp_config_example(void)
{
	json_t *example = json_object();

	for (const struct ccp_option *o = ccp_options; o->key; o++) {
		if (o->example || o->def)
			ccp_json_set_new(&example, o->key, example_value(o));
	}
	return example;
}
