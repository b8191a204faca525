#include "rpc/jsonrpc.h"

#include "base/json.h"
#include "base/str.h"

static bool usable_id(const json_t *id)
{
	return json_is_string(id) || json_is_integer(id);
}

static json_t *not_null(json_t *value)
{
	return json_is_null(value) ? NULL : value;
}

static const char *check_envelope(const json_t *value)
{
	const json_t *version = json_object_get(value, "jsonrpc");
	const json_t *id = json_object_get(value, "id");

	if (json_is_array(value))
		return "batches are not supported";
	if (!json_is_object(value))
		return "not an object";
	if (version && !ccp_streq(json_string_value(version), "2.0"))
		return "\"jsonrpc\" is not \"2.0\"";
	/* null is what an error has whose request could not be read. */
	if (id && !usable_id(id) && (json_object_get(value, "method") || !json_is_null(id)))
		return "\"id\" is neither a string nor an integer";
	return NULL;
}

static const char *classify_call(const json_t *value, struct ccp_rpc_message *message)
{
	json_t *method = json_object_get(value, "method");

	message->params = not_null(json_object_get(value, "params"));
	if (!json_is_string(method))
		return "\"method\" is not a string";
	if (message->params && !json_is_object(message->params) &&
	    !json_is_array(message->params)) {
		message->params = NULL;
		return "\"params\" is neither an object nor an array";
	}
	message->method = json_string_value(method);
	message->kind = message->id ? CCP_RPC_REQUEST : CCP_RPC_NOTIFICATION;
	return NULL;
}

static const char *classify_answer(const json_t *value, struct ccp_rpc_message *message)
{
	json_t *error = not_null(json_object_get(value, "error"));
	json_t *result = json_object_get(value, "result");

	if (!error && !result)
		return "neither \"method\" nor \"result\" nor \"error\"";
	if (error && !json_is_object(error))
		return "\"error\" is not an object";
	if (!error && !message->id)
		return "an answer without \"id\"";
	message->error = error;
	message->result = error ? NULL : result;
	message->kind = error ? CCP_RPC_ERROR : CCP_RPC_RESPONSE;
	return NULL;
}

void ccp_rpc_classify(const json_t *value, struct ccp_rpc_message *ret_message)
{
	struct ccp_rpc_message message = { .kind = CCP_RPC_INVALID };
	json_t *id = json_object_get(value, "id");

	if (usable_id(id))
		message.id = id;
	message.problem = check_envelope(value);
	if (!message.problem)
		message.problem = json_object_get(value, "method")
					  ? classify_call(value, &message)
					  : classify_answer(value, &message);
	*ret_message = message;
}

static json_t *new_message(bool versioned)
{
	json_t *message = json_object();

	if (versioned)
		ccp_json_set_str(&message, "jsonrpc", "2.0");
	return message;
}

/* Steals params; NULL leaves the key out. */
static json_t *add_call(json_t *message, const char *method, json_t *params)
{
	ccp_json_set_str(&message, "method", method);
	if (params)
		ccp_json_set_new(&message, "params", params);
	return message;
}

json_t *ccp_rpc_request(bool versioned, json_t *id, const char *method, json_t *params)
{
	json_t *message = new_message(versioned);

	ccp_json_set_new(&message, "id", json_incref(id));
	return add_call(message, method, params);
}

json_t *ccp_rpc_notification(bool versioned, const char *method, json_t *params)
{
	return add_call(new_message(versioned), method, params);
}

json_t *ccp_rpc_response(bool versioned, json_t *id, json_t *result)
{
	json_t *message = new_message(versioned);

	ccp_json_set_new(&message, "id", json_incref(id));
	ccp_json_set_new(&message, "result", result);
	return message;
}

json_t *ccp_rpc_error(bool versioned, json_t *id, int code, const char *text, json_t *data)
{
	json_t *message = new_message(versioned);
	json_t *error = json_object();

	ccp_json_set_int(&error, "code", code);
	ccp_json_set_str(&error, "message", text);
	if (data)
		ccp_json_set_new(&error, "data", data);
	ccp_json_set_new(&message, "id", id ? json_incref(id) : json_null());
	ccp_json_set_new(&message, "error", error);
	return message;
}
