/* The PROXY protocol header in front of everything else, from peers that may send one. */
#include <string.h>

#include "base/log.h"
#include "proto/proxy_protocol.h"
#include "session/connection_internal.h"

/* Takes exactly the PROXY header off the socket, so that TLS finds its first byte. A part of the
 * header is taken too, since leaving it would wake the loop again and again. */
void connection_read_proxy_header(struct connection *connection)
{
    uint8_t bytes[PROXY_BYTES_MAX];
    size_t before = blob_size(connection->kept);
    struct proxy_header header;
    size_t seen = 0;
    size_t size = 0;
    const char *why = "";
    if (before > 0) {
        memcpy(bytes, connection->kept->bytes, before);
    }
    enum weir_err err =
        stream_peek(&connection->stream, bytes + before, sizeof bytes - before, &seen);
    if (err != WEIR_OK) {
        if (err != WEIR_AGAIN) {
            connection_input_ended(connection, err);
        }
        return;
    }
    err = proxy_protocol_parse((struct span){bytes, before + seen}, &header, &size, &why);
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        log_warn("listener", "%s: PROXY header refused: %s", connection->listener->config->address,
                 why);
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
        return;
    }
    size_t taken = err == WEIR_OK ? size - before : seen;
    enum weir_err read = stream_read(&connection->stream, bytes + before, taken, &taken);
    if (read != WEIR_OK ||
        (err == WEIR_AGAIN &&
         blob_append(&connection->kept, (struct span){bytes + before, taken}) != WEIR_OK)) {
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
        return;
    }
    if (err == WEIR_OK) {
        if (!header.is_local && header.source.family != IP_NONE) {
            connection->remote = header.source;
        }
        blob_free(&connection->kept);
        connection_start_tls(connection);
    }
}
