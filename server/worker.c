#include "server/worker.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/loop.h"

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

struct worker {
	struct ccp_loop *loop;
	struct ccp_signal *signals[CCP_ARRAY_SIZE(signals)];
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
	if (worker->told)
		codexcp_stop(worker->cp);
	else
		codexcp_drain(worker->cp);
	worker->told = true;
}

static void worker_done(struct worker *worker)
{
	codexcp_close(worker->cp);
	for (size_t i = 0; i < CCP_ARRAY_SIZE(signals); i++)
		ccp_signal_free(worker->signals[i]);
	ccp_loop_free(worker->loop);
}

static int worker_open(struct worker *worker, enum codexcp_mode mode, struct codexcp_error *err)
{
	struct codexcp_options options = { .mode = mode, .ready = on_ready, .ready_data = worker };
	int rc;

	rc = ccp_loop_new(NULL, &worker->loop, err);
	if (rc < 0)
		return rc;
	options.loop = ccp_loop_uv(worker->loop);
	rc = codexcp_open(&options, &worker->cp, err);
	for (size_t i = 0; rc >= 0 && i < CCP_ARRAY_SIZE(signals); i++)
		rc = ccp_signal_new(worker->loop, signals[i], on_signal, worker,
				    &worker->signals[i], err);
	return rc;
}

int worker_run(enum codexcp_mode mode, struct codexcp_error *err)
{
	_cleanup_(worker_done) struct worker worker = { 0 };
	int rc = worker_open(&worker, mode, err);

	if (rc >= 0)
		rc = codexcp_run(worker.cp, err);
	if (rc < 0 && !worker.ready)
		dprintf(STDOUT_FILENO, CODEXCP_WORKER_FAILED "%s\n", err->message);
	return rc;
}
