/*
 * What goes over the doorbell: lines of text, on a local socket below the state directory.
 *
 *	worker -> front end	hello VERSION SCHEMA	at once
 *	front end -> worker	ring			"look at the database"
 *	worker -> front end	rung			after a look that began after the ring
 *	worker -> front end	changed			rows were written
 */
#pragma once

#define CCP_DOORBELL_NAME     "doorbell.sock"
#define CCP_DOORBELL_MAX_LINE 1024

#define CCP_DOORBELL_HELLO   "hello"
#define CCP_DOORBELL_RING    "ring"
#define CCP_DOORBELL_RUNG    "rung"
#define CCP_DOORBELL_CHANGED "changed"
