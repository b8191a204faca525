#include <ccp_db_check.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"
#include "domain/upkeep.h"
#include "store/upkeep.h"
#include "store/worker_store.h"

#define MIB (1024 * 1024)
/* What must happen happens far sooner. */
#define PATIENCE_MS 20000

struct fixture {
	struct db_fixture db;
	struct ccp_loop *loop;
	struct ccp_txq *txq;
	struct ccp_upkeep *upkeep;
	struct ccp_timer *patience;
};

static void out_of_patience(void *data)
{
	ck_abort_msg("nothing happened");
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	db_setup(&f->db);
	OK(ccp_loop_new(NULL, &f->loop, &db_err));
	OK(ccp_txq_new(f->loop, f->db.db, &f->txq, &db_err));
	OK(ccp_timer_new(f->loop, out_of_patience, f, &f->patience, &db_err));
	ccp_timer_start(f->patience, PATIENCE_MS);
}

static void start(struct fixture *f)
{
	const struct ccp_upkeep_options options = {
		.loop = f->loop,
		.db = f->db.db,
		.txq = f->txq,
		.rule = { .age_ms = 1000,
			  .operations = 10,
			  .journal_age_ms = 1000,
			  .journal_rows = 10,
			  .key_window_ms = 1000 },
		.first_ms = 1,
		.slice_ms = 1,
		.pass_ms = 50,
		.log_ms = 1,
	};

	OK(ccp_upkeep_new(&options, &f->upkeep, &db_err));
}

static void done(struct fixture *f)
{
	ccp_upkeep_free(f->upkeep);
	ccp_timer_free(f->patience);
	ccp_txq_free(f->txq);
	ccp_loop_free(f->loop);
	db_done(&f->db);
}

static struct ccp_db_size size_of(struct fixture *f)
{
	struct ccp_db_size size;

	OK(ccp_db_size(f->db.db, &size, &db_err));
	return size;
}

/* A finished operation with a request of this size. */
static void add(struct ccp_db *db, int i, size_t bytes)
{
	char *message = calloc(1, bytes + 1), id[16];
	const struct ccp_op_request request = { .message = message };
	struct ccp_op op;

	memset(message, 'm', bytes);
	snprintf(id, sizeof(id), "%06d", i);
	op = db_op_row(id);
	op.active = 0;
	op.completed_at = 1;
	OK(ccp_db_begin(db, &db_err));
	OK(ccp_op_insert(db, &op, &request, &db_err));
	OK(ccp_db_commit(db, &db_err));
	free(message);
}

START_TEST(test_forgets_and_gives_back)
{
	struct ccp_db_size full, after;
	struct fixture f;

	setup(&f);
	for (int i = 0; i < 200; i++)
		add(f.db.db, i, 100000);
	full = size_of(&f);
	ck_assert_int_gt(full.pages * full.page_bytes, 19 * MIB);
	start(&f);
	while (ccp_upkeep_passes(f.upkeep) < 1)
		ccp_loop_step(f.loop);
	db_expect(f.db.path, "SELECT count(*) FROM operations", "0\n");
	after = size_of(&f);
	ck_assert_int_lt(after.pages * after.page_bytes, 6 * MIB);
	db_expect(f.db.path, "PRAGMA integrity_check", "ok\n");
	done(&f);
}
END_TEST

/* Made from a dump, say: no page can be given back, and passes come and go all the same. */
START_TEST(test_cannot_give_back)
{
	struct ccp_db_size after;
	struct fixture f;

	setup(&f);
	db_exec(f.db.path, "PRAGMA auto_vacuum = NONE; VACUUM");
	db_expect(f.db.path, "PRAGMA auto_vacuum", "0\n");
	for (int i = 0; i < 100; i++)
		add(f.db.db, i, 100000);
	start(&f);
	while (ccp_upkeep_passes(f.upkeep) < 2)
		ccp_loop_step(f.loop);
	after = size_of(&f);
	ck_assert_int_gt(after.free_pages, 1024);
	db_expect(f.db.path, "SELECT count(*) FROM operations", "0\n");
	done(&f);
}
END_TEST

