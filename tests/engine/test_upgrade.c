/*
 * Programs of two versions on one state database: the newer one gets the work, the older one never
 * does, and nothing is lost on the way.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "engine_env.h"
#include "runtime/socket.h"
#include "service/doorbell.h"

/* A front end as a bare connection. */
static FILE *connect_bell(const struct engine_env *e)
{
	_cleanup_free_ char *run = env_run_dir(e);
	int fd = ccp_socket_connect(run, CCP_DOORBELL_NAME, NULL);
	FILE *bell;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0); /* reads wait */
	bell = fdopen(fd, "r+");
	ck_assert_ptr_nonnull(bell);
	setvbuf(bell, NULL, _IONBF, 0);
	return bell;
}

/* The first line that begins so; the others (changed) come at any time. */
static void await_line(FILE *bell, const char *prefix)
{
	char line[CCP_DOORBELL_RELEASE_SIZE];

	do
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), bell));
	while (!ccp_str_has_prefix(line, prefix));
}

/* It lets go of us. */
static void await_end(FILE *bell)
{
	char line[CCP_DOORBELL_RELEASE_SIZE];

	while (fgets(line, sizeof(line), bell))
		;
	fclose(bell);
}

/* A front end whose task runs on a worker that it has started. */
static struct codexcp *open_with_turn(struct engine_env *e, const char *transport, char **ret_op)
{
	struct codexcp *cp;

	env_setup(e);
	env_set(e, "CODEX_MCP_APP_SERVER_TRANSPORT", transport);
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_script(e, "await go\nfinish\n");
	cp = env_open(e, CODEXCP_MODE_AUTO);
	*ret_op = env_submit(e, cp, NULL);
	env_reach(e, cp, *ret_op, "phase", "running");
	return cp;
}

START_TEST(test_newer_takes_over_at_once)
{
	struct engine_env e;
	_cleanup_free_ char *op = NULL;
	struct codexcp *cp = open_with_turn(&e, "unix", &op);
	FILE *bell = connect_bell(&e);

	await_line(bell, CCP_DOORBELL_HELLO " " CCP_VERSION " ");
	fputs(CCP_DOORBELL_LEAVE " 99.0.0 99\n", bell);
	await_end(bell);
	/* The next worker goes on with the turn. */
	env_go(&e, "go");
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 2);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM app_servers"), 1);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

