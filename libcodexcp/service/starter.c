#include "service/starter.h"

#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/child.h"
#include "runtime/process.h"
#include "runtime/socket.h"
#include "runtime/stream.h"
#include "service/doorbell.h"
#include "service/engine.h"

/* Many front ends that see the same lost worker do not all start one in the same instant. */
#define SPREAD_MS    50
#define RECONNECT_MS 50
#define READY_MS     2000
/* After a start that came to nothing: descriptors, processes or space on the disk are missing. */
#define RETRY_MS          1000
#define STARTS_PER_MINUTE 5
#define MINUTE_MS         60000

struct ccp_starter {
	struct codexcp *cp;
	struct ccp_stream *bell;
	struct ccp_child *worker; /* being started; let go of once it is ready */
	struct ccp_timer *timer;  /* for the next try */
	struct ccp_timer *ready_timer;
	int64_t starts[STARTS_PER_MINUTE]; /* boot clock, the oldest is replaced */
	size_t next_start;
	char trouble[512];
	char worker_trouble[512]; /* what the connected worker says about the state */
	bool failed; /* the trouble is that of a worker that has ended, or may not be started */
	/* A worker was started, or made to leave, by us: the next is what can be had. */
	bool settled;
};

static int64_t now_ms(const struct ccp_starter *starter)
{
	return ccp_clock_boot(ccp_context_clock(starter->cp));
}

static void try_later(struct ccp_starter *starter, int64_t delay_ms)
{
	if (!ccp_timer_active(starter->timer))
		ccp_timer_start(starter->timer, delay_ms);
}

static void set_trouble(struct ccp_starter *starter, const char *text)
{
	starter->failed = true;
	snprintf(starter->trouble, sizeof(starter->trouble), "%s", text);
	ccp_log(CCP_LOG_INFO, "no worker", "reason", text, NULL);
}

static void clear_trouble(struct ccp_starter *starter)
{
	starter->failed = false;
	starter->trouble[0] = '\0';
}

/* The connection */

static void ring(struct ccp_starter *starter)
{
	(void)ccp_stream_write_line(starter->bell, CCP_DOORBELL_RING, strlen(CCP_DOORBELL_RING),
				    NULL);
}

/* Sending it away would bring the same again: the program that is started has become older than
 * this process, which goes on as long as its client. */
static void keep_older(struct ccp_starter *starter, const char *hello)
{
	snprintf(
		starter->trouble, sizeof(starter->trouble),
		"the worker is older (version and schema %s) than this process (%s), and %s starts "
		"no newer one: restart this client, or install the newer version again",
		hello + strlen(CCP_DOORBELL_HELLO " "), CCP_VERSION, starter->cp->worker_path);
	ccp_log(CCP_LOG_WARNING, "an older worker is kept", "why", starter->trouble, NULL);
}

/* An older worker makes room for one of this version; the end of the connection then brings it. */
static void replace(struct ccp_starter *starter, const char *hello)
{
	char leave[CCP_DOORBELL_RELEASE_SIZE];

	if (starter->cp->mode != CODEXCP_MODE_AUTO)
		return;
	if (starter->settled) {
		keep_older(starter, hello);
		return;
	}
	starter->settled = true;
	ccp_doorbell_line(CCP_DOORBELL_LEAVE, leave);
	(void)ccp_stream_write_line(starter->bell, leave, strlen(leave), NULL);
}

static void on_hello(struct ccp_starter *starter, const char *hello, int order)
{
	if (order < 0)
		replace(starter, hello);
	else
		starter->settled = false;
}

static void on_line(struct ccp_stream *stream, char *line, size_t len, void *data)
{
	struct ccp_starter *starter = data;

	int order;

	if (ccp_streq(line, CCP_DOORBELL_CHANGED))
		ccp_context_wake(starter->cp);
	else if (ccp_str_has_prefix(line, CCP_DOORBELL_TROUBLE " "))
		snprintf(starter->worker_trouble, sizeof(starter->worker_trouble), "%s",
			 line + strlen(CCP_DOORBELL_TROUBLE " "));
	else if (ccp_doorbell_compare(line, CCP_DOORBELL_HELLO, &order))
		on_hello(starter, line, order);
}

