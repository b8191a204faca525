/*
 * A child process in a session of its own, its standard streams as lines.
 *
 * `exited` comes once, after the process has ended *and* its output was read to the end: nothing
 * that it said is lost. A process of its own that keeps the output open is not waited for longer
 * than half a second. Stopping is closing its stdin or ccp_child_stop(): SIGTERM to the child, then
 * SIGKILL after a grace to its whole process group. Signal dispositions and the mask are the
 * default ones in the child, and it inherits no descriptor that is close-on-exec.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"

struct ccp_child;

struct ccp_child_events {
	/* Optional: without it stdout is the null device. */
	void (*line)(struct ccp_child *child, char *line, size_t len, void *data);
	/* Optional, as in a stream. */
	void (*overlong)(struct ccp_child *child, size_t len, void *data);
	/* status: exit status, or -signal. `stderr_tail`: its last words, sanitised UTF-8, never
	 * NULL. Optional. */
	void (*exited)(struct ccp_child *child, int status, const char *stderr_tail, void *data);
};

struct ccp_child_options {
	const char *file; /* executable; looked up in PATH when it has no slash */
	const char *const *argv;
	const char *const *envp; /* NULL: ours */
	const char *cwd;         /* NULL: ours */
	const char *stderr_path; /* append stderr to this 0600 file instead of keeping its tail */
	const char *stdout_path; /* append stdout to this 0600 file; there are no lines then */
	bool no_stdin;           /* stdin is the null device */
	size_t max_line;
	/* Freeing the object leaves the process alone (a worker that outlives its starter). Its
	 * stderr is the null device when there is no stderr_path. */
	bool outlives;
};

/* What keeps the program from being started is CODEXCP_E_INTERNAL with a detail errno, "ENOENT". */
int ccp_child_spawn(struct ccp_loop *loop, const struct ccp_child_options *options,
		    const struct ccp_child_events *events, void *data, struct ccp_child **ret_child,
		    struct codexcp_error *err);
int ccp_child_pid(const struct ccp_child *child);
/* One line to its stdin; the newline is added. Does nothing when stdin is closed at either end. */
int ccp_child_write_line(struct ccp_child *child, const char *line, size_t len,
			 struct codexcp_error *err);
/* When everything written has left. */
void ccp_child_close_stdin(struct ccp_child *child);
void ccp_child_stop(struct ccp_child *child, int64_t grace_ms);
/* SIGKILL unless `outlives`; no callback comes any more. */
void ccp_child_free(struct ccp_child *child);
