/* The fake app-server's scripts. See fake.h. */
#include "fake.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"

static void wrong(const char *line, const char *why)
{
	fprintf(stderr, "script: %s: %s\n", why, line);
	exit(70);
}

/* `text` with each $name replaced by the JSON of what was captured, parsed. */
static json_t *expand(struct fake *f, const char *text)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(16u << 20);
	json_t *value;

	for (const char *s = text; *s;) {
		_cleanup_free_ char *json = NULL;
		char name[64];
		size_t len = 0;

		if (*s != '$') {
			ccp_strbuf_append_char(&sb, *s++);
			continue;
		}
		for (s++; isalnum((unsigned char)*s) && len < sizeof(name) - 1; s++)
			name[len++] = *s;
		name[len] = '\0';
		json = json_dumps(json_object_get(f->vars, name), JSON_ENCODE_ANY | JSON_COMPACT);
		ccp_strbuf_append(&sb, json ? json : "null");
	}
	value = json_loads(ccp_strbuf_str(&sb), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!value)
		wrong(text, "not JSON");
	return value;
}

static bool is_expected(struct fake *f, json_t *message, void *data)
{
	if (!ccp_streq(ccp_json_str(message, "method"), data))
		return false;
	json_decref(f->message);
	f->message = json_incref(message);
	f->asker = fake_asker(f);
	return true;
}

static void do_expect(struct fake *f, char *args)
{
	char *rest = NULL, *method = strtok_r(args, " ", &rest), *name;
	json_t *params, *id;

	if (!method)
		wrong("expect", "a method is missing");
	fake_serve(f, is_expected, method, 0);
	params = json_object_get(f->message, "params");
	id = json_object_get(f->message, "id");
	json_object_set(f->vars, "id", id ? id : json_null());
	while ((name = strtok_r(NULL, " ", &rest))) {
		json_t *value = json_object_get(params, name);

		json_object_set(f->vars, name, value ? value : json_null());
	}
}

static bool is_answer(struct fake *f, json_t *message, void *data)
{
	json_t *result = json_object_get(message, "result");

	if (json_object_get(message, "method") || !json_equal(json_object_get(message, "id"), data))
		return false;
	json_object_set(f->vars, "answer", result ? result : json_object_get(message, "error"));
	return true;
}

static void do_expect_answer(struct fake *f, char *args)
{
	fake_serve(f, is_answer, json_object_get(f->vars, "request"), 0);
}

static void do_default(struct fake *f, char *args)
{
	if (!f->message)
		wrong("default", "nothing was expected before");
	fake_set_asker(f, f->asker);
	fake_default(f, f->message);
}

static void do_reply(struct fake *f, char *args)
{
	json_auto_t *message = json_pack("{s:O, s:o}", "id", json_object_get(f->vars, "id"),
					 "result", expand(f, args));
	const char *thread = ccp_json_str(json_object_get(f->message, "params"), "threadId");

	if (thread && ccp_streq(ccp_json_str(f->message, "method"), "thread/resume"))
		fake_subscribe(f, thread);
	fake_answer_send(f, message);
}

static void do_error(struct fake *f, char *args)
{
	char *text = NULL;
	long code = strtol(args, &text, 10);
	json_auto_t *message = json_pack("{s:O, s:{s:i, s:s}}", "id",
					 json_object_get(f->vars, "id"), "error", "code", (int)code,
					 "message", *text ? text + 1 : "");

	fake_answer_send(f, message);
}

static void do_overload(struct fake *f, char *args)
{
	char text[] = "-32001 Server overloaded; retry later.";

	do_error(f, text);
}

static void do_notify(struct fake *f, char *args)
{
	json_auto_t *message = expand(f, args);

	fake_send(f, message);
}

static void do_request(struct fake *f, char *args)
{
	json_auto_t *message = expand(f, args);

	json_object_set(f->vars, "request", json_object_get(message, "id"));
	json_array_append(f->pending, message);
	fake_send(f, message);
}

static void do_finish(struct fake *f, char *args)
{
	fake_finish_turns(f, *args ? args : "completed");
	fake_serve(f, NULL, NULL, 1);
}

