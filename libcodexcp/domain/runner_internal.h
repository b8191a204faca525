/*
 * What the files of the runner share: runner.c (life, rows), runner_effects.c (what a decision asks
 * for), runner_events.c (what app-server says), runner_send.c (requests to Codex and their
 * answers), runner_lookup.c (what happened to a lost turn), runner_watch.c (turns without news),
 * runner_terminals.c (what an interrupted turn leaves running), runner_quota.c (the account's
 * limit), runner_schedule.c (who is next).
 */
#pragma once

#include "appserver/events.h"
#include "appserver/rate_limits.h"
#include "domain/op_apply.h"
#include "domain/runner.h"
#include "domain/turn_track.h"

/* A running turn between two pieces of news. */
struct ccp_watch {
	int64_t quiet_ms; /* counted by a timer: it stands still while the machine sleeps */
	int64_t look_ms;  /* quiet for this long, the turn is looked at */
	int looks;        /* that found nothing */
	bool looking;
	bool stalled; /* as told to the row */
	json_t *work; /* ids of the turn's items in progress that are not the model's */
};

/* An operation between queue and end. */
struct ccp_live {
	struct ccp_runner *runner;
	struct ccp_op op; /* as last committed */
	struct ccp_track *track;
	struct ccp_timer *timer; /* for looking again */
	int looks;               /* looks at the thread since it was lost */
	int unready;             /* looks that Codex was not ready for, since then */
	unsigned connection;     /* on which turn/start was sent; 0: by an earlier worker */
	/* turn/completed of a turn that may be ours: its id is not known yet */
	json_t *early_end;
	struct ccp_watch watch;
	bool interrupting;       /* turn/interrupt was sent */
	struct ccp_sweep *sweep; /* of what the interrupted turn leaves running, or NULL */
	bool request_shown;      /* the thread's history shows what was asked for */
	bool answered;           /* the model has said something */
	unsigned walk;           /* the last one over all that came by */
	struct ccp_live *next, *prev;
};

/* A request under way; the answer finds its operation by id, because that may have ended
 * meanwhile. */
struct ccp_send {
	struct ccp_runner *runner;
	char op_id[CCP_ID_SIZE];
	int64_t epoch, attempt;
	ccp_interrupt_fn fn; /* of an interrupt */
	void *fn_data;
	struct ccp_send *next, *prev;
};

/* What is known of the account's limit, and how it is asked for while operations wait. */
struct ccp_quota {
	struct ccp_rate_limit limit; /* as Codex told last */
	struct ccp_timer *timer;     /* runs while they do */
	int64_t asked_at;            /* boot clock; 0: not by this worker */
	bool asking;
	bool wanted; /* as soon as the app-server that is being started is there */
};

/* An app-server process, for attaching to it. id "": none. */
struct ccp_known_instance {
	char id[CCP_ID_SIZE];
	struct ccp_process_id process;
	int64_t started_at;
};

struct ccp_runner {
	struct ccp_runner_options options;
	struct ccp_runner_events events;
	void *data;
	struct ccp_appserver *as;
	struct ccp_timer *flush_timer, *due_timer, *idle_timer, *start_timer, *leave_timer,
		*watch_timer;
	struct ccp_live *live;
	struct ccp_send *sends;
	bool claiming;
	bool adopting; /* operations of an earlier worker do not have their slots back yet */
	bool stopping; /* app-server ends because we asked it to */
	struct ccp_quota quota;
	int64_t crowded_since; /* boot clock: too many requests are unanswered; 0: no */
	bool crowded_told;
	/* Only the connection was lost: what is attached to again, how often that was tried, and
	 * since when. */
	struct ccp_known_instance lost;
	int reconnects;
	int64_t lost_at;          /* on the boot clock */
	unsigned connection;      /* counts the connections to app-servers */
	void (*left)(void *data); /* nothing is claimed any more; called when all is let go of */
	bool has_left;
	unsigned walks; /* over all live operations, counted */
	char boot[CCP_BOOT_ID_SIZE];
};

static inline int64_t ccp_runner_now(const struct ccp_runner *runner)
{
	return ccp_clock_wall(ccp_loop_clock(runner->options.loop));
}

struct ccp_live *ccp_live_find(const struct ccp_runner *runner, const char *op_id);
struct ccp_live *ccp_live_by_thread(const struct ccp_runner *runner, const char *thread_id);
/* An error of the program itself: logged. */
void ccp_runner_trouble(const char *what, const char *op_id, const struct codexcp_error *err);

/*
 * Apply an event to an operation in a transaction of its own (with what its track has collected),
 * then carry out the effects. `change` may borrow from `keep`, which is referenced until then, and
 * its error is copied.
 */
void ccp_runner_apply(struct ccp_runner *runner, const char *op_id, enum ccp_op_event event,
		      const struct ccp_op_change *change, json_t *keep);

/* Start app-server unless it runs, or attach to the one whose connection was lost; soon, when it
 * has just ended. */
void ccp_runner_start_app_server(struct ccp_runner *runner);
void ccp_runner_stop_app_server(struct ccp_runner *runner);
/* app-server has ended: was that what leaving waited for? */
bool ccp_runner_has_left(struct ccp_runner *runner);

/* Write what the tracks have collected, a little later. */
void ccp_runner_flush_soon(struct ccp_runner *runner);

