/* The handshake on any request head that parses: it never crashes, and what it takes keeps the
 * requirements that can be told from outside. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/check.h"
#include "proto/ws_handshake.h"

static struct http_head head;

static void check_taken(void)
{
    const struct http_field *key = http_head_find(&head, SPAN("Sec-WebSocket-Key"));
    uint8_t decoded[24];
    uint8_t encoded[32];
    char accept[WS_ACCEPT_BYTES];
    WEIR_CHECK(ws_handshake_is_wanted(&head));
    WEIR_CHECK(head.body == HTTP_BODY_NONE);
    WEIR_CHECK(key != NULL && key->value.size == 24);
    /* Canonical base64: decoding and encoding again gives the same. */
    WEIR_CHECK(EVP_DecodeBlock(decoded, key->value.data, 24) == 18);
    WEIR_CHECK(EVP_EncodeBlock(encoded, decoded, 16) == 24);
    WEIR_CHECK(memcmp(encoded, key->value.data, 24) == 0);
    WEIR_CHECK(ws_handshake_accept(key->value, accept) && strlen(accept) == WS_ACCEPT_BYTES - 1);
}

static void check_choices(void)
{
    char chat[] = "chat";
    char news[] = "news.v1";
    char site[] = "https://example.com";
    char sites[] = "https://*.example.com";
    char *const protocols[] = {chat, news};
    char *const origins[] = {site, sites};
    const char *chosen = ws_handshake_subprotocol(&head, protocols, 2);
    WEIR_CHECK(chosen == NULL || chosen == chat || chosen == news);
    const struct http_field *origin = http_head_find(&head, SPAN("Origin"));
    if (ws_handshake_origin_allowed(&head, origins, 2) && origin != NULL) {
        WEIR_CHECK(span_equal_nocase((struct span){origin->value.data, 8}, SPAN("https://")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_head_limits limits = {8192, 65536, 100};
    size_t scanned = 0;
    size_t consumed = 0;
    unsigned status = 101;
    const char *why = NULL;
    struct span bytes = {data, size};
    if (http_head_parse(bytes, &limits, &scanned, &head, &consumed, &status, &why) != WEIR_OK) {
        return 0;
    }
    check_choices();
    why = NULL;
    if (ws_handshake_check(&head, &status, &why) == WEIR_OK) {
        check_taken();
    } else {
        WEIR_CHECK(status == 400 || status == 405 || status == 426);
        WEIR_CHECK(why != NULL);
    }
    return 0;
}