/* Somebody else writes: it waits for its turn, and what it does is done once. */
START_TEST(test_waits_for_writers)
{
	struct ccp_db *other;
	struct fixture f;

	setup(&f);
	add(f.db.db, 1, 10);
	other = db_open(f.db.path, CCP_DB_WRITE);
	OK(ccp_db_begin(other, &db_err));
	start(&f);
	for (int i = 0; i < 20; i++)
		ccp_loop_step(f.loop);
	ck_assert_int_eq(ccp_upkeep_passes(f.upkeep), 0);
	OK(ccp_db_commit(other, &db_err));
	while (ccp_upkeep_passes(f.upkeep) < 1)
		ccp_loop_step(f.loop);
	db_expect(f.db.path, "SELECT count(*) FROM operations", "0\n");
	ccp_db_close(other);
	done(&f);
}
END_TEST

/* A read that has begun and does not end. */
static void hold(struct ccp_db *db, struct ccp_stmt *stmt)
{
	OK(ccp_stmt_open(db, CCP_SQL_META_GET, stmt, &db_err));
	ccp_bind_text(stmt, 1, "schema");
	ck_assert_int_eq(ccp_stmt_step(stmt, &db_err), 1);
}

/* In a process of its own: reads again and again, each time for a while. */
static pid_t start_reader(const char *path)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct ccp_db *db = NULL;
		struct ccp_stmt read;

		if (ccp_db_open(path, CCP_DB_READ, &db, NULL) < 0)
			_exit(1);
		for (;;) {
			hold(db, &read);
			usleep(3000);
			ccp_stmt_close(&read);
		}
	}
	return pid;
}

/* Readers relieve one another, so that the log is always read by one of them: SQLite alone would
 * never begin it anew. */
START_TEST(test_log_is_bounded_under_load)
{
	pid_t readers[4];
	int64_t largest = 0;
	struct fixture f;

	setup(&f);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(readers); i++)
		readers[i] = start_reader(f.db.path);
	start(&f);
	for (int i = 0; i < 600; i++) {
		add(f.db.db, i, 100000);
		if (i % 10 == 0)
			ccp_loop_step(f.loop);
		largest = CCP_MAX(largest, size_of(&f).log_bytes);
	}
	for (size_t i = 0; i < CCP_ARRAY_SIZE(readers); i++) {
		kill(readers[i], SIGKILL);
		ck_assert_int_eq(waitpid(readers[i], NULL, 0), readers[i]);
	}
	/* Without upkeep it reaches 140 MB. */
	ck_assert_int_lt(largest, 40 * MIB);
	done(&f);
}
END_TEST

/* One that never ends: everything goes on, and once it has gone the log is small again. */
START_TEST(test_reader_that_does_not_end)
{
	struct ccp_db *reader;
	struct ccp_stmt read;
	struct fixture f;

	setup(&f);
	reader = db_open(f.db.path, CCP_DB_READ);
	hold(reader, &read);
	for (int i = 0; i < 200; i++)
		add(f.db.db, i, 100000);
	ck_assert_int_gt(size_of(&f).log_bytes, 16 * MIB);
	ck_assert_int_eq(ccp_db_checkpoint(f.db.db, &db_err), 0);
	start(&f);
	while (ccp_upkeep_passes(f.upkeep) < 1)
		ccp_loop_step(f.loop);
	ck_assert_int_gt(size_of(&f).log_bytes, 16 * MIB);
	ccp_stmt_close(&read);
	while (size_of(&f).log_bytes > 8 * MIB)
		ccp_loop_step(f.loop);
	ccp_db_close(reader);
	done(&f);
}
END_TEST

CCP_TEST_MAIN("upkeep", test_forgets_and_gives_back, test_cannot_give_back, test_waits_for_writers,
	      test_log_is_bounded_under_load, test_reader_that_does_not_end)
