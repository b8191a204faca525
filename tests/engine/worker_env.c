#include "worker_env.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

struct worker worker_start(struct engine_env *e)
{
	_cleanup_free_ char *log = env_path(e, "worker.log");
	struct worker w = { .out = -1 };
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	w.pid = fork();
	ck_assert_int_ge(w.pid, 0);
	if (w.pid == 0) {
		int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		char *const argv[] = { (char *)"server", (char *)"worker", NULL };

		dup2(ends[1], STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		execve(getenv("CCP_SERVER"), argv, e->variables);
		_exit(127);
	}
	close(ends[1]);
	w.out = ends[0];
	return w;
}

void worker_read(const struct worker *w, char words[static 256])
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < 255 && !memchr(words, '\n', len)) {
		n = read(w->out, words + len, 255 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	words[len] = '\0';
}

void worker_await_ready(const struct worker *w)
{
	char words[256];

	worker_read(w, words);
	ck_assert_str_eq(words, "ready\n");
}

int worker_await_exit(struct worker *w)
{
	int status;

	ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
	close(w->out);
	return status;
}

void worker_kill(struct worker *w)
{
	ck_assert_int_eq(kill(w->pid, SIGKILL), 0);
	ck_assert_int_eq(worker_await_exit(w), SIGKILL);
}

void worker_end(struct worker *w)
{
	ck_assert_int_eq(kill(w->pid, SIGTERM), 0);
	ck_assert_int_eq(worker_await_exit(w), 0);
}

bool env_has_worker(const struct engine_env *e)
{
	_cleanup_free_ char *lock = ccp_asprintf("%s.worker.lock", e->state_db);

	return ccp_lock_is_held(lock, NULL) == 1;
}

void env_setup_unix(struct engine_env *e, const char *script)
{
	env_setup(e);
	env_set(e, "CODEX_MCP_APP_SERVER_TRANSPORT", "unix");
	env_set(e, "CODEX_MCP_WORKER_IDLE_SECONDS", "60");
	env_set(e, "CCP_FAKE_TURN_MS", "-1");
	env_script(e, script);
}

char *env_leave_running(struct engine_env *e, const char *script)
{
	struct codexcp *cp;
	char *op;

	env_setup_unix(e, script);
	cp = env_open(e, CODEXCP_MODE_INLINE);
	op = env_submit(e, cp, NULL);
	env_reach(e, cp, op, "phase", "running");
	env_close(e, cp);
	return op;
}

struct ccp_process_id env_server(const struct engine_env *e)
{
	struct ccp_process_id id = { 0 };
	int64_t pid = env_number(e, "SELECT pid FROM app_servers ORDER BY rowid DESC LIMIT 1");

	ck_assert_int_eq(ccp_process_identify(pid, &id, NULL), 0);
	return id;
}

void env_await_dead(struct engine_env *e, const struct ccp_process_id *process)
{
	int64_t until = env_now_ms() + ENV_PATIENCE_MS;

	while (ccp_process_check(process) != CCP_PROCESS_DEAD) {
		ck_assert_int_lt(env_now_ms(), until);
		env_step(e);
	}
}
