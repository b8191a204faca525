/*
 * What the files behind <codexcp/database.h> share.
 */
#pragma once

#include "service/context.h"

/* A connection of its own for reading, whatever the schema's version. A database that is not there
 * is CODEXCP_E_STATE_UNAVAILABLE. */
int ccp_database_open(struct codexcp *cp, struct ccp_db **ret_db, struct codexcp_error *err);
/* databaseBytes, freeBytes, logBytes. */
void ccp_database_add_size(struct ccp_db *db, json_t **report);
