#include "service/tool.h"

#include <string.h>

#include "base/json.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/strbuf.h"

/* Of the list as text. */
#define LIST_MAX (1024 * 1024)

/* clang-format off */
static const struct ccp_tool tools[] = {
	{ "codex_health_summary", "Health",
	  "Is the control plane ready? Versions, worker, app-server, active work, paths. Call it first.",
	  CCP_TOOL_READ, ccp_health_fields, &ccp_health_args_size, ccp_health_output, ccp_tool_health_summary },
	{ "codex_list_projects", "Projects",
	  "Known projects and their ids.",
	  CCP_TOOL_READ, ccp_projects_fields, &ccp_projects_args_size, ccp_projects_output, ccp_tool_list_projects },
	{ "codex_submit_task", "Submit a task",
	  "Queue a durable Codex task; answers at once with operationId. Then codex_wait. Give client_request_id so that a retry never runs it twice.",
	  CCP_TOOL_IDEMPOTENT, ccp_submit_fields, &ccp_submit_args_size, ccp_submit_output, ccp_tool_submit_task },
	{ "codex_wait", "Wait for an operation",
	  "Block until the operation ends or needs attention, at most timeout_seconds; answers its status. Call again while pollRecommended.",
	  CCP_TOOL_READ, ccp_wait_fields, &ccp_wait_args_size, ccp_wait_output, ccp_tool_wait },
	{ "codex_get_operation_status", "Operation status",
	  "Status, progress and, when completed, the final report of an operation.",
	  CCP_TOOL_READ, ccp_operation_status_fields, &ccp_operation_status_args_size, ccp_operation_output, ccp_tool_operation_status },
	{ "codex_get_turn_status", "Turn status",
	  "One Codex turn in full: messages, progress, the whole final message.",
	  CCP_TOOL_READ, ccp_turn_status_fields, &ccp_turn_status_args_size, ccp_turn_output, ccp_tool_turn_status },
	{ "codex_interrupt_turn", "Interrupt",
	  "Stop an operation, queued or running. Safe to repeat.",
	  CCP_TOOL_DESTRUCTIVE | CCP_TOOL_IDEMPOTENT, ccp_interrupt_fields, &ccp_interrupt_args_size, ccp_interrupt_output, ccp_tool_interrupt_turn },
	{ "codex_get_queue_status", "Queue",
	  "What waits and why, what runs.",
	  CCP_TOOL_READ, ccp_queue_fields, &ccp_queue_args_size, ccp_queue_output, ccp_tool_queue_status },
	{ "codex_get_concurrency_status", "Concurrency",
	  "The limits, what counts against them, and who has locked what.",
	  CCP_TOOL_READ, ccp_concurrency_fields, &ccp_concurrency_args_size, ccp_concurrency_output, ccp_tool_concurrency_status },
	{ "codex_get_worker_status", "Worker status",
	  "The worker that executes, its app-server, and what this Codex version lacks.",
	  CCP_TOOL_READ, ccp_worker_status_fields, &ccp_worker_status_args_size, ccp_worker_status_output, ccp_tool_worker_status },
	{ "codex_get_worker_command_status", "Worker command status",
	  "What has become of a commandId, which a tool answers when the worker takes longer than it may wait.",
	  CCP_TOOL_READ, ccp_worker_command_fields, &ccp_worker_command_args_size, ccp_worker_command_output, ccp_tool_worker_command },
};
/* clang-format on */

const struct ccp_tool *ccp_tools(size_t *ret_n)
{
	*ret_n = CCP_ARRAY_SIZE(tools);
	return tools;
}

const struct ccp_tool *ccp_tool_find(const char *name, const char **ret_near)
{
	const char *names[CCP_ARRAY_SIZE(tools) + 1] = { 0 };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(tools); i++) {
		if (ccp_streq(tools[i].name, name))
			return &tools[i];
		names[i] = tools[i].name;
	}
	*ret_near = ccp_str_nearest(name, names);
	return NULL;
}

static const char *truth(unsigned flag)
{
	return flag ? "true" : "false";
}

