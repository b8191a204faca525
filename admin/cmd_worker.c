/*
 * worker enable, disable, status: the worker as a user unit of systemd, for those whose clients are
 * ended together with everything that they have started.
 */
#include <fcntl.h>
#include <string.h>

#include <codexcp/worker.h>

#include "admin/capture.h"
#include "admin/steps.h"
#include "admin/unit.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"

/* Stopping the unit waits for its worker's end. */
#define SYSTEMCTL_MS 120000

struct service {
	const struct admin_options *options;
	struct admin_setup setup;
	struct unit unit;
	bool changed;
};

static void service_done(struct service *service)
{
	unit_done(&service->unit);
	admin_setup_done(&service->setup);
}

static int service_open(struct service *service, const struct admin_options *options,
			struct codexcp_error *err)
{
	int r = admin_setup_open(&service->setup, options, ADMIN_ROOTS_EXPLICIT, err);

	service->options = options;
	return r == 0 ? unit_init(&service->unit, &service->setup, err) : r;
}

/* Its first line of output, if there is one. */
static int systemctl(const struct service *service, const char *const *words, char **ret_line,
		     struct codexcp_error *err)
{
	const char *argv[8] = { "systemctl", "--user" };
	size_t n = 2;

	for (; *words && n < CCP_ARRAY_SIZE(argv) - 1; words++)
		argv[n++] = *words;
	return capture_run(argv, (const char *const *)service->setup.environment, SYSTEMCTL_MS,
			   ret_line, err);
}

static int run(const struct service *service, const char *const *words, struct ccp_strbuf *detail,
	       struct codexcp_error *err)
{
	_cleanup_free_ char *line = NULL;

	ccp_strbuf_append(detail, "systemctl --user");
	for (size_t i = 0; words[i]; i++)
		ccp_strbuf_appendf(detail, " %s", words[i]);
	return systemctl(service, words, &line, err);
}

/* Steps */

/* The log stands in the state directory, which systemd does not make; the log itself it would make
 * with the umask's mode, which is that of Codex's commands and left alone. */
static int prepare_state(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct service *service = data;
	const json_t *config = service->setup.config;
	_cleanup_close_ int fd = -1;
	int r = codexcp_state_prepare(service->setup.cp, err);

	ccp_strbuf_append(detail, ccp_json_str(config, "stateDirectory"));
	if (r < 0)
		return r;
	fd = ccp_file_open(ccp_json_str(config, "workerLog"), O_WRONLY | O_CREAT | O_APPEND, 0600,
			   err);
	return CCP_MIN(fd, 0);
}

static int write_unit(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct service *service = data;
	int r = unit_write(&service->unit, err);

	service->changed = r == 1;
	ccp_strbuf_appendf(detail, "%s%s", service->unit.path, r == 1 ? "" : ", as it was");
	return r;
}

static int reload(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	return run(data, (const char *const[]){ "daemon-reload", NULL }, detail, err);
}

static int enable(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	return run(data, (const char *const[]){ "enable", "--now", UNIT_NAME, NULL }, detail, err);
}

static int disable(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	return run(data, (const char *const[]){ "disable", "--now", UNIT_NAME, NULL }, detail, err);
}

static int remove_unit(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct service *service = data;
	int r = unit_remove(&service->unit, err);

	service->changed = r == 1;
	ccp_strbuf_append(detail, service->unit.path);
	return r;
}

static const struct step write_steps[] = { { "state", prepare_state }, { "unit", write_unit } };
static const struct step start_steps[] = { { "reload", reload }, { "enable", enable } };

/* Until one fails. */
static bool run_steps(const struct step *steps, size_t n, struct service *service, json_t **done)
{
	for (size_t i = 0; i < n; i++)
		if (!step_run(&steps[i], service, done))
			return false;
	return true;
}

/* Reports */

static json_t *new_report(const struct service *service, bool ok, json_t *steps)
{
	json_t *report = json_object();

	ccp_json_set_bool(&report, "ok", ok);
	ccp_json_set_str(&report, "unit", service->unit.path);
	ccp_json_set_bool(&report, "changed", service->changed);
	ccp_json_set_new(&report, "steps", steps);
	ccp_json_set(&report, "warnings", ccp_json_arr(service->setup.config, "warnings"));
	return report;
}

#define LINGER "loginctl enable-linger"
#define BY_HAND                                                                                    \
	"systemctl --user daemon-reload\n"                                                         \
	"systemctl --user enable --now " UNIT_NAME "\n"

static void set_commands(json_t **report)
{
	json_t *commands = json_pack("[s, s]", "systemctl --user daemon-reload",
				     "systemctl --user enable --now " UNIT_NAME);

	ccp_json_set_new(report, "commands", commands);
}

