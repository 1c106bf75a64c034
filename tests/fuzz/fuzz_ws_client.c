/* The answer to a client's handshake: any head that parses gives a verdict, and what is taken keeps
 * to what was offered. The first two bytes choose the offer. */
#include <string.h>

#include "base/check.h"
#include "proto/ws_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_response response;

static uint8_t bits_of(unsigned choice)
{
    return (uint8_t)(9 + choice % 7);
}

static void check_window(uint8_t agreed, uint8_t offered)
{
    WEIR_CHECK(agreed >= 9 && agreed <= 15 && agreed <= offered);
}

static void check_taken(const struct ws_client_wish *wish, struct span subprotocol, bool deflates,
                        const struct ws_deflate_params *agreed)
{
    WEIR_CHECK(response.status == 101 && response.minor == 1);
    WEIR_CHECK(http_fields_find(response.fields, response.field_count,
                                SPAN("Sec-WebSocket-Accept")) != NULL);
    WEIR_CHECK(subprotocol.size == 0 || span_equal(subprotocol, SPAN("chat")) ||
               span_equal(subprotocol, SPAN("news.v1")));
    WEIR_CHECK(subprotocol.size == 0 || wish->subprotocols.size > 0);
    WEIR_CHECK(!deflates || wish->offers_deflate);
    if (deflates) {
        check_window(agreed->server_max_window_bits, wish->deflate.server_max_window_bits);
        check_window(agreed->client_max_window_bits, wish->deflate.client_max_window_bits);
        WEIR_CHECK(agreed->server_no_context_takeover || !wish->deflate.server_no_context_takeover);
        WEIR_CHECK(agreed->client_no_context_takeover || !wish->deflate.client_no_context_takeover);
    }
}

/* Our own server must understand what we offer. */
static void check_offer(const struct ws_deflate_params *wish)
{
    struct buffer offer = {0};
    struct ws_deflate_params theirs;
    struct ws_deflate_params ours;
    char answer[WS_DEFLATE_RESPONSE_BYTES];
    WEIR_CHECK(ws_client_offer_deflate(&offer, wish) == WEIR_OK);
    WEIR_CHECK(ws_deflate_negotiate(buffer_span(&offer), wish, &theirs, answer));
    WEIR_CHECK(ws_deflate_accept(span_of(answer), wish, &ours));
    buffer_free(&offer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct ws_client_wish wish = {.key = "dGhlIHNhbXBsZSBub25jZQ==",
                                  .subprotocols =
                                      (data[0] & 1) != 0 ? SPAN("chat, news.v1") : SPAN(""),
                                  .offers_deflate = (data[0] & 2) != 0,
                                  .deflate = {.server_no_context_takeover = (data[0] & 4) != 0,
                                              .client_no_context_takeover = (data[0] & 8) != 0,
                                              .server_max_window_bits = bits_of(data[1] & 0x0f),
                                              .client_max_window_bits = bits_of(data[1] >> 4)}};
    struct span bytes = {data + 2, size - 2};
    struct span subprotocol = {0};
    struct ws_deflate_params agreed = {0};
    bool deflates = false;
    size_t scanned = 0;
    size_t consumed = 0;
    const char *why = NULL;
    check_offer(&wish.deflate);
    if (ws_deflate_accept(bytes, &wish.deflate, &agreed)) {
        check_window(agreed.client_max_window_bits, wish.deflate.client_max_window_bits);
    }
    if (http_response_parse(bytes, false, 65536, &scanned, &response, &consumed, &why) != WEIR_OK) {
        return 0;
    }
    why = NULL;
    enum weir_err err = ws_client_check(&response, &wish, &subprotocol, &deflates, &agreed, &why);
    WEIR_CHECK(err == WEIR_OK || (err == WEIR_EPROTO && why != NULL));
    if (err == WEIR_OK) {
        check_taken(&wish, subprotocol, deflates, &agreed);
    }
    return 0;
}
