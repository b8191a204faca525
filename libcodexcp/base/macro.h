/*
 * The few macros that every file may use: cleanup attributes, ownership hand-over, compiler hints.
 *
 *	_cleanup_free_ char *text = NULL;
 *	...
 *	*ret_text = TAKE_PTR(text);	// ownership moves to the caller, the cleanup sees NULL
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define _cleanup_(fn)       __attribute__((cleanup(fn)))
#define _must_check_        __attribute__((warn_unused_result))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _returns_nonnull_   __attribute__((returns_nonnull))
#define _unused_            __attribute__((unused))

#define CCP_ARRAY_SIZE(a)       (sizeof(a) / sizeof((a)[0]))
#define CCP_MIN(a, b)           ((a) < (b) ? (a) : (b))
#define CCP_MAX(a, b)           ((a) > (b) ? (a) : (b))
#define CCP_CLAMP(x, low, high) CCP_MIN(CCP_MAX(x, low), high)

/* Hand a pointer over: evaluates to it and leaves NULL behind. */
#define TAKE_PTR(ptr)                                                                              \
	({                                                                                         \
		__typeof__(ptr) *take_at_ = &(ptr);                                                \
		__typeof__(ptr) taken_ = *take_at_;                                                \
		*take_at_ = NULL;                                                                  \
		taken_;                                                                            \
	})

/* clang-format off */
#define ccp_container_of(ptr, type, member)                                                        \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

static inline void ccp_freep(void *pp)
{
	free(*(void **)pp);
}
#define _cleanup_free_ _cleanup_(ccp_freep)

/* CCP_DEFINE_CLEANUP(struct x, ccp_x_free) makes ccp_x_freep() for _cleanup_(ccp_x_freep). */
#define CCP_DEFINE_CLEANUP(type, fn)                                                               \
	static inline void fn##p(type **pp)                                                        \
	{                                                                                          \
		if (*pp)                                                                           \
			fn(*pp);                                                                   \
	}                                                                                          \
	struct ccp_swallow_semicolon_
