/*
 * State databases for measurements, through the library's own store layer.
 *
 *	bench-store fill FILE TOTAL RUNNING QUEUED DIR WORDS
 *		as many operations, all of the project DIR, their texts made of the words in the
 *		file WORDS; the first that runs is "running-0"
 *	bench-store row-size FILE
 *		prints the bytes of the columns of the operation that was submitted last
 *	bench-store next FILE TIMES
 *		finds out as often who may run next; prints the microseconds of each
 *	bench-store checkpoint FILE
 *		moves the write-ahead log into the file
 */
#include <assert.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "domain/prompt.h"
#include "domain/queue.h"
#include "store/db.h"
#include "store/journal_store.h"
#include "store/op_store.h"
#include "store/turn_store.h"

#define HOUR_MS       3600000
#define PROMPT_WORDS  60
#define REPORT_WORDS  150
#define PROGRESS_ROWS 4
#define WORDS_MAX     4096

struct fill {
	struct ccp_db *db;
	char *dir;
	int total, running, queued;
	int64_t now_ms;
	uint32_t random;
	char words[WORDS_MAX][16];
	int n_words;
};

static int fail(const struct codexcp_error *err)
{
	fprintf(stderr, "bench-store: %s\n", err->message);
	return EXIT_FAILURE;
}

/* Deterministic: prompts that are alike in kind and never the same. */
static void write_words(struct fill *fill, char *text, size_t size, int n)
{
	size_t len = 0;

	assert(fill->n_words > 0);
	for (int i = 0; i < n; i++) {
		fill->random = fill->random * 1664525u + 1013904223u;
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? " " : "",
					fill->words[(fill->random >> 8) % (unsigned)fill->n_words]);
	}
}

/* One a line. */
static bool read_words(struct fill *fill, const char *path)
{
	FILE *in = fopen(path, "re");

	while (in && fill->n_words < WORDS_MAX &&
	       fscanf(in, "%15s", fill->words[fill->n_words]) == 1)
		fill->n_words++;
	if (in)
		fclose(in);
	return fill->n_words > 0;
}

static int put_turn(struct fill *fill, const struct ccp_op *op, struct codexcp_error *err)
{
	char text[REPORT_WORDS * 16];
	const bool done = op->completed_at != 0;
	struct ccp_turn_row turn = { .thread_id = op->thread_id,
				     .turn_id = op->turn_id,
				     .op_id = op->id,
				     .status = (char *)(done ? "completed" : "running"),
				     .live_text = done ? NULL : text,
				     .started_at = op->started_at,
				     .updated_at = op->updated_at,
				     .completed_at = op->completed_at };
	struct ccp_message message = { .thread_id = op->thread_id,
				       .turn_id = op->turn_id,
				       .item_id = (char *)"item-1",
				       .role = (char *)"assistant",
				       .phase = (char *)"final_answer",
				       .text = text,
				       .created_at = op->updated_at };
	int r;

	write_words(fill, text, sizeof(text), REPORT_WORDS);
	r = ccp_turn_put(fill->db, &turn, err);
	return r < 0 || !done ? r : ccp_message_put(fill->db, &message, err);
}

static int put_journal(struct fill *fill, const struct ccp_op *op, struct codexcp_error *err)
{
	struct ccp_journal_row row = { .at = op->updated_at,
				       .op_id = op->id,
				       .thread_id = op->thread_id,
				       .turn_id = op->turn_id,
				       .category = (char *)"item_status",
				       .severity = (char *)"info",
				       .text = (char *)"ran: sed -n '1,200p' src/module.c (exit 0)",
				       .progress = 1 };
	int r = 0;

	for (int i = 0; r == 0 && i < PROGRESS_ROWS; i++)
		r = ccp_journal_append(fill->db, &row, err);
	return r;
}

/* The texts of one row; its members borrow them. */
struct names {
	char id[32], thread[32], turn[32], hash[32], scope[PATH_MAX], prompt[PROMPT_WORDS * 16];
};

static void name_row(struct fill *fill, int i, const char *status, struct names *names)
{
	snprintf(names->id, sizeof(names->id), "%s-%d", status, i);
	snprintf(names->thread, sizeof(names->thread), "thread-%d", i);
	snprintf(names->turn, sizeof(names->turn), "turn-%d", i);
	snprintf(names->hash, sizeof(names->hash), "hash-%d", i);
	snprintf(names->scope, sizeof(names->scope), "new:%s", fill->dir);
	write_words(fill, names->prompt, sizeof(names->prompt), PROMPT_WORDS);
}

static struct ccp_op queued_row(const struct fill *fill, int i, struct names *names)
{
	const int64_t at = fill->now_ms - HOUR_MS + i;

	return (struct ccp_op){ .id = names->id,
				.request_hash = names->hash,
				.type = (char *)"start_chat",
				.project_id = (char *)"prj_bench",
				.project_path = fill->dir,
				.cwd = fill->dir,
				.allowed_root = fill->dir,
				.priority = 1,
				.cost_class = (char *)"normal",
				.sandbox = (char *)"read-only",
				.approval = (char *)"on-request",
				.request_timeout_ms = 300000,
				.prompt_scope = names->scope,
				.prompt_hash = names->hash,
				.prompt_guards = 1,
				.created_at = at,
				.active = 1,
				.status = (char *)"queued",
				.phase = (char *)"queued",
				.updated_at = at,
				.version = 1 };
}

