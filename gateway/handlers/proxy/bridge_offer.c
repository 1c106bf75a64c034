/* The opening handshake with the backend: what is offered, and whether the answer fits. Called by
 * the bridge for its exchange; it writes and checks fields and never sends or reads.
 * What it needs lives beside the bridge, so that an open session does not keep it. */
#include <stdlib.h>

#include "config/config.h"
#include "handlers/proxy/bridge_internal.h"
#include "proto/http_chars.h"
#include "proto/ws_client.h"
#include "session/request.h"

enum {
    LARGEST_WINDOW = 15
};

struct bridge_offer {
    struct weir_request *request;
    bool compresses;
    char key[WS_CLIENT_KEY_BYTES];
    struct buffer subprotocols; /* the list, as sent */
};

/* Without context takeover either way: a session that keeps no zlib state costs no memory while it
 * is idle, and shares the worker's (RFC 7692, section 7.1.1). */
static const struct ws_deflate_params wished = {
    .server_no_context_takeover = true,
    .client_no_context_takeover = true,
    .server_max_window_bits = LARGEST_WINDOW,
    .client_max_window_bits = LARGEST_WINDOW,
};

static bool is_allowed(const struct config_strings *allowed, struct span name)
{
    for (size_t i = 0; i < allowed->count; i++) {
        if (span_equal(span_of(allowed->items[i]), name)) {
            return true;
        }
    }
    return allowed->count == 0 && http_chars_is_token(name);
}

/* Those that the client has offered and the route allows; a route that names none allows all. */
static enum weir_err choose_subprotocols(struct bridge_offer *offer)
{
    const struct weir_request *request = offer->request;
    const struct config_strings *allowed = &request_websocket(request)->subprotocols;
    struct buffer *list = &offer->subprotocols;
    for (size_t i = 0; i < request_header_count(request); i++) {
        struct span rest = request_header_value(request, i);
        struct span name;
        if (!span_equal_nocase(request_header_name(request, i), SPAN("Sec-WebSocket-Protocol"))) {
            continue;
        }
        while (span_list_next(&rest, &name)) {
            enum weir_err err = WEIR_OK;
            if (is_allowed(allowed, name)) {
                err = buffer_printf(list, "%s%.*s", list->size > 0 ? ", " : "", SPAN_ARGS(name));
            }
            if (err != WEIR_OK) {
                return err;
            }
        }
    }
    return WEIR_OK;
}

struct bridge_offer *bridge_offer_new(struct weir_request *request, bool compresses)
{
    uint8_t nonce[WS_CLIENT_NONCE_BYTES];
    struct bridge_offer *offer = calloc(1, sizeof *offer);
    if (offer == NULL) {
        return NULL;
    }
    offer->request = request;
    offer->compresses = compresses;
    bridge_random(nonce, sizeof nonce);
    ws_client_key(nonce, offer->key);
    if (choose_subprotocols(offer) != WEIR_OK) {
        bridge_offer_free(&offer);
    }
    return offer;
}

void bridge_offer_free(struct bridge_offer **offer)
{
    if (*offer != NULL) {
        buffer_free(&(*offer)->subprotocols);
        free(*offer);
        *offer = NULL;
    }
}

enum weir_err bridge_offer_write(const struct bridge_offer *offer, struct buffer *head)
{
    enum weir_err err = buffer_printf(head,
                                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                                      offer->key);
    if (err == WEIR_OK && offer->subprotocols.size > 0) {
        err = buffer_printf(head, "Sec-WebSocket-Protocol: %.*s\r\n",
                            SPAN_ARGS(buffer_span(&offer->subprotocols)));
    }
    if (err != WEIR_OK || !offer->compresses) {
        return err;
    }
    err = buffer_append(head, SPAN("Sec-WebSocket-Extensions: "));
    if (err == WEIR_OK) {
        err = ws_client_offer_deflate(head, &wished);
    }
    return err == WEIR_OK ? buffer_append(head, SPAN("\r\n")) : err;
}

/* A compression's `client` is who inflating is done for, and its `server` who deflates: here the
 * backend and we. */
static struct compression *turn_round(const struct ws_deflate_params *agreed, uint8_t level)
{
    struct ws_deflate_params turned = {
        .client_no_context_takeover = agreed->server_no_context_takeover,
        .client_max_window_bits = agreed->server_max_window_bits,
        /* We may forget the window whatever was agreed. */
        .server_no_context_takeover = true,
        .server_max_window_bits = agreed->client_max_window_bits,
    };
    return compression_new(&turned, level);
}

enum weir_err bridge_offer_check(const struct bridge_offer *offer,
                                 const struct http_response *response,
                                 const struct reply_field *fields, size_t field_count,
                                 struct compression **compression, uint32_t *min_size,
                                 const char **why)
{
    const struct config_compression *config = &request_websocket(offer->request)->compression;
    struct ws_client_wish wish = {
        .key = offer->key,
        .subprotocols = buffer_span(&offer->subprotocols),
        .offers_deflate = offer->compresses,
        .deflate = wished,
    };
    struct ws_deflate_params agreed;
    struct span subprotocol;
    bool deflates = false;
    enum weir_err err = ws_client_check(response, &wish, &subprotocol, &deflates, &agreed, why);
    if (err != WEIR_OK) {
        return err;
    }
    *compression = NULL;
    *min_size = UINT32_MAX;
    if (deflates) {
        *compression = turn_round(&agreed, (uint8_t)config->level);
        if (*compression == NULL) {
            return WEIR_ENOMEM;
        }
        *min_size = config->min_size < UINT32_MAX ? (uint32_t)config->min_size : UINT32_MAX;
    }
    if (subprotocol.data == NULL) {
        subprotocol = SPAN(""); /* none, whatever the route's own list has */
    }
    err = request_prepare_accept(offer->request, subprotocol, fields, field_count);
    if (err != WEIR_OK) {
        *why = "the backend's answer cannot be passed on";
        compression_free(compression);
    }
    return err == WEIR_EINVAL ? WEIR_EPROTO : err;
}
