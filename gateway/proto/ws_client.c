/* The other side of ws_handshake.c: what a client checks before it believes a 101. A proxy that
 * took a wrong one would answer its own client's handshake on the word of a program that speaks no
 * WebSocket. Called by the proxy for each backend session, and by the health check. It never makes
 * a nonce, which wants good randomness, and never writes a request. */
#include "proto/ws_client.h"

#include "crypto/crypto.h"
#include "proto/http_chars.h"
#include "proto/ws_handshake.h"

void ws_client_key(const uint8_t nonce[WS_CLIENT_NONCE_BYTES], char out[WS_CLIENT_KEY_BYTES])
{
    struct span bytes = {nonce, WS_CLIENT_NONCE_BYTES};
    out[crypto_base64_write(bytes, false, out)] = '\0'; /* after 24 characters */
}

static enum weir_err refuse(const char **why, const char *words)
{
    *why = words;
    return WEIR_EPROTO;
}

/* How many fields of that name there are, and the value of the last. */
static size_t count_fields(const struct http_response *response, struct span name,
                           struct span *value)
{
    size_t count = 0;
    for (size_t i = 0; i < response->field_count; i++) {
        if (span_equal_nocase(response->fields[i].name, name)) {
            *value = response->fields[i].value;
            count++;
        }
    }
    return count;
}

/* RFC 6455, section 4.1, the client's items 1 to 3. */
static enum weir_err check_upgrade(const struct http_response *response, const char **why)
{
    struct span upgrade = {0};
    if (response->status != 101) {
        return refuse(why, "the status is not 101");
    }
    if (response->minor < 1) {
        return refuse(why, "a 101 in HTTP/1.0");
    }
    if (count_fields(response, SPAN("Upgrade"), &upgrade) != 1 ||
        !span_equal_nocase(upgrade, SPAN("websocket"))) {
        return refuse(why, "Upgrade is not websocket");
    }
    if (!http_fields_have_token(response->fields, response->field_count, SPAN("Connection"),
                                SPAN("upgrade"))) {
        return refuse(why, "Connection does not list upgrade");
    }
    return WEIR_OK;
}

/* Item 4; section 11.3.3: not more than once. */
static enum weir_err check_accept(const struct http_response *response, const char *key,
                                  const char **why)
{
    struct span given = {0};
    char wanted[WS_ACCEPT_BYTES];
    if (count_fields(response, SPAN("Sec-WebSocket-Accept"), &given) != 1) {
        return refuse(why, "not one Sec-WebSocket-Accept");
    }
    if (!ws_handshake_accept(span_of(key), wanted) || !span_equal(given, span_of(wanted))) {
        return refuse(why, "Sec-WebSocket-Accept does not match the key");
    }
    return WEIR_OK;
}

/* Item 6; section 11.3.4: not more than once in a response. */
static enum weir_err check_subprotocol(const struct http_response *response, struct span offered,
                                       struct span *chosen, const char **why)
{
    struct span given = {(const uint8_t *)"", 0};
    struct span item;
    size_t count = count_fields(response, SPAN("Sec-WebSocket-Protocol"), &given);
    if (count > 1) {
        return refuse(why, "more than one Sec-WebSocket-Protocol");
    }
    bool is_offered = count == 0;
    while (!is_offered && span_list_next(&offered, &item)) {
        is_offered = span_equal(item, given);
    }
    /* An offer may hold what is no token, for whoever sent it to answer for; an answer may not. */
    if (!is_offered || (count == 1 && !http_chars_is_token(given))) {
        return refuse(why, "a subprotocol that was not offered");
    }
    *chosen = given;
    return WEIR_OK;
}

/* Item 5; section 11.3.2: not more than once in a response. */
static enum weir_err check_extensions(const struct http_response *response,
                                      const struct ws_client_wish *wish, bool *deflates,
                                      struct ws_deflate_params *agreed, const char **why)
{
    struct span given = {0};
    size_t count = count_fields(response, SPAN("Sec-WebSocket-Extensions"), &given);
    *deflates = false;
    if (count > 1) {
        return refuse(why, "more than one Sec-WebSocket-Extensions");
    }
    /* RFC 9110, section 5.6.1: an empty list says nothing. */
    struct span rest = given;
    struct span item;
    if (count == 0 || !span_list_next(&rest, &item)) {
        return WEIR_OK;
    }
    if (!wish->offers_deflate) {
        return refuse(why, "an extension that was not offered");
    }
    if (!ws_deflate_accept(given, &wish->deflate, agreed)) {
        return refuse(why, "an extension other than permessage-deflate as offered");
    }
    *deflates = true;
    return WEIR_OK;
}

enum weir_err ws_client_check(const struct http_response *response,
                              const struct ws_client_wish *wish, struct span *subprotocol,
                              bool *deflates, struct ws_deflate_params *agreed, const char **why)
{
    struct span chosen;
    bool is_deflated = false;
    struct ws_deflate_params params = {0};
    enum weir_err err = check_upgrade(response, why);
    if (err == WEIR_OK) {
        err = check_accept(response, wish->key, why);
    }
    if (err == WEIR_OK) {
        err = check_subprotocol(response, wish->subprotocols, &chosen, why);
    }
    if (err == WEIR_OK) {
        err = check_extensions(response, wish, &is_deflated, &params, why);
    }
    if (err != WEIR_OK) {
        return err;
    }
    *subprotocol = chosen;
    *deflates = is_deflated;
    if (is_deflated) {
        *agreed = params;
    }
    return WEIR_OK;
}

enum weir_err ws_client_offer_deflate(struct buffer *out, const struct ws_deflate_params *wish)
{
    return ws_deflate_offer(out, wish);
}