/* Nothing is begun any more, and what runs may end. */
START_TEST(test_newer_waits_for_stdio)
{
	struct engine_env e;
	_cleanup_free_ char *op = NULL, *queued = NULL;
	struct codexcp *cp = open_with_turn(&e, "stdio", &op);
	FILE *bell = connect_bell(&e);

	fputs(CCP_DOORBELL_LEAVE " 99.0.0 99\n" CCP_DOORBELL_RING "\n", bell);
	await_line(bell, CCP_DOORBELL_RUNG);
	queued = env_submit(&e, cp, json_pack("{s:s}", "message", "for the next one"));
	fputs(CCP_DOORBELL_RING "\n", bell);
	await_line(bell, CCP_DOORBELL_RUNG);
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_set(&e, "CCP_FAKE_TURN_MS", NULL);
	env_go(&e, "go");
	await_end(bell);
	env_ends(&e, cp, op, "completed", NULL);
	env_close(&e, cp);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	env_ends(&e, cp, queued, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT crash_count FROM operations"), 0);
	env_teardown(&e);
}
END_TEST

START_TEST(test_older_is_not_heard)
{
	struct engine_env e;
	_cleanup_free_ char *op = NULL;
	struct codexcp *cp = open_with_turn(&e, "unix", &op);
	FILE *bell = connect_bell(&e);

	fputs(CCP_DOORBELL_LEAVE " 0.0.1 1\n" CCP_DOORBELL_LEAVE " " CCP_VERSION " 1\n", bell);
	fputs(CCP_DOORBELL_LEAVE " soon\n" CCP_DOORBELL_LEAVE "\n", bell);
	fputs(CCP_DOORBELL_RING "\n", bell);
	await_line(bell, CCP_DOORBELL_RUNG);
	env_go(&e, "go");
	env_ends(&e, cp, op, "completed", NULL);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM workers"), 1);
	fclose(bell);
	env_teardown(&e);
}
END_TEST

/* A worker of an older version, as far as a front end can tell. */
static FILE *accept_front_end(struct engine_env *e, int listener)
{
	struct pollfd waiting = { .fd = listener, .events = POLLIN };
	FILE *bell;

	while (poll(&waiting, 1, 0) == 0)
		env_step(e);
	bell = fdopen(accept(listener, NULL, NULL), "r+");
	ck_assert_ptr_nonnull(bell);
	setvbuf(bell, NULL, _IONBF, 0);
	return bell;
}

static int listen_as_worker(const struct engine_env *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_free_ char *run = env_run_dir(e);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(ccp_dir_make(run, 0700, NULL), 0);
	ck_assert_int_lt(snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", run,
				  CCP_DOORBELL_NAME),
			 (int)sizeof(address.sun_path));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(test_front_end_replaces_older)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	char line[CCP_DOORBELL_RELEASE_SIZE], want[CCP_DOORBELL_RELEASE_SIZE];
	int listener;
	FILE *bell;

	env_setup(&e);
	listener = listen_as_worker(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	bell = accept_front_end(&e, listener);
	fputs(CCP_DOORBELL_HELLO " 0.0.1 1\n", bell);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), bell));
	ck_assert_str_eq(line, CCP_DOORBELL_RING "\n");
	ccp_doorbell_line(CCP_DOORBELL_LEAVE, want);
	while (poll(&(struct pollfd){ .fd = fileno(bell), .events = POLLIN }, 1, 0) == 0)
		env_step(&e);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), bell));
	line[strcspn(line, "\n")] = '\0';
	ck_assert_str_eq(line, want);
	/* It goes, and the front end's own worker comes. */
	close(listener);
	fclose(bell);
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

static const char *problem_of(json_t *status)
{
	const char *problem = ccp_json_str(json_object_get(status, "workerState"), "problem");

	return problem ? problem : "";
}

/* The program that front ends start has become older than this one: the second older worker is
 * kept, and it is said why. */
START_TEST(test_older_is_kept)
{
	struct engine_env e;
	struct codexcp *cp;
	_cleanup_free_ char *op = NULL;
	char said[1024] = "";
	int listener;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;
	bool told = false;
	FILE *bell;

	env_setup(&e);
	listener = listen_as_worker(&e);
	cp = env_open(&e, CODEXCP_MODE_AUTO);
	op = env_submit(&e, cp, NULL);
	bell = accept_front_end(&e, listener);
	fputs(CCP_DOORBELL_HELLO " 0.0.1 1\n", bell);
	while (!strstr(said, CCP_DOORBELL_LEAVE)) {
		size_t len = strlen(said);

		env_step(&e);
		(void)!recv(fileno(bell), said + len, sizeof(said) - 1 - len, MSG_DONTWAIT);
		ck_assert_int_lt(env_now_ms(), until);
	}
	fclose(bell);
	bell = accept_front_end(&e, listener);
	fputs(CCP_DOORBELL_HELLO " 0.0.1 1\n", bell);
	while (!told) {
		json_auto_t *status = env_status(cp, op);

		told = strstr(problem_of(status), "older (version and schema 0.0.1 1)");
		env_step(&e);
		ck_assert_int_lt(env_now_ms(), until);
	}
	memset(said, 0, sizeof(said));
	ck_assert_int_gt(recv(fileno(bell), said, sizeof(said) - 1, MSG_DONTWAIT), 0);
	ck_assert_ptr_null(strstr(said, CCP_DOORBELL_LEAVE));
	/* It has gone by itself: nothing is wrong any more. */
	close(listener);
	fclose(bell);
	env_ends(&e, cp, op, "completed", NULL);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("upgrade", test_newer_takes_over_at_once, test_newer_waits_for_stdio,
	      test_older_is_not_heard, test_front_end_replaces_older, test_older_is_kept)
