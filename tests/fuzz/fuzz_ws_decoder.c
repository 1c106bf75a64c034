/* The frame decoder on any bytes: how they are cut into reads never changes what comes out.
 * Input: one byte of settings, one byte that seeds the cuts, then the wire. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "proto/utf8.h"
#include "proto/ws_close.h"
#include "proto/ws_decoder.h"

/* What came out: controls and messages in order, with the pieces of a message joined. A message and
 * a control inside it are kept apart, since where a control lands in the text depends on nothing
 * but the wire. */
struct outcome {
    struct buffer events;
    size_t sure; /* events up to here belong to whole messages and controls */
    enum weir_err err;
    uint16_t code;
    struct utf8_state utf8; /* of the text message under way, for a second opinion */
};

static void note(struct outcome *o, uint8_t mark, const uint8_t *bytes, size_t size)
{
    WEIR_CHECK(buffer_append(&o->events, (struct span){&mark, 1}) == WEIR_OK);
    WEIR_CHECK(buffer_append(&o->events, (struct span){bytes, size}) == WEIR_OK);
}

static void note_control(struct outcome *o, const struct ws_event *event)
{
    uint16_t code;
    uint16_t error_code;
    struct span reason;
    WEIR_CHECK(event->payload_size <= WS_CONTROL_MAX);
    note(o, event->opcode, event->payload, event->payload_size);
    if (event->opcode == WS_CLOSE) {
        struct span payload = {event->payload, event->payload_size};
        enum weir_err err = ws_close_parse(payload, &code, &reason, &error_code);
        WEIR_CHECK(err == WEIR_OK || err == WEIR_EPROTO);
    }
}

static void note_data(struct outcome *o, const struct ws_event *event)
{
    if (event->message_start) {
        o->utf8 = (struct utf8_state){0};
        note(o, (uint8_t)(event->opcode | (event->compressed ? 0x40 : 0)), NULL, 0);
    }
    for (size_t i = 0; i < event->payload_size; i++) {
        note(o, 'd', event->payload + i, 1);
    }
    if (event->opcode == WS_TEXT && !event->compressed) {
        for (size_t i = 0; i < event->payload_size; i++) {
            WEIR_CHECK(utf8_feed(&o->utf8, event->payload + i, 1));
        }
        WEIR_CHECK(!event->message_end || utf8_is_complete(&o->utf8));
    }
    if (event->message_end) {
        note(o, 'e', NULL, 0);
    }
}

static void note_event(struct outcome *o, const struct ws_event *event)
{
    if (event->type == WS_EVENT_CONTROL) {
        note_control(o, event);
    } else {
        note_data(o, event);
    }
    if (event->type == WS_EVENT_CONTROL || event->message_end) {
        o->sure = o->events.size;
    }
}

/* Feeds `pending` until it gives no more. */
static void drain(struct ws_decoder *d, const struct ws_decoder_rules *rules,
                  struct buffer *pending, struct outcome *o)
{
    for (o->err = WEIR_OK; o->err == WEIR_OK;) {
        struct ws_event event;
        const char *why;
        size_t consumed;
        /* A copy of exactly that size, so that AddressSanitizer watches its end. */
        uint8_t *bytes = malloc(pending->size + (pending->size == 0));
        WEIR_CHECK(bytes != NULL);
        if (pending->size > 0) {
            memcpy(bytes, pending->data, pending->size);
        }
        o->err = ws_decoder_next(d, rules, bytes, pending->size, &consumed, &event, &o->code, &why);
        if (o->err == WEIR_OK) {
            note_event(o, &event);
            WEIR_CHECK(consumed > 0 && consumed <= pending->size);
            buffer_drop(pending, consumed);
        }
        free(bytes);
    }
}

/* Reads of `read_size` bytes, or of sizes from `seed` where that is 0. */
static struct outcome run(const struct ws_decoder_rules *rules, bool compression, struct span wire,
                          size_t read_size, uint32_t seed)
{
    struct ws_decoder d = {.allows_compression = compression};
    struct buffer pending = {0};
    struct outcome o = {0};
    for (size_t at = 0; at < wire.size && o.err != WEIR_EPROTO;) {
        seed = seed * 1664525 + 1013904223;
        size_t size = read_size != 0 ? read_size : 1 + (seed >> 16) % 97;
        size = size < wire.size - at ? size : wire.size - at;
        WEIR_CHECK(buffer_append(&pending, (struct span){wire.data + at, size}) == WEIR_OK);
        at += size;
        drain(&d, rules, &pending, &o);
        WEIR_CHECK(o.err == WEIR_EPROTO || pending.size < WS_HEAD_MAX + WS_CONTROL_MAX);
    }
    buffer_free(&pending);
    return o;
}

/* The same error or none; and the same events, but for the start of a message that then failed,
 * which smaller reads give more of. */
static void compare(const struct outcome *a, const struct outcome *b)
{
    size_t common = a->events.size < b->events.size ? a->events.size : b->events.size;
    WEIR_CHECK(a->err == b->err);
    if (a->err == WEIR_EPROTO) {
        WEIR_CHECK(a->code == b->code);
        WEIR_CHECK(a->sure == b->sure);
    } else {
        WEIR_CHECK(a->events.size == b->events.size);
    }
    WEIR_CHECK(common == 0 || memcmp(a->events.data, b->events.data, common) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const struct ws_decoder_rules rules = {
        .expects_mask = (data[0] & 1) != 0,
        .max_message_size = (data[0] & 2) != 0 ? 1000 : UINT64_MAX,
    };
    bool compression = (data[0] & 4) != 0;
    struct span wire = {data + 2, size - 2};
    struct outcome whole = run(&rules, compression, wire, size, 0);
    struct outcome bytewise = run(&rules, compression, wire, 1, 0);
    struct outcome cut = run(&rules, compression, wire, 0, data[1]);
    compare(&whole, &bytewise);
    compare(&whole, &cut);
    buffer_free(&whole.events);
    buffer_free(&bytewise.events);
    buffer_free(&cut.events);
    return 0;
}
