/* Client sockets: connecting from many source addresses, and the opening handshake's text. */
#ifndef WEIR_LOAD_LINK_H
#define WEIR_LOAD_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

enum {
    LINK_REQUEST_MAX = 1024,
    LINK_REPLY_MAX = 4096
};

/* A new socket on its way to the server, TCP_NODELAY set. The `number` of the connection picks its
 * source address when the server is on 127.0.0.0/8, so that ports do not run out. `blocking`:
 * connected on return; else it is connected when it becomes writable. Fails the program on an
 * error. */
int link_connect(const struct options *options, uint64_t number, bool blocking);

/* Writes the upgrade request for `path`; returns its size. */
size_t link_request(const struct options *options, const char *path, char out[LINK_REQUEST_MAX]);

/* Looks at what the server has sent so far: 0 when the reply's head is not complete, else its size
 * with the empty line. Fails the program when the reply does not accept the upgrade (RFC 6455,
 * section 4.1). */
size_t link_reply_check(const char *reply, size_t size);

/* Reads the reply's head from a blocking socket, and not one byte more. */
void link_reply_read(int fd);

/* Sends all bytes on a blocking socket. */
void link_send(int fd, const void *bytes, size_t size);

/* Raises the descriptor limit to the hard limit, or above it where the system lets us, and fails
 * the program when `need` connections do not fit. */
void link_raise_limit(uint32_t need);

#endif
