/*
 * Workers as processes of their own, started and ended by the test.
 *
 *	w = worker_start(&e);
 *	worker_await_ready(&w);
 *	worker_kill(&w);
 */
#pragma once

#include "engine_env.h"
#include "runtime/process.h"

/* `codex-control-plane-mcp worker`, as a front end starts it. */
struct worker {
	pid_t pid;
	int out;
};

struct worker worker_start(struct engine_env *e);
/* What it has said in the end, or so far when that is "ready". */
void worker_read(const struct worker *w, char words[static 256]);
void worker_await_ready(const struct worker *w);
/* Its wait status. */
int worker_await_exit(struct worker *w);
/* SIGKILL, and its end. */
void worker_kill(struct worker *w);
/* SIGTERM, and its end: with status 0. */
void worker_end(struct worker *w);
bool env_has_worker(const struct engine_env *e);

/* env_setup() with app-servers on a socket, whose turns run until the script ends them. */
void env_setup_unix(struct engine_env *e, const char *script);
/* The same, and an inline context has come and gone: a turn of the operation runs. */
char *env_leave_running(struct engine_env *e, const char *script);
/* The newest app-server. */
struct ccp_process_id env_server(const struct engine_env *e);
/* Drives until it is dead: it lets go of its connections before. */
void env_await_dead(struct engine_env *e, const struct ccp_process_id *process);
