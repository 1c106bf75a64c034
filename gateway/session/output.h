/* The way out of a connection: what is sent within a turn is gathered in the worker's cork and
 * leaves with one system call. The cork has one owner; another connection that wants it makes it
 * leave first. */
#ifndef WEIR_SESSION_OUTPUT_H
#define WEIR_SESSION_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct connection;

enum {
    CORK_BYTES = 256 * 1024
};

struct cork {
    struct connection *owner; /* NULL while it is empty */
    uint8_t *data;            /* CORK_BYTES */
    size_t size;
    bool more_to_come; /* the turn has more input, and so maybe more output, to share a call with */
};

/* Sends head and payload behind what was sent before. Both are borrowed: small ones are copied to
 * the cork, large ones go to the kernel at once. A broken connection is closed; the error is only
 * for callers that count. */
WEIR_MUST enum weir_err output_write(struct connection *connection, struct span head,
                                     struct span payload);

/* Hands the cork to the kernel. */
void output_uncork(struct cork *cork);

/* Bytes that the client has not been given: queue and cork. */
size_t output_waiting(const struct connection *connection);

#endif
