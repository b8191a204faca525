#include "admin/steps.h"

#include "base/clock.h"
#include "base/json.h"

#define DETAIL_MAX 4096

bool step_run(const struct step *step, void *data, json_t **steps)
{
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf detail = CCP_STRBUF(DETAIL_MAX);
	int64_t start = ccp_clock_boot(ccp_clock_system());
	bool ok = step->run(data, &detail, &err) >= 0;
	json_t *o = json_object();

	ccp_json_set_str(&o, "name", step->name);
	ccp_json_set_bool(&o, "ok", ok);
	ccp_json_set_int(&o, "milliseconds", ccp_clock_boot(ccp_clock_system()) - start);
	ccp_json_set_str(&o, "detail", ok ? ccp_strbuf_str(&detail) : err.message);
	if (!ok)
		ccp_json_set_new(&o, "error", ccp_error_json(&err));
	ccp_json_append_new(steps, o);
	return ok;
}
