/*
 * codexcp_database_check(): one report over all that can be wrong with a state database.
 */
#include <codexcp/database.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "domain/status.h"
#include "service/context.h"
#include "service/database.h"
#include "store/upkeep.h"

struct check {
	struct codexcp *cp;
	struct ccp_db *db;
	json_t *findings; /* of the check that runs */
	json_t *checks;
	bool ok;
};

static void add_finding(const char *text, void *data)
{
	struct check *check = data;

	ccp_json_append_new(&check->findings, ccp_json_string(text, strlen(text)));
}

/* The steps that operations stand at must be known, with the status that belongs to each. A newer
 * version may know others. */
static void check_standing(const struct ccp_op_standing *standing, void *data)
{
	enum ccp_step step;
	char text[256];
	const struct ccp_step_row *row = ccp_step_parse(standing->phase, &step) ? ccp_step_row(step)
										: NULL;

	if (row && ccp_streq(row->status, standing->status) &&
	    standing->active == !(row->flags & CCP_STEP_TERMINAL))
		return;
	snprintf(text, sizeof(text), "operation %s and %d more: phase %s, status %s, active %d",
		 standing->id, (int)standing->count - 1, standing->phase, standing->status,
		 (int)standing->active);
	add_finding(text, data);
}

static int check_statuses(struct check *check, size_t i, struct codexcp_error *err)
{
	return ccp_op_each_standing(check->db, check_standing, check, err);
}

static int check_pages(struct check *check, size_t i, struct codexcp_error *err)
{
	return ccp_db_check_pages(check->db, add_finding, check, err);
}

static int check_references(struct check *check, size_t i, struct codexcp_error *err)
{
	return ccp_db_check_references(check->db, add_finding, check, err);
}

static int check_rule(struct check *check, size_t i, struct codexcp_error *err)
{
	return ccp_db_check_rule(check->db, i, add_finding, check, err);
}

typedef int (*check_fn)(struct check *check, size_t i, struct codexcp_error *err);

static int run(struct check *check, const char *name, const char *detail, check_fn fn, size_t i,
	       struct codexcp_error *err)
{
	const struct ccp_clock *clock = ccp_context_clock(check->cp);
	int64_t began = ccp_clock_boot(clock);
	json_t *o = json_object();
	bool ok;
	int r;

	check->findings = json_array();
	r = fn(check, i, err);
	/* What cannot even be read is damaged: that is a finding, too. */
	if (r == CODEXCP_E_STATE_UNAVAILABLE && err) {
		add_finding(err->message, check);
		codexcp_error_done(err);
		r = 0;
	}
	ok = json_array_size(check->findings) == 0;
	check->ok &= ok;
	ccp_json_set_str(&o, "name", name);
	ccp_json_set_bool(&o, "ok", ok);
	ccp_json_set_int(&o, "milliseconds", ccp_clock_boot(clock) - began);
	ccp_json_set_str(&o, "detail",
			 ok ? detail : json_string_value(json_array_get(check->findings, 0)));
	if (!ok)
		ccp_json_set(&o, "findings", check->findings);
	ccp_json_append_new(&check->checks, o);
	json_decref(TAKE_PTR(check->findings));
	return r;
}

static int run_all(struct check *check, struct codexcp_error *err)
{
	size_t n;
	const struct ccp_db_rule *rules = ccp_db_rules(&n);
	int r = run(check, "pages", "SQLite finds nothing wrong with the file", check_pages, 0,
		    err);

	if (r == 0)
		r = run(check, "references", "rows that are named are there", check_references, 0,
			err);
	if (r == 0)
		r = run(check, "statuses", "every operation has a status that is known",
			check_statuses, 0, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = run(check, rules[i].name, rules[i].meaning, check_rule, i, err);
	return r;
}

static json_t *counts_json(struct ccp_db *db)
{
	struct ccp_op_counts counts = { 0 };
	int64_t total = 0;
	json_t *o = json_object();

	if (ccp_op_count(db, &counts, NULL) < 0 || ccp_op_count_all(db, &total, NULL) < 0)
		return o;
	ccp_json_set_int(&o, "total", total);
	ccp_json_set_int(&o, "active", counts.active);
	return o;
}

int codexcp_database_check(struct codexcp *cp, json_t **ret_report, struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	_cleanup_error_ struct codexcp_error failure = { 0 };
	struct check check = { .cp = cp, .ok = true };
	json_t *report;
	int r = ccp_database_open(cp, &db, err);

	if (r < 0)
		return r;
	check.db = db;
	check.checks = json_array();
	r = run_all(&check, &failure);
	if (r < 0) {
		json_decref(check.checks);
		return ccp_fail_copy(err, &failure);
	}
	report = json_object();
	ccp_json_set_bool(&report, "ok", check.ok);
	ccp_json_set_str(&report, "path", ccp_db_path(db));
	ccp_json_set_int(&report, "schema", ccp_db_schema(db));
	ccp_database_add_size(db, &report);
	ccp_json_set_new(&report, "operations", counts_json(db));
	ccp_json_set_new(&report, "checks", check.checks);
	if (!report)
		return ccp_fail_oom(err);
	*ret_report = report;
	return 0;
}
