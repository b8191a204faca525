/*
 * What goes over the doorbell: lines of text, on a local socket below the state directory.
 *
 *	worker -> front end	hello VERSION SCHEMA	at once
 *	front end -> worker	ring			"look at the database"
 *	worker -> front end	rung			after a look that began after the ring
 *	worker -> front end	changed			rows were written
 *	worker -> front end	trouble TEXT		the state cannot be written; without TEXT: it can
 *	front end -> worker	leave VERSION SCHEMA	"I am newer: hand over"; an older one is not heard
 */
#pragma once

#include <stdbool.h>

#define CCP_DOORBELL_NAME     "doorbell.sock"
#define CCP_DOORBELL_MAX_LINE 1024

#define CCP_DOORBELL_HELLO   "hello"
#define CCP_DOORBELL_RING    "ring"
#define CCP_DOORBELL_RUNG    "rung"
#define CCP_DOORBELL_CHANGED "changed"
#define CCP_DOORBELL_TROUBLE "trouble"
#define CCP_DOORBELL_LEAVE   "leave"

/* "word VERSION SCHEMA" of this program. */
#define CCP_DOORBELL_RELEASE_SIZE 128
void ccp_doorbell_line(const char *word, char out[CCP_DOORBELL_RELEASE_SIZE]);
/* Whether the line is such a one; then *ret_order is < 0, 0 or > 0: its sender is older than this
 * program, the same, or newer. */
bool ccp_doorbell_compare(const char *line, const char *word, int *ret_order);
