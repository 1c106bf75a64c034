/* A request's insides, for session/ alone. */
#ifndef WEIR_SESSION_REQUEST_INTERNAL_H
#define WEIR_SESSION_REQUEST_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/http_chunked.h"
#include "proto/http_head.h"
#include "session/connection.h"
#include "session/request.h"

/* A run of `text`. */
struct text_part {
    uint16_t at;
    uint16_t size;
};

enum {
    REQUEST_FIELD_SIZES = 4, /* bytes before each packed field: two sizes */
    REQUEST_SUBPROTOCOL_CHOSEN =
        0xffff,               /* by request_prepare_accept, not out of the route's list */
    REQUEST_CHANGES_MAX = 128 /* of fields by plugins, in each direction */
};

struct request_changes;

/* What few requests have, made when it is asked for. */
struct request_extra {
    struct blob *trailers;        /* of the body: field lines */
    struct blob *accept_fields;   /* for the 101, as lines */
    struct text_part subprotocol; /* for the 101, in the client's own field */
    request_pull_fn pull;         /* reads the client of a pipe; NULL: on_body gets its bytes */
    void *pull_context;
    struct blob *user;               /* who a plugin says it is */
    struct request_changes *changes; /* of fields, by plugins; owned, NULL for none */
    bool accept_prepared;
    bool has_upstream;
    struct request_upstream upstream;
};

/* One allocation, since every idle session keeps one: the struct, a seat for each plugin, and the
 * head's text packed as method, target, path, remote address, and then the fields, each as two
 * sizes and the bytes. */
struct weir_request {
    struct connection *connection;
    const struct route *route;
    char *client_subject;        /* owned; NULL without a certificate */
    struct request_extra *extra; /* owned; NULL where nothing of it was needed */
    uint64_t started_us;
    uint64_t bytes_in;
    uint64_t bytes_out;
    union {
        uint64_t left; /* HTTP_BODY_LENGTH */
        struct http_chunked chunked;
    } body;
    uint64_t reply_left; /* bytes of body that were promised and not sent yet */
    struct text_part method;
    struct text_part target;
    struct text_part path;
    struct text_part query;
    struct text_part host;
    uint16_t remote_at;
    uint16_t remote_port;
    uint16_t fields_at;
    uint16_t field_count;
    uint16_t status; /* that was sent; 0 before */
    uint16_t walk;   /* seats whose on_request has been called */
    uint16_t body_seat;
    uint16_t subprotocol; /* its place in the configured list, from 1; 0 for none; or
                             REQUEST_SUBPROTOCOL_CHOSEN */
    uint8_t minor;
    uint8_t body_kind; /* enum http_body */
    bool wants_session : 1;
    bool keep_alive : 1;
    bool expects_continue : 1;
    bool body_wanted : 1; /* body_seat gets it */
    bool body_done : 1;
    bool waiting : 1; /* for the plugin at walk - 1 */
    bool reply_chunked : 1;
    bool reply_bodyless : 1; /* HEAD, 204, 304: no body on the wire */
    bool reply_done : 1;
    bool became_session : 1;
    bool ended : 1;              /* its unwinding has been asked for */
    bool watched : 1;            /* a client that has ended its direction has gone */
    bool switched : 1;           /* a pipe: status 101 was sent, and bytes go as they are */
    bool client_ended_first : 1; /* of the pipe's two directions */
    void *seats[];               /* one for each link of the chain; the text is behind them */
};

static inline uint8_t *request_text(const struct weir_request *request)
{
    return (uint8_t *)(uintptr_t)&request->seats[request->route->chain_count];
}

static inline struct span request_part(const struct weir_request *request, struct text_part where)
{
    return (struct span){request_text(request) + where.at, where.size};
}

/* The rare part, made with the first call; NULL when memory is out. */
struct request_extra *request_extra(struct weir_request *request);
void request_extra_free(struct weir_request *request);

/* What plugins have changed of fields, in request_fields.c. Frees it. */
void request_changes_free(struct request_extra *extra);

