/* One HTTP request as plugins see it, from its complete head to the end of its response; an
 * accepted session keeps its request. All functions: the connection's worker only. */
#ifndef WEIR_SESSION_REQUEST_H
#define WEIR_SESSION_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/close_reason.h"
#include "base/err.h"
#include "base/span.h"

struct config_websocket;

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

/* Who we speak with, a proxy or the client (or who a PROXY header names); borrowed for the
 * request's life. */
struct ip_address;
const struct ip_address *request_peer(const struct weir_request *request);

/* Whether that is one of http.trusted_proxies, so that what it says of the client is believed. */
bool request_is_trusted(const struct weir_request *request);

/* The subject of the client's certificate as one line (RFC 2253), "" without one. */
const char *request_client_subject(const struct weir_request *request);

/* Who the client is, as a plugin has found out, e.g. by a token; for the access log and the plugins
 * behind. Copies; the last call counts, and an empty text is nobody. WEIR_ENOMEM. */
WEIR_MUST enum weir_err request_set_user(struct weir_request *request, struct span user);

/* That text, empty while there is none; borrowed until the next request_set_user. */
struct span request_user(const struct weir_request *request);

/* Whether it asks for WebSocket, and its route accepts that. */
bool request_wants_session(const struct weir_request *request);

/* Whether it asks for any upgrade: Upgrade, with `upgrade` in Connection (RFC 9110, section 7.8).
 */
bool request_asks_upgrade(const struct weir_request *request);

/* The subprotocol that was agreed, empty for none; borrowed for the request's life. */
struct span request_subprotocol(const struct weir_request *request);

/* The route's configured path, e.g. "/ws". */
const char *request_route(const struct weir_request *request);

/* What the route says of sessions; NULL where it accepts none. Borrowed for the request's life. */
const struct config_websocket *request_websocket(const struct weir_request *request);

/* Fields in the order they came. */
size_t request_header_count(const struct weir_request *request);
struct span request_header_name(const struct weir_request *request, size_t index);
struct span request_header_value(const struct weir_request *request, size_t index);
/* The first value of that name without regard to case; data NULL where there is none. */
struct span request_header(const struct weir_request *request, struct span name);

/* What a plugin does to a field that is not its own. ADD leaves those that are there; SET puts one
 * in the place of all; REMOVE has no value. */
enum request_change_kind {
    REQUEST_CHANGE_ADD,
    REQUEST_CHANGE_SET,
    REQUEST_CHANGE_REMOVE
};

/* Changes a field of the request for everybody who looks at it from now on: further plugins, and
 * the backend that a proxy passes it to. Of fields that came, those that a CGI program would take
 * for the same name ("_" for "-") go with it. Copies. WEIR_EINVAL: malformed, or a field that
 * frames or routes the message, or is the gateway's own (Connection, Content-Length, Date, Expect,
 * Host, Sec-WebSocket-*, TE, Trailer, Transfer-Encoding, Upgrade and the like). WEIR_ECLOSED: it
 * has been answered. WEIR_ELIMIT: too many changes or fields. WEIR_ENOMEM. */
WEIR_MUST enum weir_err request_change_field(struct weir_request *request,
                                             enum request_change_kind kind, struct span name,
                                             struct span value);

/* The same for the answer, whoever gives it: a plugin, the handler, a backend, or the gateway for
 * them. The 101 of an upgrade is one; interim responses only lose what was set or removed. */
WEIR_MUST enum weir_err request_change_reply(struct weir_request *request,
                                             enum request_change_kind kind, struct span name,
                                             struct span value);

/* One pointer for each plugin in the chain, NULL at first; it stays through request and session. */
void **request_seat(struct weir_request *request, unsigned seat);

/* Takes the next `name=value` off the front of a query; both are appended, decoded, to buffers that
 * the caller emptied. False at the end, or when memory is out. */
bool request_query_next(struct span *rest, struct buffer *name, struct buffer *value);

/* The plugin at `seat` wants the body: its on_body gets the pieces, and a client that waits for 100
 * Continue gets it. Without this the body is read and thrown away. */
void request_want_body(struct weir_request *request, unsigned seat);

/* The same, but the client is sent no 100 Continue: for a handler that forwards and lets the
 * backend say it (request_reply_interim). */
void request_take_body(struct weir_request *request, unsigned seat);

/* Stops (`on`) or goes on reading the body: back-pressure for on_body. */
void request_pause_body(struct weir_request *request, bool on);

/* How the body comes, for who forwards it. A length is that of the whole body, however much of it
 * has come, and at least one byte. */
enum request_framing {
    REQUEST_NO_BODY,
    REQUEST_LENGTH,
    REQUEST_CHUNKED
};
enum request_framing request_framing(const struct weir_request *request, uint64_t *length);

/* The trailer section of a chunked body, as raw field lines; empty for none. Holds from the last
 * on_body on. Kept only for a body that is wanted. */
struct span request_trailers(const struct weir_request *request);

/* A client that ends its direction before it has its answer is taken to have gone: on_done comes at
 * once. For handlers whose work costs a backend; others answer a half-closed client. */
void request_watch_client(struct weir_request *request);

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

/* The same, with a trailer section: `lines` are whole field lines, each with its CR LF, checked by
 * the caller. They are left out where the body is not chunked. */
