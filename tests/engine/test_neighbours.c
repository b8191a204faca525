/*
 * State databases that stand side by side do not know of each other; one that has two names is one.
 */
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/socket.h"
#include "service/config.h"
#include "service/doorbell.h"
#include "worker_env.h"

#define UNTIL_GO "once\nexpect turn/start\ndefault\nawait go\nfinish\n"

/* From now on the environment's database is this one. */
static void use_database(struct engine_env *e, char *path)
{
	free(e->state_db);
	e->state_db = path;
	env_set(e, "CODEX_MCP_STATE_DB", path);
}

struct stack {
	struct engine_env e;
	struct worker worker;
	struct ccp_process_id server;
	char *op;
};

/* Beside the database of `other`, or in a place of its own. */
static void set_up(struct stack *s, const struct stack *other)
{
	env_setup_unix(&s->e, UNTIL_GO);
	if (other)
		use_database(&s->e, env_path(&other->e, "state/other.sqlite3"));
	env_open(&s->e, CODEXCP_MODE_CLIENT);
	s->worker = worker_start(&s->e);
	worker_await_ready(&s->worker);
	s->op = env_submit(&s->e, s->e.open[0], NULL);
	env_reach(&s->e, s->e.open[0], s->op, "phase", "running");
	s->server = env_server(&s->e);
}

static void finish(struct stack *s)
{
	env_go(&s->e, "go");
	env_ends(&s->e, s->e.open[0], s->op, "completed", NULL);
	worker_end(&s->worker);
	ck_assert_int_eq(ccp_process_check(&s->server), CCP_PROCESS_DEAD);
	ck_assert_int_eq(env_number(&s->e, "SELECT count(*) FROM workers"), 1);
	ck_assert_int_eq(env_number(&s->e, "SELECT count(*) FROM app_servers"), 1);
	ck_assert_int_eq(env_count(&s->e, "turn/start"), 1);
	free(s->op);
}

START_TEST(test_two_databases)
{
	struct stack first, second;

	set_up(&first, NULL);
	set_up(&second, &first);
	ck_assert_int_eq(ccp_process_check(&first.server), CCP_PROCESS_ALIVE);
	finish(&first);
	ck_assert(env_has_worker(&second.e));
	ck_assert_int_eq(ccp_process_check(&second.server), CCP_PROCESS_ALIVE);
	finish(&second);
	env_teardown(&second.e);
	env_teardown(&first.e);
}
END_TEST

/* Made before there is a database, and relative to where it stands. */
START_TEST(test_link)
{
	struct engine_env e;
	struct worker first, second;
	_cleanup_free_ char *link = NULL, *op = NULL;
	struct codexcp *cp;
	char words[256];

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	link = env_path(&e, "link.sqlite3");
	ck_assert_int_eq(symlink("state/state.sqlite3", link), 0);
	env_set(&e, "CODEX_MCP_STATE_DB", link);
	first = worker_start(&e);
	worker_await_ready(&first);
	ck_assert(env_has_worker(&e));
	cp = env_open(&e, CODEXCP_MODE_CLIENT);
	env_set(&e, "CODEX_MCP_STATE_DB", e.state_db);
	second = worker_start(&e);
	worker_read(&second, words);
	ck_assert_str_eq(words, "");
	ck_assert_int_eq(worker_await_exit(&second), 0);
	op = env_submit(&e, cp, NULL);
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	worker_end(&first);
	env_teardown(&e);
}
END_TEST

/* Where programs of earlier versions look for the worker of the usual database. */
START_TEST(test_usual_name)
{
	struct engine_env e;
	struct worker w;
	_cleanup_free_ char *run = NULL;
	_cleanup_close_ int fd = -1;

	env_setup(&e);
	env_set(&e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	use_database(&e, env_path(&e, "state/" CCP_STATE_DB_NAME));
	w = worker_start(&e);
	worker_await_ready(&w);
	run = env_path(&e, "state/run");
	fd = ccp_socket_connect(run, CCP_DOORBELL_NAME, NULL);
	ck_assert_int_ge(fd, 0);
	worker_end(&w);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("neighbours", test_two_databases, test_link, test_usual_name)
