/*
 * The fake `codex app-server`: a real child process for tests, speaking as Codex 0.169 does on
 * stdio or on a local socket.
 *
 *	fake-appserver app-server [--listen unix://NAME]
 *
 * On a socket there may be several clients, and none: turns go on. Each hears of the threads that
 * it has started or resumed.
 *
 * It behaves well unless told otherwise by its environment:
 *
 *	CCP_FAKE_VERSION=0.169.0	what it calls itself in userAgent
 *	CCP_FAKE_LOG=FILE		append "METHOD params" for each request and notification received,
 *					"answer message" for each answer, "running-turns N" whenever a turn
 *					starts, "user-message ID" with its client's id for each that a turn
 *					took, "turn-ended STATUS"
 *	CCP_FAKE_STATE=DIR		keep threads in files: another process finds them again, a turn that
 *					was cut is `interrupted`, a thread in use elsewhere is refused
 *	CCP_FAKE_TURN_MS=N		how long a turn runs before its report; -1: until `finish` or
 *					interrupt
 *	CCP_FAKE_STREAM_BYTES=N		at least this many bytes of report, in deltas of 64
 *	CCP_FAKE_COMMANDS=N		commands that a turn begins and that nobody ends but the client
 *	CCP_FAKE_OVERLOAD=N		the first N turn/start are refused with -32001
 *	CCP_FAKE_EARLY=1		notifications of a request come before its answer
 *	CCP_FAKE_DIE_BEFORE=METHOD	SIGKILL on receiving METHOD, with nothing done,
 *	CCP_FAKE_DIE_AFTER=METHOD	or right after its answer; of a notification: instead of sending it,
 *					or right after; once per CCP_FAKE_STATE when that is set
 *	CCP_FAKE_DROP=METHOD		do it, but never answer
 *	CCP_FAKE_NO_SOCKET=1		--listen is a usage error, as in old versions
 *	CCP_FAKE_UPGRADE=TEXT		status line of the answer to the HTTP upgrade, instead of 101
 *	CCP_FAKE_UNFRAGMENTED=N		bytes that a message may have in one WebSocket frame
 *	CCP_FAKE_SCRIPT=FILE		lines, in order; whatever comes meanwhile gets the usual behaviour:
 *
 *	once				the rest is for the first process of this CCP_FAKE_STATE only
 *	expect METHOD [NAME ...]	until METHOD comes; params.NAME is $NAME from now on, its id is $id
 *	default				answer it as usual (sets $turnId after turn/start); who asked and has
 *					disconnected gets no answer, but it is done
 *	reply JSON | error CODE TEXT | overload
 *	notify JSON | request JSON	a whole message; $name stands for a captured value as JSON
 *	expect-answer			until the last `request` was answered; its result is $answer
 *	disconnect			close all connections, and go on
 *	uncertain			the next thread/resume calls a turn that runs interrupted and the
 *					thread idle, as Codex does in the moment in which a turn ends
 *	finish [STATUS]			end every running turn: completed (default), failed, interrupted
 *	say TEXT			a message of every running turn
 *	fail JSON			end every running turn as failed, with this error
 *	await FILE			until FILE exists: the test says when
 *	delay MS | garbage TEXT | long BYTES | stderr TEXT
 *	garble METHOD			the next notification of METHOD arrives as garbage
 *	swallow METHOD			the next one is not sent at all
 *	flag [NAME]			what the running turns wait for
 *	term ignore | term default | term log
 *					what SIGTERM does; else it ends the process with status 0, on
 *					a socket after the last running turn
 *	hang				never read or write again, end of input included
 *	die [STATUS | SIGKILL | SIGTERM | SIGSEGV]
 *
 * After the last line it goes on well-behaved. A script that is wrong ends the process with status
 * 70.
 */
#pragma once

#include <jansson.h>

#include "base/strbuf.h"

#define FAKE_INVALID (-32600)

struct fake {
	json_t *threads; /* loaded ones: id -> {thread, settings, endsAt}; turns hold all items */
	json_t *running; /* of them those with a turn that runs */
	json_t *later;   /* notifications that follow the answer being made */
	const char *state;
	int overloads;
	struct fake_wire *wire;
	json_t *pending; /* requests of ours that nobody has answered: whoever resumes gets them again */
	json_t *vars;    /* of the script */
	json_t *message; /* what `expect` waited for, */
	unsigned asker;  /* and who had sent it */
	bool log_terms;  /* SIGTERM is a line of the log: "SIGTERM true" */
	bool uncertain;  /* the next thread/resume says that nothing runs */
	json_t *failure; /* why turns fail from now on, or NULL */
	char *garble;    /* the notification that is to arrive as garbage, or NULL */
	char *swallow;   /* the notification that is not to be sent, or NULL */
};

/* fake_threads.c: one row a method. Returns the result, or NULL with the error filled in. */
struct fake_error {
	int code;
	char message[256];
};
json_t *fake_answer(struct fake *f, const char *method, const json_t *params,
		    struct fake_error *ret_error);
/* End the turns whose time has come; returns when the next one ends, 0 for none. */
int64_t fake_run_turns(struct fake *f);
bool fake_is_idle(struct fake *f);
void fake_finish_turns(struct fake *f, const char *status);
void fake_say_in_turns(struct fake *f, const char *text);
/* What the running turns wait for: waitingOnApproval, waitingOnUserInput, or "". */
void fake_set_flag(struct fake *f, const char *flag);
int64_t fake_env(const char *name, int64_t def);

/* fake_appserver.c. `params` is stolen. */
void fake_notify(struct fake *f, const char *method, json_t *params);
int64_t fake_now(void);
/* Serve until `fn` says that it is enough (or the input ends: exit). */
void fake_serve(struct fake *f, bool (*enough)(struct fake *f, json_t *message, void *data),
		void *data, int64_t until);
void fake_default(struct fake *f, json_t *message);
/* A line of CCP_FAKE_LOG. */
void fake_log(const char *what, const json_t *value);
/* Whether this is the first time in this CCP_FAKE_STATE; always, when there is none. */
bool fake_first(const struct fake *f, const char *name);

/* fake_script.c */
void fake_script(struct fake *f, const char *path);

/* fake_wire.c. A text as it is, to everybody; */
void fake_say(struct fake *f, const char *text, size_t len);
/* to those whom it concerns; */
void fake_send(struct fake *f, const json_t *message);
/* to whom the message came from that was read last. */
void fake_answer_send(struct fake *f, const json_t *message);
/* Who that was; and an earlier one in its place, nobody when it has gone. */
unsigned fake_asker(const struct fake *f);
void fake_set_asker(struct fake *f, unsigned asker);
void fake_subscribe(struct fake *f, const char *thread);
void fake_unsubscribe(struct fake *f, const char *thread);
/* False when it is initialised already. */
bool fake_initialize(struct fake *f);
bool fake_initialized(const struct fake *f);
void fake_disconnect(struct fake *f);
/* A message that has come, as an allocation, or NULL. */
char *fake_next_line(struct fake *f, size_t *ret_len);
/* Until something comes. */
void fake_wait(struct fake *f, int timeout_ms);
void fake_end_when_told(struct fake *f, bool idle);
/* `listen`: the argument of --listen, or NULL for standard streams. */
void fake_open_wire(struct fake *f, const char *listen);
