/* One call of the HTTP client, shared by the files of the client. */
#ifndef WEIR_NET_HTTP_CLIENT_INTERNAL_H
#define WEIR_NET_HTTP_CLIENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>

#include "base/buffer.h"
#include "base/list.h"
#include "net/http_client.h"

/* Where a field is in `head`; the buffer may move while it grows. */
struct http_call_place {
    size_t name;
    size_t name_size;
    size_t value;
    size_t value_size;
};

struct http_call {
    struct list_node node;      /* in client->calls */
    struct http_client *client; /* borrowed */
    CURL *easy;
    struct curl_slist *fields; /* of the request */
    http_call_fn fn;
    void *context;
    struct buffer request_body;
    size_t request_sent;
    struct buffer head; /* names and values of the response, one after the other */
    struct http_call_place places[HTTP_CALL_FIELDS];
    size_t place_count;
    bool head_done; /* what comes now are trailers, unless it is a new response */
    bool last_kept; /* the last line's field was taken, so that a folded line goes on with it */
    struct buffer body;
    size_t max_response;
    char error[CURL_ERROR_SIZE];
    char why[HTTP_CALL_WHY_BYTES]; /* of our own giving up; "": libcurl's reason stands */
};

/* Makes the call ready for curl_multi_add_handle. Errors as http_client_start; then nothing is
 * left of it. On WEIR_OK `*out` is given. */
WEIR_MUST enum weir_err http_call_new(const struct http_call_wish *wish, char *why,
                                      struct http_call **out);

/* Checks the wish and tells it to `call->easy`. Errors as http_client_start. */
WEIR_MUST enum weir_err http_call_describe(struct http_call *call,
                                           const struct http_call_wish *wish, char *why);

/* libcurl's callbacks for a line of the head, for bytes of the body, and to fill the request's
 * body; `context` is the call. */
size_t http_call_head_came(char *data, size_t size, size_t count, void *context);
size_t http_call_body_came(char *data, size_t size, size_t count, void *context);
size_t http_call_body_wanted(char *data, size_t size, size_t count, void *context);

/* Frees it; it must be in no multi handle. */
void http_call_free(struct http_call *call);

/* Tells `fn` of the outcome. */
void http_call_tell(struct http_call *call, CURLcode code);

#endif
