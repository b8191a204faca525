/*
 * Local sockets by (directory, name): a listener, and connections that are line streams.
 *
 * The path may be longer than sockaddr_un holds: the directory is opened and the socket is reached
 * through it. The socket file is made with mode 0600 and removed when the listener goes.
 */
#pragma once

#include "base/error.h"
#include "runtime/loop.h"
#include "runtime/stream.h"

struct ccp_listener;

/* The callback owns fd and usually gives it to ccp_stream_open(). */
typedef void (*ccp_accept_fn)(int fd, void *data);

/* A stale socket file is replaced: the caller holds the lock that says nobody else listens. */
int ccp_listener_open(struct ccp_loop *loop, const char *dir, const char *name, ccp_accept_fn fn,
		      void *data, struct ccp_listener **ret_listener, struct codexcp_error *err);
void ccp_listener_free(struct ccp_listener *listener);

/* Connect without waiting (a local connect never blocks for long). Returns the descriptor; nobody
 * listening is CODEXCP_E_BUSY. */
int ccp_socket_connect(const char *dir, const char *name, struct codexcp_error *err);
/* The process that listens at the other end of a connection, as the kernel saw it; 0 when it
 * cannot be seen from our pid namespace. */
int64_t ccp_socket_peer_pid(int fd);
