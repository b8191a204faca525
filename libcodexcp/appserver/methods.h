/*
 * The methods of app-server that this program calls: parameters in, typed answers out.
 *
 * Builders return a new reference or NULL when memory ran out; a member that is NULL (or false) is
 * not sent, because Codex keeps what a thread already has. What the running version does not know
 * is refused before it is sent (Codex ignores unknown fields silently).
 */
#pragma once

#include "appserver/caps.h"
#include "base/error.h"

/* Ordered by what it permits. */
enum ccp_sandbox {
	CCP_SANDBOX_UNSET = -1,
	CCP_SANDBOX_READ_ONLY,
	CCP_SANDBOX_WORKSPACE_WRITE,
	CCP_SANDBOX_DANGER_FULL_ACCESS,
};

/* "read-only", "workspace-write", "danger-full-access"; also the camelCase tags of policy objects.
 * CCP_SANDBOX_UNSET when it is none of them. */
enum ccp_sandbox ccp_sandbox_parse(const char *name);
const char *ccp_sandbox_name(enum ccp_sandbox sandbox); /* NULL for UNSET */

/* thread/start: takes the sandbox *mode* (Codex >= 0.98). */
struct ccp_thread_start {
	const char *cwd, *model, *approval;
	enum ccp_sandbox sandbox;
	const char *source; /* threadSource, where the version knows it */
};
json_t *ccp_thread_start_params(const struct ccp_codex_version *version,
				const struct ccp_thread_start *start);

/*
 * thread/resume: loads the thread and subscribes to it. With `with_turns` the answer holds the
 * whole history, evidence for reconciliation in one request; from 0.130 on it can be left out,
 * which is cheap for any length of history (0.169 calls the whole history deprecated). Older
 * versions always send it.
 *
 * Before 0.163 Codex forgets the policy of a thread that it unloads, and would go on under the one
 * of its configuration, which may allow anything: there `policy` (or NULL) is given to the thread.
 */
struct ccp_thread_policy {
	enum ccp_sandbox sandbox;
	const char *approval;
};
json_t *ccp_thread_resume_params(const struct ccp_codex_version *version, const char *thread_id,
				 bool with_turns, const struct ccp_thread_policy *policy);

/* The answer of thread/start and thread/resume. Strings are borrowed from it. */
struct ccp_thread_answer {
	const char *thread_id, *model, *effort, *cwd;
	const char *approval; /* "granular" for objects */
	const char *status;   /* of the thread: idle, active, systemError; NULL before 0.115 */
	enum ccp_sandbox sandbox;
	bool active;   /* a turn runs */
	json_t *turns; /* array or NULL */
};
int ccp_thread_answer_parse(const json_t *result, struct ccp_thread_answer *ret,
			    struct codexcp_error *err);

/* turn/start: takes the sandbox *policy*, and the collaboration mode explicitly (it is sticky). */
struct ccp_turn_start {
	const char *thread_id;
	const char *client_message_id; /* the operation's id; sent where the version knows it */
	const char *text;
	json_t *images; /* array of checked input items, or NULL; borrowed */
	const char *cwd, *model, *effort, *summary, *approval;
	enum ccp_sandbox sandbox;
	/*
	 * "default" or "plan"; not sent when no model is known. Codex takes model *and effort* from
	 * the mode's settings and ignores those beside it; an effort that is missing there resets
	 * the thread's. So the settings get `model` and `effort`, or else what is in force.
	 */
	const char *mode;
	const char *mode_model, *mode_effort; /* in force, from struct ccp_thread_answer */
	json_t *output_schema;                /* borrowed */
};
json_t *ccp_turn_start_params(const struct ccp_codex_version *version,
			      const struct ccp_turn_start *start);
/* result.turn.id (or turnId); borrowed. */
int ccp_turn_start_parse(const json_t *result, const char **ret_turn_id, struct codexcp_error *err);

json_t *ccp_turn_interrupt_params(const char *thread_id, const char *turn_id);
/* thread/read without turns, thread/backgroundTerminals/clean */
json_t *ccp_thread_params(const char *thread_id);

