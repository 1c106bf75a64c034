/* Listening sockets: bound by the control thread, where errors can still stop the start; accepting
 * on the workers. */
#ifndef WEIR_NET_LISTENER_H
#define WEIR_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/loop.h"

struct listener;

/* A connection has come; `fd` is taken: non-blocking, close-on-exec, TCP_NODELAY where that means
 * something. */
typedef void (*listener_accept_fn)(void *context, int fd, const struct sockaddr_storage *peer,
                                   socklen_t peer_size);

/* Binds and listens on `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. TCP sockets get SO_REUSEPORT, so
 * that each worker can have one; a unix socket is bound once and its descriptor duplicated. A unix
 * socket file that nobody answers on is replaced. WEIR_EINVAL or WEIR_EIO: `why` says what failed.
 * `*fd` is given. Control thread. */
WEIR_MUST enum weir_err listener_bind(const char *address, int backlog, int *fd, char *why,
                                      size_t why_size);

/* Whether a TCP address is free. listener_bind alone does not tell: with SO_REUSEPORT, a second
 * gateway of the same user would be given the same address, and a part of the first one's clients.
 * WEIR_EIO: somebody has it; WEIR_EINVAL: it is no address; `why` says so. WEIR_OK for any unix
 * socket. Control thread, before the first bind. */
WEIR_MUST enum weir_err listener_check_unused(const char *address, char *why, size_t why_size);

/* Whether the address is of a unix socket, and its path. */
const char *listener_unix_path(const char *address);

/* Starts accepting on a listening socket, which is taken. Given; NULL when memory is out (fd is
 * closed). `address` is for the log and outlives the listener. Worker's thread. When descriptors
 * run out, accepting pauses and tries again. */
struct listener *listener_new(struct loop *loop, int fd, const char *address, listener_accept_fn fn,
                              void *context);

/* Stops accepting and closes. */
void listener_free(struct listener **listener);

#endif
