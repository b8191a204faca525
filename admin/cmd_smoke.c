/*
 * smoke: drives the server as a client does, and reports each step.
 */
#include <sys/stat.h>

#include "admin/smoke.h"
#include "base/path.h"
#include "base/str.h"

#define TIMEOUT_MAX_SECONDS 86400

static int read_timeout(const char *text, int64_t *ret_ms, struct codexcp_error *err)
{
	int64_t seconds = 0;

	if (text &&
	    (!ccp_parse_i64(text, &seconds) || seconds < 1 || seconds > TIMEOUT_MAX_SECONDS))
		return ccp_fail_argument(err, "--timeout-seconds", "an integer from 1 to 86400",
					 NULL);
	*ret_ms = seconds * 1000;
	return 0;
}

static int find_directory(const char *path, char **ret_cwd, struct codexcp_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return ccp_fail_argument(err, "--cwd", "a directory that exists", NULL);
	return ccp_path_canonical(path, ret_cwd, err);
}

static int make_plan(struct smoke_plan *plan, const struct admin_options *options, char **ret_cwd,
		     struct codexcp_error *err)
{
	int r;

	plan->scenario = options->scenario ? options->scenario : "protocol";
	r = smoke_check_scenario(plan->scenario, err);
	if (r == 0)
		r = read_timeout(options->timeout_seconds, &plan->timeout_ms, err);
	if (r == 0)
		r = find_directory(options->cwd ? options->cwd : ".", ret_cwd, err);
	if (r == 0)
		plan->cwd = *ret_cwd;
	return r;
}

int admin_smoke(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_(admin_environment_freep) char **environment = NULL;
	_cleanup_free_ char *cwd = NULL;
	struct smoke_plan plan = { 0 };
	int r = make_plan(&plan, options, &cwd, &err);

	if (r == 0)
		r = admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err);
	if (r == 0 && !smoke_plan_init(&plan, &setup, &environment))
		r = ccp_fail_oom(&err);
	return r < 0 ? admin_fail(&err, options) : admin_report(smoke_run(&plan), options, NULL);
}
