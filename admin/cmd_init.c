/*
 * init: makes the state ready, tries the server out, and prints or writes what a client needs to
 * know.
 */
#include "admin/client_block.h"
#include "admin/smoke.h"
#include "base/error.h"
#include "base/json.h"

/* Nothing is written into a client's file for a server that does not work. */
static int init(struct admin_setup *setup, struct client_block *block,
		const struct admin_options *options, json_t **report, struct codexcp_error *err)
{
	json_auto_t *smoke = NULL;
	bool ok;
	int r = codexcp_state_prepare(setup->cp, err);

	if (r < 0)
		return r;
	smoke = smoke_protocol(setup, options->skip_smoke);
	ok = options->skip_smoke || ccp_json_bool(smoke, "ok", false);
	ccp_json_set_bool(report, "ok", ok);
	ccp_json_set(report, "stateDb", json_object_get(setup->config, "stateDb"));
	ccp_json_set_new(report, "hooks", json_pack("{s:b}", "skipped", true));
	ccp_json_set_new(report, "protocolSmoke", json_incref(smoke));
	block->write &= ok;
	r = client_block_finish(block, report, err);
	ccp_json_set(report, "warnings", ccp_json_arr(setup->config, "warnings"));
	return r;
}

int admin_init(const void *data, int argc, char **argv)
{
	const struct admin_options *options = data;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_(client_block_done) struct client_block block = { 0 };
	json_auto_t *report = json_object();
	int r = admin_setup_open(&setup, options, ADMIN_ROOTS_EXPLICIT, &err);

	if (r == 0)
		r = client_block_init(&block, &setup, options, &err);
	if (r == 0)
		r = init(&setup, &block, options, &report, &err);
	if (r < 0)
		return admin_fail(&err, options);
	return admin_report(TAKE_PTR(report), options, block.text);
}
