/* HTTP requests to anywhere, without waiting: libcurl's multi interface on the loop. One thread:
 * its loop's. The process must ignore SIGPIPE. */
#ifndef WEIR_NET_HTTP_CLIENT_H
#define WEIR_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

enum {
    HTTP_CALL_WHY_BYTES = 256,
    HTTP_CALL_HEAD_BYTES = 64 * 1024, /* of a response's header fields; more end the call */
    HTTP_CALL_FIELDS = 256            /* the same, counted */
};

struct http_client;
struct http_call;

struct http_call_header {
    struct span name;
    struct span value;
};

/* Borrowed for http_client_start. */
struct http_call_wish {
    struct span method; /* empty: GET, or POST with a body */
    struct span url;    /* http or https */
    const struct http_call_header *headers;
    size_t header_count;
    struct span body;
    uint64_t timeout_ms; /* of all of it; more than 0 */
    size_t max_response; /* bytes of the body; more end the call */
    bool verify;         /* the server's certificate and name */
    struct span ca;      /* PEM file, in place of the system's; empty: the system's */
};

/* Borrowed for the callback. */
struct http_call_answer {
    unsigned status;                        /* 0: failed, then `why` */
    const struct http_call_header *headers; /* as they came; without trailers */
    size_t header_count;
    struct span body;
    const char *why; /* terminated words: "timeout", "could not connect: ...", ... */
};

/* The call is over once this runs; it may start and cancel others, and must not free the client. */
typedef void (*http_call_fn)(void *context, const struct http_call_answer *answer);

/* Given; NULL when memory is out. */
struct http_client *http_client_new(struct loop *loop);

/* Cancels what is under way, without calling back. NULL inside is fine. */
void http_client_free(struct http_client **client);

/* Starts a call; `fn` comes later, once, never from within. Borrowed until then. WEIR_EINVAL: the
 * URL, method or a header is none, and `why` (HTTP_CALL_WHY_BYTES) says so; WEIR_ENOMEM. Redirects
 * are not followed, proxies that the environment names are not used, and a request that is not safe
 * to repeat is never sent twice. Keep-alive connections are kept for a few seconds and used again.
 */
WEIR_MUST enum weir_err http_client_start(struct http_client *client,
                                          const struct http_call_wish *wish, http_call_fn fn,
                                          void *context, char *why, struct http_call **out);

/* Ends a call without an answer, and nulls it. NULL inside is fine. */
void http_call_cancel(struct http_call **call);

#endif
