/*
 * codex_get_worker_status: who executes, and with what. codex_get_worker_command_status: what has
 * become of something that the worker was asked to do.
 */
#include <string.h>

#include "base/json.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/utf8.h"
#include "service/command.h"
#include "service/tool.h"
#include "service/worker_info.h"

#define POLL_SECONDS         10
#define COMMAND_POLL_SECONDS 2

struct worker_args {
	bool include_recent_commands;
	int64_t limit;
};
const size_t ccp_worker_status_args_size = sizeof(struct worker_args);

#define ARGS struct worker_args
const struct ccp_field ccp_worker_status_fields[] = {
	CCP_FIELD_BOOL(ARGS, include_recent_commands, .doc = "without their results"),
	CCP_FIELD_INT(ARGS, limit, .def = 20, .min = 1, .max = 100,
		      .doc = "of workers, and of commands"),
	CCP_FIELD_END
};
#undef ARGS

struct command_args {
	const char *command_id;
	bool include_result;
	int64_t max_result_chars;
};
const size_t ccp_worker_command_args_size = sizeof(struct command_args);

#define ARGS struct command_args
const struct ccp_field ccp_worker_command_fields[] = {
	CCP_FIELD_STRING(ARGS, command_id, .flags = CCP_FIELD_REQUIRED, .min = 1),
	CCP_FIELD_BOOL(ARGS, include_result, .def = 1),
	CCP_FIELD_INT(ARGS, max_result_chars, .def = 12000, .min = 0, .max = 200000), CCP_FIELD_END
};
#undef ARGS

/* Workers */

struct listing {
	struct ccp_db *db;
	int64_t now;
	const char *holder; /* id of the one that has the lock, NULL: nobody */
	json_t *array;
};

static int count_turns(const struct ccp_op *op, void *data)
{
	int64_t *turns = data;

	*turns += op->turn_id != NULL;
	return 0;
}

static void set_work(json_t **worker, struct ccp_db *db)
{
	struct ccp_op_counts counts = { 0 };
	int64_t turns = 0;

	(void)ccp_op_count(db, &counts, NULL);
	(void)ccp_op_each_active(db, count_turns, &turns, NULL);
	ccp_json_set_int(worker, "activeOperationCount", counts.active - counts.queued);
	ccp_json_set_int(worker, "activeTurnCount", turns);
}

static int add_worker(const void *data, void *to)
{
	const struct ccp_worker_row *row = data;
	struct listing *list = to;
	bool holds = ccp_streq(row->id, list->holder);
	json_t *o = ccp_worker_json(row, list->now, holds ? CCP_WORKER_WHOLE : CCP_WORKER_BRIEF);

	ccp_json_set_bool(&o, "holdsLock", holds);
	if (holds)
		set_work(&o, list->db);
	ccp_json_append_new(&list->array, o);
	return 0;
}

static int add_command(const void *data, void *to)
{
	const struct ccp_command *row = data;
	struct listing *list = to;
	json_t *o = json_object();

	ccp_command_describe(&o, row, list->now);
	ccp_json_append_new(&list->array, o);
	return 0;
}

/* The rows, of a database that is there. */
static int set_rows(json_t **answer, struct listing *list, const struct worker_args *args,
		    struct codexcp_error *err)
{
	int r;

	list->array = json_array();
	r = ccp_workers_each(list->db, args->limit, add_worker, list, err);
	ccp_json_set_new(answer, "workers", list->array);
	if (r < 0 || !args->include_recent_commands)
		return r;
	list->array = json_array();
	r = ccp_commands_each(list->db, args->limit, add_command, list, err);
	ccp_json_set_new(answer, "recentCommands", list->array);
	return r;
}

/* Without one there is something to look into, unless there is nothing to do and the next task
 * starts one. */
static bool is_missed(struct codexcp *cp, struct ccp_db *db, bool running)
{
	struct ccp_op_counts counts = { 0 };

	if (running)
		return false;
	if (db)
		(void)ccp_op_count(db, &counts, NULL);
	return counts.active || cp->mode == CODEXCP_MODE_CLIENT || ccp_context_trouble(cp);
}

static int worker_answer(struct codexcp *cp, const struct worker_args *args, json_t **answer,
			 struct codexcp_error *err)
{
	_cleanup_worker_row_ struct ccp_worker_row worker = { 0 };
	struct listing list = { .now = ccp_clock_wall(ccp_context_clock(cp)) };
	int held = ccp_worker_lock_is_held(cp, err), r = held;
	bool missed;

