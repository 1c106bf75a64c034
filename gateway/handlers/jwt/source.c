/* Finds the token among what a request carries. Called by jwt.c before anything else is known of
 * the client, so all of it is anybody's text. It never takes a token out: the handler behind sees
 * the request as it came. */
#include "handlers/jwt/source.h"

#include "config/config.h"
#include "handlers/jwt/token.h"
#include "session/request.h"

/* RFC 6750, section 2.1. Another scheme is somebody else's. */
static bool read_bearer(struct span value, struct span *token)
{
    struct span scheme = SPAN("Bearer");
    if (value.size <= scheme.size || value.data[scheme.size] != ' ' ||
        !span_equal_nocase((struct span){value.data, scheme.size}, scheme)) {
        return false;
    }
    *token = span_trim(span_from(value, scheme.size));
    return true;
}

static enum weir_err find_in_header(const struct weir_request *request, struct span *token)
{
    size_t count = 0;
    for (size_t i = 0; i < request_header_count(request); i++) {
        if (span_equal_nocase(request_header_name(request, i), SPAN("Authorization"))) {
            count++;
            (void)read_bearer(request_header_value(request, i), token);
        }
    }
    /* RFC 9110, section 5.3: it is no list, so which one a backend would take is a guess. */
    return count > 1 && token->data != NULL ? WEIR_EPROTO : WEIR_OK;
}

static enum weir_err find_in_query(const struct weir_request *request, const char *name,
                                   struct buffer *value, struct span *token)
{
    struct span rest = request_query(request);
    struct buffer key = {0};
    struct buffer text = {0};
    size_t count = 0;
    enum weir_err err = WEIR_OK;
    while (err == WEIR_OK && request_query_next(&rest, &key, &text)) {
        if (span_equal(buffer_span(&key), span_of(name))) {
            count++;
            value->size = 0;
            err = buffer_append(value, buffer_span(&text));
        }
        key.size = 0;
        text.size = 0;
    }
    buffer_free(&key);
    buffer_free(&text);
    if (err == WEIR_OK && count > 0) {
        *token = value->data != NULL ? buffer_span(value) : SPAN("");
    }
    return count > 1 ? WEIR_EPROTO : err;
}

/* Calls of `next_offer` go through all Sec-WebSocket-Protocol fields, which are one list (RFC 6455,
 * section 11.3.4). */
struct offers {
    const struct weir_request *request;
    struct span rest;
    size_t field; /* the next one */
};

static bool next_offer(struct offers *offers, struct span *offer)
{
    while (!span_list_next(&offers->rest, offer)) {
        size_t i = offers->field;
        if (i == request_header_count(offers->request)) {
            return false;
        }
        if (span_equal_nocase(request_header_name(offers->request, i),
                              SPAN("Sec-WebSocket-Protocol"))) {
            offers->rest = request_header_value(offers->request, i);
        }
        offers->field++;
    }
    return true;
}

static enum weir_err find_in_offers(const struct weir_request *request, struct span *token)
{
    struct offers offers = {.request = request};
    struct span offer;
    size_t count = 0;
    while (next_offer(&offers, &offer)) {
        if (jwt_token_has_shape(offer)) {
            *token = offer;
            count++;
        }
    }
    return count > 1 ? WEIR_EPROTO : WEIR_OK;
}

enum weir_err jwt_source_find(const struct jwt_settings *settings,
                              const struct weir_request *request, struct buffer *scratch,
                              struct jwt_found *out)
{
    *out = (struct jwt_found){{NULL, 0}, JWT_IN_HEADER};
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < settings->source_count && err == WEIR_OK && out->token.data == NULL;
         i++) {
        const struct jwt_source *source = &settings->sources[i];
        out->place = source->place;
        switch (source->place) {
        case JWT_IN_HEADER:
            err = find_in_header(request, &out->token);
            break;
        case JWT_IN_QUERY:
            err = find_in_query(request, source->name, scratch, &out->token);
            break;
        case JWT_IN_SUBPROTOCOL:
            err = find_in_offers(request, &out->token);
            break;
        }
    }
    return err;
}

enum weir_err jwt_source_agree(struct weir_request *request, struct span token)
{
    const struct config_websocket *websocket = request_websocket(request);
    struct offers offers = {.request = request};
    struct span offer;
    while (next_offer(&offers, &offer)) {
        if (span_equal(offer, token)) {
            continue;
        }
        /* A route that says what it speaks is asked as ever; to agree on anything else would be a
         * lie. */
        return websocket != NULL && websocket->subprotocols.count > 0
                   ? WEIR_OK
                   : request_prepare_accept(request, offer, NULL, 0);
    }
    return request_prepare_accept(request, token, NULL, 0);
}