/* What was written, and what is left to do. */
static char *tail_of(const struct service *service, bool started)
{
	return ccp_asprintf(
		"%s:\n\n%s\n%s%s", service->unit.path, service->unit.text,
		started ? "It runs while you are logged in; to have it run always:\n" LINGER "\n"
			: "To start it:\n" BY_HAND,
		service->changed && service->unit.found && started
			? "A worker that runs already keeps its settings until: systemctl "
			  "--user restart " UNIT_NAME "\n"
			: "");
}

int admin_worker_enable(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(service_done) struct service service = { 0 };
	_cleanup_free_ char *tail = NULL;
	json_t *steps = json_array(), *report;
	bool ok, started = false;

	if (service_open(&service, options, &err) < 0 ||
	    unit_compose(&service.unit, &service.setup, &err) < 0) {
		json_decref(steps);
		return admin_fail(&err, options);
	}
	ok = run_steps(write_steps, CCP_ARRAY_SIZE(write_steps), &service, &steps);
	if (ok && !options->no_start)
		ok = started = run_steps(start_steps, CCP_ARRAY_SIZE(start_steps), &service,
					 &steps);
	report = new_report(&service, ok, steps);
	ccp_json_set_bool(&report, "started", started);
	ccp_json_set_str(&report, "text", service.unit.text);
	if (!started)
		set_commands(&report);
	ccp_json_set_str(&report, "note",
			 "the unit runs while its user is logged in; always with: " LINGER);
	tail = tail_of(&service, started);
	return admin_report(report, options, tail);
}

/* The file goes also where systemd cannot be asked: then nothing of it runs. */
int admin_worker_disable(const void *data, int argc, char **argv)
{
	static const struct step stop = { "disable", disable }, again = { "reload", reload },
				 go = { "unit", remove_unit };
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(service_done) struct service service = { 0 };
	json_t *steps = json_array();
	bool ok = true;

	if (service_open(&service, options, &err) < 0) {
		json_decref(steps);
		return admin_fail(&err, options);
	}
	if (service.unit.found) {
		ok = step_run(&stop, &service, &steps);
		ok &= step_run(&go, &service, &steps);
		ok = ok && step_run(&again, &service, &steps);
	}
	return admin_report(new_report(&service, ok, steps), options,
			    service.unit.found ? NULL : "there is no unit\n");
}

/* What systemd says of one property, NULL: nothing. */
static json_t *property(const struct service *service, const char *name)
{
	_cleanup_free_ char *option = ccp_asprintf("--property=%s", name), *line = NULL;
	const char *const words[] = { "show", UNIT_NAME, "--value", option, NULL };

	return option && systemctl(service, words, &line, NULL) == 0 && line
		       ? ccp_json_string(line, strlen(line))
		       : NULL;
}

static void set_property(json_t **report, const char *key, const struct service *service,
			 const char *name)
{
	json_auto_t *value = property(service, name);

	ccp_json_set(report, key, value);
}

static char *summary(const json_t *report)
{
	const json_t *worker = ccp_json_obj(report, "worker");
	const char *enabled = ccp_json_str(report, "enabled");
	const char *active = ccp_json_str(report, "active");
	const char *unit = ccp_json_str(ccp_json_obj(worker, "worker"), "unit");
	bool running = ccp_json_bool(worker, "running", false);

	return ccp_asprintf("unit: %s%s\nsystemd: %s, %s\nworker: %s%s%s\n",
			    ccp_json_str(report, "unit"),
			    !ccp_json_bool(report, "installed", false) ? " (not there)"
			    : ccp_json_bool(report, "current", true)
				    ? ""
				    : " (not what worker enable would write now)",
			    enabled ? enabled : "unknown", active ? active : "unknown",
			    running ? "runs" : "does not run", running && unit ? " in " : "",
			    running && unit ? unit : "");
}

int admin_worker_status(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(service_done) struct service service = { 0 };
	_cleanup_free_ char *tail = NULL;
	json_t *report, *worker = NULL;
	int r = service_open(&service, options, &err);

	if (r == 0)
		r = codexcp_worker_describe(service.setup.cp, &worker, &err);
	if (r < 0)
		return admin_fail(&err, options);
	(void)unit_compose(&service.unit, &service.setup, NULL);
	report = json_object();
	ccp_json_set_bool(&report, "ok", true);
	ccp_json_set_str(&report, "unit", service.unit.path);
	ccp_json_set_bool(&report, "installed", service.unit.found != NULL);
	if (service.unit.text)
		ccp_json_set_bool(&report, "current", unit_is_current(&service.unit));
	set_property(&report, "enabled", &service, "UnitFileState");
	set_property(&report, "active", &service, "ActiveState");
	ccp_json_set_new(&report, "worker", worker);
	ccp_json_set(&report, "warnings", ccp_json_arr(service.setup.config, "warnings"));
	tail = summary(report);
	return admin_report(report, options, tail);
}
