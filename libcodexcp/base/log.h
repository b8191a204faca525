/*
 * Logging: the library speaks through a callback and never prints; the programs install one.
 *
 *	ccp_log(CCP_LOG_INFO, "operation started", "operation", id, "thread", thread_id, NULL);
 *
 * A line is a message and key/value pairs. Values are redacted and bounded at the sink. An error is
 * logged once, by the program that handles it; below the programs only debug and info are used.
 */
#pragma once

#include <stdio.h>

#include "base/macro.h"

enum ccp_log_level { CCP_LOG_DEBUG, CCP_LOG_INFO, CCP_LOG_WARNING, CCP_LOG_ERROR };

/* `line` is logfmt without a time stamp: msg="..." key=value ..., already redacted. */
typedef void (*ccp_log_fn)(enum ccp_log_level level, const char *line, void *data);

/* Process-wide, for the programs' main(); NULL turns logging off (the default). */
void ccp_log_set(ccp_log_fn fn, void *data, enum ccp_log_level threshold);

/* Pairs of const char *key, const char *value (NULL value: pair left out), ended by a NULL key. */
void ccp_log(enum ccp_log_level level, const char *message, ...) __attribute__((sentinel));

const char *ccp_log_level_name(enum ccp_log_level level);

/* A sink for ccp_log_set(): RFC 3339 time, level, line, to the FILE * given as data. */
void ccp_log_to_file(enum ccp_log_level level, const char *line, void *data);
