/*
 * doctor: looks at everything that a task needs, and changes nothing.
 */
#include <string.h>
#include <unistd.h>

#include <codexcp/worker.h>

#include "admin/capture.h"
#include "admin/lifetime.h"
#include "admin/smoke.h"
#include "admin/steps.h"
#include "base/json.h"
#include "base/str.h"

#define VERSION_MS 15000

struct doctor {
	struct admin_setup *setup;
	json_t *codex;    /* {path, version}; NULL: no answer */
	json_t *lifetime; /* of lifetime_describe() */
};

static const char *said(const struct doctor *doctor, const char *key)
{
	return ccp_json_str(doctor->setup->config, key);
}

static int check_configuration(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	const char *file = said(data, "configFile");

	ccp_strbuf_append(detail, file ? file : "no file; environment and defaults");
	return 0;
}

/* Codex makes its default home, but not one that it is told of. */
static int check_codex_home(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct doctor *doctor = data;
	const char *home = said(doctor, "codexHome");
	bool named = ccp_json_path(doctor->setup->config, "environment.CODEX_HOME");

	if (named && access(home, F_OK) < 0)
		return ccp_fail(err, CODEXCP_E_CONFIG_INVALID,
				"CODEX_HOME is %s, which does not exist; Codex does not start "
				"without it",
				home);
	ccp_strbuf_append(detail, home);
	return 0;
}

static int check_state(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct doctor *doctor = data;
	int r = codexcp_state_check(doctor->setup->cp, err);

	ccp_strbuf_appendf(detail, "%s%s", said(doctor, "stateDb"),
			   r == 0 ? ", made by init or by the first task" : "");
	return r;
}

static int check_codex(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct doctor *doctor = data;
	const json_t *config = doctor->setup->config;
	const char *path = json_string_value(ccp_json_path(config, "codexBinary.path"));
	const char *why = json_string_value(ccp_json_path(config, "codexBinary.error.message"));
	const char *const argv[] = { path, "--version", NULL };
	_cleanup_free_ char *version = NULL;
	int r;

	if (!path)
		return ccp_fail(err, CODEXCP_E_APP_SERVER_UNAVAILABLE, "%s", why ? why : "");
	r = capture_line(argv, (const char *const *)doctor->setup->environment, VERSION_MS,
			 &version, err);
	if (r < 0)
		return r;
	doctor->codex = json_pack("{s:s, s:s}", "path", path, "version", version);
	ccp_strbuf_appendf(detail, "%s, %s", version, path);
	return doctor->codex ? 0 : ccp_fail_oom(err);
}

static int check_roots(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct doctor *doctor = data;
	json_t *roots = ccp_json_arr(doctor->setup->config, "allowedRoots"), *root;
	size_t i;

	if (!json_array_size(roots))
		return ccp_fail(err, CODEXCP_E_CONFIG_INVALID,
				"there is no allowed root, so no task is accepted; set "
				"CODEX_PROJECTS_ROOT or CODEX_ALLOWED_ROOTS, or run init in the "
				"directory of your projects");
	json_array_foreach (roots, i, root)
		ccp_strbuf_appendf(detail, "%s%s", i ? ", " : "", json_string_value(root));
	if (!ccp_json_bool(doctor->setup->config, "rootsConfigured", false))
		ccp_strbuf_append(detail, " (the working directory; nothing is configured)");
	return 0;
}

static int check_lifetime(void *data, struct ccp_strbuf *detail, struct codexcp_error *err)
{
	struct doctor *doctor = data;
	json_auto_t *worker = NULL;
	const char *unit;

	(void)codexcp_worker_describe(doctor->setup->cp, &worker, NULL);
	doctor->lifetime = lifetime_describe(doctor->setup->environment, worker);
	if (!doctor->lifetime)
		return ccp_fail_oom(err);
	unit = ccp_json_str(doctor->lifetime, "unit");
	ccp_strbuf_appendf(detail, "%s%s%s: %s", ccp_json_str(doctor->lifetime, "case"),
			   unit ? " " : "", unit ? unit : "",
			   ccp_json_str(doctor->lifetime, "detail"));
	return 0;
}

static const struct step checks[] = {
	{ "configuration", check_configuration },
	{ "codex_home", check_codex_home },
	{ "state", check_state },
	{ "codex", check_codex },
	{ "allowed_roots", check_roots },
	{ "worker_lifetime", check_lifetime },
};

static json_t *examine(struct doctor *doctor, const struct admin_options *options)
{
	json_t *report = json_object(), *done = json_array(), *smoke;
	bool ok = true;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(checks); i++)
		ok &= step_run(&checks[i], doctor, &done);
	smoke = smoke_protocol(doctor->setup, options->skip_smoke);
	ok &= options->skip_smoke || ccp_json_bool(smoke, "ok", false);
	ccp_json_set_bool(&report, "ok", ok);
	ccp_json_set_new(&report, "checks", done);
	ccp_json_set(&report, "warnings", ccp_json_arr(doctor->setup->config, "warnings"));
	ccp_json_set(&report, "codex", doctor->codex);
	ccp_json_set(&report, "workerLifetime", doctor->lifetime);
	ccp_json_set_new(&report, "hooks", json_pack("{s:b}", "skipped", true));
	ccp_json_set_new(&report, "protocolSmoke", smoke);
	ccp_json_set(&report, "configuration", doctor->setup->config);
	return report;
}

int admin_doctor(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	struct doctor doctor = { .setup = &setup };
	json_t *report;

	if (admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err) < 0)
		return admin_fail(&err, options);
	report = examine(&doctor, options);
	json_decref(doctor.codex);
	json_decref(doctor.lifetime);
	return admin_report(report, options, NULL);
}
