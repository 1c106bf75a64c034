/* Watches the start of the few answers in which a server names a client: Engine.IO's first polling
 * answer, SignalR's answer to a negotiation. Called by exchanges with the body as it passes, before
 * the client has it, so that the client's next request finds the id known. Everything else is told
 * apart by its request and never looked at. It keeps bytes only while an id may still be cut in
 * two. */
#include "handlers/proxy/affinity.h"

#include <stdlib.h>

#include "handlers/proxy/affinity_internal.h"
#include "proto/session_token.h"
#include "upstream/sticky.h"

typedef enum weir_err (*token_fn)(struct span body, char out[SESSION_TOKEN_MAX], size_t *size);

struct affinity_reader {
    struct upstream *upstream;
    struct upstream_server *server; /* shared */
    token_fn read;
    struct buffer seen; /* what has come without an end of the id */
};

static bool has_parameter(const struct weir_request *request, struct span name, struct span *value,
                          struct buffer *scratch)
{
    *value = affinity_query(request, name, scratch);
    return value->data != NULL;
}

/* Engine.IO, "Protocol", Handshake: a request with EIO and transport and without sid opens a
 * session. */
static bool opens_engine_io(const struct weir_request *request, struct buffer *scratch)
{
    struct span method = request_method(request);
    struct span value;
    if (!span_equal(method, SPAN("GET")) && !span_equal(method, SPAN("POST"))) {
        return false;
    }
    return !has_parameter(request, SPAN("sid"), &value, scratch) &&
           has_parameter(request, SPAN("EIO"), &value, scratch) &&
           has_parameter(request, SPAN("transport"), &value, scratch) &&
           span_equal(value, SPAN("polling"));
}

static bool negotiates_signalr(const struct weir_request *request)
{
    struct span end = SPAN("/negotiate");
    struct span path = request_path(request);
    return span_equal(request_method(request), SPAN("POST")) && path.size >= end.size &&
           span_equal(span_from(path, path.size - end.size), end);
}

static token_fn reader_for(enum config_learn learn, const struct weir_request *request)
{
    struct buffer scratch = {0};
    token_fn read = NULL;
    if (learn == CONFIG_LEARN_ENGINE_IO && opens_engine_io(request, &scratch)) {
        read = session_token_engine_io;
    } else if (learn == CONFIG_LEARN_SIGNALR && negotiates_signalr(request)) {
        read = session_token_signalr;
    }
    buffer_free(&scratch);
    return read;
}

/* A coded body would have to be decoded first (RFC 9110, section 8.4). */
static bool is_readable(const struct http_response *response)
{
    const struct http_field *coding =
        http_fields_find(response->fields, response->field_count, SPAN("Content-Encoding"));
    return response->status == 200 && response->body != HTTP_RESPONSE_NONE &&
           (coding == NULL || span_equal_nocase(coding->value, SPAN("identity")));
}

struct affinity_reader *affinity_reader_new(const struct proxy *proxy,
                                            const struct weir_request *request,
                                            const struct http_response *response,
                                            const struct upstream_server *server)
{
    const struct config_sticky *sticky = upstream_config(proxy->upstream)->sticky;
    if (sticky == NULL || sticky->learn == CONFIG_LEARN_NOTHING || !is_readable(response)) {
        return NULL;
    }
    token_fn read = reader_for(sticky->learn, request);
    struct affinity_reader *reader = read != NULL ? calloc(1, sizeof *reader) : NULL;
    if (reader != NULL) {
        reader->upstream = proxy->upstream;
        /* References are counted by all threads; only the figures of a server are const to us. */
        reader->server = server_share((struct upstream_server *)(uintptr_t)server);
        reader->read = read;
    }
    return reader;
}

/* Looks at all that has come so far; whether that is the end of it. */
static bool look(struct affinity_reader *reader, struct span body)
{
    char token[SESSION_TOKEN_MAX];
    size_t size = 0;
    enum weir_err err = reader->read(body, token, &size);
    if (err == WEIR_OK) {
        struct span found = {(const uint8_t *)token, size};
        sticky_learn(reader->upstream, found, reader->server);
    }
    return err != WEIR_AGAIN;
}

bool affinity_reader_feed(struct affinity_reader *reader, struct span piece)
{
    size_t room = SESSION_TOKEN_BODY_MAX - reader->seen.size;
    struct span taken = {piece.data, piece.size < room ? piece.size : room};
    if (reader->seen.size == 0 && look(reader, taken)) {
        return true;
    }
    bool first = reader->seen.size == 0;
    if (buffer_append(&reader->seen, taken) != WEIR_OK) {
        return true;
    }
    return (!first && look(reader, buffer_span(&reader->seen))) ||
           reader->seen.size == SESSION_TOKEN_BODY_MAX;
}

void affinity_reader_free(struct affinity_reader **reader)
{
    if (*reader != NULL) {
        server_release(&(*reader)->server);
        buffer_free(&(*reader)->seen);
        free(*reader);
        *reader = NULL;
    }
}
