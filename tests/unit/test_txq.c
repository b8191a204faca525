#include <ccp_db_check.h>

#include "base/strbuf.h"
#include "domain/txq.h"
#include "store/worker_store.h"

struct fixture {
	struct db_fixture db;
	struct ccp_db *other; /* holds the lock where a test says so */
	struct ccp_loop *loop;
	struct ccp_txq *q;
	struct ccp_timer *timer;
	struct ccp_strbuf log;
};

/* A job that writes its key; results go to the log as "key" or "key:CODE". */
struct job {
	struct fixture *f;
	const char *key;
	int fail_times, fail_code; /* what its transaction answers so many times */
	int runs;
	struct job *then; /* added by `done` */
	bool stop;        /* `done` stops the loop */
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){ .log = CCP_STRBUF(4096) };
	db_setup(&f->db);
	f->other = db_open(f->db.path, CCP_DB_WRITE);
	OK(ccp_loop_new(NULL, &f->loop, &db_err));
	OK(ccp_txq_new(f->loop, f->db.db, &f->q, &db_err));
}

static void done(struct fixture *f)
{
	ccp_txq_free(f->q);
	ccp_timer_free(f->timer);
	ccp_loop_free(f->loop);
	ccp_db_close(f->other);
	ccp_strbuf_done(&f->log);
	db_done(&f->db);
}

static int write_key(struct ccp_db *db, void *data, struct codexcp_error *err)
{
	struct job *job = data;
	int r = ccp_meta_set(db, job->key, "set", err);

	job->runs++;
	if (r == 0 && job->fail_times) {
		job->fail_times--;
		return ccp_fail(err, job->fail_code, "as told");
	}
	return r;
}

static void add(struct job *job, int64_t deadline_ms);

static void written(const struct codexcp_error *err, void *data)
{
	struct job *job = data;

	ccp_strbuf_appendf(&job->f->log, "%s%s", job->f->log.len ? " " : "", job->key);
	if (err)
		ccp_strbuf_appendf(&job->f->log, ":%s", codexcp_error_name(err->code));
	if (job->then)
		add(job->then, 1000);
	if (job->stop)
		ccp_loop_stop(job->f->loop);
}

static void add(struct job *job, int64_t deadline_ms)
{
	OK(ccp_txq_add(job->f->q, write_key, written, job, deadline_ms, &db_err));
}

static void check_log(const struct fixture *f, const char *want)
{
	ck_assert_str_eq(ccp_strbuf_str(&f->log), want);
}

static void check_keys(const struct fixture *f, const char *want)
{
	db_expect(f->db.path, "SELECT key FROM meta WHERE value = 'set' ORDER BY key", want);
}

START_TEST(test_at_once)
{
	struct fixture f;
	struct job c = { &f, "c" }, a = { &f, "a", .then = &c }, b = { &f, "b" };

	setup(&f);
	ck_assert(ccp_txq_idle(f.q));
	add(&a, 0);
	add(&b, 0);
	ck_assert(ccp_txq_idle(f.q));
	check_log(&f, "a c b");
	check_keys(&f, "a\nb\nc\n");
	OK(ccp_txq_add(f.q, write_key, NULL, &a, 0, &db_err));
	done(&f);
}
END_TEST

/* Nothing of a job that fails stays, and the next one does not mind. */
START_TEST(test_failure)
{
	struct fixture f;
	struct job a = { &f, "a", .fail_times = 1, .fail_code = CODEXCP_E_IDEMPOTENCY_CONFLICT },
		   b = { &f, "b" };

	setup(&f);
	add(&a, 1000);
	add(&b, 1000);
	check_log(&f, "a:CODEX_IDEMPOTENCY_CONFLICT b");
	check_keys(&f, "b\n");
	ck_assert_int_eq(a.runs, 1);
	done(&f);
}
END_TEST

static void release(void *data)
{
	struct fixture *f = data;

	check_log(f, "");
	OK(ccp_meta_set(f->other, "other", "set", &db_err));
	OK(ccp_db_commit(f->other, &db_err));
}

