/* permessage-deflate on any bytes. Input: one byte that chooses, one of settings, then the bytes,
 * which are offers to negotiate, a message to inflate, or a message to deflate and inflate again.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "proto/ws_deflate.h"

enum {
    LIMIT = 1 << 16
};

/* What we answer to any offer must itself be an acceptable offer, and keep to our bounds. */
static void negotiate(struct span bytes, uint8_t settings)
{
    const struct ws_deflate_params ours = {
        .server_no_context_takeover = (settings & 1) != 0,
        .client_no_context_takeover = (settings & 2) != 0,
        .server_max_window_bits = (uint8_t)(9 + (settings >> 2) % 7),
        .client_max_window_bits = (uint8_t)(9 + (settings >> 5) % 7),
    };
    struct ws_deflate_params agreed;
    struct ws_deflate_params again;
    char response[WS_DEFLATE_RESPONSE_BYTES];
    char echoed[WS_DEFLATE_RESPONSE_BYTES];
    if (!ws_deflate_negotiate(bytes, &ours, &agreed, response)) {
        return;
    }
    WEIR_CHECK(strlen(response) < sizeof response);
    WEIR_CHECK(agreed.server_max_window_bits >= 9);
    WEIR_CHECK(agreed.server_max_window_bits <= ours.server_max_window_bits);
    WEIR_CHECK(agreed.client_max_window_bits >= 9 && agreed.client_max_window_bits <= 15);
    WEIR_CHECK(agreed.server_no_context_takeover || !ours.server_no_context_takeover);
    WEIR_CHECK(agreed.client_no_context_takeover || !ours.client_no_context_takeover);
    WEIR_CHECK(ws_deflate_negotiate(span_of(response), &ours, &again, echoed));
    WEIR_CHECK(strcmp(response, echoed) == 0);
}

/* Any bytes, twice through one inflater: no more comes out than the limit, and an inflater that has
 * forgotten gives the same again. */
static void inflate_any(struct span bytes, uint8_t settings)
{
    struct ws_inflater *inflater = ws_inflater_new(9 + settings % 7);
    struct buffer first = {0};
    struct buffer second = {0};
    WEIR_CHECK(inflater != NULL);
    enum weir_err err = ws_inflater_message(inflater, bytes, false, LIMIT, &first);
    WEIR_CHECK(first.size <= LIMIT && first.capacity <= LIMIT * 2);
    WEIR_CHECK(err == WEIR_OK || first.size == 0);
    WEIR_CHECK(ws_inflater_message(inflater, bytes, true, LIMIT, &second) == err);
    WEIR_CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    if (err == WEIR_OK && first.size > 0) {
        /* One byte less is too little. */
        second.size = 0;
        ws_inflater_free(&inflater);
        inflater = ws_inflater_new(9 + settings % 7);
        WEIR_CHECK(ws_inflater_message(inflater, bytes, false, first.size - 1, &second) ==
                   WEIR_ELIMIT);
    }
    /* With a window of whatever was left, still no crash. */
    enum weir_err again = ws_inflater_message(inflater, bytes, true, LIMIT, &second);
    WEIR_CHECK(again == WEIR_OK || again == WEIR_EPROTO || again == WEIR_ELIMIT);
    buffer_free(&first);
    buffer_free(&second);
    ws_inflater_free(&inflater);
}

/* The bytes as messages of up to 300 bytes. */
static void round_trip(struct span bytes, uint8_t settings)
{
    int bits = 9 + settings % 7;
    bool keep = (settings & 0x80) != 0;
    struct ws_deflater *deflater = ws_deflater_new(bits, (settings >> 3) % 10);
    struct ws_inflater *inflater = ws_inflater_new(bits);
    WEIR_CHECK(deflater != NULL && inflater != NULL);
    while (bytes.size > 0) {
        size_t size = bytes.data[0] * 300U / 255U;
        struct span in = {bytes.data, size < bytes.size ? size : bytes.size};
        struct buffer wire = {0};
        struct buffer out = {0};
        WEIR_CHECK(ws_deflater_message(deflater, in, keep, &wire) == WEIR_OK);
        WEIR_CHECK(ws_inflater_message(inflater, buffer_span(&wire), keep, in.size, &out) ==
                   WEIR_OK);
        WEIR_CHECK(span_equal(buffer_span(&out), in));
        buffer_free(&wire);
        buffer_free(&out);
        bytes = span_from(bytes, in.size + 1);
    }
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span bytes = {data + 2, size - 2};
    switch (data[0] % 3) {
    case 0:
        negotiate(bytes, data[1]);
        break;
    case 1:
        inflate_any(bytes, data[1]);
        break;
    default:
        round_trip(bytes, data[1]);
        break;
    }
    return 0;
}
