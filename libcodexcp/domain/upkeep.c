#include "domain/upkeep.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "store/upkeep.h"

#define FIRST_MS 5000
#define SLICE_MS 50
#define PASS_MS  (60 * 60 * 1000)
/* How often the log is looked at. */
#define LOG_MS 2000

/* A slice should take about this long; its size follows. */
#define SLICE_TAKES_MS 4
#define ROWS_FIRST     64
#define ROWS_MIN       8
#define ROWS_MAX       1024

/* What stays free for what is written next: 4 MiB with our pages. */
#define SLACK_PAGES  1024
#define SHRINK_PAGES 64

/* SQLite writes the log back from 4 MiB on, and begins it anew when no reader looks at it. Readers
 * that relieve one another keep it from that for ever: then it is emptied in a moment of ours. */
#define LOG_BYTES     (8 * 1024 * 1024)
#define LOG_BYTES_BAD (256 * 1024 * 1024)

struct ccp_upkeep {
	struct ccp_upkeep_options options;
	struct ccp_timer *timer, *log_timer;
	struct ccp_retention_pass pass, next; /* as committed, as the running slice makes it */
	int64_t rows, began_ms;
	bool more, shrinking, told_log;
	int passes;
};

static const struct ccp_clock *clock_of(const struct ccp_upkeep *upkeep)
{
	return ccp_loop_clock(upkeep->options.loop);
}

/* One piece of what there is to give back. Nothing can be given back in a database that was made
 * without auto_vacuum (from a dump): free pages stay what they are, for what is written next. */
static int shrink(struct ccp_db *db, struct ccp_upkeep *upkeep, struct codexcp_error *err)
{
	struct ccp_db_size before = { 0 }, after = { 0 };
	int r = ccp_db_size(db, &before, err);

	upkeep->shrinking = false;
	if (r < 0 || before.free_pages <= SLACK_PAGES)
		return r;
	r = ccp_db_shrink(db, SHRINK_PAGES, err);
	if (r == 0)
		r = ccp_db_size(db, &after, err);
	upkeep->shrinking = r == 0 && after.pages < before.pages;
	return r;
}

static int slice_tx(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct ccp_upkeep *upkeep = data;
	int r;

	upkeep->began_ms = ccp_clock_boot(clock_of(upkeep));
	if (upkeep->shrinking)
		return shrink(db, upkeep, err);
	upkeep->next = upkeep->pass;
	r = ccp_retention_slice(db, ccp_clock_wall(clock_of(upkeep)), &upkeep->options.rule,
				&upkeep->next, upkeep->rows, err);
	upkeep->more = r == 1;
	return r == 0 ? shrink(db, upkeep, err) : CCP_MIN(r, 0);
}

static void finish_pass(struct ccp_upkeep *upkeep)
{
	char operations[32], rows[32];

	snprintf(operations, sizeof(operations), "%" PRId64, upkeep->pass.operations);
	snprintf(rows, sizeof(rows), "%" PRId64, upkeep->pass.rows);
	if (upkeep->pass.rows)
		ccp_log(CCP_LOG_INFO, "old rows were removed", "operations", operations, "rows",
			rows, NULL);
	upkeep->passes++;
	upkeep->pass = (struct ccp_retention_pass){ 0 };
}

static void slice_done(const struct codexcp_error *err, void *data)
{
	struct ccp_upkeep *upkeep = data;
	int64_t took = ccp_clock_boot(clock_of(upkeep)) - upkeep->began_ms;

	if (err && err->code == CODEXCP_E_CANCELLED)
		return;
	if (err) {
		/* Somebody else writes: soon again. A full or failing disk has other worries. */
		upkeep->shrinking = false;
		ccp_timer_start(upkeep->timer, err->code == CODEXCP_E_STATE_BUSY
						       ? upkeep->options.slice_ms
						       : upkeep->options.pass_ms);
		return;
	}
	upkeep->pass = upkeep->next;
	if (took > SLICE_TAKES_MS)
		upkeep->rows = CCP_MAX(upkeep->rows / 2, ROWS_MIN);
	else if (took < SLICE_TAKES_MS / 2)
		upkeep->rows = CCP_MIN(upkeep->rows * 2, ROWS_MAX);
	if (!upkeep->more && !upkeep->shrinking)
		finish_pass(upkeep);
	ccp_timer_start(upkeep->timer, upkeep->more || upkeep->shrinking ? upkeep->options.slice_ms
									 : upkeep->options.pass_ms);
}

