/*
 * print-config: the block for a client. For a client that is named, exactly the text that it reads;
 * else a report that holds the block.
 */
#include "admin/client_block.h"
#include "base/error.h"
#include "base/json.h"

static int print(const struct admin_setup *setup, struct client_block *block,
		 const struct admin_options *options, struct codexcp_error *err)
{
	json_t *report = json_object();
	int r;

	ccp_json_set_bool(&report, "ok", true);
	r = client_block_finish(block, &report, err);
	if (r < 0) {
		json_decref(report);
		return r;
	}
	ccp_json_set(&report, "warnings", ccp_json_arr(setup->config, "warnings"));
	return admin_report(report, options, block->text);
}

int admin_print_config(const void *data, int argc, char **argv)
{
	struct admin_options options = *(const struct admin_options *)data;
	bool bare = options.client && !options.write_file;
	_cleanup_error_ struct codexcp_error err = { 0 };
	_cleanup_setup_ struct admin_setup setup = { 0 };
	_cleanup_(client_block_done) struct client_block block = { 0 };
	int r;

	/* What is appended to a file is no place for an error. */
	options.text |= bare;
	r = admin_setup_open(&setup, &options, ADMIN_ROOTS_EXPLICIT, &err);
	if (r == 0)
		r = client_block_init(&block, &setup, &options, &err);
	if (r == 0)
		r = bare ? admin_print(block.text) : print(&setup, &block, &options, &err);
	return r < 0 ? admin_fail(&err, &options) : r;
}
