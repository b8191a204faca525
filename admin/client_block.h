/*
 * The block that a client needs, printed or written into the client's file: what init and
 * print-config share.
 */
#pragma once

#include "admin/admin.h"
#include "admin/clients.h"
#include "admin/json_file.h"

struct client_block {
	const struct client *client;
	json_t *config;        /* of client_config() */
	char *text;            /* the same as the client reads it */
	struct json_file file; /* with --write: loaded and merged, not yet saved */
	bool write;
};

/* Everything that can fail without an effect. INVALID_ARGUMENT for an unknown client, one whose
 * file is not written, or a file that is no JSON object. */
int client_block_init(struct client_block *block, const struct admin_setup *setup,
		      const struct admin_options *options, struct codexcp_error *err);
/* With --write: replaces the file. Puts client, mcpClientConfig and written {file, changed, backup}
 * into the report. */
int client_block_finish(struct client_block *block, json_t **report, struct codexcp_error *err);
void client_block_done(struct client_block *block);