	if (r >= 0)
		r = ccp_state_reader(cp, &list.db, err);
	if (r == 1)
		r = ccp_worker_latest(list.db, &worker, err);
	/* The lock decides; the row of its holder may still be to be written. */
	if (held == 1 && worker.id && !ccp_streq(worker.status, "stopped"))
		list.holder = worker.id;
	ccp_json_set_bool(answer, "ok", true);
	ccp_json_set_str(answer, "executionMode", ccp_context_mode_name(cp));
	ccp_json_set_bool(answer, "running", held == 1);
	ccp_json_set_bool(answer, "connected", ccp_context_worker_alive(cp));
	ccp_json_set_str(answer, "problem", ccp_context_trouble(cp));
	ccp_json_set_new(answer, "appServer", ccp_app_server_json(list.db));
	if (r >= 0 && list.db)
		r = set_rows(answer, &list, args, err);
	missed = is_missed(cp, list.db, held == 1);
	ccp_json_set_str(answer, "nextRecommendedAction",
			 missed ? "inspect_worker_health" : "none");
	ccp_json_set_int(answer, "recommendedPollAfterSeconds", POLL_SECONDS);
	ccp_json_set_bool(answer, "pollRecommended", missed);
	return CCP_MIN(r, 0);
}

CCP_TOOL_HANDLER(ccp_tool_worker_status)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	json_t *answer = json_object();

	if (worker_answer(cp, arguments, &answer, &err) < 0) {
		json_decref(answer);
		return ccp_call_fail(call, &err);
	}
	codexcp_look_for_work(cp);
	return ccp_call_reply(call, answer);
}

/* A command */

struct stored {
	size_t chars;
	json_t *value; /* NULL: not included */
	const char *warning;
};

static struct stored read_result(const struct ccp_command *command, const struct command_args *args)
{
	const char *text = command->result;
	size_t len = text ? strlen(text) : 0;
	struct stored stored = { .chars = ccp_utf8_chars(text, len) };
	json_auto_t *value = NULL;

	if (!text)
		return stored;
	if (!args->include_result)
		stored.warning = "result_omitted_by_request";
	else if (!args->max_result_chars)
		stored.warning = "max_result_chars_zero";
	else if (stored.chars > (size_t)args->max_result_chars)
		stored.warning = "stored_result_exceeds_max_result_chars";
	else if (ccp_json_parse(text, len, 0, &value, NULL) < 0)
		stored.warning = "invalid_result_json";
	else
		stored.value = ccp_redact_json(value);
	return stored;
}

static void set_result(json_t **answer, const struct ccp_command *command,
		       const struct command_args *args)
{
	struct stored stored = read_result(command, args);

	ccp_json_set_bool(answer, "resultAvailable", command->result != NULL);
	ccp_json_set_bool(answer, "resultIncluded", stored.value != NULL);
	ccp_json_set_bool(answer, "resultTruncated", stored.chars > (size_t)args->max_result_chars);
	ccp_json_set_int(answer, "resultStoredChars", (int64_t)stored.chars);
	ccp_json_set_str(answer, "resultWarning", stored.warning);
	if (stored.value)
		ccp_json_set_new(answer, "result", stored.value);
}

static json_t *command_answer(const struct ccp_command *command, const struct command_args *args,
			      int64_t now)
{
	const char *status = ccp_command_status(command, now);
	bool over = ccp_command_is_over(command, now), late = ccp_streq(status, "timed_out");
	json_t *answer = json_object();

	ccp_json_set_bool(&answer, "ok", true);
	ccp_command_describe(&answer, command, now);
	ccp_json_set_bool(&answer, "commandTimedOut", late);
	set_result(&answer, command, args);
	ccp_json_set_int(&answer, "elapsedMs",
			 (over && command->completed_at ? command->completed_at : now) -
				 command->created_at);
	ccp_json_set_str(&answer, "nextRecommendedAction",
			 late   ? "inspect_worker_command"
			 : over ? "none"
				: "poll_worker_command");
	ccp_json_set_int(&answer, "recommendedPollAfterSeconds", over ? 0 : COMMAND_POLL_SECONDS);
	ccp_json_set_bool(&answer, "pollRecommended", !over);
	return answer;
}

CCP_TOOL_HANDLER(ccp_tool_worker_command)
{
	const struct command_args *args = arguments;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_command_ struct ccp_command command = { 0 };
	int64_t now = ccp_clock_wall(ccp_context_clock(cp));
	struct ccp_db *db = NULL;
	int r = ccp_state_reader(cp, &db, &err);

	if (r == 1)
		r = ccp_command_get(db, args->command_id, &command, &err);
	if (r == 0)
		r = ccp_fail_argument(&err, "command_id", "a commandId that a tool has answered",
				      NULL);
	if (r < 0)
		return ccp_call_fail(call, &err);
	/* Whoever polls for it must not wait for ever for a dead worker. */
	if (!ccp_command_is_over(&command, now))
		ccp_context_need_worker(cp);
	return ccp_call_reply(call, command_answer(&command, args, now));
}
