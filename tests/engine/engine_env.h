/*
 * The library on a state database of its own, with the fake app-server as its Codex.
 *
 *	struct engine_env e;
 *
 *	env_setup(&e);
 *	cp = env_open(&e, CODEXCP_MODE_INLINE);
 *	op = env_submit(&e, cp, json_pack("{s:s}", "message", "hello"));
 *	status = env_wait(&e, cp, op, "status", "completed");
 *	ck_assert_int_eq(env_count(&e, "turn/start"), 1);
 *	env_teardown(&e);
 *
 * Nothing of the environment of the test reaches the library: what it sees is set here, or by
 * env_set().
 */
#pragma once

#include <ccp_check.h>
#include <ccp_db_check.h>
#include <codexcp/codexcp.h>

#include "base/json.h"
#include "base/str.h"

#define ENV_VARIABLES 40
#define ENV_CONTEXTS  4
/* What must happen happens far sooner; past this the test fails. */
#define ENV_PATIENCE_MS 20000

struct engine_env {
	char *dir;
	char *project;  /* where tasks work */
	char *state_db; /* in a directory of its own */
	char *log;      /* what the fake app-server was asked */
	char *threads;  /* what it keeps */
	char *variables[ENV_VARIABLES + 1];
	struct codexcp *open[ENV_CONTEXTS];
	int prompts;
	int step_ms; /* how long a pass waits when nothing happens */
};

void env_setup(struct engine_env *e);
/* Closes what is open, ends the worker of the database if one runs, and what app-servers outlive
 * it. */
void env_teardown(struct engine_env *e);

/* `value` NULL: not set. For contexts that are opened from then on. */
void env_set(struct engine_env *e, const char *name, const char *value);
/* What the fake app-server is to do; `await NAME` in it waits for env_go(). */
void env_script(struct engine_env *e, const char *lines);
void env_go(const struct engine_env *e, const char *name);
/* e->dir/name, an allocation */
char *env_path(const struct engine_env *e, const char *name);
/* The database's own directory for sockets, where app-server works; an allocation. */
char *env_run_dir(const struct engine_env *e);

struct codexcp *env_open(struct engine_env *e, enum codexcp_mode mode);
void env_close(struct engine_env *e, struct codexcp *cp);
/* One pass over every open context; waits for one of them, but not long. */
void env_step(struct engine_env *e);

/* The answer of a tool; `arguments` is stolen and may be NULL. A new reference. */
json_t *env_call(struct codexcp *cp, const char *tool, json_t *arguments);
/* The same, and it must fail with this code. */
json_t *env_call_fails(struct codexcp *cp, const char *tool, json_t *arguments, const char *code);
/* An answer that is still to come. */
struct env_answer {
	json_t *payload;
	int answers, told; /* how often it was answered, and progress told */
};
struct codexcp_call *env_ask(struct codexcp *cp, const char *tool, json_t *arguments,
			     struct env_answer *answer);
/* For codexcp_call() itself; its data is the answer. */
void env_take_answer(json_t *payload, bool ok, void *data);
/* Drives until it is there; borrowed. */
json_t *env_answered(struct engine_env *e, struct env_answer *answer);
void env_answer_done(struct env_answer *answer);
/* codex_submit_task: a start_chat in the project with a message of its own, unless `more` (stolen)
 * says otherwise. The operation's id, an allocation. */
char *env_submit(struct engine_env *e, struct codexcp *cp, json_t *more);
json_t *env_submit_arguments(struct engine_env *e, json_t *more);
/* Full status, with the journal. */
json_t *env_status(struct codexcp *cp, const char *op);
/* Drives until the status has this value; a new reference. */
json_t *env_wait(struct engine_env *e, struct codexcp *cp, const char *op, const char *key,
		 const char *value);
/* The same, and the status is of no interest. */
void env_reach(struct engine_env *e, struct codexcp *cp, const char *op, const char *key,
	       const char *value);
/* Drives until the operation's workerState tells a problem that has this text. */
void env_wait_problem(struct engine_env *e, struct codexcp *cp, const char *op, const char *text);
/* Drives until the operation has ended: its status, a new reference. */
json_t *env_end(struct engine_env *e, struct codexcp *cp, const char *op);
/* Ends with this status, and its reason is as said (NULL: has none). */
void env_ends(struct engine_env *e, struct codexcp *cp, const char *op, const char *status,
	      const char *reason);
/* Drives several, side by side, until all their operations have ended: most of the time they
 * wait. */
void env_end_all(struct engine_env *envs, size_t n);
#define env_is(answer, key, value) ck_assert_str_eq(ccp_json_str(answer, key), value)

/* Another script, for processes of the fake that start from now on, and for one that reads its own
 * line by line. */
void env_rewrite_script(const struct engine_env *e, const char *lines);
/* How often the fake app-server was asked for this, by all its processes. */
int env_count(const struct engine_env *e, const char *method);
/* The params of the index-th; a new reference. */
json_t *env_logged(const struct engine_env *e, const char *method, int index);
/* Drives until it was asked that often. */
void env_wait_count(struct engine_env *e, const char *method, int count);

/* The first column of the first row as a number. */
int64_t env_number(const struct engine_env *e, const char *sql);
int64_t env_now_ms(void);
