/* The way out of a connection: what is sent within a turn is gathered in the worker's cork
 * (net/cork.h) and leaves with one system call. */
#ifndef WEIR_SESSION_OUTPUT_H
#define WEIR_SESSION_OUTPUT_H

#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

struct connection;

/* Sends head and payload behind what was sent before. Both are borrowed: small ones are copied to
 * the cork, large ones go to the kernel at once. A broken connection is closed; the error is only
 * for callers that count. Worker's thread. */
WEIR_MUST enum weir_err output_write(struct connection *connection, struct span head,
                                     struct span payload);

/* Bytes that the client has not been given: queue and cork. Worker's thread. */
size_t output_waiting(const struct connection *connection);

#endif
