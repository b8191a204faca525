#include "server/control.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include <codexcp/worker.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define PROGRAM          "codex-control-plane-mcp"
#define UNIT             PROGRAM ".service"
#define EXIT_WRONG_USE   2
#define EXIT_NOT_RUNNING 3

/* Printing */

static void print_process(const char *what, const json_t *o)
{
	static const char *const words[] = { "version", "codexVersion", "transport",
					     "unit",    "startedAt",    "lastError" };

	printf("%s: pid %" PRId64, what, ccp_json_int(o, "pid", 0));
	for (size_t i = 0; i < CCP_ARRAY_SIZE(words); i++)
		if (ccp_json_str(o, words[i]))
			printf(", %s %s", words[i], ccp_json_str(o, words[i]));
	if (json_object_get(o, "stalenessSeconds"))
		printf(", heartbeat %" PRId64 " s ago", ccp_json_int(o, "stalenessSeconds", 0));
	putchar('\n');
}

/* Of a worker that does not run only its end is of interest. */
static void print_status(const json_t *report)
{
	const json_t *worker = ccp_json_obj(report, "worker");
	const json_t *server = ccp_json_obj(report, "appServer");
	const json_t *operations = ccp_json_obj(report, "operations");
	bool running = ccp_json_bool(report, "running", false);

	if (!json_object_get(report, "running"))
		return;
	puts(running ? "a worker runs" : "no worker runs");
	if (running && worker)
		print_process("worker", worker);
	if (ccp_json_bool(server, "running", false))
		print_process("app-server", server);
	if (operations)
		printf("operations: %" PRId64 " active, %" PRId64 " of them queued\n",
		       ccp_json_int(operations, "activeOperationCount", 0),
		       ccp_json_int(operations, "queuedOperationCount", 0));
	printf("state: %s\nlog: %s\n", ccp_json_str(report, "stateDb"),
	       ccp_json_str(report, "logPath"));
}

static void print_for_people(const json_t *report)
{
	const json_t *stopped = ccp_json_obj(report, "stopped");

	if (stopped)
		print_process("stopped", stopped);
	print_status(report);
}

static void print_error(const struct codexcp_error *err)
{
	fprintf(stderr, "%s: %s: %s\n", PROGRAM, codexcp_error_name(err->code), err->message);
}

/* Steals the report; `ok` decides unless a status is given. */
static int print_report(json_t *report, const struct control_options *options, int status)
{
	_cleanup_free_ char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;

	if (!text)
		status = EXIT_FAILURE;
	else if (options->text)
		print_for_people(report);
	else
		puts(text);
	json_decref(report);
	return fflush(stdout) == 0 && !ferror(stdout) ? status : EXIT_FAILURE;
}

/* What was done before it failed stands in the report. */
static int fail(json_t *report, const struct control_options *options,
		const struct codexcp_error *err)
{
	bool wrong_use = err->code == CODEXCP_E_CONFIG_INVALID ||
			 err->code == CODEXCP_E_INVALID_ARGUMENT;
	int status = wrong_use ? EXIT_WRONG_USE : EXIT_FAILURE;

	ccp_json_set_bool(&report, "ok", false);
	ccp_json_set_new(&report, "error", ccp_error_json(err));
	if (options->text)
		print_error(err);
	return print_report(report, options, status);
}

/* Doing */

/* 0: not said. */
static int timeout_ms(const struct control_options *options, struct codexcp_error *err)
{
	const char *text = options->timeout_seconds;
	int64_t seconds = 0;

	if (text && (!ccp_parse_i64(text, &seconds) || seconds < 1 || seconds > INT_MAX / 1000))
		return ccp_fail_argument(err, "--timeout", "seconds, an integer of 1 or more",
					 NULL);
	return (int)seconds * 1000;
}

/* Adds what is now. */
static int add_status(struct codexcp *cp, json_t **report, struct codexcp_error *err)
{
	json_auto_t *description = NULL;
	int rc = codexcp_worker_describe(cp, &description, err);

	if (rc >= 0 && *report)
		json_object_update_missing(*report, description);
	return rc;
}

static int stop(struct codexcp *cp, int patience_ms, json_t **report, struct codexcp_error *err)
{
	json_t *stopped = NULL;
	int rc = codexcp_worker_stop(cp, patience_ms, &stopped, err);

	if (rc == 1)
		ccp_json_set_new(report, "stopped", stopped);
	return rc;
}

/* The one that another start would take out of its unit. */
static int check_unit(struct codexcp *cp, struct codexcp_error *err)
{
	json_auto_t *now = NULL;
	int rc = codexcp_worker_describe(cp, &now, err);

	if (rc != 1 || !ccp_streq(ccp_json_str(ccp_json_obj(now, "worker"), "unit"), UNIT))
		return CCP_MIN(rc, 0);
	return ccp_fail(
		err, CODEXCP_E_BUSY,
		"the worker runs under systemd, which restarts it: systemctl --user restart " UNIT);
}

static int restart(struct codexcp *cp, int patience_ms, json_t **report, struct codexcp_error *err)
{
	int rc = check_unit(cp, err);

	if (rc >= 0)
		rc = stop(cp, patience_ms, report, err);
	return rc < 0 ? rc : codexcp_worker_start(cp, patience_ms, err);
}

int control_status(const void *data, int argc, char **argv)
{
	const struct control_options *options = data;
	const struct codexcp_options context = { .mode = CODEXCP_MODE_CLIENT };
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct codexcp *cp = NULL;
	json_t *report = json_object();
	int rc = codexcp_open(&context, &cp, &err);

	ccp_json_set_bool(&report, "ok", true);
	if (rc >= 0)
		rc = add_status(cp, &report, &err);
	codexcp_close(cp);
	return rc < 0 ? fail(report, options, &err)
		      : print_report(report, options, rc ? EXIT_SUCCESS : EXIT_NOT_RUNNING);
}

typedef int (*act_fn)(struct codexcp *cp, int patience_ms, json_t **report,
		      struct codexcp_error *err);

/* Does it, and reports how things stand then. */
static int control(const struct control_options *options, act_fn act)
{
	const struct codexcp_options context = { .mode = CODEXCP_MODE_AUTO };
	_cleanup_error_ struct codexcp_error err = { 0 };
	struct codexcp *cp = NULL;
	json_t *report = json_object();
	int patience_ms = timeout_ms(options, &err), rc = patience_ms;

	ccp_json_set_bool(&report, "ok", true);
	if (rc >= 0)
		rc = codexcp_open(&context, &cp, &err);
	if (rc >= 0)
		rc = act(cp, patience_ms, &report, &err);
	if (rc >= 0)
		rc = add_status(cp, &report, &err);
	codexcp_close(cp);
	return rc < 0 ? fail(report, options, &err) : print_report(report, options, EXIT_SUCCESS);
}

int control_stop(const void *data, int argc, char **argv)
{
	return control(data, stop);
}

int control_restart(const void *data, int argc, char **argv)
{
	return control(data, restart);
}
