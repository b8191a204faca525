/*
 * A VFS of SQLite in front of the system's, for what kill -9 does not show:
 *
 * A power loss. While the shim holds, what is written reaches the file only when it is synced;
 * until then it stands in memory. At the loss it is gone, or a part of it is, sector by sector.
 *
 *	shim_install();
 *	shim_hold();
 *	...
 *	shim_power_off();	// from now on nothing that is written has an effect
 *	ccp_db_close(db);
 *	shim_power_on(seed);	// 0: nothing unsynced survives; else each sector by chance
 *
 * A failure at the n-th operation on a file:
 *
 *	shim_fail(SHIM_FULL, n, SHIM_ONCE);
 *	...
 *	shim_failures();	// how often it has struck
 *
 * Every connection of the process goes through it until shim_remove().
 */
#pragma once

#include <stdbool.h>

enum shim_failure {
	SHIM_NONE,
	SHIM_FULL,  /* no space: writing, and growing the shared memory */
	SHIM_SHORT, /* the same, after half of it was written */
	SHIM_IO,    /* any operation: SQLITE_IOERR of its kind, or SQLITE_CANTOPEN */
};
enum shim_times { SHIM_ONCE, SHIM_ALWAYS };

void shim_install(void);
void shim_remove(void);

void shim_hold(void);
void shim_power_off(void);
void shim_power_on(unsigned seed);

/* From the n-th operation that it concerns, counted from now: 1 is the next. */
void shim_fail(enum shim_failure failure, int n, enum shim_times times);
int shim_failures(void);
/* While somebody only looks, nothing fails and nothing is counted. */
void shim_pause(bool paused);
