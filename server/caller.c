#include "server/caller.h"

#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define META_THREAD "threadId"
#define META_TURN   "x-codex-turn-metadata"

static const char *text(const json_t *obj, const char *key)
{
	const char *value = ccp_json_str(obj, key);

	return ccp_str_blank(value) ? NULL : value;
}

/* An object, or the same as text. */
static int read_turn(const json_t *meta, json_t **ret_turn, struct codexcp_error *err)
{
	json_t *value = json_object_get(meta, META_TURN);
	int rc = 0;

	if (json_is_object(value))
		*ret_turn = json_incref(value);
	else if (json_is_string(value))
		rc = ccp_json_parse(json_string_value(value), json_string_length(value), 0,
				    ret_turn, err);
	return rc == CODEXCP_E_NO_MEMORY ? rc : 0;
}

int mcp_caller_init(struct mcp_caller *caller, const json_t *meta,
		    const char *environment_thread_id, struct codexcp_error *err)
{
	_cleanup_error_ struct codexcp_error why = { 0 };

	*caller = (struct mcp_caller){ 0 };
	if (read_turn(meta, &caller->turn, &why) < 0)
		return ccp_fail_copy(err, &why);
	caller->thread_id = text(meta, META_THREAD);
	if (!caller->thread_id)
		caller->thread_id = text(caller->turn, "thread_id");
	if (!caller->thread_id && !ccp_str_blank(environment_thread_id))
		caller->thread_id = environment_thread_id;
	caller->sandbox = text(caller->turn, "sandbox_mode");
	if (!caller->sandbox)
		caller->sandbox = text(caller->turn, "sandbox");
	return 0;
}

void mcp_caller_done(struct mcp_caller *caller)
{
	json_decref(caller->turn);
	*caller = (struct mcp_caller){ 0 };
}