/* Whether a plugin has set or taken away the answer's field of that name, so that the answer's own
 * is left out. */
bool request_hides_reply_field(const struct weir_request *request, struct span name);

/* Append, but for what is hidden: fields, and whole lines with their CR LF. Errors as
 * http_write_field. */
WEIR_MUST enum weir_err request_write_reply_fields(const struct weir_request *request,
                                                   struct buffer *head,
                                                   const struct reply_field *fields, size_t count);
WEIR_MUST enum weir_err request_write_reply_lines(const struct weir_request *request,
                                                  struct buffer *head, struct span lines);

/* Appends what plugins have added or set. */
WEIR_MUST enum weir_err request_write_reply_changes(const struct weir_request *request,
                                                    struct buffer *head);

/* Makes the request out of a parsed head. `path` is the normalised path, `remote` the client's
 * address. WEIR_ENOMEM, or WEIR_ELIMIT when the head is too large for 16-bit offsets. The body is
 * prepared to be read. Given. */
WEIR_MUST enum weir_err request_new(struct connection *connection, const struct route *route,
                                    const struct http_head *head, struct span path,
                                    const struct ip_address *remote, struct weir_request **out);

/* Unwinds (on_done, last to first) unless it became a session, and frees. */
void request_end(struct weir_request **request, enum close_reason reason);

/* Starts the walk along the chain. */
void request_walk(struct weir_request *request);

/* Takes body bytes of a request under way; `*consumed` tells how many were its own. The connection
 * may be dead after. */
void request_input(struct weir_request *request, const uint8_t *bytes, size_t size,
                   size_t *consumed);

/* Lets who pulls read the client, where somebody does; `*err` is what came of it. */
bool request_pulls(struct weir_request *request, enum weir_err *err);

/* The client has ended its direction of a request that has switched. */
void request_pipe_ended(struct weir_request *request);

/* The client has caught up. */
void request_drained(struct weir_request *request);

/* Whether the response is sent and the body needs no more reading: the request can be ended. */
bool request_is_complete(const struct weir_request *request);

/* Whether it is to be given up when the client ends its direction. */
bool request_needs_client(const struct weir_request *request);

/* Why a request that is complete has ended, and why one whose client has gone does. */
enum close_reason request_done_reason(const struct weir_request *request);
enum close_reason request_lost_reason(const struct weir_request *request);

/* Whether the client waits to be told to send its body. */
bool request_awaits_continue(const struct weir_request *request);

/* Whether no part of the response has been sent yet. */
bool request_is_unanswered(const struct weir_request *request);

/* Writes the head of a response to the worker's reply buffer: status, Date, Server, and `fields`
 * but for those that a plugin hides. The caller adds to it and ends it. Errors as http_write_*. */
WEIR_MUST enum weir_err reply_begin(struct weir_request *request, unsigned status,
                                    const struct reply_field *fields, size_t count,
                                    struct buffer **head);

/* Whether a final response can still be begun: WEIR_EINVAL for a second one, WEIR_ECLOSED without a
 * client. */
WEIR_MUST enum weir_err reply_is_possible(const struct weir_request *request);

/* How the head goes on after its fields. */
struct reply_frame {
    unsigned status;
    uint64_t length; /* of the body, or REPLY_LENGTH_UNKNOWN */
    bool forwarded;  /* a response without a body may say nothing of its length */
};

/* Adds what plugins have changed, framing and Connection to a head that was begun, ends and sends
 * it. */
WEIR_MUST enum weir_err reply_send_head(struct weir_request *request, struct buffer *head,
                                        const struct reply_frame *frame);

/* The field line `Date`, with its CR LF; borrowed until the second is over. */
struct span reply_date(struct weir_worker *worker);

/* Answers a head that never became a request, and ends the connection. */
void reply_refuse(struct connection *connection, unsigned status, const char *why);

/* Answers the upgrade of a request whose chain has accepted it, or refuses. In upgrade.c. */
void upgrade_accept(struct weir_request *request);

#endif
