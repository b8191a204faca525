/*
 * The pages of the reference: each is printed from the table that the program itself works with.
 */
#include <codexcp/config.h>

#include "base/str.h"
#include "base/strbuf.h"
#include "domain/op_machine.h"
#include "service/config.h"
#include "service/tool.h"

#define PAGE_MAX (64 * 1024)

static char *example_text(void)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PAGE_MAX);
	json_auto_t *example = ccp_config_example();
	_cleanup_free_ char *text = example ? json_dumps(example, JSON_INDENT(2)) : NULL;

	if (!text)
		return NULL;
	ccp_strbuf_appendf(&sb, "%s\n", text);
	return ccp_strbuf_take(&sb);
}

static char *errors_markdown(void)
{
	static const struct {
		const char *code;
		bool retryable;
		const char *meaning;
	} rows[] = {
#define X(name, wire, by_default, text) { wire, by_default, text },
		CODEXCP_ERRORS(X)
#undef X
	};
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(PAGE_MAX);

	ccp_strbuf_append(&sb, "| code | retryable | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(rows); i++)
		ccp_strbuf_appendf(&sb, "| `%s` | %s | %s |\n", rows[i].code,
				   rows[i].retryable ? "yes" : "no", rows[i].meaning);
	return ccp_strbuf_take(&sb);
}

static const struct page {
	const char *name;
	char *(*print)(void);
} pages[] = {
	{ "tools", ccp_tools_markdown },
	{ "config", ccp_config_markdown },
	{ "config-example", example_text },
	{ "errors", errors_markdown },
	{ "state-machines", ccp_op_machine_markdown },
#ifdef CCP_CRASH_POINTS
	{ "crash-points", ccp_crash_points_text },
#endif
};

char *codexcp_reference(const char *page)
{
	for (size_t i = 0; i < CCP_ARRAY_SIZE(pages); i++)
		if (ccp_streq(pages[i].name, page))
			return pages[i].print();
	return NULL;
}
