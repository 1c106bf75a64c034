/* The chunked decoder: the same body, verdict and end however the bytes were split. The first byte
 * chooses the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "proto/http_chunked.h"
#include "proto/http_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum weir_err err;
    struct buffer body;
    struct buffer trailers;
    size_t consumed;
    bool done;
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
        WEIR_CHECK(!chunked->done || !chunked->is_trailer);
        if (outcome->err == WEIR_OK) {
            struct buffer *to = chunked->is_trailer ? &outcome->trailers : &outcome->body;
            WEIR_CHECK(buffer_append(to, piece) == WEIR_OK);
        }
    } while (outcome->err == WEIR_OK && !chunked->done && used < size);
    outcome->consumed += used;
    outcome->done = chunked->done;
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

/* What is given as trailers must be what the parser of heads takes for field lines. */
static void check_trailers(struct span lines)
{
    static struct http_field fields[HTTP_FIELDS_MAX];
    struct buffer section = {0};
    struct http_refusal refusal;
    size_t count = 0;
    WEIR_CHECK(buffer_append(&section, lines) == WEIR_OK);
    WEIR_CHECK(buffer_append(&section, SPAN("\r\n")) == WEIR_OK);
    enum weir_err err =
        http_fields_parse(buffer_span(&section), HTTP_FIELDS_MAX, fields, &count, &refusal);
    WEIR_CHECK(err == WEIR_OK || err == WEIR_ELIMIT);
    buffer_free(&section);
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
    if (whole.err == WEIR_OK || whole.err == WEIR_AGAIN) {
        WEIR_CHECK(whole.consumed == split.consumed);
        WEIR_CHECK(span_equal(buffer_span(&whole.trailers), buffer_span(&split.trailers)));
    }
    WEIR_CHECK(whole.done == split.done);
    if (whole.done) {
        check_trailers(buffer_span(&whole.trailers));
    }
    buffer_free(&whole.body);
    buffer_free(&whole.trailers);
    buffer_free(&split.body);
    buffer_free(&split.trailers);
    return 0;
}
