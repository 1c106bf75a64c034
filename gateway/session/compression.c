/* Chooses between a session's own deflate state and the worker's shared one. Called by the peer for
 * each compressed message; scratch buffers that a large message has blown up are given back. */
#include "session/compression.h"

#include <stdlib.h>

enum {
    SCRATCH_KEPT_BYTES = 1024 * 1024,
    LARGEST_WINDOW = 15
};

struct compression *compression_new(const struct ws_deflate_params *agreed, uint8_t level)
{
    struct compression *compression = calloc(1, sizeof *compression);
    if (compression != NULL) {
        compression->agreed = *agreed;
        compression->level = level;
    }
    return compression;
}

void compression_free(struct compression **compression)
{
    if (*compression != NULL) {
        ws_inflater_free(&(*compression)->inflater);
        ws_deflater_free(&(*compression)->deflater);
        free(*compression);
        *compression = NULL;
    }
}

void compression_scratch_free(struct compression_scratch *scratch)
{
    ws_inflater_free(&scratch->inflater);
    for (int bits = 0; bits < COMPRESSION_WINDOWS; bits++) {
        for (int level = 0; level < COMPRESSION_LEVELS; level++) {
            ws_deflater_free(&scratch->deflaters[bits][level]);
        }
    }
    buffer_free(&scratch->inflated);
    buffer_free(&scratch->deflated);
}

static void empty(struct buffer *scratch)
{
    if (scratch->capacity > SCRATCH_KEPT_BYTES) {
        buffer_free(scratch);
    }
    scratch->size = 0;
}

enum weir_err compression_inflate(struct compression *compression,
                                  struct compression_scratch *scratch, struct span in,
                                  uint64_t max_size, struct span *out)
{
    bool keep = !compression->agreed.client_no_context_takeover;
    /* A window of 15 bits reads what any smaller window wrote, so one shared inflater serves all.
     */
    struct ws_inflater **inflater = keep ? &compression->inflater : &scratch->inflater;
    if (*inflater == NULL) {
        *inflater =
            ws_inflater_new(keep ? compression->agreed.client_max_window_bits : LARGEST_WINDOW);
    }
    if (*inflater == NULL) {
        return WEIR_ENOMEM;
    }
    empty(&scratch->inflated);
    enum weir_err err = ws_inflater_message(*inflater, in, keep, max_size, &scratch->inflated);
    if (err == WEIR_OK) {
        *out = buffer_span(&scratch->inflated);
    }
    return err;
}

enum weir_err compression_deflate(struct compression *compression,
                                  struct compression_scratch *scratch, struct span in,
                                  struct span *out)
{
    bool keep = !compression->agreed.server_no_context_takeover;
    uint8_t bits = compression->agreed.server_max_window_bits;
    struct ws_deflater **deflater =
        keep ? &compression->deflater : &scratch->deflaters[bits][compression->level];
    if (*deflater == NULL) {
        *deflater = ws_deflater_new(bits, compression->level);
    }
    if (*deflater == NULL) {
        return WEIR_ENOMEM;
    }
    empty(&scratch->deflated);
    enum weir_err err = ws_deflater_message(*deflater, in, keep, &scratch->deflated);
    if (err == WEIR_OK) {
        *out = buffer_span(&scratch->deflated);
    }
    return err;
}