/* The worker has gone. If anything is unfinished, another one is needed. */
static void on_end(struct ccp_stream *stream, int error, void *data)
{
	struct ccp_starter *starter = data;

	ccp_stream_free(TAKE_PTR(starter->bell));
	starter->worker_trouble[0] = '\0';
	clear_trouble(starter);
	codexcp_look_for_work(starter->cp);
}

static int connect_bell(struct ccp_starter *starter, struct codexcp_error *err)
{
	static const struct ccp_stream_events events = { .line = on_line, .end = on_end };
	_cleanup_free_ char *dir = ccp_state_run_dir(starter->cp);
	int fd = dir ? ccp_socket_connect(dir, CCP_DOORBELL_NAME, err) : ccp_fail_oom(err);

	if (fd < 0)
		return fd;
	fd = ccp_stream_open(starter->cp->loop, fd, CCP_DOORBELL_MAX_LINE, &events, starter,
			     &starter->bell, err);
	if (fd == 0)
		clear_trouble(starter);
	return fd;
}

/* Starting a worker */

static void let_go(struct ccp_starter *starter)
{
	ccp_timer_stop(starter->ready_timer);
	ccp_child_free(TAKE_PTR(starter->worker));
}

static void on_worker_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct ccp_starter *starter = data;

	if (ccp_streq(line, CODEXCP_WORKER_READY))
		clear_trouble(starter);
	else if (ccp_str_has_prefix(line, CODEXCP_WORKER_FAILED))
		set_trouble(starter, line + strlen(CODEXCP_WORKER_FAILED));
	else
		return;
	let_go(starter);
	try_later(starter, 1);
}

static void on_worker_exited(struct ccp_child *child, int status, const char *stderr_tail,
			     void *data)
{
	struct ccp_starter *starter = data;

	if (status != 0)
		set_trouble(starter, "the worker ended while it was started; see log/worker.log");
	let_go(starter);
	try_later(starter, RECONNECT_MS);
}

static void on_not_ready(void *data)
{
	struct ccp_starter *starter = data;

	set_trouble(starter, "the worker was started, but is not ready yet; see log/worker.log");
	starter->failed = false;
	let_go(starter);
	try_later(starter, RECONNECT_MS);
}

/* Five starts a minute at the most: a worker that dies at once is not started for ever. */
static bool may_start(struct ccp_starter *starter)
{
	int64_t now = now_ms(starter), oldest = starter->starts[starter->next_start];

	if (oldest && now - oldest < MINUTE_MS) {
		try_later(starter, MINUTE_MS - (now - oldest));
		return false;
	}
	starter->starts[starter->next_start] = now;
	starter->next_start = (starter->next_start + 1) % STARTS_PER_MINUTE;
	return true;
}

/* That was none: somebody else had the lock, if only to look who has it. */
static void forget_start(struct ccp_starter *starter)
{
	starter->next_start = (starter->next_start + STARTS_PER_MINUTE - 1) % STARTS_PER_MINUTE;
	starter->starts[starter->next_start] = 0;
}

static void start_failed(struct ccp_starter *starter, const struct codexcp_error *why)
{
	set_trouble(starter, why->message);
	try_later(starter, RETRY_MS);
}

static void spawn_worker(struct ccp_starter *starter)
{
	static const struct ccp_child_events events = { .line = on_worker_line,
							.exited = on_worker_exited };
	struct codexcp *cp = starter->cp;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_free_ char *log = ccp_state_path(cp, CCP_STATE_LOG);
	const char *const argv[] = { cp->worker_path, "worker", NULL };
	const struct ccp_child_options options = {
		.file = cp->worker_path,
		.argv = argv,
		.envp = (const char *const *)cp->environment,
		/* What it reads from its environment may be relative. */
		.cwd = cp->config->cwd,
		.stderr_path = log,
		.max_line = CCP_DOORBELL_MAX_LINE,
		.outlives = true,
	};

	if (ccp_child_spawn(cp->loop, &options, &events, starter, &starter->worker, &err) < 0) {
		start_failed(starter, &err);
		return;
	}
	starter->settled = true;
	ccp_timer_start(starter->ready_timer, READY_MS);
}

