/* Tokens: a verdict that more bytes may not change, the same however much of the body is there, and
 * never a byte that could not stand in a query. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/session_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum weir_err read_fn(struct span body, char out[SESSION_TOKEN_MAX], size_t *size);

struct answer {
    enum weir_err err;
    size_t size;
    char token[SESSION_TOKEN_MAX];
};

/* From memory of exactly `size` bytes. */
static struct answer read_prefix(read_fn *read, const uint8_t *data, size_t size)
{
    struct answer answer = {0};
    uint8_t *copy = malloc(size > 0 ? size : 1);
    WEIR_CHECK(copy != NULL);
    memcpy(copy, data, size);
    answer.err = read((struct span){copy, size}, answer.token, &answer.size);
    free(copy);
    WEIR_CHECK(answer.err == WEIR_OK || answer.err == WEIR_AGAIN || answer.err == WEIR_EINVAL);
    WEIR_CHECK(answer.err != WEIR_AGAIN || size < SESSION_TOKEN_BODY_MAX);
    return answer;
}

static void check_token(const struct answer *answer)
{
    WEIR_CHECK(answer->size > 0 && answer->size <= SESSION_TOKEN_MAX);
    for (size_t i = 0; i < answer->size; i++) {
        WEIR_CHECK(answer->token[i] > 0x20 && answer->token[i] < 0x7f);
    }
}

static void check_reader(read_fn *read, const uint8_t *data, size_t size)
{
    struct answer whole = read_prefix(read, data, size);
    size_t step = 1 + size / 32;
    if (whole.err == WEIR_OK) {
        check_token(&whole);
    }
    for (size_t cut = 0; cut < size; cut += step) {
        struct answer part = read_prefix(read, data, cut);
        WEIR_CHECK(part.err == WEIR_AGAIN || part.err == whole.err);
        if (part.err == WEIR_OK) {
            WEIR_CHECK(part.size == whole.size);
            WEIR_CHECK(memcmp(part.token, whole.token, part.size) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_reader(session_token_engine_io, data, size);
    check_reader(session_token_signalr, data, size);
    return 0;
}
