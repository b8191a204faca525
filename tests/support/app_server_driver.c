/*
 * An app-server on a socket, driven by our client in a process of its own, for live tests:
 *
 *	app-server-driver start CODEX RUN_DIR CWD TEXT	starts it and a turn, prints who they are, leaves
 *	app-server-driver attach RUN_DIR JSON		finds both again by what the other has printed,
 *							prints the resumed thread's status, waits for the
 *							end of the turn, prints it, ends the process
 *
 * Each line that is printed is JSON.
 */
#include <stdio.h>
#include <string.h>

#include "appserver/client.h"
#include "appserver/events.h"
#include "appserver/methods.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"

struct driver {
	struct ccp_loop *loop;
	struct ccp_appserver *as;
	const char *cwd, *text; /* of a start */
	json_t *known;          /* of an attach */
	char *thread;
};

/* Steals the value. */
static void print(json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);

	printf("%s\n", text);
	fflush(stdout);
	json_decref(value);
}

static void check(const struct codexcp_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "%s\n", err->message);
	exit(1);
}

static void call(struct driver *d, const char *method, json_t *params, ccp_reply_fn fn)
{
	struct codexcp_error err = { 0 };

	if (ccp_appserver_call(d->as, method, params, 30000, fn, d, &err) < 0)
		check(&err);
}

static void on_turn(json_t *result, const struct codexcp_error *err, void *data)
{
	struct driver *d = data;
	const struct ccp_appserver_info *info = ccp_appserver_info(d->as);
	const char *turn;

	check(err);
	ccp_turn_start_parse(result, &turn, NULL);
	print(json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:s}", "instance", info->instance, "pid",
			(json_int_t)info->process.pid, "startTime",
			(json_int_t)info->process.start_time, "pidNamespace",
			(json_int_t)info->process.pid_namespace, "boot", info->process.boot,
			"threadId", d->thread, "turnId", turn));
	ccp_loop_stop(d->loop);
}

static void on_thread(json_t *result, const struct codexcp_error *err, void *data)
{
	struct driver *d = data;
	struct ccp_thread_answer answer;
	struct ccp_turn_start start = { .client_message_id = "op-live",
					.text = d->text,
					.sandbox = CCP_SANDBOX_UNSET };

	check(err);
	ccp_thread_answer_parse(result, &answer, NULL);
	d->thread = strdup(answer.thread_id);
	start.thread_id = d->thread;
	call(d, "turn/start", ccp_turn_start_params(&ccp_appserver_info(d->as)->version, &start),
	     on_turn);
}

static void on_resumed(json_t *result, const struct codexcp_error *err, void *data)
{
	struct ccp_thread_answer answer;

	check(err);
	ccp_thread_answer_parse(result, &answer, NULL);
	print(json_pack("{s:s, s:b, s:i}", "threadId", answer.thread_id, "active", answer.active,
			"turns", (int)json_array_size(answer.turns)));
}

static void on_ready(void *data)
{
	struct driver *d = data;
	const struct ccp_codex_version *version = &ccp_appserver_info(d->as)->version;
	const struct ccp_thread_start start = { .cwd = d->cwd, .sandbox = CCP_SANDBOX_UNSET };

	if (d->known)
		call(d, "thread/resume",
		     ccp_thread_resume_params(version, ccp_json_str(d->known, "threadId"), true,
					      NULL),
		     on_resumed);
	else
		call(d, "thread/start", ccp_thread_start_params(version, &start), on_thread);
}

static void on_gone(const struct codexcp_error *why, void *data)
{
	struct driver *d = data;

	print(json_pack("{s:s, s:b}", "gone", why->message, "alive",
			ccp_appserver_info(d->as)->alive));
	ccp_loop_stop(d->loop);
}

static void on_notification(const char *method, json_t *params, void *data)
{
	struct driver *d = data;
	struct ccp_event event;

	ccp_event_parse(method, params, &event);
	if (!d->known || event.kind != CCP_EVENT_TURN_COMPLETED)
		return;
	print(json_pack("{s:s, s:s}", "turnId", event.turn_id, "status", event.status));
	ccp_appserver_stop(d->as, 10000);
}

static void on_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct driver *d = data;

	ccp_appserver_answer_safely(d->as, id, method, params);
}

static void attach(struct driver *d)
{
	struct ccp_appserver_known known = {
		.instance = ccp_json_str(d->known, "instance"),
		.process = { .pid = ccp_json_int(d->known, "pid", 0),
			     .start_time = ccp_json_int(d->known, "startTime", 0),
			     .pid_namespace = ccp_json_int(d->known, "pidNamespace", 0) },
	};

	snprintf(known.process.boot, sizeof(known.process.boot), "%s",
		 ccp_json_str(d->known, "boot"));
	ccp_appserver_attach(d->as, &known);
}

int main(int argc, char **argv)
{
	static const struct ccp_appserver_events events = {
		.ready = on_ready,
		.gone = on_gone,
		.notification = on_notification,
		.request = on_request,
	};
	bool start = argc == 6 && strcmp(argv[1], "start") == 0;
	struct driver d = { .known = start ? NULL : json_loads(argc == 4 ? argv[3] : "", 0, NULL) };
	_cleanup_free_ char *log = NULL;
	struct ccp_appserver_options options = { .transport = CCP_APPSERVER_AUTO };

	if (!start && !d.known) {
		fprintf(stderr, "usage: %s start CODEX RUN_DIR CWD TEXT | attach RUN_DIR JSON\n",
			argv[0]);
		return 2;
	}
	ccp_random_init();
	options.binary = start ? argv[2] : NULL;
	options.run_dir = argv[start ? 3 : 2];
	log = ccp_asprintf("%s/app-server.log", options.run_dir);
	options.log_path = log;
	d.cwd = start ? argv[4] : NULL;
	d.text = start ? argv[5] : NULL;
	if (ccp_loop_new(NULL, &d.loop, NULL) < 0 ||
	    ccp_appserver_new(d.loop, &options, &events, &d, &d.as, NULL) < 0)
		return 1;
	if (start)
		ccp_appserver_start(d.as);
	else
		attach(&d);
	ccp_loop_run(d.loop);
	ccp_appserver_free(d.as);
	ccp_loop_free(d.loop);
	json_decref(d.known);
	free(d.thread);
	return 0;
}
