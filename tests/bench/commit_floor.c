/*
 * What one durable row costs at the least: SQLite, write-ahead log, synchronous=FULL, one row a
 * commit.
 *
 *	bench-commit-floor FILE BYTES
 *
 * Each line on standard input is a number of commits, answered by one line (samples.h) with their
 * times.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

static const char set_up[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	"CREATE TABLE rows(id INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;";

struct floor {
	sqlite3 *db;
	sqlite3_stmt *begin, *insert, *commit;
};

static void check(const struct floor *f, int rc)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE)
		return;
	fprintf(stderr, "bench-commit-floor: %s\n", sqlite3_errmsg(f->db));
	exit(EXIT_FAILURE);
}

static sqlite3_stmt *prepare(const struct floor *f, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	check(f, sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL));
	return stmt;
}

static void step(const struct floor *f, sqlite3_stmt *stmt)
{
	check(f, sqlite3_step(stmt));
	sqlite3_reset(stmt);
}

static void commit_row(const struct floor *f)
{
	step(f, f->begin);
	step(f, f->insert);
	step(f, f->commit);
}

static void floor_open(struct floor *f, const char *path, int bytes)
{
	char *data = malloc((size_t)bytes);

	if (!data)
		exit(EXIT_FAILURE);
	memset(data, 'x', (size_t)bytes);
	check(f, sqlite3_open(path, &f->db));
	check(f, sqlite3_exec(f->db, set_up, NULL, NULL, NULL));
	f->begin = prepare(f, "BEGIN IMMEDIATE");
	f->insert = prepare(f, "INSERT INTO rows(data) VALUES(?)");
	f->commit = prepare(f, "COMMIT");
	check(f, sqlite3_bind_text(f->insert, 1, data, bytes, free));
}

static void floor_close(struct floor *f)
{
	sqlite3_finalize(f->begin);
	sqlite3_finalize(f->insert);
	sqlite3_finalize(f->commit);
	sqlite3_close(f->db);
}

int main(int argc, char **argv)
{
	static struct samples samples;
	struct floor f = { 0 };
	int n;

	if (argc != 3 || atoi(argv[2]) < 1) {
		fprintf(stderr, "usage: bench-commit-floor FILE BYTES\n");
		return EXIT_FAILURE;
	}
	floor_open(&f, argv[1], atoi(argv[2]));
	while (scanf("%d", &n) == 1 && n > 0 && n <= SAMPLES_MAX) {
		samples.n = 0;
		for (int i = 0; i < n; i++) {
			sample_begin(&samples);
			commit_row(&f);
			sample_end(&samples);
		}
		samples_print(&samples, "null");
	}
	floor_close(&f);
	return EXIT_SUCCESS;
}
