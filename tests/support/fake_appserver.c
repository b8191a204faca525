/* The fake app-server's wire: reading, answering, dying. See fake.h. */
#include "fake.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/json.h"
#include "base/str.h"

int64_t fake_env(const char *name, int64_t def)
{
	const char *text = getenv(name);
	int64_t value;

	return text && ccp_parse_i64(text, &value) ? value : def;
}

int64_t fake_now(void)
{
	return ccp_clock_wall(ccp_clock_system());
}

void fake_notify(struct fake *f, const char *method, json_t *params)
{
	json_array_append_new(f->later, json_pack("{s:s, s:o, s:I}", "method", method, "params",
						  params, "emittedAtMs", (json_int_t)fake_now()));
}

bool fake_first(const struct fake *f, const char *name)
{
	_cleanup_free_ char *marker = f->state ? ccp_asprintf("%s/%s", f->state, name) : NULL;
	FILE *file = marker ? fopen(marker, "wxe") : NULL;

	if (file)
		fclose(file);
	return !marker || file;
}

/* Whether this is the time for what the variable names. */
static bool is_due(struct fake *f, const char *variable, const char *method)
{
	const char *wanted = getenv(variable);

	return wanted && strcmp(wanted, method) == 0 && fake_first(f, variable);
}

static void send_notification(struct fake *f, json_t *message)
{
	const char *method = ccp_json_str(message, "method");

	if (is_due(f, "CCP_FAKE_DIE_BEFORE", method))
		raise(SIGKILL);
	if (ccp_streq(f->swallow, method)) {
		free(TAKE_PTR(f->swallow));
	} else if (ccp_streq(f->garble, method)) {
		fake_say(f, "{\"method\": garbled", 18);
		free(TAKE_PTR(f->garble));
	} else {
		fake_send(f, message);
	}
	if (is_due(f, "CCP_FAKE_DIE_AFTER", method))
		raise(SIGKILL);
}

static void send_later(struct fake *f)
{
	json_t *message;
	size_t i;

	json_array_foreach (f->later, i, message)
		send_notification(f, message);
	json_array_clear(f->later);
}

/* After the answer, as with Codex. */
static void send_pending(struct fake *f, const json_t *params)
{
	const char *thread = ccp_json_str(params, "threadId");
	json_t *request;
	size_t i;

	json_array_foreach (f->pending, i, request)
		if (ccp_streq(ccp_json_str(json_object_get(request, "params"), "threadId"), thread))
			fake_answer_send(f, request);
}

static void settle(struct fake *f, const json_t *id)
{
	for (size_t i = json_array_size(f->pending); i-- > 0;)
		if (json_equal(json_object_get(json_array_get(f->pending, i), "id"), id))
			json_array_remove(f->pending, i);
}

void fake_default(struct fake *f, json_t *message)
{
	const char *method = ccp_json_str(message, "method"), *drop = getenv("CCP_FAKE_DROP");
	json_t *id = json_object_get(message, "id");
	json_auto_t *answer = json_pack("{s:O}", "id", id);
	struct fake_error error = { 0 };
	json_t *result = fake_answer(f, method, json_object_get(message, "params"), &error);

	if (result)
		json_object_set_new(answer, "result", result);
	else
		json_object_set_new(
			answer, "error",
			json_pack("{s:i, s:s}", "code", error.code, "message", error.message));
	if (fake_env("CCP_FAKE_EARLY", 0))
		send_later(f);
	if (!ccp_streq(drop, method))
		fake_answer_send(f, answer);
	if (is_due(f, "CCP_FAKE_DIE_AFTER", method))
		raise(SIGKILL);
	send_later(f);
	if (result && ccp_streq(method, "thread/resume"))
		send_pending(f, json_object_get(message, "params"));
}

void fake_log(const char *what, const json_t *value)
{
	const char *path = getenv("CCP_FAKE_LOG");
	_cleanup_free_ char *text = NULL;
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	fprintf(file, "%s %s\n", what, text ? text : "{}");
	fclose(file);
}

struct server {
	struct fake *f;
	bool (*enough)(struct fake *f, json_t *message, void *data);
	void *data;
	bool done;
};

static void take_line(struct server *s, const char *line, size_t len)
{
	json_auto_t *message = json_loadb(line, len, 0, NULL);
	const char *method = ccp_json_str(message, "method");

	if (!message) {
		fprintf(stderr, "not JSON: %.*s\n", (int)CCP_MIN(len, 100u), line);
		return;
	}
	fake_log(method ? method : "answer", method ? json_object_get(message, "params") : message);
	if (method && is_due(s->f, "CCP_FAKE_DIE_BEFORE", method))
		raise(SIGKILL);
	if (!method)
		settle(s->f, json_object_get(message, "id"));
	s->done = s->enough && s->enough(s->f, message, s->data);
	if (!s->done && method && json_object_get(message, "id"))
		fake_default(s->f, message);
}

/* Messages that have arrived, until one of them is what was waited for. */
static void take_lines(struct server *s)
{
	size_t len;
	char *line;

	while (!s->done && (line = fake_next_line(s->f, &len))) {
		take_line(s, line, len);
		free(line);
	}
}

static int wait_ms(int64_t turn_at, int64_t until)
{
	int64_t at = turn_at && until ? CCP_MIN(turn_at, until) : turn_at + until;

	return at ? (int)CCP_CLAMP(at - fake_now(), 0, 60000) : -1;
}

void fake_serve(struct fake *f, bool (*enough)(struct fake *f, json_t *message, void *data),
		void *data, int64_t until)
{
	struct server s = { .f = f, .enough = enough, .data = data };

	for (;;) {
		int64_t turn_at;

		take_lines(&s);
		turn_at = fake_run_turns(f);
		send_later(f);
		if (s.done || (until && fake_now() >= until))
			return;
		fake_end_when_told(f, fake_is_idle(f));
		fake_wait(f, wait_ms(turn_at, until));
	}
}

int main(int argc, char **argv)
{
	const char *script = getenv("CCP_FAKE_SCRIPT");
	struct fake f = {
		.threads = json_object(),
		.running = json_object(),
		.later = json_array(),
		.pending = json_array(),
		.vars = json_object(),
		.state = getenv("CCP_FAKE_STATE"),
		.overloads = (int)fake_env("CCP_FAKE_OVERLOAD", 0),
	};

	if (argc < 2 || strcmp(argv[1], "app-server") != 0 || ccp_random_init() < 0 ||
	    (argc > 2 && (argc != 4 || strcmp(argv[2], "--listen") != 0))) {
		fprintf(stderr, "usage: %s app-server [--listen unix://NAME]\n", argv[0]);
		return 2;
	}
	fake_open_wire(&f, argc > 2 ? argv[3] : NULL);
	if (script)
		fake_script(&f, script);
	fake_serve(&f, NULL, NULL, 0);
}
