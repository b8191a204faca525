/*
 * A client that costs next to nothing: how long a server takes, without what a client in Node would
 * add.
 *
 *	bench-latency SERVER
 *
 * Reads batches from standard input and answers each by one line (samples.h): its times and the
 * last answer of the server.
 *
 *	spawn N PROGRAM		N times: start PROGRAM and wait until it has ended
 *	greet N			for each of the N lines that follow: start SERVER, send it, wait
 *				for the answer
 *	ask N [MS]		for each of the N lines that follow: send it to a SERVER that stays,
 *				wait for the answer; one each MS milliseconds, or at once
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

extern char **environ;

struct server {
	const char *path;
	pid_t pid;
	FILE *in, *out; /* NULL: does not run */
	char *answer;
	size_t size;
};

static void die(const char *what)
{
	fprintf(stderr, "bench-latency: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static pid_t spawn(const char *path, const posix_spawn_file_actions_t *actions)
{
	char *const argv[] = { (char *)path, NULL };
	pid_t pid;

	errno = posix_spawn(&pid, path, actions, NULL, argv, environ);
	if (errno)
		die(path);
	return pid;
}

static void wait_for(pid_t pid, const char *path)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die(path);
}

static void server_open(struct server *server)
{
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	server->pid = spawn(server->path, &actions);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	server->in = fdopen(in[1], "w");
	server->out = fdopen(out[0], "r");
	if (!server->in || !server->out)
		die("fdopen");
}

static void server_close(struct server *server)
{
	if (!server->in)
		return;
	fclose(server->in);
	fclose(server->out);
	server->in = server->out = NULL;
	wait_for(server->pid, server->path);
}

static void exchange(struct server *server, const char *line)
{
	if (fputs(line, server->in) < 0 || fflush(server->in) < 0)
		die("request");
	if (getline(&server->answer, &server->size, server->out) < 0)
		die("the server has ended");
}

static void spawn_batch(const char *program, int n, struct samples *samples)
{
	for (int i = 0; i < n; i++) {
		sample_begin(samples);
		wait_for(spawn(program, NULL), program);
		sample_end(samples);
	}
}

static void greet_batch(struct server *server, char **lines, int n, struct samples *samples)
{
	server_close(server);
	for (int i = 0; i < n; i++) {
		sample_begin(samples);
		server_open(server);
		exchange(server, lines[i]);
		sample_end(samples);
		server_close(server);
	}
}

static void sleep_until(int64_t ns)
{
	const struct timespec at = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static void ask_batch(struct server *server, char **lines, int n, int64_t every_ns,
		      struct samples *samples)
{
	const int64_t begin_ns = now_ns();

	if (!server->in)
		server_open(server);
	for (int i = 0; i < n; i++) {
		sleep_until(begin_ns + i * every_ns);
		sample_begin(samples);
		exchange(server, lines[i]);
		sample_end(samples);
	}
}

static void read_lines(char **lines, int n)
{
	for (int i = 0; i < n; i++) {
		size_t size = 0;

		lines[i] = NULL;
		if (getline(&lines[i], &size, stdin) < 0)
			die("a batch has fewer lines than it says");
	}
}

/* False for what is not a batch. */
static bool run_batch(struct server *server, const char *verb, int n, const char *argument,
		      struct samples *samples)
{
	char **lines = calloc((size_t)n, sizeof(*lines));
	const bool greet = strcmp(verb, "greet") == 0, asks = greet || strcmp(verb, "ask") == 0;

	if (!lines)
		die("memory");
	samples->n = 0;
	if (asks)
		read_lines(lines, n);
	if (greet)
		greet_batch(server, lines, n, samples);
	else if (asks)
		ask_batch(server, lines, n, atoll(argument) * 1000000, samples);
	else if (strcmp(verb, "spawn") == 0)
		spawn_batch(argument, n, samples);
	for (int i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	return samples->n > 0;
}

int main(int argc, char **argv)
{
	static struct samples samples;
	struct server server = { .path = argc == 2 ? argv[1] : NULL };
	char *line = NULL, verb[8], argument[4096];
	size_t size = 0;
	int n;

	if (!server.path) {
		fprintf(stderr, "usage: bench-latency SERVER\n");
		return EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN);
	while (getline(&line, &size, stdin) > 0) {
		argument[0] = '\0';
		if (sscanf(line, "%7s %d %4095[^\n]", verb, &n, argument) < 2 || n < 1 ||
		    n > SAMPLES_MAX || !run_batch(&server, verb, n, argument, &samples)) {
			fprintf(stderr, "bench-latency: not a batch: %s", line);
			return EXIT_FAILURE;
		}
		if (server.answer)
			server.answer[strcspn(server.answer, "\n")] = '\0';
		samples_print(&samples, server.answer ? server.answer : "null");
	}
	server_close(&server);
	free(server.answer);
	free(line);
	return EXIT_SUCCESS;
}
