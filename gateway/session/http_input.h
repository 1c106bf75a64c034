/* Heads of requests on their way in. For connection.c alone. */
#ifndef WEIR_SESSION_HTTP_INPUT_H
#define WEIR_SESSION_HTTP_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct connection;

/* Looks for a complete head in `bytes`; makes the request and walks it. Returns how many bytes it
 * used: 0 when the head is incomplete. The connection may be finished or dead after. */
size_t http_input_head(struct connection *connection, const uint8_t *bytes, size_t size);

#endif
