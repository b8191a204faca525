/*
 * A client that costs next to nothing: how long a server takes, without what a client in Node would
 *add.
 *
 *	bench-latency SERVER
 *
 * Each line on standard input is a batch, answered by one line (samples.h) with its times and the
 *last answer of the server:
 *
 *	spawn N PROGRAM		start PROGRAM and wait until it has ended
 *	greet N REQUEST		start SERVER, send REQUEST, wait for the answer; the end is not
 *counted ask N REQUEST		send REQUEST to a SERVER that stays, wait for the answer
 *
 * "@@" in a request becomes a number that is never used twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

extern char **environ;

struct server {
	pid_t pid;
	FILE *in, *out;
	char *line; /* the last answer */
	size_t size;
};

static void die(const char *what)
{
	fprintf(stderr, "bench-latency: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void server_open(struct server *server, const char *path, struct samples *samples)
{
	char *const argv[] = { (char *)path, NULL };
	posix_spawn_file_actions_t actions;
	int in[2], out[2], rc;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	sample_begin(samples);
	rc = posix_spawn(&server->pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (rc != 0) {
		errno = rc;
		die(path);
	}
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
	waitpid(server->pid, NULL, 0);
	server->in = NULL;
}

static void exchange(struct server *server, const char *request)
{
	if (fputs(request, server->in) < 0 || fputc('\n', server->in) < 0 || fflush(server->in) < 0)
		die("request");
	if (getline(&server->line, &server->size, server->out) < 0)
		die("the server has ended");
	server->line[strcspn(server->line, "\n")] = '\0';
}

static void spawn_and_wait(const char *path)
{
	char *const argv[] = { (char *)path, NULL };
	pid_t pid;
	int status, rc = posix_spawn(&pid, path, NULL, NULL, argv, environ);

	if (rc != 0) {
		errno = rc;
		die(path);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die(path);
}

/* The request with its numbers, to be freed. */
static char *numbered(const char *request)
{
	static unsigned number;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	const char *mark;

	if (!out)
		die("memory");
	number++;
	for (; (mark = strstr(request, "@@")); request = mark + 2)
		fprintf(out, "%.*s%u", (int)(mark - request), request, number);
	fputs(request, out);
	fclose(out);
	return text;
}

static void greet(struct server *server, const char *path, const char *request,
		  struct samples *samples)
{
	struct server guest = { .line = server->line, .size = server->size };

	server_open(&guest, path, samples);
	exchange(&guest, request);
	sample_end(samples);
	server_close(&guest);
	server->line = guest.line;
	server->size = guest.size;
}

static void ask(struct server *server, const char *path, const char *request,
		struct samples *samples)
{
	char *text = numbered(request);

	if (!server->in)
		server_open(server, path, samples);
	sample_begin(samples);
	exchange(server, text);
	sample_end(samples);
	free(text);
}

static void run_batch(struct server *server, const char *path, const char *verb, int n,
		      const char *operand)
{
	static struct samples samples;

	samples.n = 0;
	for (int i = 0; i < n; i++) {
		if (strcmp(verb, "ask") == 0) {
			ask(server, path, operand, &samples);
		} else if (strcmp(verb, "greet") == 0) {
			greet(server, path, operand, &samples);
		} else {
			sample_begin(&samples);
			spawn_and_wait(operand);
			sample_end(&samples);
		}
	}
	samples_print(&samples, server->line ? server->line : "null");
}

int main(int argc, char **argv)
{
	struct server server = { 0 };
	char *line = NULL, verb[8];
	size_t size = 0;
	ssize_t len;

	if (argc != 2) {
		fprintf(stderr, "usage: bench-latency SERVER\n");
		return EXIT_FAILURE;
	}
	signal(SIGPIPE, SIG_IGN);
	while ((len = getline(&line, &size, stdin)) > 0) {
		int n, at;

		line[len - 1] = '\0';
		if (sscanf(line, "%7s %d %n", verb, &n, &at) < 2 || n < 1 || n > SAMPLES_MAX)
			break;
		run_batch(&server, argv[1], verb, n, line + at);
	}
	server_close(&server);
	free(server.line);
	free(line);
	return EXIT_SUCCESS;
}
