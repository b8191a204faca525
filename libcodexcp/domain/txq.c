#include "domain/txq.h"

#include <utlist.h>

#include "base/ids.h"

#define RETRY_MIN_MS    2
#define RETRY_SPREAD_MS 10
/* A full disk or a missing directory does not mend itself in milliseconds. */
#define TROUBLE_PAUSE_MS 1000
/* A lock that is held for longer than this is told as trouble. */
#define STUCK_MS 5000

struct job {
	ccp_tx_fn fn;
	ccp_tx_done_fn done;
	void *data;
	int64_t deadline; /* boot clock; negative: never */
	struct job *next, *prev;
};

struct ccp_txq {
	struct ccp_loop *loop;
	struct ccp_db *db;
	struct ccp_timer *timer;
	struct job *jobs;
	bool running;
	ccp_txq_trouble_fn trouble;
	void *trouble_data;
	int64_t stuck_since; /* boot clock; 0: the last job was written */
	bool told;
};

static int64_t now_ms(const struct ccp_txq *q)
{
	return ccp_clock_boot(ccp_loop_clock(q->loop));
}

static int run_once(struct ccp_txq *q, const struct job *job, struct codexcp_error *err)
{
	int r = ccp_db_begin(q->db, err);

	if (r == 0)
		r = job->fn(q->db, job->data, err);
	if (r >= 0)
		r = ccp_db_commit(q->db, err);
	if (r < 0)
		ccp_db_rollback(q->db);
	return r;
}

/* Milliseconds after which a failed job is worth another try; 0: it has failed. */
static int64_t retry_delay(const struct ccp_txq *q, const struct job *job, int code)
{
	if (code == CODEXCP_E_STATE_BUSY && (job->deadline < 0 || now_ms(q) < job->deadline))
		return RETRY_MIN_MS + ccp_random_below(RETRY_SPREAD_MS);
	if (job->deadline < 0 &&
	    (code == CODEXCP_E_STATE_UNAVAILABLE || code == CODEXCP_E_NO_MEMORY))
		return TROUBLE_PAUSE_MS;
	return 0;
}

static void finish(struct job *job, const struct codexcp_error *err)
{
	if (job->done)
		job->done(err, job->data);
	free(job);
}

/* Jobs behind one that is tried for as long as it takes have deadlines of their own. */
static void expire_jobs(struct ccp_txq *q, const struct codexcp_error *why)
{
	struct job *job, *next;

	DL_FOREACH_SAFE (q->jobs, job, next)
		if (job->deadline >= 0 && now_ms(q) >= job->deadline) {
			DL_DELETE(q->jobs, job);
			finish(job, why);
		}
}

static void note_trouble(struct ccp_txq *q, const struct codexcp_error *why)
{
	if (!q->stuck_since)
		q->stuck_since = now_ms(q);
	if (q->told || (why->code == CODEXCP_E_STATE_BUSY && now_ms(q) - q->stuck_since < STUCK_MS))
		return;
	q->told = true;
	if (q->trouble)
		q->trouble(why, q->trouble_data);
}

static void note_success(struct ccp_txq *q)
{
	bool told = q->told;

	q->stuck_since = 0;
	q->told = false;
	if (told && q->trouble)
		q->trouble(NULL, q->trouble_data);
}

/* Runs until the list is empty or the database is busy. Jobs that callbacks add are run as well. */
static void run_jobs(struct ccp_txq *q)
{
	if (q->running)
		return;
	q->running = true;
	while (q->jobs) {
		_cleanup_error_ struct codexcp_error err = { 0 };
		struct job *job = q->jobs;
		int r = run_once(q, job, &err);
		int64_t delay = r < 0 ? retry_delay(q, job, r) : 0;

		if (delay) {
			note_trouble(q, &err);
			expire_jobs(q, &err);
			ccp_timer_start(q->timer, delay);
			break;
		}
		if (r >= 0)
			note_success(q);
		DL_DELETE(q->jobs, job);
		finish(job, r < 0 ? &err : NULL);
	}
	q->running = false;
}

static void on_timer(void *data)
{
	run_jobs(data);
}

int ccp_txq_new(struct ccp_loop *loop, struct ccp_db *db, struct ccp_txq **ret_q,
		struct codexcp_error *err)
{
	struct ccp_txq *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return ccp_fail_oom(err);
	q->loop = loop;
	q->db = db;
	r = ccp_timer_new(loop, on_timer, q, &q->timer, err);
	if (r < 0) {
		free(q);
		return r;
	}
	*ret_q = q;
	return 0;
}

void ccp_txq_free(struct ccp_txq *q)
{
	struct codexcp_error cancelled = { 0 };

	if (!q)
		return;
	ccp_fail(&cancelled, CODEXCP_E_CANCELLED, "the program is ending");
	q->running = true;
	while (q->jobs) {
		struct job *job = q->jobs;

		DL_DELETE(q->jobs, job);
		finish(job, &cancelled);
	}
	ccp_timer_free(q->timer);
	free(q);
}

int ccp_txq_add(struct ccp_txq *q, ccp_tx_fn fn, ccp_tx_done_fn done, void *data,
		int64_t deadline_ms, struct codexcp_error *err)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return ccp_fail_oom(err);
	*job = (struct job){ .fn = fn,
			     .done = done,
			     .data = data,
			     .deadline = deadline_ms < 0 ? deadline_ms : now_ms(q) + deadline_ms };
	DL_APPEND(q->jobs, job);
	if (!ccp_timer_active(q->timer))
		run_jobs(q);
	return 0;
}

void ccp_txq_on_trouble(struct ccp_txq *q, ccp_txq_trouble_fn fn, void *data)
{
	q->trouble = fn;
	q->trouble_data = data;
}

bool ccp_txq_idle(const struct ccp_txq *q)
{
	return !q->jobs;
}
