#include "domain/terminals.h"

#include <string.h>

#include "appserver/methods.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "domain/item_note.h"

#define COMMAND_CHARS 120
#define SHOWN_MAX     10

static const struct {
	const char *name, *meaning;
} hows[] = {
#define X(how, name, meaning) { name, meaning },
	CCP_TERMINALS_HOWS(X)
#undef X
};

static void set_command(json_t **obj, const char *command)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(16 * COMMAND_CHARS);

	ccp_item_append_clipped(&sb, command ? command : "?", COMMAND_CHARS);
	ccp_json_set_str(obj, "command", ccp_strbuf_str(&sb));
}

static json_t *shown(const json_t *terminals)
{
	json_t *list = json_array(), *value;
	struct ccp_terminal terminal;
	size_t i;

	json_array_foreach (terminals, i, value) {
		json_t *o;

		if (i == SHOWN_MAX)
			break;
		if (ccp_terminal_parse(value, &terminal) < 0)
			continue;
		o = json_object();
		set_command(&o, terminal.command);
		ccp_json_set_str(&o, "cwd", terminal.cwd);
		ccp_json_append_new(&list, o);
	}
	return list;
}

char *ccp_terminals_text(const struct ccp_terminals_report *report)
{
	json_auto_t *o = NULL;

	if (report->how == CCP_TERMINALS_TERMINATE && !json_array_size(report->before) &&
	    !json_array_size(report->remaining))
		return strdup("");
	o = json_object();
	ccp_json_set_str(&o, "method", hows[report->how].name);
	ccp_json_set_str(&o, "meaning", hows[report->how].meaning);
	if (report->before)
		ccp_json_set_int(&o, "before", (int64_t)json_array_size(report->before));
	if (report->how == CCP_TERMINALS_TERMINATE)
		ccp_json_set_int(&o, "terminated", report->terminated);
	if (report->remaining)
		ccp_json_set_new(&o, "remaining", shown(report->remaining));
	return o ? ccp_json_dump(o, NULL) : NULL;
}

void ccp_terminals_view(json_t **obj, const struct ccp_op *op)
{
	json_auto_t *told = NULL;

	if (op->terminals && *op->terminals &&
	    ccp_json_parse(op->terminals, strlen(op->terminals), 0, &told, NULL) == 0)
		ccp_json_set(obj, "terminals", told);
}
