/*
 * A tool: one row says what it is called, takes, answers and does. The rows stand in tools.c.
 */
#pragma once

#include "base/field.h"
#include "service/call.h"
#include "store/worker_store.h"

enum ccp_tool_flags {
	CCP_TOOL_READ = 1,        /* changes nothing */
	CCP_TOOL_DESTRUCTIVE = 2, /* stops or removes something */
	CCP_TOOL_IDEMPOTENT = 4,
	CCP_TOOL_NO_STATE = 8, /* works without a state database */
};

typedef const struct ccp_handled *(*ccp_tool_fn)(struct codexcp *cp, struct ccp_call *call,
						 const void *args);
#define CCP_TOOL_HANDLER(name)                                                                     \
	_returns_nonnull_ const struct ccp_handled *name(                                          \
		struct codexcp *cp, struct ccp_call *call, const void *arguments)

struct ccp_tool {
	const char *name, *title, *description;
	unsigned flags;
	const struct ccp_field *input;
	const size_t *args_size; /* where the struct is defined */
	const struct ccp_field *output;
	ccp_tool_fn fn;
};

/* In the order of tools/list. */
const struct ccp_tool *ccp_tools(size_t *ret_n);
/* NULL when there is none; *ret_near then is the nearest name, or NULL. */
const struct ccp_tool *ccp_tool_find(const char *name, const char **ret_near);
/* SHA-256 over the canonical definitions: changes when anything a client can see changes. */
bool ccp_tool_surface_hash(char out[static 65]);
/* docs/TOOLS.md; NULL when memory ran out. */
char *ccp_tools_markdown(void);
/* All crash points, one a line; only where there are any (base/crash_point.h). */
char *ccp_crash_points_text(void);

/* Handlers and their tables. */
CCP_TOOL_HANDLER(ccp_tool_submit_task);
CCP_TOOL_HANDLER(ccp_tool_operation_status);
CCP_TOOL_HANDLER(ccp_tool_turn_status);
CCP_TOOL_HANDLER(ccp_tool_wait);
CCP_TOOL_HANDLER(ccp_tool_interrupt_turn);
CCP_TOOL_HANDLER(ccp_tool_health_summary);
CCP_TOOL_HANDLER(ccp_tool_list_projects);
CCP_TOOL_HANDLER(ccp_tool_queue_status);
CCP_TOOL_HANDLER(ccp_tool_concurrency_status);
CCP_TOOL_HANDLER(ccp_tool_worker_status);
CCP_TOOL_HANDLER(ccp_tool_worker_command);

extern const struct ccp_field ccp_submit_fields[], ccp_operation_status_fields[],
	ccp_turn_status_fields[], ccp_wait_fields[], ccp_interrupt_fields[], ccp_health_fields[],
	ccp_projects_fields[], ccp_worker_status_fields[], ccp_worker_command_fields[];
extern const size_t ccp_submit_args_size, ccp_operation_status_args_size, ccp_turn_status_args_size,
	ccp_wait_args_size, ccp_interrupt_args_size, ccp_health_args_size, ccp_projects_args_size,
	ccp_worker_status_args_size, ccp_worker_command_args_size;
extern const struct ccp_field ccp_queue_fields[], ccp_concurrency_fields[];
extern const size_t ccp_queue_args_size, ccp_concurrency_args_size;
/* outputs.c */
extern const struct ccp_field ccp_operation_output[], ccp_submit_output[], ccp_wait_output[],
	ccp_turn_output[], ccp_interrupt_output[], ccp_health_output[], ccp_projects_output[],
	ccp_worker_status_output[], ccp_worker_command_output[];

extern const struct ccp_field ccp_queue_output[], ccp_concurrency_output[];

/* The status of an operation as every tool answers it; NULL with err on failure. Rings when the
 * operation needs a worker. */
json_t *ccp_operation_answer(struct codexcp *cp, struct ccp_db *db, const struct ccp_op *op,
			     struct ccp_view *view, struct codexcp_error *err);
/* What a view says of limits and of the worker, whose row it borrows from. */
void ccp_view_worker(struct codexcp *cp, struct ccp_db *db, struct ccp_view *view,
		     struct ccp_worker_row *worker);
/* The view that compact status answers use. */
struct ccp_view ccp_compact_view(void);
