/* What the exchange's files share. */
#ifndef WEIR_HANDLERS_PROXY_EXCHANGE_INTERNAL_H
#define WEIR_HANDLERS_PROXY_EXCHANGE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/close_reason.h"
#include "base/err.h"
#include "handlers/proxy/affinity.h"
#include "handlers/proxy/bridge.h"
#include "handlers/proxy/exchange.h"
#include "net/loop.h"
#include "proto/http_chunked.h"
#include "proto/http_response.h"
#include "session/request.h"
#include "upstream/backend.h"
#include "upstream/dial.h"

enum {
    /* Bytes of a body that wait for the backend: above the first the client is not read, below the
     * second it is again. */
    EXCHANGE_QUEUE_HIGH = 256 * 1024,
    EXCHANGE_QUEUE_LOW = 64 * 1024,
    EXCHANGE_READ_ROUNDS = 8, /* reads of one backend in one turn; the others wait meanwhile */
    EXCHANGE_INTERIM_MAX = 16 /* 1xx responses before the final one */
};

/* Where the response is. */
enum exchange_state {
    EXCHANGE_DIALLING, /* no connection yet */
    EXCHANGE_HEAD,     /* the request's head is sent; the response's is awaited */
    EXCHANGE_BODY,     /* the response's body passes */
    EXCHANGE_OVER      /* the backend is let go: answered, cut, or handed over */
};

/* Where the request's body is. */
enum exchange_sending {
    SENDING_LATER,  /* nothing may be sent yet; the client is not read */
    SENDING_BODY,   /* pieces pass as they come */
    SENDING_DONE,   /* all of it was handed to the backend's stream */
    SENDING_REFUSED /* what still comes is thrown away: nobody waits for it */
};

struct exchange {
    uint32_t magic;  /* first: what is in a seat is told by it */
    uint8_t kind;    /* enum exchange_kind */
    uint8_t state;   /* enum exchange_state */
    uint8_t sending; /* enum exchange_sending */
    uint8_t interims;
    bool waiting : 1;         /* on_request's WAIT has not been ended */
    bool paused : 1;          /* the client's body is not read */
    bool full : 1;            /* the client is behind; the backend is not read */
    bool retried : 1;         /* a pooled connection was found dead, and this is the second */
    bool judged : 1;          /* what this request says of the server has been told */
    bool has_sent_body : 1;   /* a byte of the body has gone to a backend: no second try */
    bool chunked_request : 1; /* the request's body is framed in chunks */
    bool expects : 1;         /* the client waits for 100 Continue before its body */
    bool keep_alive : 1;      /* the response leaves the connection usable */
    unsigned seat;
    struct proxy *proxy;
    struct weir_request *request;
    struct dial *dial;
    struct backend *backend;
    struct bridge *bridge; /* of EXCHANGE_SESSION, until it is handed over */
    struct affinity_reader *reader;
    struct buffer partial;  /* the response's head, while it is incomplete */
    struct buffer trailers; /* of the response, as they came */
    size_t scanned;         /* of `partial` */
    enum http_response_body body;
    uint64_t body_left; /* HTTP_RESPONSE_LENGTH */
    struct http_chunked chunked;
    uint64_t started_us;
    uint64_t moved_ms; /* when the backend last sent or took a byte */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    struct loop_retired retired;
};

/* --- exchange.c --- */

/* The WAIT is over: the request is answered from here on. */
void exchange_answering(struct exchange *exchange);

/* Answers with an error of the gateway's own, unless the response has begun: then it is cut. The
 * backend's connection is closed. `why` is for people. */
void exchange_fail(struct exchange *exchange, unsigned status, const char *why);

/* Cuts a response that was begun. The backend's connection is closed. */
void exchange_abort(struct exchange *exchange, enum close_reason reason);

/* Tells the server's record once how it has served this request. */
void exchange_judge(struct exchange *exchange, bool good);

/* Nothing more is asked of a backend: what is left of the connection is closed, what still comes of
 * the request's body is thrown away. The one way out. */
void exchange_over(struct exchange *exchange);

/* Ends and frees an exchange whose seat is somebody else's by now; at the end of the turn, since
 * callers on the stack still look at it. */
void exchange_leave(struct exchange *exchange);

/* Now, on the worker's clock. */
uint64_t exchange_now_ms(const struct exchange *exchange);

/* What a backend in use is told by. */
extern const struct backend_ops exchange_backend_ops;

/* --- exchange_dial.c --- */

/* Asks for a connection; `fresh`: not from the pool. False when memory is out. */
bool exchange_dial(struct exchange *exchange, bool fresh);

/* The backend has gone before the whole head of a response: a second try where that is safe, else
 * 502. */
void exchange_lost(struct exchange *exchange);

/* --- exchange_send.c --- */

/* Writes the request's head to a fresh backend, and lets the body come. WEIR_EINVAL, WEIR_ENOMEM:
 * it cannot be written; WEIR_ECLOSED: the connection takes nothing. */
WEIR_MUST enum weir_err exchange_send_head(struct exchange *exchange);

/* Passes a piece of the body on. */
void exchange_send_body(struct exchange *exchange, struct span piece, bool last);

/* Hands what was gathered of the body to the backend's stream. */
void exchange_flush(struct exchange *exchange);

/* The backend's queue has moved. */
void exchange_sent(struct exchange *exchange);

/* What still comes of the body is thrown away. */
void exchange_refuse_body(struct exchange *exchange);

/* Stops or goes on reading the client's body. */
void exchange_pause(struct exchange *exchange, bool on);

/* --- exchange_receive.c --- */

/* Reads what the backend has sent, within limits of fairness, and passes it on. */
void exchange_receive(struct exchange *exchange);

/* --- exchange_head.c --- */

/* The next bytes while the response's head is awaited. */
void exchange_take_head(struct exchange *exchange, struct span bytes);

/* --- exchange_receive.c --- */

/* The next bytes of the response's body, or what came behind its head. */
void exchange_take_body(struct exchange *exchange, struct span bytes);

/* The response is complete; `extra`: the backend has sent more than that. */
void exchange_complete(struct exchange *exchange, bool extra);

#endif
