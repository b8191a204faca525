/*
 * db check, backup, prune, vacuum: the library's reports on the state database, printed.
 */
#include <codexcp/database.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

/* Ends the command: prints the report, or why there is none. */
static int finish(int r, json_t *report, const char *tail, const struct admin_options *options,
		  const struct codexcp_error *err)
{
	return r < 0 ? admin_fail(err, options) : admin_report(report, options, tail);
}

static int64_t number_of(const json_t *report, const char *key)
{
	return ccp_json_int(report, key, 0);
}

int admin_db_check(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	json_t *report = NULL;
	int r = admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err);

	if (r == 0)
		r = codexcp_database_check(setup.cp, &report, &err);
	return finish(r, report, NULL, options, &err);
}

int admin_db_backup(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_free_ char *tail = NULL;
	json_t *report = NULL;
	int r = admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err);

	if (r == 0 && argc < 1)
		r = ccp_fail_argument(&err, "FILE", "where the backup goes", NULL);
	if (r == 0)
		r = codexcp_database_backup(setup.cp, argv[0], &report, &err);
	if (r == 0)
		tail = ccp_asprintf("%s: %lld bytes\n", argv[0],
				    (long long)number_of(report, "bytes"));
	return finish(r, report, tail, options, &err);
}

/* "30d", "12h", "45m"; a bare number is days. */
static bool parse_age(const char *text, long long *ret_ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 } };
	size_t len = strlen(text);
	_cleanup_free_ char *digits = strdup(text);
	int64_t value, unit_ms = units[0].ms;

	for (size_t i = 0; digits && len && i < CCP_ARRAY_SIZE(units); i++)
		if (text[len - 1] == units[i].unit) {
			unit_ms = units[i].ms;
			digits[len - 1] = '\0';
		}
	if (!digits || !ccp_parse_i64(digits, &value) || value < 1 ||
	    value > INT64_MAX / units[0].ms)
		return false;
	*ret_ms = value * unit_ms;
	return true;
}

static int read_prune(const struct admin_options *options, struct codexcp_prune *prune,
		      struct codexcp_error *err)
{
	int64_t keep = 0;

	prune->dry_run = options->dry_run;
	if (options->older_than && !parse_age(options->older_than, &prune->older_than_ms))
		return ccp_fail_argument(err, "--older-than", "an age such as 30d or 12h", NULL);
	if (options->keep && (!ccp_parse_i64(options->keep, &keep) || keep < 1))
		return ccp_fail_argument(err, "--keep", "how many to keep, 1 or more", NULL);
	prune->keep = keep;
	return 0;
}

int admin_db_prune(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_free_ char *tail = NULL;
	struct codexcp_prune prune = { 0 };
	json_t *report = NULL;
	int r = read_prune(options, &prune, &err);

	if (r == 0)
		r = admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err);
	if (r == 0)
		r = codexcp_database_prune(setup.cp, &prune, &report, &err);
	if (r == 0)
		tail = ccp_asprintf("%s%lld operations, %lld rows\n",
				    prune.dry_run ? "would remove " : "removed ",
				    (long long)number_of(report, "operations"),
				    (long long)number_of(report, "rows"));
	return finish(r, report, tail, options, &err);
}

int admin_db_vacuum(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_free_ char *tail = NULL;
	json_t *report = NULL;
	int r = admin_setup_open(&setup, options, ADMIN_ROOTS_AS_CONFIGURED, &err);

	if (r == 0)
		r = codexcp_database_vacuum(setup.cp, &report, &err);
	if (r == 0)
		tail = ccp_asprintf("%lld bytes before, %lld now (%s)\n",
				    (long long)number_of(report, "databaseBytesBefore"),
				    (long long)number_of(report, "databaseBytes"),
				    ccp_json_str(report, "mode"));
	return finish(r, report, tail, options, &err);
}
