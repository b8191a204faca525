#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define EXIT_WRONG_USE 2

/* Where steps may stand in a report. */
static const char *const step_places[] = { "steps", "checks", "protocolSmoke.steps" };

static int flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	fprintf(stderr, "%s: cannot write to standard output: %m\n", ADMIN_PROGRAM);
	return EXIT_FAILURE;
}

int admin_print(const char *text)
{
	fputs(text, stdout);
	return flush();
}

static void print_steps(const json_t *steps)
{
	const json_t *step;
	size_t i;

	json_array_foreach (steps, i, step) {
		const char *detail = ccp_json_str(step, "detail");

		printf("%-7s %-18s %6lld ms  %s\n",
		       ccp_json_bool(step, "ok", false) ? "ok" : "FAILED",
		       ccp_json_str(step, "name"), (long long)ccp_json_int(step, "milliseconds", 0),
		       detail ? detail : "");
	}
}

static void print_for_people(const json_t *report, const char *tail)
{
	const json_t *warning;
	size_t i;

	for (i = 0; i < CCP_ARRAY_SIZE(step_places); i++)
		print_steps(ccp_json_path(report, step_places[i]));
	json_array_foreach (ccp_json_arr(report, "warnings"), i, warning)
		printf("warning: %s\n", json_string_value(warning));
	if (tail)
		fputs(tail, stdout);
}

int admin_report(json_t *report, const struct admin_options *options, const char *tail)
{
	_cleanup_free_ char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
	bool ok = ccp_json_bool(report, "ok", false);
	int status;

	if (!text)
		fprintf(stderr, "%s: out of memory\n", ADMIN_PROGRAM);
	else if (options->text)
		print_for_people(report, tail);
	else
		puts(text);
	json_decref(report);
	status = flush();
	return text && ok ? status : EXIT_FAILURE;
}

static int status_of(int code)
{
	bool wrong_use = code == CODEXCP_E_INVALID_ARGUMENT || code == CODEXCP_E_CONFIG_INVALID;

	return wrong_use ? EXIT_WRONG_USE : EXIT_FAILURE;
}

int admin_fail(const struct codexcp_error *err, const struct admin_options *options)
{
	json_t *report = json_object();

	if (options->text) {
		fprintf(stderr, "%s: %s: %s\n", ADMIN_PROGRAM, codexcp_error_name(err->code),
			err->message);
		json_decref(report);
		return status_of(err->code);
	}
	ccp_json_set_bool(&report, "ok", false);
	ccp_json_set_new(&report, "error", ccp_error_json(err));
	(void)admin_report(report, options, NULL);
	return status_of(err->code);
}
