#include "server/worker.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <codexcp/worker.h>

#include "base/error.h"
#include "runtime/loop.h"

/* How often one that stays looks whether the other worker has ended. */
#define LOOK_MS 500

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

struct worker {
	struct ccp_loop *loop;
	struct ccp_signal *signals[CCP_ARRAY_SIZE(signals)];
	struct ccp_timer *look;
	struct codexcp *cp;
	bool ready, told;
};

/* Whoever has started the worker may have gone: then nobody misses the line. */
static void on_ready(void *data)
{
	struct worker *worker = data;

	worker->ready = true;
	dprintf(STDOUT_FILENO, CODEXCP_WORKER_READY "\n");
}

static void on_signal(void *data)
{
	struct worker *worker = data;

	/* Told twice: at once. */
	if (worker->cp && worker->told)
		codexcp_stop(worker->cp);
	else if (worker->cp)
		codexcp_drain(worker->cp);
	worker->told = true;
}

static void on_look(void *data)
{
}

static void worker_done(struct worker *worker)
{
	codexcp_close(worker->cp);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(signals); i++)
		ccp_signal_free(worker->signals[i]);
	ccp_timer_free(worker->look);
	ccp_loop_free(worker->loop);
}

static int worker_init(struct worker *worker, struct codexcp_error *err)
{
	int rc = ccp_loop_new(NULL, &worker->loop, err);

	if (rc >= 0)
		rc = ccp_timer_new(worker->loop, on_look, NULL, &worker->look, err);
	for (size_t i = 0; rc >= 0 && i < CCP_ARRAY_SIZE(signals); i++)
		rc = ccp_signal_new(worker->loop, signals[i], on_signal, worker,
				    &worker->signals[i], err);
	return rc;
}

/* Another process is the worker. It is not asked, only its lock is looked at: so it may become idle
 * and leave. */
static int stand_by(struct worker *worker, struct codexcp_error *err)
{
	int rc = 0;

	while (!worker->told && (rc = codexcp_worker_running(worker->cp, err)) == 1) {
		ccp_timer_start(worker->look, LOOK_MS);
		ccp_loop_step(worker->loop);
	}
	return rc;
}

/* One life of a context, from standing by to its end. */
static int serve_once(struct worker *worker, enum codexcp_mode mode, bool stay,
		      struct codexcp_error *err)
{
	const struct codexcp_options options = { .mode = mode,
						 .stay = stay,
						 .loop = ccp_loop_uv(worker->loop),
						 .ready = on_ready,
						 .ready_data = worker };
	int rc = codexcp_open(&options, &worker->cp, err);

	if (rc >= 0 && stay)
		rc = stand_by(worker, err);
	if (rc >= 0 && !worker->told)
		rc = codexcp_run(worker->cp, err);
	codexcp_close(TAKE_PTR(worker->cp));
	return rc;
}

int worker_run(enum codexcp_mode mode, bool stay, struct codexcp_error *err)
{
	_cleanup_(worker_done) struct worker worker = { 0 };
	int rc = worker_init(&worker, err);

	/* One that stays ends by itself when another was faster at the lock, or when a newer
	 * version takes over: then the unit starts what its file names now. */
	do
		rc = rc < 0 ? rc : serve_once(&worker, mode, stay, err);
	while (rc >= 0 && stay && !worker.told && !worker.ready);
	if (rc >= 0 && stay && !worker.told)
		rc = ccp_fail(err, CODEXCP_E_BUSY, "a newer version takes over");
	if (rc < 0 && !worker.ready)
		dprintf(STDOUT_FILENO, CODEXCP_WORKER_FAILED "%s\n", err->message);
	return rc;
}
