/* Frames to the backend: a head, a fresh mask, the payload, all into the worker's cork. Called for
 * what the client sends, and for our own pongs, pings and close frames.
 * Idea: keys come from a store of random bytes that is filled with one system call for a thousand
 * frames. What the kernel does not take is the stream's to queue and slows the client down; a
 * connection that fails is only noted here, since a cork that is emptied must not be written to. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "proto/ws_frame.h"
#include "proto/ws_mask.h"

enum {
    STORE_BYTES = 4096,
    COPY_BYTES = 8192 /* masked at once on the stack; below what the cork would not gather */
};

/* One for each thread, so that no key is given out twice. */
static _Thread_local struct {
    size_t left;
    uint8_t bytes[STORE_BYTES];
} store;

static void fill_store(void)
{
    size_t filled = 0;
    while (filled < sizeof store.bytes) {
        ssize_t got = getrandom(store.bytes + filled, sizeof store.bytes - filled, 0);
        /* Nothing else can be wrong with it (getrandom(2)), and a key that can be guessed must not
         * go out (RFC 6455, section 5.3). */
        WEIR_CHECK(got > 0 || errno == EINTR);
        filled += got > 0 ? (size_t)got : 0;
    }
    store.left = sizeof store.bytes;
}

void bridge_random(uint8_t *out, size_t size)
{
    WEIR_CHECK(size <= sizeof store.bytes);
    if (store.left < size) {
        fill_store();
    }
    store.left -= size;
    memcpy(out, store.bytes + store.left, size);
}

bool bridge_takes_data(const struct bridge *bridge)
{
    return bridge->backend != NULL && !bridge->close_sent && !bridge->unwritable;
}

/* The cork's word on what became of bytes. It may come from within a write to somebody else's
 * stream, so nothing is sent or closed here. */
static void sent(struct stream *stream, enum weir_err err)
{
    struct backend *backend = (struct backend *)(void *)stream;
    struct bridge *bridge = backend->owner;
    WEIR_CHECK(bridge->magic == BRIDGE_MAGIC);
    if (err != WEIR_OK) {
        bridge->unwritable = true;
        bridge_update_reading(bridge); /* the end is found by reading, behind what still came */
    } else if (stream_queued(stream) > 0) {
        bridge_queue_grew(bridge);
    }
}

void bridge_send_frame(struct bridge *bridge, uint8_t first_byte, uint8_t *payload, size_t size)
{
    uint8_t head[WS_HEAD_MAX];
    uint8_t key[BRIDGE_KEY_BYTES];
    bridge_random(key, sizeof key);
    size_t head_size = ws_frame_write_head(head, first_byte, size, key);
    ws_mask_apply(key, payload, size);
    bridge->bytes_sent += head_size + size;
    cork_write(worker_cork(bridge->worker), &bridge->backend->stream, sent,
               (struct span){head, head_size}, (struct span){payload, size});
}

void bridge_send_copy(struct bridge *bridge, uint8_t first_byte, struct span payload)
{
    struct cork *cork = worker_cork(bridge->worker);
    uint8_t head[WS_HEAD_MAX];
    uint8_t key[BRIDGE_KEY_BYTES];
    uint8_t copy[COPY_BYTES];
    bridge_random(key, sizeof key);
    size_t head_size = ws_frame_write_head(head, first_byte, payload.size, key);
    bridge->bytes_sent += head_size + payload.size;
    do {
        size_t size = payload.size < sizeof copy ? payload.size : sizeof copy;
        if (size > 0) {
            memcpy(copy, payload.data, size);
            ws_mask_apply(key, copy, size);
        }
        cork_write(cork, &bridge->backend->stream, sent, (struct span){head, head_size},
                   (struct span){copy, size});
        payload = span_from(payload, size);
        head_size = 0;
    } while (payload.size > 0);
}