/* How a thread is, by the answer of thread/read: cheap for any length of history, and without
 * effect on it. */
struct ccp_thread_state {
	bool active;  /* a turn runs */
	bool waiting; /* for an approval or an answer */
};
/* CODEXCP_E_INTERNAL: it does not say (before 0.115). */
int ccp_thread_state_parse(const json_t *result, struct ccp_thread_state *ret,
			   struct codexcp_error *err);

/* thread/backgroundTerminals/list: the commands of a thread that run, the one that a turn waits for
 * as well as those that turns left behind. None of them ends with turn/interrupt. */
json_t *ccp_terminals_list_params(const char *thread_id);
struct ccp_terminal {
	const char *process_id, *item_id, *command, *cwd; /* borrowed */
};
/* CODEXCP_E_INTERNAL when it has no processId. */
int ccp_terminal_parse(const json_t *terminal, struct ccp_terminal *ret);
json_t *ccp_terminal_end_params(const char *thread_id, const char *process_id);

/* One turn of a thread (thread/resume, thread/read, thread/turns/list, turn/completed). */
struct ccp_turn {
	const char *id, *status;          /* completed, interrupted, failed, inProgress */
	json_t *items;                    /* array or NULL */
	json_t *error;                    /* object or NULL */
	int64_t started_at, completed_at; /* wall ms, 0 unknown */
};
/* CODEXCP_E_INTERNAL when it has no id. Turn ids are unique within their thread only. */
int ccp_turn_parse(const json_t *turn, struct ccp_turn *ret);
/*
 * How a turn of a thread's history ended, or NULL when nothing tells. Before 0.146 a history calls
 * failed turns completed, and before 0.115 those that were cut; the thread itself tells whether its
 * last one failed, while the process that ran it is there (`same_process`).
 */
const char *ccp_turn_outcome(const struct ccp_codex_version *version, const struct ccp_turn *turn,
			     const struct ccp_thread_answer *thread, bool same_process);
/* Whether one of the turn's user messages has this clientId. */
bool ccp_turn_has_client_id(const struct ccp_turn *turn, const char *client_message_id);

/*
 * What an answer that is an error means. Codex says nearly everything with -32600 and a sentence;
 * the patterns stand in one table with the version they were seen in.
 */
enum ccp_codex_problem {
	CCP_PROBLEM_INVALID,    /* the request is wrong: trying again is useless */
	CCP_PROBLEM_OVERLOADED, /* -32001: later */
	CCP_PROBLEM_TIMEOUT,    /* no answer: the outcome is unknown */
	CCP_PROBLEM_GONE,       /* app-server went away: the outcome is unknown */
	CCP_PROBLEM_ELSEWHERE,  /* another process writes the thread */
	CCP_PROBLEM_NO_THREAD,  /* no such thread, not loaded, or nothing was (yet) stored of it */
	CCP_PROBLEM_ARCHIVED,
	CCP_PROBLEM_NOT_READY, /* the thread's file is being written: again in a moment */
	CCP_PROBLEM_EMPTY,     /* the same, but for ever when the process that wrote it is dead */
	CCP_PROBLEM_NO_TURN,   /* nothing to interrupt or steer */
	CCP_PROBLEM_LOGIN,     /* Codex needs a login */
};
enum ccp_codex_problem ccp_codex_problem(const struct codexcp_error *err);
/* One word for it, of the kind that Codex uses for turns: "threadNotFound". */
const char *ccp_codex_problem_class(enum ccp_codex_problem problem);
/* The pattern that decides, or -1: so a test can see to it that each was heard. */
int ccp_codex_pattern(const char *message);
size_t ccp_codex_patterns(void);

/* What to do when Codex has no login, or a provider no valid key. */
#define CCP_CODEX_LOG_IN "log in with `codex login`, or set right the key of the model provider"
/* The error as callers see it: `answer` with its message and details under the code that says what
 * it means (BUSY, THREAD_NOT_FOUND, TURN_NOT_FOUND, LOGIN_REQUIRED, ...). ccp_codex_problem() of it
 * stays the same. */
int ccp_codex_error(struct codexcp_error *err, const struct codexcp_error *answer);
