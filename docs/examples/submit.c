/*
 * Submit a task, wait for it, print its report.
 *
 *	cc submit.c $(pkg-config --cflags --libs codexcp) -o submit
 *	./submit /path/to/project "Describe this project in one sentence."
 *
 * Run it again while the task runs: the same request is not run twice.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <codexcp/operation.h>

static int fail(const char *what, struct codexcp_error *err)
{
	fprintf(stderr, "%s: %s: %s\n", what, codexcp_error_name(err->code), err->message);
	codexcp_error_done(err);
	return EXIT_FAILURE;
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static int run(struct codexcp *cp, const struct codexcp_submit *task)
{
	struct codexcp_error err = { 0 };
	char id[CODEXCP_OPERATION_ID_SIZE];
	json_t *status;

	if (codexcp_submit_task(cp, task, id, &err) < 0)
		return fail("submit", &err);
	printf("operation %s\n", id);
	if (codexcp_wait(cp, id, 0, &status, &err) < 0)
		return fail("wait", &err);
	printf("%s\n%s\n", text(status, "status"),
	       text(json_object_get(status, "finalReport"), "text"));
	json_decref(status);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	/* CODEXCP_INLINE: run the task inside this program instead of a worker of its own. */
	const struct codexcp_options options = {
		.worker_path = getenv("CODEXCP_WORKER"),
		.mode = getenv("CODEXCP_INLINE") ? CODEXCP_MODE_INLINE : CODEXCP_MODE_AUTO,
	};
	struct codexcp_error err = { 0 };
	struct codexcp *cp;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: %s DIRECTORY TASK\n", argv[0]);
		return 2;
	}
	/* A worker or Codex that dies is an error to handle, not the end of this program. */
	signal(SIGPIPE, SIG_IGN);
	if (codexcp_open(&options, &cp, &err) < 0)
		return fail("open", &err);
	status = run(cp, &(struct codexcp_submit){ .cwd = argv[1],
						   .message = argv[2],
						   .client_request_id = getenv("REQUEST_ID") });
	codexcp_close(cp);
	return status;
}
