/*
 * Who a process is, and the lock that decides who may act.
 *
 * A pid alone names nobody: it is reused. (pid, start time, boot id, pid namespace) names one
 * process.
 */
#pragma once

#include "base/error.h"

#define CCP_BOOT_ID_SIZE 64

struct ccp_process_id {
	int64_t pid;
	int64_t start_time;          /* clock ticks since boot; 0 when unknown */
	int64_t pid_namespace;       /* inode; 0 when unknown */
	char boot[CCP_BOOT_ID_SIZE]; /* "" when unknown */
};

/* 0 found; CODEXCP_E_INTERNAL when there is no such process. */
int ccp_process_identify(int64_t pid, struct ccp_process_id *ret_id, struct codexcp_error *err);
int ccp_process_self(struct ccp_process_id *ret_id, struct codexcp_error *err);
enum ccp_process_state {
	CCP_PROCESS_ALIVE,
	CCP_PROCESS_DEAD,    /* proven: same boot, same namespace, and no such process any more */
	CCP_PROCESS_LOST,    /* the machine was started again since */
	CCP_PROCESS_UNKNOWN, /* another pid namespace, or nothing to compare with */
};
enum ccp_process_state ccp_process_check(const struct ccp_process_id *id);
/* Proven: dead or lost. */
bool ccp_process_is_gone(const struct ccp_process_id *id);
/* SIGKILL, but only while the pid still names this process; its process group goes with it when it
 * leads one. */
void ccp_process_kill(const struct ccp_process_id *id);
/* Any other signal, to the process alone, on the same condition. */
void ccp_process_signal(const struct ccp_process_id *id, int signum);
/* SIGKILL to every process that works in this directory with a command line that ends in these
 * words, but not to `but` (may be NULL) and what belongs to it. */
void ccp_process_kill_alike(const char *dir, const char *const *words,
			    const struct ccp_process_id *but);
/* Whether `pid` is this process, or was started by it in the session that it leads. */
bool ccp_process_has(const struct ccp_process_id *id, int64_t pid);
/* Whether `id` is alive and this process descends from it. */
bool ccp_process_is_ancestor(const struct ccp_process_id *id);

/* flock() on a file that is made and never unlinked, close-on-exec. 1 taken (*ret_fd), 0 somebody
 * else has it. */
int ccp_lock_try(const char *path, int *ret_fd, struct codexcp_error *err);
/* Whether somebody holds it; takes and releases it for a moment when not. */
int ccp_lock_is_held(const char *path, struct codexcp_error *err);

/* Descriptors 0-2 that are closed are opened on the null device; call first in main(). */
void ccp_process_fix_standard_fds(void);
/* Close every descriptor >= 3. */
void ccp_process_close_extra_fds(void);
/* A private close-on-exec duplicate of fd 1, while fd 1 itself becomes stderr: a stray printf
 * cannot corrupt the protocol. Returns the duplicate. */
int ccp_process_take_stdout(struct codexcp_error *err);
/* The path of the running executable, as an allocation. */
int ccp_process_executable(char **ret_path, struct codexcp_error *err);