void request_reply_end_trailers(struct weir_request *request, struct span lines);

/* --- the bytes of a pipe, moved past the program (net/splicer.h) --- */

struct stream;

/* The client's stream of a request that has switched, with nothing of ours left in the cork; NULL
 * when the client has gone. Borrowed for the callback. */
struct stream *request_pipe_stream(struct weir_request *request);

/* `bytes` were given to that stream: counts them. `*full` tells, as request_reply_body, but already
 * when anything has to wait: what is moved next could not overtake it. */
void request_pipe_moved(struct weir_request *request, size_t bytes, bool *full);

/* Takes `*got` bytes from the client, whose end on_body still tells of. Results as stream_read; one
 * that takes itself off and returns WEIR_AGAIN lets on_body go on. */
typedef enum weir_err (*request_pull_fn)(void *context, struct stream *client, size_t *got);

/* From now on `pull` reads from the client of a request that has switched, in place of on_body;
 * NULL: on_body again. Not to be called for a request without an upstream record. */
void request_pull(struct weir_request *request, request_pull_fn pull, void *context);

/* Cuts a response that was begun and cannot be completed, so that the client sees that it is not
 * whole: what was sent of a framed one (by length or chunks) still arrives; one that only the end
 * of the connection would end, or a pipe, ends with a reset. Does nothing for a complete one. */
void request_reply_abort(struct weir_request *request, enum close_reason reason);

/* The head of a response that comes from a backend. */
struct reply_head {
    unsigned status;
    struct span reason;               /* the phrase; empty: the usual one */
    const struct reply_field *fields; /* end-to-end ones only, without framing; Date and Server are
                                         added where they are missing (Server: never) */
    size_t count;
    uint64_t length; /* of the body, or REPLY_LENGTH_UNKNOWN; for HEAD and 304 what Content-Length
                        says, REPLY_LENGTH_UNKNOWN for none */
};

/* As request_reply_start, for a response that is passed on. */
WEIR_MUST enum weir_err request_forward_start(struct weir_request *request,
                                              const struct reply_head *head);

/* Passes on an interim response (1xx but 101), which has no length. Left out for HTTP/1.0 clients
 * (RFC 9110, section 15.2), and once the final one has begun. After a 100 the client's body is no
 * longer in doubt. Errors as request_reply_start; WEIR_EINVAL too for another status. */
WEIR_MUST enum weir_err request_reply_interim(struct weir_request *request,
                                              const struct reply_head *head);

/* Answers 101 with exactly these fields (Upgrade and Connection among them), and from then on the
 * connection is a pipe: every byte from the client comes to on_body of `seat` (`last` when the
 * client ends its direction), request_reply_body sends bytes as they are, request_reply_end ends
 * our direction, and the request is over when both have ended. The directions do not wait for each
 * other, and no body_timeout applies. Bytes that came early follow at the end of the turn. Errors
 * as request_reply_start; WEIR_EINVAL too for another status, while the request's own body has not
 * come whole, and for HTTP/1.0. */
WEIR_MUST enum weir_err request_switch(struct weir_request *request, unsigned seat,
                                       const struct reply_head *head);

/* --- accepting an upgrade --- */

/* Checks the opening handshake and its Origin before anything is done for it. False: it has been
 * refused, return WEIR_REPLY. */
bool request_check_upgrade(struct weir_request *request);

/* What the 101 will say, to be called before the verdict WEIR_ACCEPT: `subprotocol` in place of
 * what the route's list would give (it must be one that the client has offered; empty: none; its
 * data NULL: what the list gives), and
 * fields of its own. Copies; the last call counts. Date and Server are passed over, as the 101 has
 * the gateway's. WEIR_EINVAL: the subprotocol was not offered, or a field cannot stand there, since
 * it is malformed or the gateway's to send (Upgrade, Connection, framing, Sec-WebSocket-*). */
WEIR_MUST enum weir_err request_prepare_accept(struct weir_request *request,
                                               struct span subprotocol,
                                               const struct reply_field *fields, size_t count);

/* --- what the access log tells of a backend --- */

enum {
    REQUEST_SERVER_BYTES = 64
};

struct request_upstream {
    const char *name;                  /* of the upstream; borrowed for the configuration's life */
    char server[REQUEST_SERVER_BYTES]; /* the last one that was tried, cut if need be */
    unsigned status;                   /* that it has answered; 0: none */
    unsigned tries;         /* servers that were tried, one that was tried twice counts twice */
    uint64_t connect_us;    /* from the request's start until a connection was there */
    uint64_t first_byte_us; /* until the head of the response was; 0: never */
    uint64_t bytes_sent;    /* to the backend, and back, as far as the proxy counts them */
    uint64_t bytes_received;
};

/* This request's record, made with the first call and freed with the request; NULL when memory is
 * out. */
struct request_upstream *request_upstream_record(struct weir_request *request);

/* NULL where no backend was asked. */
const struct request_upstream *request_upstream(const struct weir_request *request);

/* Ends a WEIR_WAIT of on_request at `seat` with the verdict that the plugin would have given. Never
 * call it from within the callback that waits. */
void request_resume(struct weir_request *request, unsigned seat, enum weir_verdict verdict);

/* The worker-wide number of the connection, unique in the process; sessions use it as their id. */
uint64_t request_id(const struct weir_request *request);

#endif
