/**
 * @file
 * The version of the library.
 */
#ifndef CODEXCP_VERSION_H
#define CODEXCP_VERSION_H

#include <codexcp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The contract with clients: tool names, fields, statuses (docs/API_CONTRACT.md). */
#define CODEXCP_CONTRACT_VERSION "1"

/** @return the version of the running library, "0.1.0"; static */
CODEXCP_API const char *codexcp_version(void);

#ifdef __cplusplus
}
#endif
#endif