static void start_row(struct ccp_op *op, const char *status, struct names *names)
{
	op->status = op->phase = (char *)status;
	op->thread_id = names->thread;
	op->turn_id = names->turn;
	op->attempt = 1;
	op->started_at = op->created_at + 1;
	if (strcmp(status, "completed") == 0) {
		op->active = 0;
		op->completed_at = op->created_at + 2;
	}
}

static int put_operation(struct fill *fill, int i, struct codexcp_error *err)
{
	const char *status = i < fill->running                  ? "running"
			     : i < fill->running + fill->queued ? "queued"
								: "completed";
	const bool queued = strcmp(status, "queued") == 0;
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *prompt = NULL;
	struct ccp_op_request request = { .arguments = (char *)"{}" };
	struct names names;
	struct ccp_op op;
	int r;

	name_row(fill, i, status, &names);
	op = queued_row(fill, i, &names);
	if (!queued)
		start_row(&op, status, &names);
	request.message = names.prompt;
	r = ccp_prompt_new(names.prompt, &prompt, err);
	if (r < 0)
		return r;
	op.prompt_shape = (char *)ccp_prompt_shape(prompt);
	r = ccp_op_insert(fill->db, &op, &request, err);
	if (r == 0)
		r = put_journal(fill, &op, err);
	return r < 0 || queued ? r : put_turn(fill, &op, err);
}

static int fill_store(const char *path, char **args)
{
	static struct fill fill;
	_cleanup_error_ struct codexcp_error err = { 0 };
	int r;

	fill.total = atoi(args[0]);
	fill.running = atoi(args[1]);
	fill.queued = atoi(args[2]);
	fill.dir = args[3];
	fill.now_ms = ccp_clock_wall(ccp_clock_system());
	if (!read_words(&fill, args[4])) {
		fprintf(stderr, "bench-store: %s: no words\n", args[4]);
		return EXIT_FAILURE;
	}
	r = ccp_db_open(path, CCP_DB_WRITE, &fill.db, &err);
	if (r == 0)
		r = ccp_db_begin(fill.db, &err);
	for (int i = 0; r == 0 && i < fill.total; i++)
		r = put_operation(&fill, i, &err);
	if (r == 0)
		r = ccp_db_commit(fill.db, &err);
	ccp_db_close(fill.db);
	return r < 0 ? fail(&err) : EXIT_SUCCESS;
}

static int find_next(struct ccp_db *db, struct codexcp_error *err)
{
	/* One runs already, and its project has room for two more. */
	static const struct ccp_limits limits = { 4, 3, 3, 1, 1, 8 };
	const struct ccp_clock *clock = ccp_clock_system();
	_cleanup_slots_ struct ccp_slots slots = { 0 };
	char id[CCP_ID_SIZE];
	int r = ccp_queue_slots(db, &limits, ccp_clock_wall(clock), &slots, err);

	return r < 0 ? r : ccp_queue_next(db, &limits, &slots, ccp_clock_wall(clock), id, err);
}

static int time_next(const char *path, int times)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(ccp_db_closep) struct ccp_db *db = NULL;
	int r = ccp_db_open(path, CCP_DB_READ, &db, &err);

	for (int i = 0; r >= 0 && i < times; i++) {
		struct timespec from, to;

		clock_gettime(CLOCK_MONOTONIC, &from);
		r = find_next(db, &err);
		clock_gettime(CLOCK_MONOTONIC, &to);
		if (r == 0)
			r = ccp_fail(&err, CODEXCP_E_INTERNAL, "nobody is next");
		printf("%.1f\n", (double)(to.tv_sec - from.tv_sec) * 1e6 +
					 (double)(to.tv_nsec - from.tv_nsec) / 1e3);
	}
	return r < 0 ? fail(&err) : EXIT_SUCCESS;
}

static int row_size(sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	int bytes = 0;

	if (sqlite3_prepare_v2(db,
			       "SELECT * FROM operations o JOIN requests r ON r.op_id = o.id "
			       "WHERE o.phase = 'queued' ORDER BY o.seq DESC LIMIT 1",
			       -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(stmt); i++)
			bytes += sqlite3_column_bytes(stmt, i);
	sqlite3_finalize(stmt);
	printf("%d\n", bytes);
	return bytes ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int checkpoint(sqlite3 *db)
{
	int rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	return rc == SQLITE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int with_database(const char *path, int (*fn)(sqlite3 *db))
{
	sqlite3 *db = NULL;
	int status = EXIT_FAILURE;

	if (sqlite3_open(path, &db) == SQLITE_OK) {
		sqlite3_busy_timeout(db, 5000);
		status = fn(db);
	}
	if (status != EXIT_SUCCESS)
		fprintf(stderr, "bench-store: %s: %s\n", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 8 && strcmp(argv[1], "fill") == 0)
		return fill_store(argv[2], argv + 3);
	if (argc == 4 && strcmp(argv[1], "next") == 0)
		return time_next(argv[2], atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "row-size") == 0)
		return with_database(argv[2], row_size);
	if (argc == 3 && strcmp(argv[1], "checkpoint") == 0)
		return with_database(argv[2], checkpoint);
	fprintf(stderr,
		"usage: bench-store fill FILE TOTAL RUNNING QUEUED DIR WORDS | row-size FILE | "
		"next FILE TIMES | checkpoint FILE\n");
	return EXIT_FAILURE;
}
