#include <ccp_db_check.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/str.h"

/* A writer that is killed, in a process of its own. */
struct writer {
	pid_t pid;
	int told; /* it writes one byte after each commit */
};

static void write_rows(const char *path, int out)
{
	struct ccp_db *db = NULL;

	if (ccp_db_open(path, CCP_DB_WRITE, &db, NULL) < 0)
		_exit(1);
	for (int i = 0;; i++) {
		const struct ccp_op_request request = { .message = "m", .arguments = "{}" };
		char id[32];
		struct ccp_op row;

		snprintf(id, sizeof(id), "%06d", i);
		row = db_op_row(id);
		if (ccp_db_begin(db, NULL) < 0 || ccp_op_insert(db, &row, &request, NULL) < 0 ||
		    ccp_db_commit(db, NULL) < 0 || write(out, "x", 1) != 1)
			_exit(2);
	}
}

static void start_writer(struct writer *w, const char *path)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	w->pid = fork();
	ck_assert_int_ge(w->pid, 0);
	if (w->pid == 0)
		write_rows(path, fds[1]);
	close(fds[1]);
	w->told = fds[0];
}

/* Acknowledged commits until it is dead. */
static int kill_after(struct writer *w, int n)
{
	char c;
	int told = 0, status;

	while (told < n && read(w->told, &c, 1) == 1)
		told++;
	ck_assert_int_eq(told, n);
	kill(w->pid, SIGKILL);
	while (read(w->told, &c, 1) == 1)
		told++;
	ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
	ck_assert(WIFSIGNALED(status));
	close(w->told);
	return told;
}

/* What was acknowledged is there, in one piece; at most the one after it may be there besides. */
static void check_rows(const char *path, int told)
{
	char *text = db_query(path, "SELECT count(*), (SELECT count(*) FROM requests), max(id) "
				    "FROM operations");
	int operations = 0, requests = 0, last = 0;

	ck_assert_int_eq(sscanf(text, "%d|%d|%d", &operations, &requests, &last), 3);
	ck_assert_int_eq(operations, requests);
	ck_assert_int_eq(last, operations - 1);
	ck_assert_int_ge(operations, told);
	ck_assert_int_le(operations, told + 1);
	free(text);
	db_expect(path, "PRAGMA integrity_check", "ok\n");
}

START_TEST(test_killed)
{
	for (int n = 1; n <= 40; n = n * 2 + 1) {
		struct db_fixture f;
		struct writer w;
		int told;

		db_setup_path(&f);
		start_writer(&w, f.path);
		told = kill_after(&w, n);
		f.db = db_open(f.path, CCP_DB_WRITE);
		check_rows(f.path, told);
		db_done(&f);
	}
}
END_TEST

/* Killed inside a transaction: nothing of it is there, and nobody waits for the dead writer. */
START_TEST(test_killed_in_transaction)
{
	struct db_fixture f;
	struct ccp_op row = db_op_row("after");
	int fds[2], status;
	pid_t pid;
	char c;

	db_setup_path(&f);
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const struct ccp_op_request request = { .message = "m" };
		struct ccp_op half = db_op_row("half");
		struct ccp_db *db = NULL;

		if (ccp_db_open(f.path, CCP_DB_WRITE, &db, NULL) < 0 ||
		    ccp_db_begin(db, NULL) < 0 || ccp_op_insert(db, &half, &request, NULL) < 0 ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	f.db = db_open(f.path, CCP_DB_WRITE);
	db_insert(f.db, &row);
	db_expect(f.path, "SELECT id FROM operations", "after\n");
	db_done(&f);
}
END_TEST

CCP_TEST_MAIN("durability", test_killed, test_killed_in_transaction)