static void start_inline(struct ccp_starter *starter)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	int r = ccp_engine_new(starter->cp, &starter->cp->engine, &err);

	if (r == CODEXCP_E_BUSY) {
		forget_start(starter);
		try_later(starter, RECONNECT_MS);
	} else if (r < 0) {
		start_failed(starter, &err);
	} else {
		clear_trouble(starter);
	}
}

/* Nobody answers the doorbell: a holder of the lock is starting or ending, else one is needed. */
static void find_worker(struct ccp_starter *starter)
{
	_cleanup_free_ char *lock = ccp_state_lock_path(starter->cp);
	enum codexcp_mode mode = starter->cp->mode;

	if (mode == CODEXCP_MODE_CLIENT) {
		set_trouble(starter, "no worker runs, and this client may not start one");
		return;
	}
	if (!lock || ccp_lock_is_held(lock, NULL) != 0)
		try_later(starter, RECONNECT_MS);
	else if (may_start(starter))
		mode == CODEXCP_MODE_INLINE ? start_inline(starter) : spawn_worker(starter);
}

static void drop_engine(struct ccp_starter *starter, const struct codexcp_error *why)
{
	set_trouble(starter, why->message);
	ccp_engine_free(TAKE_PTR(starter->cp->engine));
}

static void on_timer(void *data)
{
	struct ccp_starter *starter = data;
	struct ccp_engine *engine = starter->cp->engine;

	if (engine && ccp_engine_failure(engine))
		drop_engine(starter, ccp_engine_failure(engine));

	else if (starter->bell || starter->worker || engine)
		return;
	else if (connect_bell(starter, NULL) == 0)
		ring(starter);
	else
		find_worker(starter);
}

void ccp_starter_ring(struct ccp_starter *starter)
{
	if (starter->bell)
		ring(starter);
	else if (!starter->worker && connect_bell(starter, NULL) == 0)
		ring(starter);
	else if (!starter->worker && starter->cp->finishing)
		/* There will be no later. */
		on_timer(starter);
	else if (!starter->worker)
		try_later(starter, 1 + ccp_random_below(SPREAD_MS));
}

void ccp_starter_finish(struct ccp_starter *starter)
{
	if (!ccp_timer_active(starter->timer))
		return;
	ccp_timer_stop(starter->timer);
	on_timer(starter);
}

void ccp_starter_engine_failed(struct ccp_starter *starter)
{
	ccp_timer_start(starter->timer, 1);
}

bool ccp_starter_connected(const struct ccp_starter *starter)
{
	return starter->bell;
}

bool ccp_starter_failed(const struct ccp_starter *starter)
{
	return starter->failed;
}

const char *ccp_starter_trouble(const struct ccp_starter *starter)
{
	const char *text = *starter->worker_trouble ? starter->worker_trouble : starter->trouble;

	return *text ? text : NULL;
}

int ccp_starter_new(struct codexcp *cp, struct ccp_starter **ret_starter, struct codexcp_error *err)
{
	struct ccp_starter *starter = calloc(1, sizeof(*starter));
	int r;

	if (!starter)
		return ccp_fail_oom(err);
	starter->cp = cp;
	r = ccp_timer_new(cp->loop, on_timer, starter, &starter->timer, err);
	if (r == 0)
		r = ccp_timer_new(cp->loop, on_not_ready, starter, &starter->ready_timer, err);
	if (r < 0) {
		ccp_starter_free(starter);
		return r;
	}
	*ret_starter = starter;
	return 0;
}

void ccp_starter_free(struct ccp_starter *starter)
{
	if (!starter)
		return;
	ccp_stream_free(starter->bell);
	ccp_child_free(starter->worker);
	ccp_timer_free(starter->timer);
	ccp_timer_free(starter->ready_timer);
	free(starter);
}