/* What waits is committed in its order once the other writer has finished. */
START_TEST(test_waits_for_other_writer)
{
	struct fixture f;
	struct job d = { &f, "d", .stop = true }, a = { &f, "a" }, b = { &f, "b", .then = &d },
		   c = { &f, "c" };

	setup(&f);
	OK(ccp_db_begin(f.other, &db_err));
	add(&a, 20000);
	add(&b, CCP_TXQ_FOR_EVER);
	add(&c, 20000);
	ck_assert(!ccp_txq_idle(f.q));
	check_log(&f, "");
	OK(ccp_timer_new(f.loop, release, &f, &f.timer, &db_err));
	ccp_timer_start(f.timer, 40);
	ccp_loop_run(f.loop);
	check_log(&f, "a b c d");
	check_keys(&f, "a\nb\nc\nd\nother\n");
	ck_assert(ccp_txq_idle(f.q));
	done(&f);
}
END_TEST

START_TEST(test_deadline)
{
	struct fixture f;
	struct job a = { &f, "a" }, b = { &f, "b", .stop = true };
	int64_t started_ms, waited_ms;

	setup(&f);
	OK(ccp_db_begin(f.other, &db_err));
	started_ms = ccp_clock_boot(ccp_loop_clock(f.loop));
	add(&a, 60);
	add(&b, 60);
	ccp_loop_run(f.loop);
	waited_ms = ccp_clock_boot(ccp_loop_clock(f.loop)) - started_ms;
	check_log(&f, "a:CODEX_STATE_BUSY b:CODEX_STATE_BUSY");
	ck_assert_int_ge(waited_ms, 60);
	ck_assert_int_lt(waited_ms, 5000);
	ck_assert_int_eq(a.runs, 0);
	ccp_db_rollback(f.other);
	check_keys(&f, "");
	done(&f);
}
END_TEST

/* A job that lost a race inside its transaction is repeated like one that met a lock. */
START_TEST(test_repeats)
{
	struct fixture f;
	struct job a = { &f, "a", .fail_times = 3, .fail_code = CODEXCP_E_STATE_BUSY },
		   b = { &f, "b", .stop = true };

	setup(&f);
	add(&a, 20000);
	add(&b, 20000);
	ccp_loop_run(f.loop);
	check_log(&f, "a b");
	ck_assert_int_eq(a.runs, 4);
	ck_assert_int_eq(b.runs, 1);
	done(&f);
}
END_TEST

/* A database in trouble is a failure for those with a deadline; what must be recorded waits until
 * it is well. */
START_TEST(test_trouble)
{
	struct fixture f;
	struct job a = { &f, "a", .fail_times = 1, .fail_code = CODEXCP_E_STATE_UNAVAILABLE },
		   b = { &f, "b", .fail_times = 1, .fail_code = CODEXCP_E_STATE_UNAVAILABLE,
			 .stop = true };

	setup(&f);
	add(&a, 20000);
	check_log(&f, "a:CODEX_STATE_UNAVAILABLE");
	add(&b, CCP_TXQ_FOR_EVER);
	ck_assert(!ccp_txq_idle(f.q));
	ccp_loop_run(f.loop);
	check_log(&f, "a:CODEX_STATE_UNAVAILABLE b");
	check_keys(&f, "b\n");
	done(&f);
}
END_TEST

START_TEST(test_free_cancels)
{
	struct fixture f;
	struct job c = { &f, "c" }, a = { &f, "a", .then = &c }, b = { &f, "b" };

	setup(&f);
	OK(ccp_db_begin(f.other, &db_err));
	add(&a, 1000);
	add(&b, CCP_TXQ_FOR_EVER);
	ccp_txq_free(f.q); /* still there while jobs are answered */
	f.q = NULL;
	check_log(&f, "a:CODEX_CANCELLED b:CODEX_CANCELLED c:CODEX_CANCELLED");
	ccp_db_rollback(f.other);
	check_keys(&f, "");
	ccp_txq_free(NULL);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("txq", test_at_once, test_failure, test_waits_for_other_writer, test_deadline,
	      test_repeats, test_trouble, test_free_cancels)