static void write_annotations(struct ccp_strbuf *sb, const struct ccp_tool *tool)
{
	ccp_strbuf_append(sb, ",\"annotations\":{\"title\":");
	ccp_json_write_string(sb, tool->title);
	ccp_strbuf_appendf(sb,
			   ",\"readOnlyHint\":%s,\"destructiveHint\":%s,\"idempotentHint\":%s,"
			   "\"openWorldHint\":false}",
			   truth(tool->flags & CCP_TOOL_READ),
			   truth(tool->flags & CCP_TOOL_DESTRUCTIVE),
			   truth(tool->flags & (CCP_TOOL_READ | CCP_TOOL_IDEMPOTENT)));
}

static void write_tool(struct ccp_strbuf *sb, const struct ccp_tool *tool, unsigned parts)
{
	ccp_strbuf_append(sb, "{\"name\":");
	ccp_json_write_string(sb, tool->name);
	if (parts & CODEXCP_TOOL_TITLE) {
		ccp_strbuf_append(sb, ",\"title\":");
		ccp_json_write_string(sb, tool->title);
	}
	ccp_strbuf_append(sb, ",\"description\":");
	ccp_json_write_string(sb, tool->description);
	ccp_strbuf_append(sb, ",\"inputSchema\":");
	ccp_field_write_schema(sb, tool->input);
	if (parts & CODEXCP_TOOL_OUTPUT_SCHEMA) {
		ccp_strbuf_append(sb, ",\"outputSchema\":");
		ccp_field_write_schema(sb, tool->output);
	}
	if (parts & CODEXCP_TOOL_ANNOTATIONS)
		write_annotations(sb, tool);
	ccp_strbuf_append_char(sb, '}');
}

char *codexcp_tools_text(unsigned parts)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(LIST_MAX);

	for (size_t i = 0; i < CCP_ARRAY_SIZE(tools); i++) {
		ccp_strbuf_append_char(&sb, i ? ',' : '[');
		write_tool(&sb, &tools[i], parts);
	}
	ccp_strbuf_append_char(&sb, ']');
	return ccp_strbuf_take(&sb);
}

json_t *codexcp_tools(void)
{
	_cleanup_free_ char *text = codexcp_tools_text(CODEXCP_TOOL_ALL);
	json_t *list = NULL;

	return text && ccp_json_parse(text, strlen(text), 0, &list, NULL) == 0 ? list : NULL;
}

bool ccp_tool_surface_hash(char out[static 65])
{
	json_auto_t *all = codexcp_tools();

	return all && ccp_sha256_json(all, out);
}

static void tool_markdown(struct ccp_strbuf *sb, const struct ccp_tool *tool)
{
	_cleanup_free_ char *input = ccp_field_markdown(tool->input);
	_cleanup_free_ char *output = ccp_field_markdown(tool->output);
	static const char head[] = "| name | value | default | meaning |\n|---|---|---|---|\n";

	if (!input || !output) {
		sb->failed = true;
		return;
	}
	ccp_strbuf_appendf(sb, "\n## %s\n\n%s%s\n\n", tool->name, tool->description,
			   tool->flags & CCP_TOOL_READ ? " Changes nothing." : "");
	ccp_strbuf_appendf(sb, "Arguments:\n\n%s%s\nAnswer:\n\n%s%s", head, input, head, output);
}

char *ccp_tools_markdown(void)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(1024 * 1024);

	ccp_strbuf_append(&sb,
			  "# Tools\n\nPrinted from the tables in `libcodexcp/service/`; a test "
			  "compares.\n");
	for (size_t i = 0; i < CCP_ARRAY_SIZE(tools); i++)
		tool_markdown(&sb, &tools[i]);
	return ccp_strbuf_take(&sb);
}

const char *codexcp_instructions(void)
{
	return "Durable Codex tasks. codex_submit_task queues a task and returns operationId at "
	       "once; codex_wait (or codex_get_operation_status) follows it; finalReport is its "
	       "answer. Tasks survive the end of this client: keep the operationId and ask again "
	       "later. Retry a submit with the same client_request_id, never with a new one.";
}
