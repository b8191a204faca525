/*
 * Backup, prune and vacuum: the inside of <codexcp/database.h>.
 */
#include <codexcp/database.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/process.h"
#include "service/database.h"
#include "store/upkeep.h"

/* As long as a call waits for other writers. */
#define PATIENCE_MS 10000
#define RETRY_MS    20
/* Between slices others get their turn. */
#define BETWEEN_MS   5
#define SLICE_ROWS   500
#define SHRINK_PAGES 256

/* Waiting, on the context's loop */

static void on_timer(void *data)
{
	*(bool *)data = true;
}

static int wait_ms(struct codexcp *cp, int64_t ms, struct codexcp_error *err)
{
	struct ccp_timer *timer = NULL;
	bool over = false;
	int r = ccp_timer_new(cp->loop, on_timer, &over, &timer, err);

	if (r < 0)
		return r;
	ccp_timer_start(timer, ms);
	while (!over)
		ccp_loop_step(cp->loop);
	ccp_timer_free(timer);
	return 0;
}

static int open_for_writing(struct codexcp *cp, struct codexcp_error *err)
{
	const struct ccp_clock *clock = ccp_context_clock(cp);
	int64_t until = ccp_clock_boot(clock) + PATIENCE_MS;
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	while ((r = ccp_state_open(cp, err)) == CODEXCP_E_STATE_BUSY &&
	       ccp_clock_boot(clock) < until)
		if (wait_ms(cp, RETRY_MS, NULL) < 0)
			break;
	return r;
}

/* A transaction, to its end. */
struct job {
	ccp_tx_fn fn;
	void *data;
	bool done;
	struct codexcp_error error;
};

static int job_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct job *job = data;

	return job->fn(db, job->data, err);
}

static void job_done(const struct codexcp_error *err, void *data)
{
	struct job *job = data;

	job->done = true;
	if (err)
		ccp_fail_copy(&job->error, err);
}

static int write_now(struct codexcp *cp, ccp_tx_fn fn, void *data, struct codexcp_error *err)
{
	struct job job = { .fn = fn, .data = data };
	int r = ccp_txq_add(cp->txq, job_tx, job_done, &job, PATIENCE_MS, err);

	while (r == 0 && !job.done)
		ccp_loop_step(cp->loop);
	if (job.error.code)
		r = ccp_fail_copy(err, &job.error);
	codexcp_error_done(&job.error);
	return r;
}

/* Reports */

int ccp_database_open(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err)
{
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	r = ccp_state_check_place(cp, err);
	return r < 0 ? r : ccp_db_open(cp->config->state_db_path, CCP_DB_READ, ret_db, err);
}

void ccp_database_add_size(struct ccp_db *db, json_t **report)
{
	struct ccp_db_size size = { 0 };

	if (ccp_db_size(db, &size, NULL) < 0)
		return;
	ccp_json_set_int(report, "databaseBytes", size.pages * size.page_bytes);
	ccp_json_set_int(report, "freeBytes", size.free_pages * size.page_bytes);
	ccp_json_set_int(report, "logBytes", size.log_bytes);
}

static json_t *new_report(const struct codexcp *cp)
{
	json_t *report = json_object();

	ccp_json_set_bool(&report, "ok", true);
	ccp_json_set_str(&report, "path", cp->config->state_db_path);
	return report;
}

static int give(json_t *report, json_t **ret_report, struct codexcp_error *err)
{
	if (!report)
		return ccp_fail_oom(err);
	*ret_report = report;
	return 0;
}

/* Backup */

static int copy_into(struct ccp_db *db, const char *path, struct codexcp_error *err)
{
	_cleanup_free_ char *temp = ccp_asprintf("%s.XXXXXX", path);
	_cleanup_close_ int fd = -1;
	int r;

	if (!temp)
		return ccp_fail_oom(err);
	fd = ccp_file_temp(temp, err);
	if (fd < 0)
		return fd;
	r = ccp_db_copy(db, temp, err);
	if (r == 0)
		r = ccp_file_publish(fd, temp, path, err);
	if (r < 0)
		unlink(temp);
	return r;
}

int codexcp_database_backup(struct codexcp *cp, const char *path, json_t **ret_report,
			    struct codexcp_error *err)
{
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	json_t *report;
	int r;

	if (access(path, F_OK) == 0)
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT,
				"%s exists; a backup replaces nothing", path);
	r = ccp_database_open(cp, &db, err);
	if (r < 0)
		return r;
	r = copy_into(db, path, err);
	if (r < 0) {
		ccp_error_prefix(err, "no backup was made in %s", path);
		return r;
	}
	report = new_report(cp);
	ccp_json_set_str(&report, "backup", path);
	ccp_json_set_int(&report, "bytes", ccp_file_size(path));
	return give(report, ret_report, err);
}

/* Prune */

