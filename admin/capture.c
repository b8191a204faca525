#include "admin/capture.h"

#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "runtime/child.h"

#define LINE_MAX_BYTES 65536

struct capture {
	struct ccp_loop *loop;
	struct ccp_timer *timer;
	struct ccp_child *child;
	char *line, *last_said;
	int status;
	bool ended, late;
};

static void capture_done(struct capture *capture)
{
	ccp_child_free(capture->child);
	ccp_timer_free(capture->timer);
	if (capture->loop)
		ccp_loop_free(capture->loop);
	free(capture->line);
	free(capture->last_said);
}

static void on_late(void *data)
{
	struct capture *capture = data;

	capture->late = true;
}

static void on_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct capture *capture = data;

	if (!capture->line)
		capture->line = ccp_utf8_sanitize(line, len, NULL);
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct capture *capture = data;

	capture->ended = true;
	capture->status = status;
	capture->last_said = ccp_strndup_trim(stderr_tail, strlen(stderr_tail));
}

static int start(struct capture *capture, const char *const *argv, const char *const *environment,
		 struct codexcp_error *err)
{
	static const struct ccp_child_events events = { .line = on_line, .exited = on_exited };
	const struct ccp_child_options options = {
		.file = argv[0],
		.argv = argv,
		.envp = environment,
		.max_line = LINE_MAX_BYTES,
	};
	int r = ccp_loop_new(NULL, &capture->loop, err);

	if (r == 0)
		r = ccp_timer_new(capture->loop, on_late, capture, &capture->timer, err);
	if (r == 0)
		r = ccp_child_spawn(capture->loop, &options, &events, capture, &capture->child,
				    err);
	if (r == 0)
		ccp_child_close_stdin(capture->child);
	return r;
}

int capture_run(const char *const *argv, const char *const *environment, int64_t timeout_ms,
		char **ret_line, struct codexcp_error *err)
{
	_cleanup_(capture_done) struct capture capture = { 0 };
	int r = start(&capture, argv, environment, err);

	if (r < 0)
		return r;
	ccp_timer_start(capture.timer, timeout_ms);
	while (!capture.ended && !capture.late)
		ccp_loop_step(capture.loop);
	if (!capture.ended)
		return ccp_fail(err, CODEXCP_E_TIMEOUT, "%s does not answer", argv[0]);
	if (capture.status)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "%s has failed (%d): %s", argv[0],
				capture.status, capture.last_said ? capture.last_said : "");
	*ret_line = TAKE_PTR(capture.line);
	return 0;
}

int capture_line(const char *const *argv, const char *const *environment, int64_t timeout_ms,
		 char **ret_line, struct codexcp_error *err)
{
	char *line = NULL;
	int r = capture_run(argv, environment, timeout_ms, &line, err);

	if (r == 0 && !line)
		r = ccp_fail(err, CODEXCP_E_INTERNAL, "%s has failed: it says nothing", argv[0]);
	if (r == 0)
		*ret_line = line;
	return r;
}
