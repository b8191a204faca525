/*
 * The program as a front end and as a worker, from its start to its exit status, when it is given
 * little: an input that ends at once, a configuration that is wrong.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "engine_env.h"

/* Runs it with this input; its exit status. What it says is in e->dir/out. */
static int run_program(struct engine_env *e, const char *input, char *const argv[])
{
	_cleanup_free_ char *in = env_path(e, "in"), *out = env_path(e, "out");
	int status;
	pid_t pid;

	ck_assert_int_eq(ccp_file_replace(in, input, strlen(input), 0600, NULL), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		dup2(open(in, O_RDONLY | O_CLOEXEC), STDIN_FILENO);
		dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDOUT_FILENO);
		dup2(STDOUT_FILENO, STDERR_FILENO);
		execve(getenv("CCP_SERVER"), argv, e->variables);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static json_t *request(int id, const char *method, json_t *params)
{
	return json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", id, "method", method,
			 "params", params);
}

/* A whole conversation that does not wait for answers. */
static char *piped_submit(struct engine_env *e)
{
	json_auto_t *hello = request(1, "initialize",
				     json_pack("{s:s, s:{}, s:{s:s, s:s}}", "protocolVersion",
					       "2025-06-18", "capabilities", "clientInfo", "name",
					       "test", "version", "1"));
	json_auto_t *submit = request(2, "tools/call",
				      json_pack("{s:s, s:o}", "name", "codex_submit_task",
						"arguments", env_submit_arguments(e, NULL)));
	_cleanup_free_ char *first = json_dumps(hello, 0), *second = json_dumps(submit, 0);

	return ccp_asprintf("%s\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n"
			    "%s\n",
			    first, second);
}

/* printf ... | codex-control-plane-mcp: whoever asked has gone, the task is done nevertheless. */
START_TEST(test_piped_submit)
{
	struct engine_env e;
	char *const argv[] = { (char *)"server", NULL };
	_cleanup_free_ char *input = NULL;
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	env_setup(&e);
	input = piped_submit(&e);
	ck_assert_int_eq(run_program(&e, input, argv), 0);
	ck_assert_int_eq(env_number(&e, "SELECT count(*) FROM operations"), 1);
	/* Nobody else rings: no context is open. */
	while (env_number(&e, "SELECT count(*) FROM operations WHERE status = 'completed'") == 0) {
		ck_assert_msg(env_now_ms() < until, "nobody has done it");
		env_step(&e);
	}
	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
	env_teardown(&e);
}
END_TEST

START_TEST(test_wrong_configuration)
{
	struct engine_env e;
	char *const argv[] = { (char *)"server", (char *)"worker", NULL };

	env_setup(&e);
	env_set(&e, "CODEX_MCP_DEFAULT_SANDBOX", "anything-goes");
	ck_assert_int_eq(run_program(&e, "", argv), 2);
	ck_assert_int_eq(access(e.state_db, F_OK), -1);
	env_teardown(&e);
}
END_TEST

CCP_TEST_MAIN("program", test_piped_submit, test_wrong_configuration)
