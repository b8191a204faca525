#include <codexcp/appserver.h>

#include "appserver/client.h"
#include "service/app_server.h"

struct codexcp_appserver {
	struct codexcp *cp;
	struct ccp_appserver *as;
	struct codexcp_appserver_events events;
	void *data;
};

static void on_ready(void *data)
{
	struct codexcp_appserver *self = data;

	if (self->events.ready)
		self->events.ready(ccp_appserver_info(self->as)->user_agent, self->data);
}

static void on_gone(const struct codexcp_error *why, void *data)
{
	struct codexcp_appserver *self = data;

	if (self->events.gone)
		self->events.gone(why, self->data);
}

static void on_notification(const char *method, json_t *params, void *data)
{
	struct codexcp_appserver *self = data;

	if (self->events.notification)
		self->events.notification(method, params, self->data);
}

static void on_request(json_t *id, const char *method, json_t *params, void *data)
{
	struct codexcp_appserver *self = data;

	if (self->events.request)
		self->events.request(id, method, params, self->data);
	else
		(void)ccp_appserver_answer_safely(self->as, id, method, params);
}

static int start(struct codexcp_appserver *self, struct codexcp_error *err)
{
	static const struct ccp_appserver_events events = {
		.ready = on_ready,
		.gone = on_gone,
		.notification = on_notification,
		.request = on_request,
	};
	struct codexcp *cp = self->cp;
	_cleanup_(ccp_app_server_env_freep) char **envp = ccp_app_server_env(cp);
	const struct ccp_appserver_options options = {
		.find = ccp_app_server_find,
		.find_data = cp,
		.cwd = cp->config->cwd,
		.envp = (const char *const *)envp,
	};
	int r;

	if (!envp)
		return ccp_fail_oom(err);
	r = ccp_appserver_new(cp->loop, &options, &events, self, &self->as, err);
	if (r == 0)
		ccp_appserver_start(self->as);
	return r;
}

int codexcp_appserver_start(struct codexcp *cp, const struct codexcp_appserver_events *events,
			    void *data, struct codexcp_appserver **ret_as,
			    struct codexcp_error *err)
{
	struct codexcp_appserver *self;
	int r;

	if (!cp->config)
		return ccp_fail_copy(err, &cp->config_error);
	self = calloc(1, sizeof(*self));
	if (!self)
		return ccp_fail_oom(err);
	*self = (struct codexcp_appserver){ .cp = cp, .events = *events, .data = data };
	r = start(self, err);
	if (r < 0) {
		codexcp_appserver_free(self);
		return r;
	}
	*ret_as = self;
	return 0;
}

int codexcp_appserver_call(struct codexcp_appserver *self, const char *method, json_t *params,
			   int timeout_ms, codexcp_appserver_reply_fn fn, void *data,
			   struct codexcp_error *err)
{
	return ccp_appserver_call(self->as, method, params, timeout_ms, fn, data, err);
}

int codexcp_appserver_answer(struct codexcp_appserver *self, json_t *id, json_t *result,
			     struct codexcp_error *err)
{
	return ccp_appserver_reply(self->as, id, result, err);
}

void codexcp_appserver_free(struct codexcp_appserver *self)
{
	if (!self)
		return;
	ccp_appserver_free(self->as);
	free(self);
}