static void on_timer(void *data)
{
	struct ccp_upkeep *upkeep = data;

	/* What runs goes first. */
	if (!ccp_txq_idle(upkeep->options.txq)) {
		ccp_timer_start(upkeep->timer, upkeep->options.slice_ms);
		return;
	}
	/* Nothing waits and nothing may wait: it is done, or refused, when this returns. */
	if (ccp_txq_add(upkeep->options.txq, slice_tx, slice_done, upkeep, 0, NULL) < 0)
		ccp_timer_start(upkeep->timer, upkeep->options.pass_ms);
}

/* Told once, until it is small again: whoever reads without end is another program. */
static void tell_log(struct ccp_upkeep *upkeep, int64_t bytes)
{
	char text[32];

	if (bytes > LOG_BYTES_BAD && !upkeep->told_log) {
		snprintf(text, sizeof(text), "%" PRId64, bytes);
		ccp_log(CCP_LOG_WARNING,
			"the write-ahead log cannot be emptied: another program reads the database "
			"without end",
			"bytes", text, NULL);
	}
	upkeep->told_log = bytes > LOG_BYTES_BAD;
}

static void on_log_timer(void *data)
{
	struct ccp_upkeep *upkeep = data;
	struct ccp_db_size size = { 0 };

	ccp_timer_start(upkeep->log_timer, upkeep->options.log_ms);
	if (ccp_db_size(upkeep->options.db, &size, NULL) < 0 || size.log_bytes <= LOG_BYTES ||
	    !ccp_txq_idle(upkeep->options.txq))
		return;
	if (ccp_db_checkpoint(upkeep->options.db, NULL) == 1)
		size.log_bytes = 0;
	tell_log(upkeep, size.log_bytes);
}

static int64_t or_default(int64_t value, int64_t standard)
{
	return value ? value : standard;
}

int ccp_upkeep_new(const struct ccp_upkeep_options *options, struct ccp_upkeep **ret_upkeep,
		   struct codexcp_error *err)
{
	struct ccp_upkeep *upkeep = calloc(1, sizeof(*upkeep));
	int r;

	if (!upkeep)
		return ccp_fail_oom(err);
	upkeep->options = *options;
	upkeep->options.first_ms = or_default(options->first_ms, FIRST_MS);
	upkeep->options.slice_ms = or_default(options->slice_ms, SLICE_MS);
	upkeep->options.pass_ms = or_default(options->pass_ms, PASS_MS);
	upkeep->options.log_ms = or_default(options->log_ms, LOG_MS);
	upkeep->rows = ROWS_FIRST;
	r = ccp_timer_new(options->loop, on_timer, upkeep, &upkeep->timer, err);
	if (r == 0)
		r = ccp_timer_new(options->loop, on_log_timer, upkeep, &upkeep->log_timer, err);
	if (r < 0) {
		ccp_upkeep_free(upkeep);
		return r;
	}
	ccp_timer_start(upkeep->timer, upkeep->options.first_ms);
	ccp_timer_start(upkeep->log_timer, upkeep->options.log_ms);
	*ret_upkeep = upkeep;
	return 0;
}

void ccp_upkeep_free(struct ccp_upkeep *upkeep)
{
	if (!upkeep)
		return;
	ccp_timer_free(upkeep->timer);
	ccp_timer_free(upkeep->log_timer);
	free(upkeep);
}

int ccp_upkeep_passes(const struct ccp_upkeep *upkeep)
{
	return upkeep->passes;
}
