/* The chunked decoder: the same body, verdict and end however the bytes were split. The first byte
 * chooses the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "proto/http_chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum weir_err err;
    struct buffer body;
    size_t consumed;
};

/* Decodes one piece, from memory of exactly its size. */
static void push(struct http_chunked *chunked, const uint8_t *bytes, size_t size,
                 struct outcome *outcome)
{
    uint8_t *copy = malloc(size);
    WEIR_CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    size_t used = 0;
    do {
        size_t consumed = 0;
        struct span piece = {copy, 0};
        const char *why = NULL;
        outcome->err =
            http_chunked_next(chunked, copy + used, size - used, &consumed, &piece, &why);
        WEIR_CHECK(consumed <= size - used);
        WEIR_CHECK(outcome->err == WEIR_OK || outcome->err == WEIR_AGAIN || why != NULL);
        WEIR_CHECK(outcome->err != WEIR_AGAIN || consumed == size - used);
        WEIR_CHECK(outcome->err != WEIR_OK || chunked->done || piece.size > 0);
        used += consumed;
        if (outcome->err == WEIR_OK) {
            WEIR_CHECK(buffer_append(&outcome->body, piece) == WEIR_OK);
        }
    } while (outcome->err == WEIR_OK && !chunked->done && used < size);
    outcome->consumed += used;
    free(copy);
}

static struct outcome decode(const uint8_t *bytes, size_t size, size_t piece_size)
{
    struct http_chunked chunked = {0};
    struct outcome outcome = {.err = WEIR_AGAIN};
    for (size_t at = 0; at < size && !chunked.done; at += piece_size) {
        size_t piece = piece_size < size - at ? piece_size : size - at;
        push(&chunked, bytes + at, piece, &outcome);
        if (outcome.err != WEIR_OK && outcome.err != WEIR_AGAIN) {
            break;
        }
    }
    WEIR_CHECK(chunked.extension_bytes <= HTTP_CHUNK_EXTENSIONS_MAX + 1);
    WEIR_CHECK(chunked.trailer_bytes <= HTTP_CHUNK_TRAILERS_MAX + 1);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct outcome whole = decode(data + 1, size - 1, size);
    struct outcome split = decode(data + 1, size - 1, 1u + data[0] % 16u);
    WEIR_CHECK(whole.err == split.err);
    WEIR_CHECK(span_equal(buffer_span(&whole.body), buffer_span(&split.body)));
    WEIR_CHECK((whole.err != WEIR_OK && whole.err != WEIR_AGAIN) ||
               whole.consumed == split.consumed);
    buffer_free(&whole.body);
    buffer_free(&split.body);
    return 0;
}