struct prune {
	struct codexcp *cp;
	struct ccp_retention_rule rule;
	struct ccp_retention_pass pass, next;
};

static int64_t wall_ms(const struct codexcp *cp)
{
	return ccp_clock_wall(ccp_context_clock(cp));
}

static int slice_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct prune *prune = data;

	prune->next = prune->pass;
	return CCP_MIN(ccp_retention_slice(db, wall_ms(prune->cp), &prune->rule, &prune->next,
					   SLICE_ROWS, err),
		       0);
}

static int prune_all(struct prune *prune, struct codexcp_error *err)
{
	int r = 0;

	while (r == 0 && prune->pass.phase != CCP_RETENTION_DONE) {
		r = write_now(prune->cp, slice_tx, prune, err);
		if (r == 0)
			prune->pass = prune->next;
		if (r == 0)
			r = wait_ms(prune->cp, BETWEEN_MS, err);
	}
	return r;
}

/* With what is there: nothing is made, and nothing migrated. `ret_db` NULL: there is none. */
static int count_all(struct prune *prune, struct ccp_db **ret_db, struct codexcp_error *err)
{
	int r;

	(void)ccp_state_refresh(prune->cp);
	r = ccp_state_reader(prune->cp, ret_db, err);
	return r == 1 ? ccp_retention_count(*ret_db, wall_ms(prune->cp), &prune->rule, &prune->pass,
					    err)
		      : r;
}

static void set_rule(struct prune *prune, const struct codexcp_prune *options)
{
	prune->rule = ccp_context_retention(prune->cp);
	if (options->older_than_ms)
		prune->rule.age_ms = prune->rule.journal_age_ms = options->older_than_ms;
	if (options->keep)
		prune->rule.operations = options->keep;
}

int codexcp_database_prune(struct codexcp *cp, const struct codexcp_prune *options,
			   json_t **ret_report, struct codexcp_error *err)
{
	static const struct codexcp_prune as_configured = { 0 };
	struct ccp_db *db = NULL;
	struct prune prune = { .cp = cp };
	json_t *report;
	int r;

	options = options ? options : &as_configured;
	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	set_rule(&prune, options);
	if (options->dry_run)
		r = count_all(&prune, &db, err);
	else if ((r = open_for_writing(cp, err)) == 0)
		r = prune_all(&prune, err);
	if (r < 0)
		return r;
	db = options->dry_run ? db : cp->db;
	report = new_report(cp);
	ccp_json_set_bool(&report, "dryRun", options->dry_run);
	ccp_json_set_int(&report, "operations", prune.pass.operations);
	ccp_json_set_int(&report, "rows", prune.pass.rows);
	if (db)
		ccp_database_add_size(db, &report);
	return give(report, ret_report, err);
}

/* Vacuum */

static int shrink_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	return ccp_db_shrink(db, SHRINK_PAGES, err);
}

static int shrink_all(struct codexcp *cp, struct codexcp_error *err)
{
	struct ccp_db_size size = { 0 };
	int64_t before = INT64_MAX;
	int r = ccp_db_size(cp->db, &size, err);

	/* It ends also when nothing more can be given back. */
	while (r == 0 && size.free_pages && size.pages < before) {
		before = size.pages;
		r = write_now(cp, shrink_tx, NULL, err);
		if (r == 0)
			r = wait_ms(cp, BETWEEN_MS, err);
		if (r == 0)
			r = ccp_db_size(cp->db, &size, err);
	}
	return r;
}

/* Who holds the worker lock keeps workers from starting meanwhile. 1 done, 0 somebody works. */
static int rebuild(struct codexcp *cp, struct codexcp_error *err)
{
	_cleanup_free_ char *path = ccp_state_lock_path(cp);
	_cleanup_close_ int fd = -1;
	int r = path ? ccp_lock_try(path, &fd, err) : ccp_fail_oom(err);

	if (r != 1)
		return r;
	r = ccp_db_rebuild(cp->db, err);
	return r == CODEXCP_E_STATE_BUSY ? 0 : r < 0 ? r : 1;
}

int codexcp_database_vacuum(struct codexcp *cp, json_t **ret_report, struct codexcp_error *err)
{
	struct ccp_db_size before = { 0 };
	json_t *report;
	int full = 0, r = open_for_writing(cp, err);

	if (r == 0)
		r = ccp_db_size(cp->db, &before, err);
	if (r == 0)
		full = r = rebuild(cp, err);
	if (r == 0)
		r = shrink_all(cp, err);
	if (r >= 0)
		r = ccp_db_checkpoint(cp->db, err);
	if (r < 0)
		return r;
	report = new_report(cp);
	ccp_json_set_str(&report, "mode", full ? "full" : "incremental");
	ccp_json_set_int(&report, "databaseBytesBefore", before.pages * before.page_bytes);
	ccp_database_add_size(cp->db, &report);
	return give(report, ret_report, err);
}
