/* What the floors share: a listening socket, an accepted one, and what epoll watches. Each fails
 * the program when the system refuses. */
#ifndef WEIR_LOAD_SERVE_H
#define WEIR_LOAD_SERVE_H

#include <stdint.h>

enum {
    SERVE_BUFFER_BYTES = 512 * 1024,
    SERVE_EVENTS = 1024
};

/* A non-blocking socket that listens on `A.B.C.D:PORT`. */
int serve_listen(const char *address);

/* The next connection, non-blocking and without Nagle's delay; -1 where there is none. */
int serve_accept(int listener);

/* A connection to `A.B.C.D:PORT`, likewise, that may still be on its way. */
int serve_connect(const char *address);

/* epoll_ctl with `action`; `context` comes back with each event. */
void serve_watch(int epoll, int action, int fd, uint32_t events, void *context);

#endif
