/* Moves bytes from one plain socket to another without taking them into the program (splice(2)),
 * through a pipe that a worker's streams share; it is empty between two calls. One thread: its
 * loop's. */
#ifndef WEIR_NET_SPLICER_H
#define WEIR_NET_SPLICER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/stream.h"

enum {
    SPLICER_BYTES = 256 * 1024 /* at most in one move */
};

/* Starts as {-1, -1}: the pipe is made with the first move. */
struct splicer {
    int out;
    int in;
};

/* Closes the pipe, if any. */
void splicer_close(struct splicer *splicer);

/* Whether bytes may be moved from the one to the other: neither speaks TLS, and nothing waits in
 * the queue of `to`, which they would overtake. */
bool splicer_can_move(const struct stream *from, const struct stream *to);

/* Moves what `from` has, up to SPLICER_BYTES. What the socket of `to` does not take is put into its
 * queue, by way of `scratch` (at least SPLICER_BYTES). WEIR_OK: `*moved` > 0 have been taken from
 * `from`, and `*written` tells, as stream_write, what became of them. WEIR_AGAIN, WEIR_ECLOSED:
 * nothing can be moved, as stream_read, but that urgent data may be in front of what can be read.
 * WEIR_EIO: as stream_read. WEIR_EINVAL: the system cannot do it for these two; read and write. */
WEIR_MUST enum weir_err splicer_move(struct splicer *splicer, struct stream *from,
                                     struct stream *to, uint8_t *scratch, size_t *moved,
                                     enum weir_err *written);

#endif
