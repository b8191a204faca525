/*
 * Crash points: named places at which a test can have the process die. They exist only in a build
 * with -Dcrash_points=true; elsewhere the macro is nothing.
 *
 *	CCP_CRASH_POINT("effect", "SEND_TURN", "before");	// effect.send_turn.before
 *
 * The environment variable CODEXCP_CRASH_AT names a directory, and the names of the files in it
 * are orders:
 *
 *	kill:POINT:N	the process that comes to POINT for its Nth time dies by SIGKILL
 *	stop:POINT:N	it stands still by SIGSTOP: whoever made the file kills what it likes
 *	trace		a line "PID POINT" is appended for whoever comes anywhere
 *
 * An order is carried out once, whoever inherits the variable: the process that does it first
 * renames the file to "hit:POINT:N:PID".
 */
#pragma once

#ifdef CCP_CRASH_POINTS
#define CCP_CRASH_POINT_SIZE 80
/* "FAMILY.NAME.WHEN" in lower case: names of effects are those of the code. */
void ccp_crash_point_name(char out[static CCP_CRASH_POINT_SIZE], const char *family,
			  const char *name, const char *when);
void ccp_crash_point(const char *family, const char *name, const char *when);
#define CCP_CRASH_POINT(family, name, when) ccp_crash_point(family, name, when)

/* X(family, name): places that no other table names; each has a "before" and an "after". */
#define CCP_CRASH_PLACES(X)                                                                        \
	X("epoch", "commit")                                                                       \
	X("instance", "commit")                                                                    \
	X("progress", "commit")                                                                    \
	X("submit", "commit")                                                                      \
	X("submit", "answer")
#else
#define CCP_CRASH_POINT(family, name, when) ((void)0)
#endif
