/*
 * The inside of a context: what <codexcp/codexcp.h> hides. Everything of a context lives on its
 * loop.
 */
#pragma once

#include <codexcp/codexcp.h>

#include "domain/op_status.h"
#include "domain/project.h"
#include "domain/txq.h"
#include "domain/upkeep.h"
#include "runtime/loop.h"
#include "service/config.h"

struct ccp_call;
struct ccp_engine;
struct ccp_roots;
struct ccp_starter;

struct codexcp {
	struct ccp_loop *loop;
	enum codexcp_mode mode; /* never CONFIGURED */
	char **environment;     /* NULL-terminated, owned */
	char *worker_path;
	struct ccp_config *config;         /* NULL when it is wrong */
	struct codexcp_error config_error; /* why */

	/* The state database, opened by the first call that needs it. Reads have a connection that
	 * cannot write. */
	struct ccp_db *db, *reader;
	struct ccp_txq *txq;
	struct codexcp_error state_trouble; /* why writing does not work at the moment */
	int64_t handed_over;                /* epoch of the older worker that was asked to leave */
	int64_t seen_version;               /* of the reader, when somebody was woken last */

	struct ccp_call *calls;
	unsigned wake; /* counts how often all calls that wait were looked at */
	struct ccp_timer *wake_timer;
	bool finishing; /* the caller wants to leave: nothing waits any more */

	struct ccp_starter *starter; /* front ends: finds or starts the worker */
	struct ccp_engine *engine;   /* workers and inline contexts */
	bool stay;                   /* a worker that does not leave when it is idle */
	void (*ready)(void *data);   /* of a worker */
	void *ready_data;
	bool stopped;
	struct codexcp_error run_error;
};

/* Below the state directory. */
#define CCP_STATE_LOG_DIR "log"
#define CCP_STATE_LOG     CCP_STATE_LOG_DIR "/worker.log"

/* service/state.c: the state directory is made, and refused when others could read or write it. */
int ccp_state_prepare(struct codexcp *cp, struct codexcp_error *err);
/* The directory as it is: 1 it can be used, 0 it is not there. */
int ccp_state_check_place(const struct codexcp *cp, struct codexcp_error *err);
/* Prepared, and the database open for writing. CODEXCP_E_STATE_BUSY: try again soon. */
int ccp_state_open(struct codexcp *cp, struct codexcp_error *err);
/* One more queue on the open database, for an owner that may end before the context does; its
 * trouble is the context's. */
int ccp_state_new_txq(struct codexcp *cp, struct ccp_txq **ret_txq, struct codexcp_error *err);
/* At the beginning of a call, when nobody has the connection in hand: one that was only a makeshift
 * is closed, and whoever reads next opens another. Whether it was one. */
bool ccp_state_refresh(struct codexcp *cp);
/* The connection for reading: 1, or 0 when there is no database yet. */
int ccp_state_reader(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err);
/* Whether the database serves this Codex home: 1, 0 when it serves none yet, CONFIG_MISMATCH. */
int ccp_state_matches_home(struct ccp_db *db, const struct ccp_config *config,
			   struct codexcp_error *err);
/* In a transaction: the same, and the first that writes records its home. */
int ccp_state_check_home(struct ccp_db *db, const struct ccp_config *config,
			 struct codexcp_error *err);
/* <state directory>/name as an allocation; NULL when memory ran out. */
char *ccp_state_path(const struct codexcp *cp, const char *name);
char *ccp_state_lock_path(const struct codexcp *cp);
/* Where the database's doorbell stands, and where its app-server works. */
char *ccp_state_run_dir(const struct codexcp *cp);

/* Rows have changed, here or in another process: whoever waits looks again. */
void ccp_context_wake(struct codexcp *cp);
/* There is work, or there may be: find or start whoever does it, and ring. */
void ccp_context_ring(struct codexcp *cp);
/* Something is unfinished: whoever does it must be alive. Costs nothing while it is. */
void ccp_context_need_worker(struct codexcp *cp);
/* Why no worker can be had, or NULL. Borrowed until the next call. */
const char *ccp_context_trouble(struct codexcp *cp);
bool ccp_context_worker_alive(struct codexcp *cp);

/* "auto", "inline", ... */
const char *ccp_context_mode_name(const struct codexcp *cp);

/* Of the configuration, and of where the state lies; a new reference, NULL when memory ran out. */
json_t *ccp_context_warnings(const struct codexcp *cp, const struct ccp_roots *allowed);

struct ccp_retention_rule ccp_context_retention(const struct codexcp *cp);
/* For whoever executes; the state is open. */
int ccp_context_new_upkeep(struct codexcp *cp, struct ccp_txq *txq, struct ccp_upkeep **ret_upkeep,
			   struct codexcp_error *err);
struct ccp_limits ccp_context_limits(const struct codexcp *cp);
struct ccp_project_places ccp_context_places(const struct codexcp *cp);
static inline const struct ccp_clock *ccp_context_clock(const struct codexcp *cp)
{
	return ccp_loop_clock(cp->loop);
}