static void do_uncertain(struct fake *f, char *args)
{
	f->uncertain = true;
}

static void do_say(struct fake *f, char *args)
{
	fake_say_in_turns(f, args);
	fake_serve(f, NULL, NULL, 1);
}

static void do_fail(struct fake *f, char *args)
{
	f->failure = expand(f, args);
	fake_finish_turns(f, "failed");
	fake_serve(f, NULL, NULL, 1);
	json_decref(f->failure);
	f->failure = NULL;
}

static void do_delay(struct fake *f, char *args)
{
	fake_serve(f, NULL, NULL, fake_now() + atoi(args));
}

static void do_garbage(struct fake *f, char *args)
{
	fake_say(f, args, strlen(args));
}

static void do_long(struct fake *f, char *args)
{
	size_t len = (size_t)atol(args);
	_cleanup_free_ char *text = malloc(len);

	memset(text, 'x', len);
	fake_say(f, text, len);
}

static void do_garble(struct fake *f, char *args)
{
	free(f->garble);
	f->garble = strdup(args);
}

static void do_swallow(struct fake *f, char *args)
{
	free(f->swallow);
	f->swallow = strdup(args);
}

static void do_flag(struct fake *f, char *args)
{
	fake_set_flag(f, args);
}

/* How soon a file that has appeared is seen. */
#define AWAIT_MS 5

static void do_await(struct fake *f, char *args)
{
	while (access(args, F_OK) < 0)
		fake_serve(f, NULL, NULL, fake_now() + AWAIT_MS);
}

static void do_disconnect(struct fake *f, char *args)
{
	fake_disconnect(f);
}

static void do_stderr(struct fake *f, char *args)
{
	fprintf(stderr, "%s\n", args);
}

static void do_term(struct fake *f, char *args)
{
	f->log_terms = strcmp(args, "log") == 0;
	if (!f->log_terms)
		signal(SIGTERM, strcmp(args, "ignore") == 0 ? SIG_IGN : SIG_DFL);
}

static void do_hang(struct fake *f, char *args)
{
	for (;;)
		pause();
}

static void do_die(struct fake *f, char *args)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = { { "SIGKILL", SIGKILL }, { "SIGTERM", SIGTERM }, { "SIGSEGV", SIGSEGV } };

	for (size_t i = 0; i < CCP_ARRAY_SIZE(signals); i++) {
		if (strcmp(args, signals[i].name) == 0) {
			signal(signals[i].number, SIG_DFL);
			raise(signals[i].number);
		}
	}
	_exit(atoi(args));
}

static const struct {
	const char *name;
	void (*run)(struct fake *f, char *args);
} commands[] = {
	{ "expect", do_expect },
	{ "expect-answer", do_expect_answer },
	{ "default", do_default },
	{ "reply", do_reply },
	{ "error", do_error },
	{ "overload", do_overload },
	{ "notify", do_notify },
	{ "request", do_request },
	{ "finish", do_finish },
	{ "say", do_say },
	{ "uncertain", do_uncertain },
	{ "fail", do_fail },
	{ "delay", do_delay },
	{ "garbage", do_garbage },
	{ "long", do_long },
	{ "stderr", do_stderr },
	{ "term", do_term },
	{ "hang", do_hang },
	{ "die", do_die },
	{ "await", do_await },
	{ "garble", do_garble },
	{ "swallow", do_swallow },
	{ "flag", do_flag },
	{ "disconnect", do_disconnect },
};

static void run_line(struct fake *f, char *line)
{
	char *args = strchr(line, ' ');

	if (args)
		*args++ = '\0';
	for (size_t i = 0; i < CCP_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, line) == 0) {
			commands[i].run(f, args ? args : line + strlen(line));
			return;
		}
	}
	wrong(line, "no such command");
}

void fake_script(struct fake *f, const char *path)
{
	FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		wrong(path, "cannot be opened");
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "once") == 0 && !fake_first(f, "script"))
			break;
		if (*line && *line != '#' && strcmp(line, "once") != 0)
			run_line(f, line);
	}
	fclose(file);
}
