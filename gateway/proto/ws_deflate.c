/* permessage-deflate on zlib's raw streams (RFC 7692). Called by session/ and by the proxy for its
 * backends: a deflater or inflater for each message with RSV1. Output grows in steps and stops at
 * the limit, so what a small message can cost is bounded. It never negotiates, never frames, and
 * never checks the text that comes out. */
#include "proto/ws_deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/check.h"

enum {
    BITS_MIN = 8,
    BITS_ZLIB_MIN = 9,
    BITS_MAX = 15,
    TAIL_BYTES = 4,
    STEP_BYTES = 4096 /* the least that output grows by */
};

/* What flushing to a byte's border leaves at the end; not sent (RFC 7692, section 7.2.1). */
static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

/* --- deflating --- */

struct ws_deflater {
    z_stream z;
};

struct ws_deflater *ws_deflater_new(int window_bits, int level)
{
    WEIR_CHECK(window_bits >= BITS_ZLIB_MIN && window_bits <= BITS_MAX);
    struct ws_deflater *deflater = calloc(1, sizeof *deflater);
    if (deflater == NULL) {
        return NULL;
    }
    /* zlib keeps 2^(window_bits+2) + 2^(mem_level+9) bytes: hash tables in step with the window. */
    int mem_level = window_bits < 14 ? window_bits - 6 : 8;
    if (deflateInit2(&deflater->z, level, Z_DEFLATED, -window_bits, mem_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(deflater);
        return NULL;
    }
    return deflater;
}

void ws_deflater_free(struct ws_deflater **deflater)
{
    if (*deflater != NULL) {
        (void)deflateEnd(&(*deflater)->z);
        free(*deflater);
        *deflater = NULL;
    }
}

/* zlib counts in unsigned int: what is left of `in` as far as that goes. */
static uInt bounded(size_t size)
{
    return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

/* Deflates all of `in` and flushes to a byte's border. */
static enum weir_err deflate_all(z_stream *z, struct span in, struct buffer *out)
{
    size_t room = deflateBound(z, (uLong)in.size) + STEP_BYTES;
    z->next_in = (z_const Bytef *)(uintptr_t)in.data;
    z->avail_in = 0;
    do {
        enum weir_err err = buffer_reserve(out, room);
        if (err != WEIR_OK) {
            return err;
        }
        if (z->avail_in == 0) {
            z->avail_in = bounded(in.size);
            in = span_from(in, z->avail_in);
        }
        uInt offered = bounded(out->capacity - out->size);
        z->next_out = out->data + out->size;
        z->avail_out = offered;
        int result = deflate(z, in.size == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        WEIR_CHECK(result == Z_OK || result == Z_BUF_ERROR);
        out->size += offered - z->avail_out;
        room = STEP_BYTES;
        /* Flushed is only what left room in the output (zlib.h, deflate). */
    } while (z->avail_out == 0 || z->avail_in > 0 || in.size > 0);
    return WEIR_OK;
}

enum weir_err ws_deflater_message(struct ws_deflater *deflater, struct span in, bool keep_context,
                                  struct buffer *out)
{
    size_t start = out->size;
    enum weir_err err;
    if (in.size == 0) {
        /* RFC 7692, section 7.2.3.6: an empty message is one empty stored block without its tail.
         */
        return buffer_append(out, SPAN("\0"));
    }
    err = deflate_all(&deflater->z, in, out);
    if (err == WEIR_OK) {
        WEIR_CHECK(out->size - start > TAIL_BYTES &&
                   memcmp(out->data + out->size - TAIL_BYTES, tail, TAIL_BYTES) == 0);
        out->size -= TAIL_BYTES;
    } else {
        out->size = start;
    }
    if (err != WEIR_OK || !keep_context) {
        (void)deflateReset(&deflater->z);
    }
    return err;
}

/* --- inflating --- */

struct ws_inflater {
    z_stream z;
    bool ended; /* the last byte given was the end of a final block */
};

struct ws_inflater *ws_inflater_new(int window_bits)
{
    WEIR_CHECK(window_bits >= BITS_MIN && window_bits <= BITS_MAX);
    struct ws_inflater *inflater = calloc(1, sizeof *inflater);
    if (inflater == NULL) {
        return NULL;
    }
    if (inflateInit2(&inflater->z, -window_bits) != Z_OK) {
        free(inflater);
        return NULL;
    }
    return inflater;
}

void ws_inflater_free(struct ws_inflater **inflater)
{
    if (*inflater != NULL) {
        (void)inflateEnd(&(*inflater)->z);
        free(*inflater);
        *inflater = NULL;
    }
}

/* One call of inflate() with room for at least one byte, at most `left`; with none left, the byte
 * that must not come goes to a place of its own. */
static enum weir_err inflate_step(z_stream *z, size_t wanted, uint64_t left, struct buffer *out,
                                  int *result)
{
    uint8_t one_too_many;
    if (left == 0) {
        z->next_out = &one_too_many;
        z->avail_out = 1;
        *result = inflate(z, Z_SYNC_FLUSH);
        return z->avail_out == 0 ? WEIR_ELIMIT : WEIR_OK;
    }
    wanted = wanted < left ? wanted : (size_t)left;
    enum weir_err err = buffer_reserve(out, wanted);
    if (err != WEIR_OK) {
        return err;
    }
    uInt offered = bounded(wanted);
    z->next_out = out->data + out->size;
    z->avail_out = offered;
    *result = inflate(z, Z_SYNC_FLUSH);
    out->size += offered - z->avail_out;
    return WEIR_OK;
}

/* Inflates one run of input, as long as it has output to give. */
static enum weir_err inflate_run(struct ws_inflater *inflater, struct span in, size_t start,
                                 uint64_t max_size, struct buffer *out)
{
    z_stream *z = &inflater->z;
    bool is_done = false;
    z->next_in = (z_const Bytef *)(uintptr_t)in.data;
    z->avail_in = 0;
    while (!is_done) {
        int result = Z_OK;
        size_t produced = out->size - start;
        size_t wanted = produced < STEP_BYTES ? STEP_BYTES : produced;
        if (z->avail_in == 0) {
            z->avail_in = bounded(in.size);
            in = span_from(in, z->avail_in);
        }
        enum weir_err err = inflate_step(z, wanted, max_size - produced, out, &result);
        if (err != WEIR_OK) {
            return err;
        }
        inflater->ended = false;
        if (result == Z_STREAM_END) {
            /* RFC 7692, section 7.2.3.4: a final block is no end of the message, nor of the window.
             * inflateReset would lose that; setting it anew would copy 32 KiB for two bytes sent.
             */
            (void)inflateResetKeep(z);
            inflater->ended = true;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            return result == Z_MEM_ERROR ? WEIR_ENOMEM : WEIR_EPROTO;
        }
        bool may_have_more = z->avail_out == 0 && !inflater->ended;
        is_done = z->avail_in == 0 && in.size == 0 && !may_have_more;
    }
    return WEIR_OK;
}

/* Whether the last block ended with the last byte, so that the next message can start there. */
static bool is_at_border(const z_stream *z)
{
    enum {
        UNUSED_BITS = 0x3f,
        IN_LAST_BLOCK = 0x40,
        BETWEEN_BLOCKS = 0x80 /* zlib.h, inflate: what data_type tells */
    };
    return (z->data_type & (UNUSED_BITS | IN_LAST_BLOCK | BETWEEN_BLOCKS)) == BETWEEN_BLOCKS;
}

static enum weir_err inflate_message(struct ws_inflater *inflater, struct span in, size_t start,
                                     uint64_t max_size, struct buffer *out)
{
    enum weir_err err = inflate_run(inflater, in, start, max_size, out);
    /* A peer that ends with a final block and leaves out the byte 00 after it (RFC 7692, section
     * 7.2.3.4) has no place for the tail; what it meant is clear. */
    if (err != WEIR_OK || inflater->ended) {
        return err;
    }
    err = inflate_run(inflater, (struct span){tail, TAIL_BYTES}, start, max_size, out);
    if (err != WEIR_OK) {
        return err;
    }
    /* RFC 7692, section 7.2.2: the tail makes it whole. A block still open was cut or is garbage.
     */
    return is_at_border(&inflater->z) ? WEIR_OK : WEIR_EPROTO;
}

enum weir_err ws_inflater_message(struct ws_inflater *inflater, struct span in, bool keep_context,
                                  uint64_t max_size, struct buffer *out)
{
    size_t start = out->size;
    /* RFC 7692 has no form without any byte, yet some peers send it for an empty message. */
    enum weir_err err =
        in.size == 0 ? WEIR_OK : inflate_message(inflater, in, start, max_size, out);
    if (err != WEIR_OK) {
        out->size = start;
    }
    if (err != WEIR_OK || !keep_context) {
        (void)inflateReset(&inflater->z);
    }
    return err;
}
