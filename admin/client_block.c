#include "admin/client_block.h"

#include "base/error.h"
#include "base/json.h"

static int load_file(struct client_block *block, const char *path, struct codexcp_error *err)
{
	int r = client_check_writable(block->client, err);

	if (r == 0)
		r = json_file_load(path, &block->file, err);
	if (r < 0)
		return r;
	block->write = true;
	r = client_merge(block->config, block->file.value, err);
	if (r == CODEXCP_E_INVALID_ARGUMENT)
		ccp_error_prefix(err, "%s is left as it is", block->file.path);
	return r;
}

int client_block_init(struct client_block *block, const struct admin_setup *setup,
		      const struct admin_options *options, struct codexcp_error *err)
{
	int r = client_find(options->client, &block->client, err);

	if (r < 0)
		return r;
	block->config = client_config(block->client, ccp_json_str(setup->config, "server"),
				      ccp_json_obj(setup->config, "environment"));
	block->text = block->config ? client_text(block->client, block->config) : NULL;
	if (!block->text)
		return ccp_fail_oom(err);
	return options->write_file ? load_file(block, options->write_file, err) : 0;
}

static int write_file(struct client_block *block, json_t **report, struct codexcp_error *err)
{
	_cleanup_free_ char *backup = NULL;
	json_t *written = json_object();
	int r = json_file_save(&block->file, &backup, err);

	ccp_json_set_str(&written, "file", block->file.path);
	ccp_json_set_bool(&written, "changed", r == 1);
	ccp_json_set_str(&written, "backup", backup);
	ccp_json_set_new(report, "written", written);
	return CCP_MIN(r, 0);
}

int client_block_finish(struct client_block *block, json_t **report, struct codexcp_error *err)
{
	ccp_json_set_str(report, "client", client_name(block->client));
	/* What is not JSON is text. */
	if (client_check_writable(block->client, NULL) == 0)
		ccp_json_set(report, "mcpClientConfig", block->config);
	else
		ccp_json_set_str(report, "mcpClientConfig", block->text);
	return block->write ? write_file(block, report, err) : 0;
}

void client_block_done(struct client_block *block)
{
	json_decref(block->config);
	free(block->text);
	json_file_done(&block->file);
}
