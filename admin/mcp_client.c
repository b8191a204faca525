#include "admin/mcp_client.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "rpc/jsonrpc.h"
#include "runtime/child.h"

#define LINE_MAX_BYTES (16 * 1024 * 1024)
#define WORDS_MAX      (size_t)200

struct mcp_client {
	struct ccp_loop *loop;
	struct ccp_timer *timer;
	struct ccp_child *child;
	int64_t id;      /* of the last request */
	json_t *answer;  /* to it; NULL: not there yet */
	char *garbage;   /* a line that is no JSON-RPC */
	char *last_said; /* on stderr, when it has ended */
	int status;
	bool ended, late;
};

static void on_late(void *data)
{
	struct mcp_client *client = data;

	client->late = true;
}

static void on_line(struct ccp_child *child, char *line, size_t len, void *data)
{
	struct mcp_client *client = data;
	json_auto_t *value = NULL;
	struct ccp_rpc_message message = { .kind = CCP_RPC_INVALID };

	if (ccp_json_parse(line, len, 0, &value, NULL) == 0)
		ccp_rpc_classify(value, &message);
	if (message.kind == CCP_RPC_INVALID && !client->garbage)
		client->garbage = ccp_utf8_sanitize(line, CCP_MIN(len, WORDS_MAX), NULL);
	if ((message.kind == CCP_RPC_RESPONSE || message.kind == CCP_RPC_ERROR) &&
	    json_integer_value(message.id) == client->id && !client->answer)
		client->answer = TAKE_PTR(value);
}

static void on_exited(struct ccp_child *child, int status, const char *stderr_tail, void *data)
{
	struct mcp_client *client = data;

	client->ended = true;
	client->status = status;
	client->last_said = ccp_strndup_trim(stderr_tail, strlen(stderr_tail));
}

int mcp_client_open(const struct mcp_client_options *options, struct mcp_client **ret_client,
		    struct codexcp_error *err)
{
	static const struct ccp_child_events events = { .line = on_line, .exited = on_exited };
	_cleanup_(mcp_client_freep) struct mcp_client *client = calloc(1, sizeof(*client));
	const char *const argv[] = { options->server, NULL };
	const struct ccp_child_options child = {
		.file = options->server,
		.argv = argv,
		.envp = options->environment,
		.cwd = options->cwd,
		.max_line = LINE_MAX_BYTES,
	};
	int r = client ? ccp_loop_new(NULL, &client->loop, err) : ccp_fail_oom(err);

	if (r == 0)
		r = ccp_timer_new(client->loop, on_late, client, &client->timer, err);
	if (r == 0)
		r = ccp_child_spawn(client->loop, &child, &events, client, &client->child, err);
	if (r < 0)
		return r;
	*ret_client = TAKE_PTR(client);
	return 0;
}

void mcp_client_free(struct mcp_client *client)
{
	if (!client)
		return;
	ccp_child_free(client->child);
	ccp_timer_free(client->timer);
	if (client->loop)
		ccp_loop_free(client->loop);
	json_decref(client->answer);
	free(client->garbage);
	free(client->last_said);
	free(client);
}

/* Steals message. */
static int send_message(struct mcp_client *client, json_t *message, struct codexcp_error *err)
{
	_cleanup_free_ char *line = NULL;
	size_t len = 0;

	line = message ? ccp_json_dump(message, &len) : NULL;
	json_decref(message);
	return line ? ccp_child_write_line(client->child, line, len, err) : ccp_fail_oom(err);
}

/* The end of the server counts too, whatever is waited for. */
static void wait_for(struct mcp_client *client, bool answer, int64_t timeout_ms)
{
	client->late = false;
	ccp_timer_start(client->timer, timeout_ms);
	while (!client->late && !client->ended && !(answer && (client->answer || client->garbage)))
		ccp_loop_step(client->loop);
	ccp_timer_stop(client->timer);
}

static int fail_without_answer(const struct mcp_client *client, const char *method,
			       struct codexcp_error *err)
{
	if (client->garbage)
		return ccp_fail(err, CODEXCP_E_INTERNAL,
				"%s: the server said what is no JSON-RPC: %s", method,
				client->garbage);
	if (client->ended)
		return ccp_fail(err, CODEXCP_E_INTERNAL, "%s: the server has ended (%d): %s",
				method, client->status, client->last_said ? client->last_said : "");
	return ccp_fail(err, CODEXCP_E_TIMEOUT, "%s: the server does not answer", method);
}

static int take_result(json_t *answer, const char *method, json_t **ret_result,
		       struct codexcp_error *err)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = ccp_json_str(error, "message");

	if (!error) {
		*ret_result = json_incref(json_object_get(answer, "result"));
		return 0;
	}
	ccp_fail(err, CODEXCP_E_SEND_FAILED, "%s: %s", method, message ? message : "refused");
	ccp_error_add(err, "rpcCode", json_incref(json_object_get(error, "code")));
	ccp_error_add(err, "data", json_incref(json_object_get(error, "data")));
	return CODEXCP_E_SEND_FAILED;
}

int mcp_client_request(struct mcp_client *client, const char *method, json_t *params,
		       int64_t timeout_ms, json_t **ret_result, struct codexcp_error *err)
{
	json_auto_t *id = json_integer(++client->id), *answer = NULL;
	int r = send_message(client, ccp_rpc_request(true, id, method, params), err);

	if (r < 0)
		return r;
	wait_for(client, true, timeout_ms);
	answer = TAKE_PTR(client->answer);
	return answer ? take_result(answer, method, ret_result, err)
		      : fail_without_answer(client, method, err);
}

int mcp_client_notify(struct mcp_client *client, const char *method, struct codexcp_error *err)
{
	return send_message(client, ccp_rpc_notification(true, method, NULL), err);
}

int mcp_client_close(struct mcp_client *client, int64_t timeout_ms, int *ret_status,
		     struct codexcp_error *err)
{
	ccp_child_close_stdin(client->child);
	wait_for(client, false, timeout_ms);
	if (!client->ended)
		return ccp_fail(err, CODEXCP_E_TIMEOUT,
				"the server does not end when its input ends");
	*ret_status = client->status;
	return 0;
}
