/*
 * What /proc/self/mountinfo says about file systems that statfs() does not tell apart: those of
 * FUSE all have one type there.
 */
#pragma once

#include <sys/types.h>

#include "base/macro.h"

/* What a network file system on FUSE is called ("sshfs"), by the text of mountinfo and the device
 * of a file on it (st_dev); NULL for any other. Static. */
const char *ccp_mount_network(const char *mountinfo, dev_t device);