/* runner_effects.c: what a decision asks for, once it is on disk */
void ccp_carry_out(struct ccp_live *live, unsigned effects);

/* runner_events.c */
extern const struct ccp_appserver_events ccp_runner_app_events;
/* The turn's id is known now: it may have ended already. */
void ccp_turn_known(struct ccp_live *live);
/* A turn has ended, by its own event or as history tells. */
void ccp_turn_ended(struct ccp_live *live, const char *turn_id, const char *status,
		    json_t *codex_error, json_t *keep);

/* runner_send.c */
void ccp_send_thread(struct ccp_live *live);
void ccp_send_turn(struct ccp_live *live);
void ccp_send_interrupt(struct ccp_live *live, ccp_interrupt_fn fn, void *fn_data);
void ccp_send_unsubscribe(struct ccp_runner *runner, const char *thread_id);
/* thread/resume for the operation's thread, with its whole history. */
json_t *ccp_send_resume_params(struct ccp_live *live);
/* Start a request for a live operation; fn gets the ccp_send as data and must ccp_send_done()
 * it. */
int ccp_send_start(struct ccp_live *live, const char *method, json_t *params, int64_t timeout_ms,
		   ccp_reply_fn fn, struct ccp_send **ret_send, struct codexcp_error *err);
void ccp_send_done(struct ccp_send *send);

/* runner_instance.c: which process had it, and what became of that process */
/* Attach to what an earlier worker left on its socket, if anything lives there. */
int ccp_instance_find_again(struct ccp_runner *runner, struct codexcp_error *err);
void ccp_instance_attach(struct ccp_runner *runner, const struct ccp_known_instance *instance);
struct ccp_known_instance ccp_instance_present(const struct ccp_runner *runner);
void ccp_instance_started(struct ccp_runner *runner);
/* It was told to end: nobody attaches to it any more. */
void ccp_instance_draining(struct ccp_runner *runner);
/* The same at our end, when nothing is queued any more: at once, and it is told. */
void ccp_instance_leave_to_end(struct ccp_runner *runner);
void ccp_instance_ended(struct ccp_runner *runner, const struct codexcp_error *why);
/* A turn may run on the one we talk to, or reconnect to. */
bool ccp_instance_has_turns(const struct ccp_runner *runner);
/* It is on a socket, and we were told to use none: it is kept for its turns only. */
bool ccp_instance_is_unwanted(const struct ccp_runner *runner);
enum ccp_instance_fate {
	CCP_INSTANCE_PRESENT,    /* it is the one we talk to */
	CCP_INSTANCE_DEAD,       /* proven */
	CCP_INSTANCE_POWER_LOSS, /* the machine was started again since */
	CCP_INSTANCE_LINGERS,    /* an orphan that has not ended yet */
	CCP_INSTANCE_UNCLEAR,    /* not provable from here */
};
enum ccp_instance_fate ccp_instance_fate(const struct ccp_runner *runner, const char *instance);
/* End an orphan: its stdin is closed and it had its time. */
void ccp_instance_kill(const struct ccp_runner *runner, const char *instance);

/* runner_lookup.c: for a lost turn its fate, for a running one whether it has ended unseen */
void ccp_look_up(struct ccp_live *live);
void ccp_look_up_later(struct ccp_live *live, int64_t delay_ms);

/* runner_watch.c: turns without news */
int ccp_watch_init(struct ccp_runner *runner, struct codexcp_error *err);
/* From when it is live. */
void ccp_watch_begin(struct ccp_live *live);
void ccp_watch_done(struct ccp_live *live);
/* There is news of it. */
void ccp_watch_heard(struct ccp_live *live, const struct ccp_event *event);

/* runner_terminals.c: the commands of a turn that is interrupted */
/* Before it is. */
void ccp_terminals_list(struct ccp_live *live);
/* When it was: true, the end has to wait until they have ended; it is told again then. */
bool ccp_terminals_hold(struct ccp_live *live, const char *turn_id, json_t *keep);
/* What is to be told about them, or NULL; borrowed. */
const char *ccp_terminals_told(const struct ccp_live *live);
void ccp_terminals_done(struct ccp_live *live);
/* Of an answer to thread/backgroundTerminals/list those that the operation's turn began; a new
 * reference or NULL. */
json_t *ccp_terminals_own(const struct ccp_live *live, const json_t *result);

/* runner_quota.c */
int ccp_quota_init(struct ccp_runner *runner, struct codexcp_error *err);
/* app-server is. */
void ccp_quota_ready(struct ccp_runner *runner);
/* As many wait now: ask again in a while, or no more. */
void ccp_quota_watch(struct ccp_runner *runner, const struct ccp_op_quota *quota);
void ccp_quota_notification(struct ccp_runner *runner, const char *method, const json_t *params);
/* The first answer of the model after a limit lets the others go, once the turn is known. */
void ccp_quota_event(struct ccp_live *live, const struct ccp_event *event);
void ccp_quota_known(struct ccp_live *live);
/* What waits for the limit need not wait any longer. */
void ccp_quota_over(struct ccp_runner *runner);
/* Ask when the limit ends, if Codex has not said it. */
void ccp_quota_read(struct ccp_live *live);

/* runner_schedule.c */
void ccp_schedule(struct ccp_runner *runner);
