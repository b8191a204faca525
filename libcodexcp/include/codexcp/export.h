/**
 * @file
 * What makes a function part of the library's interface.
 */
#ifndef CODEXCP_EXPORT_H
#define CODEXCP_EXPORT_H

#if defined(__GNUC__)
#define CODEXCP_API __attribute__((visibility("default")))
#else
#define CODEXCP_API
#endif

#endif
