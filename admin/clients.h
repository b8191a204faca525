/*
 * The MCP clients that are known by name, and how each wants to be told about a server.
 *
 * Most read JSON files that other things stand in, too: these can be merged into. Codex reads TOML
 * and Hermes YAML, whose comments a rewrite would lose: what they want is printed, to be appended.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

struct client;

/* NULL: the form that most clients share. INVALID_ARGUMENT for an unknown name. */
int client_find(const char *name, const struct client **ret_client, struct codexcp_error *err);
const char *client_name(const struct client *client);
/* 0, or INVALID_ARGUMENT that says why not and what to do instead. */
int client_check_writable(const struct client *client, struct codexcp_error *err);

/* All that the client needs, as a document of its own: {"mcpServers": {...}}. `environment` is
 * borrowed. NULL when memory ran out. */
json_t *client_config(const struct client *client, const char *server, const json_t *environment);
/* The document as the client reads it: JSON, TOML or YAML. NULL when memory ran out. */
char *client_text(const struct client *client, const json_t *config);
/* Puts the configuration into a document that may hold other things. What stands there for this
 * server is replaced, except for variables and settings that we do not know. */
int client_merge(const json_t *config, json_t *document, struct codexcp_error *err);
