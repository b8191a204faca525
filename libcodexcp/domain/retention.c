#include "domain/retention.h"

/* Rows of workers and app-servers, and of commands, that nobody's operation holds. */
#define PROCESSES_KEPT 1000

static int begin(struct ccp_db *db, int64_t now, const struct ccp_retention_rule *rule,
		 struct ccp_retention_pass *pass, struct codexcp_error *err)
{
	int64_t nth = -1;
	int r = ccp_retention_nth(db, rule->operations, &nth, err);

	if (r < 0)
		return r;
	pass->bounds = (struct ccp_retention_bounds){
		.ended_until = CCP_MAX(now - rule->age_ms, nth),
		.keys_until = now - rule->key_window_ms,
		.journal_until = now - rule->journal_age_ms,
		.journal_keep = rule->journal_rows,
		.processes_until = now - rule->age_ms,
		.processes_keep = PROCESSES_KEPT,
	};
	pass->phase = CCP_RETENTION_OPERATIONS;
	return 1;
}

struct slice {
	struct ccp_db *db;
	struct ccp_retention_pass *pass;
	int64_t rows; /* what is left of the slice */
	int64_t seen;
};

/* 1: the slice is used up. */
static int forget(const struct ccp_retention_place *place, const char *id, const char *thread_id,
		  bool forgettable, void *data, struct codexcp_error *err)
{
	struct slice *slice = data;
	bool gone = false;
	int removed = 0;

	slice->seen++;
	if (forgettable)
		removed = ccp_retention_forget(slice->db, id, thread_id, slice->rows, &gone, err);
	if (removed < 0)
		return removed;
	slice->pass->rows += removed;
	slice->pass->operations += gone;
	slice->rows -= removed;
	if (gone || !forgettable)
		slice->pass->place = *place;
	return slice->rows <= 0;
}

static int forget_operations(struct ccp_db *db, struct ccp_retention_pass *pass, int64_t rows,
			     struct codexcp_error *err)
{
	struct slice slice = { .db = db, .pass = pass, .rows = rows };
	int r = ccp_retention_each_ended(db, &pass->bounds, &pass->place, rows, forget, &slice,
					 err);

	if (r == 0 && slice.seen < rows)
		pass->phase = CCP_RETENTION_JOURNAL;
	return r < 0 ? r : 1;
}

static int forget_journal(struct ccp_db *db, struct ccp_retention_pass *pass, int64_t rows,
			  struct codexcp_error *err)
{
	bool more = false;
	int r = ccp_retention_journal(db, &pass->bounds, &pass->journal_after, rows, &more, err);

	if (r < 0)
		return r;
	pass->rows += r;
	if (!more)
		pass->phase = CCP_RETENTION_PROCESSES;
	return 1;
}

static int forget_processes(struct ccp_db *db, struct ccp_retention_pass *pass, int64_t rows,
			    struct codexcp_error *err)
{
	int r = ccp_retention_processes(db, &pass->bounds, rows, err);

	if (r < 0)
		return r;
	pass->rows += r;
	if (r > 0)
		return 1;
	pass->phase = CCP_RETENTION_DONE;
	return 0;
}

static int count_one(const struct ccp_retention_place *place, const char *id, const char *thread_id,
		     bool forgettable, void *data, struct codexcp_error *err)
{
	struct ccp_retention_pass *pass = data;

	pass->operations += forgettable;
	return 0;
}

int ccp_retention_count(struct ccp_db *db, int64_t now, const struct ccp_retention_rule *rule,
			struct ccp_retention_pass *pass, struct codexcp_error *err)
{
	int r = begin(db, now, rule, pass, err);

	if (r >= 0)
		r = ccp_retention_each_ended(db, &pass->bounds, &pass->place, INT64_MAX, count_one,
					     pass, err);
	return r < 0 ? r : ccp_retention_journal_count(db, &pass->bounds, &pass->rows, err);
}

int ccp_retention_slice(struct ccp_db *db, int64_t now, const struct ccp_retention_rule *rule,
			struct ccp_retention_pass *pass, int64_t rows, struct codexcp_error *err)
{
	switch (pass->phase) {
	case CCP_RETENTION_BEGIN:
		return begin(db, now, rule, pass, err);
	case CCP_RETENTION_OPERATIONS:
		return forget_operations(db, pass, rows, err);
	case CCP_RETENTION_JOURNAL:
		return forget_journal(db, pass, rows, err);
	case CCP_RETENTION_PROCESSES:
		return forget_processes(db, pass, rows, err);
	case CCP_RETENTION_DONE:
		break;
	}
	return 0;
}
