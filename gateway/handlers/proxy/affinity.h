/* What ties a client to a server: read from its request before dialling, told and learned with the
 * response. */
#ifndef WEIR_HANDLERS_PROXY_AFFINITY_H
#define WEIR_HANDLERS_PROXY_AFFINITY_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/span.h"
#include "handlers/proxy/proxy.h"
#include "proto/http_response.h"
#include "upstream/dial.h"

/* Fills hash_key and server_id of a wish. `scratch` holds the key; keep it until dial_start. */
void affinity_of_request(const struct proxy *proxy, const struct weir_request *request,
                         struct buffer *scratch, struct dial_wish *wish);

/* The value of a Set-Cookie field to add to a response from `server`: appended to `out` where the
 * client has no valid cookie for that server; else `out` stays as it is. */
void affinity_cookie(const struct proxy *proxy, const struct weir_request *request,
                     const struct upstream_server *server, struct buffer *out);

/* Reads ids out of a response's body as it passes, where the upstream learns and the request can
 * bring one. Given; NULL where there is nothing to learn. */
struct affinity_reader;
struct affinity_reader *affinity_reader_new(const struct proxy *proxy,
                                            const struct weir_request *request,
                                            const struct http_response *response,
                                            const struct upstream_server *server);

/* The next piece of the body. True: it has learned, or never will; free it. */
bool affinity_reader_feed(struct affinity_reader *reader, struct span piece);
void affinity_reader_free(struct affinity_reader **reader);

#endif
