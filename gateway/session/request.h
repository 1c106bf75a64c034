/* One HTTP request as plugins see it, from its complete head to the end of its response; an
 * accepted session keeps its request. All functions: the connection's worker only. */
#ifndef WEIR_SESSION_REQUEST_H
#define WEIR_SESSION_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

/* What is told of a request. Spans are borrowed for the request's life. */
struct span request_method(const struct weir_request *request);
struct span request_target(const struct weir_request *request); /* as sent */
struct span
request_path(const struct weir_request *request); /* decoded and normalised; what routes match */
struct span request_query(const struct weir_request *request); /* raw, without "?" */
struct span request_host(const struct weir_request *request);  /* as sent, with port */
const char *
request_scheme(const struct weir_request *request); /* "http", "https"; "ws", "wss" once upgraded */
unsigned request_http_minor(const struct weir_request *request);

/* Terminated text, static for the request's life: the client's address without port (behind trusted
 * proxies, the one they name), and its port (0 where unknown). */
const char *request_remote(const struct weir_request *request);
unsigned request_remote_port(const struct weir_request *request);

/* The subject of the client's certificate as one line (RFC 2253), "" without one. */
const char *request_client_subject(const struct weir_request *request);

/* Whether it asks for WebSocket, and its route accepts that. */
bool request_wants_session(const struct weir_request *request);

/* The subprotocol that was agreed, "" for none. */
const char *request_subprotocol(const struct weir_request *request);

/* The route's configured path, e.g. "/ws". */
const char *request_route(const struct weir_request *request);

/* Fields in the order they came. */
size_t request_header_count(const struct weir_request *request);
struct span request_header_name(const struct weir_request *request, size_t index);
struct span request_header_value(const struct weir_request *request, size_t index);
/* The first value of that name without regard to case; data NULL where there is none. */
struct span request_header(const struct weir_request *request, struct span name);

/* One pointer for each plugin in the chain, NULL at first; it stays through request and session. */
void **request_seat(struct weir_request *request, unsigned seat);

/* Takes the next `name=value` off the front of a query; both are appended, decoded, to buffers that
 * the caller emptied. False at the end, or when memory is out. */
bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value);

/* The plugin at `seat` wants the body: its on_body gets the pieces, and a client that waits for 100
 * Continue gets it. Without this the body is read and thrown away. */
void request_want_body(struct weir_request *request, unsigned seat);

/* One field of a response; both are borrowed for the call. */
struct reply_field {
    struct span name;
    struct span value;
};

/* Answers with a whole body. Date, Server, Content-Length and Connection are added; HEAD sends no
 * body. `fields` may be NULL with count 0. WEIR_EINVAL for a second answer or fields that cannot
 * stand in a response; WEIR_ENOMEM. Return the verdict WEIR_REPLY after it. */
WEIR_MUST enum weir_err request_reply(struct weir_request *request, unsigned status,
                                      const struct reply_field *fields, size_t count,
                                      struct span body);

/* Answers with an error body, as JSON or HTML by Accept; `why` is for people. Errors as
 * request_reply. */
WEIR_MUST enum weir_err request_reply_error(struct weir_request *request, unsigned status,
                                            const char *why);

/* The length of a body that is not known beforehand: chunked, or until close for HTTP/1.0. */
#define REPLY_LENGTH_UNKNOWN UINT64_MAX

/* Answers in parts: the head now, `length` bytes of body with reply_body, then reply_end. */
WEIR_MUST enum weir_err request_reply_start(struct weir_request *request, unsigned status,
                                            const struct reply_field *fields, size_t count,
                                            uint64_t length);

/* The next part of the body; all of it is taken. `*full` tells that the client is behind: send no
 * more until on_reply_drain. WEIR_ECLOSED: the client has gone; on_done comes. */
WEIR_MUST enum weir_err request_reply_body(struct weir_request *request, struct span bytes,
                                           bool *full);

/* The response is complete. Fewer bytes than were promised cut the connection. */
void request_reply_end(struct weir_request *request);

/* Ends a WEIR_WAIT of on_request at `seat` with the verdict that the plugin would have given. Never
 * call it from within the callback that waits. */
void request_resume(struct weir_request *request, unsigned seat, enum weir_verdict verdict);

/* The worker-wide number of the connection, unique in the process; sessions use it as their id. */
uint64_t request_id(const struct weir_request *request);

#endif
