/* One HTTP call: what comes back is gathered within its limits, and told when it is over. Used by
 * http_client.c, and by libcurl for its bytes; never touches the loop. What is asked for is
 * http_client_wish.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_client_internal.h"

/* --- gathering the response --- */

static bool give_up(struct http_call *call, const char *words)
{
    snprintf(call->why, sizeof call->why, "%s", words);
    return false;
}

static bool keep_bytes(struct http_call *call, struct span bytes)
{
    if (bytes.size > HTTP_CALL_HEAD_BYTES - call->head.size) {
        return give_up(call, "the response's header fields are too long");
    }
    return buffer_append(&call->head, bytes) == WEIR_OK || give_up(call, "out of memory");
}

static bool keep_field(struct http_call *call, struct span line)
{
    size_t colon = span_find(line, ':');
    if (colon == line.size || colon == 0) {
        return true; /* libcurl lets such lines pass; they say nothing */
    }
    struct span name = {line.data, colon};
    struct span value = span_trim(span_from(line, colon + 1));
    if (call->place_count == HTTP_CALL_FIELDS) {
        return give_up(call, "the response has too many header fields");
    }
    call->places[call->place_count++] = (struct http_call_place){
        call->head.size, name.size, call->head.size + name.size, value.size};
    call->last_kept = true;
    return keep_bytes(call, name) && keep_bytes(call, value);
}

/* A line that begins with a blank goes on with the one before (RFC 9112, section 5.2). */
static bool keep_folded(struct http_call *call, struct span line)
{
    if (!call->last_kept) {
        return true;
    }
    struct span more = span_trim(line);
    call->places[call->place_count - 1].value_size += 1 + more.size;
    return keep_bytes(call, SPAN(" ")) && keep_bytes(call, more);
}

static bool take_line(struct http_call *call, struct span line)
{
    while (line.size > 0 &&
           (line.data[line.size - 1] == '\n' || line.data[line.size - 1] == '\r')) {
        line.size--;
    }
    if (span_starts_with(line, SPAN("HTTP/"))) { /* the first one, or one after a 1xx */
        call->head.size = 0;
        call->place_count = 0;
        call->head_done = false;
        call->last_kept = false;
        return true;
    }
    if (line.size == 0) {
        call->head_done = true;
    }
    if (call->head_done) {
        return true;
    }
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return keep_folded(call, line);
    }
    call->last_kept = false;
    return keep_field(call, line);
}

/* libcurl ends the call when a callback returns another size than it was given. */
size_t http_call_head_came(char *data, size_t size, size_t count, void *context)
{
    size_t bytes = size * count;
    return take_line(context, (struct span){(const uint8_t *)data, bytes}) ? bytes : bytes + 1;
}

size_t http_call_body_came(char *data, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    size_t bytes = size * count;
    if (bytes > call->max_response - call->body.size) {
        snprintf(call->why, sizeof call->why, "the response is longer than %zu bytes",
                 call->max_response);
        return bytes + 1;
    }
    if (buffer_append(&call->body, (struct span){(const uint8_t *)data, bytes}) != WEIR_OK) {
        give_up(call, "out of memory");
        return bytes + 1;
    }
    return bytes;
}

size_t http_call_body_wanted(char *data, size_t size, size_t count, void *context)
{
    struct http_call *call = context;
    size_t bytes = call->request_body.size - call->request_sent;
    if (bytes > size * count) {
        bytes = size * count;
    }
    memcpy(data, call->request_body.data + call->request_sent, bytes);
    call->request_sent += bytes;
    return bytes;
}

enum weir_err http_call_new(const struct http_call_wish *wish, char *why, struct http_call **out)
{
    struct http_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return WEIR_ENOMEM;
    }
    list_init(&call->node);
    call->max_response = wish->max_response;
    call->easy = curl_easy_init();
    enum weir_err err = call->easy == NULL ? WEIR_ENOMEM : http_call_describe(call, wish, why);
    if (err != WEIR_OK) {
        http_call_free(call);
        return err;
    }
    *out = call;
    return WEIR_OK;
}

void http_call_free(struct http_call *call)
{
    if (call->easy != NULL) {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->fields);
    buffer_free(&call->request_body);
    buffer_free(&call->head);
    buffer_free(&call->body);
    free(call);
}

/* --- the outcome --- */

static const char *words_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "could not resolve the name";
    case CURLE_COULDNT_CONNECT:
        return "could not connect";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND: /* it would have tried again, see set_body */
        return "the connection ended early";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the server's certificate is not trusted";
    case CURLE_SSL_CONNECT_ERROR:
        return "the TLS handshake failed";
    case CURLE_SSL_CACERT_BADFILE:
        return "the CA file cannot be read";
    default:
        return curl_easy_strerror(code);
    }
}

static void explain(struct http_call *call, CURLcode code)
{
    if (call->why[0] != '\0') {
        return;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        snprintf(call->why, sizeof call->why, "timeout");
    } else if (call->error[0] == '\0') {
        snprintf(call->why, sizeof call->why, "%s", words_of(code));
    } else {
        snprintf(call->why, sizeof call->why, "%s: %.200s", words_of(code), call->error);
    }
}

void http_call_tell(struct http_call *call, CURLcode code)
{
    struct http_call_header headers[HTTP_CALL_FIELDS];
    struct http_call_answer answer = {.why = call->why};
    long status = 0;
    if (code != CURLE_OK) {
        explain(call, code);
        call->fn(call->context, &answer);
        return;
    }
    for (size_t i = 0; i < call->place_count; i++) {
        const struct http_call_place *place = &call->places[i];
        headers[i].name = (struct span){call->head.data + place->name, place->name_size};
        headers[i].value = (struct span){call->head.data + place->value, place->value_size};
    }
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = (unsigned)status;
    answer.headers = headers;
    answer.header_count = call->place_count;
    answer.body = buffer_span(&call->body);
    call->fn(call->context, &answer);
}
