/* Makes frames and feeds them to a decoder: whole, split in two at every byte, and byte by byte.
 * The outcome and what the messages add up to must never change. */
#ifndef WEIR_TESTS_PROTO_WS_DECODER_FEED_H
#define WEIR_TESTS_PROTO_WS_DECODER_FEED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "proto/ws_decoder.h"
#include "proto/ws_frame.h"
#include "proto/ws_mask.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

static const struct ws_decoder_rules server = {.expects_mask = true, .max_message_size = 1 << 20};
static const struct ws_decoder_rules client = {.expects_mask = false, .max_message_size = 1 << 20};

/* --- making frames --- */

/* Appends a frame; `mask` NULL for a server's. */
static inline void add_frame(struct buffer *wire, unsigned first, struct span payload,
                             const uint8_t *mask)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_size = ws_frame_write_head(head, (uint8_t)first, payload.size, mask);
    assert_int_equal(buffer_append(wire, (struct span){head, head_size}), WEIR_OK);
    assert_int_equal(buffer_append(wire, payload), WEIR_OK);
    if (mask != NULL) {
        for (size_t i = 0; i < payload.size; i++) {
            wire->data[wire->size - payload.size + i] ^= mask[i % 4];
        }
    }
}

static inline void add(struct buffer *wire, unsigned first, const char *text)
{
    add_frame(wire, first, span_of(text), key);
}

static inline void add_run(struct buffer *wire, unsigned first, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memset(bytes, '*', size);
    add_frame(wire, first, (struct span){bytes, size}, key);
    free(bytes);
}

/* --- reading what the decoder gives, as lines of words --- */

/* What came of a run of bytes: "text(Hello) ping() " and an error, if any. */
struct outcome {
    struct buffer words;
    size_t messages; /* that ended */
    enum weir_err err;
    uint16_t code;
    bool in_message;
    bool in_frame;
};

static const char *opcode_word(uint8_t opcode)
{
    switch (opcode) {
    case WS_TEXT:
        return "text";
    case WS_BINARY:
        return "binary";
    case WS_CLOSE:
        return "close";
    case WS_PING:
        return "ping";
    case WS_PONG:
        return "pong";
    default:
        return "unknown";
    }
}

static inline void note(struct outcome *o, const char *format, const char *word,
                        struct span payload)
{
    assert_int_equal(buffer_printf(&o->words, format, word), WEIR_OK);
    assert_int_equal(buffer_append(&o->words, payload), WEIR_OK);
}

static inline void note_control(struct outcome *o, const struct ws_event *event)
{
    note(o, "[%s:", opcode_word(event->opcode), (struct span){event->payload, event->payload_size});
    note(o, "]%s", "", (struct span){0});
}

static inline void note_data(struct outcome *o, const struct ws_event *event)
{
    assert_int_equal(event->message_start, !o->in_message);
    assert_int_equal(event->frame_start, !o->in_frame);
    assert_true(event->payload_size > 0 || event->frame_left == 0);
    if (event->message_start) {
        note(o, event->compressed ? "compressed %s(" : "%s(", opcode_word(event->opcode),
             (struct span){0});
    }
    note(o, "%s", "", (struct span){event->payload, event->payload_size});
    if (event->message_end) {
        assert_int_equal(event->frame_left, 0);
        note(o, ")%s", "", (struct span){0});
        o->messages++;
    }
    o->in_message = !event->message_end;
    o->in_frame = event->frame_left != 0;
}

/* Feeds `pending` + what comes, and keeps what the decoder did not take, as a caller must. */
static inline void feed(struct ws_decoder *d, const struct ws_decoder_rules *rules,
                        struct buffer *pending, struct span piece, struct outcome *o)
{
    assert_int_equal(buffer_append(pending, piece), WEIR_OK);
    while (o->err == WEIR_OK) {
        struct ws_event event;
        const char *why = NULL;
        size_t consumed = 99;
        o->err = ws_decoder_next(d, rules, pending->data, pending->size, &consumed, &event,
                                 &o->code, &why);
        if (o->err != WEIR_OK) {
            assert_int_equal(consumed, 0);
            assert_true((o->err == WEIR_EPROTO) == (why != NULL));
            break;
        }
        assert_true(consumed > 0 && consumed <= pending->size);
        if (event.type == WS_EVENT_CONTROL) {
            note_control(o, &event);
        } else {
            note_data(o, &event);
        }
        buffer_drop(pending, consumed);
    }
    if (o->err == WEIR_AGAIN) {
        assert_true(pending->size < WS_HEAD_MAX + WS_CONTROL_MAX);
        o->err = WEIR_OK;
    }
}

/* Two splits; the three pieces go in one after the other. `step` 0: only those splits, else pieces
 * of `step` bytes. */
static inline struct outcome run(const struct ws_decoder_rules *rules, bool allows_compression,
                                 struct span wire, size_t split, size_t step)
{
    struct ws_decoder d = {.allows_compression = allows_compression};
    struct buffer pending = {0};
    struct outcome o = {0};
    for (size_t at = 0; at < wire.size && o.err == WEIR_OK;) {
        size_t size = step != 0 ? step : at == 0 && split > 0 ? split : wire.size - at;
        size = size < wire.size - at ? size : wire.size - at;
        feed(&d, rules, &pending, (struct span){wire.data + at, size}, &o);
        at += size;
    }
    buffer_free(&pending);
    assert_int_equal(buffer_printf(&o.words, "%c", 0), WEIR_OK);
    return o;
}

/* `wanted` starts what was given before an error, and is all of it where there is none. */
static inline void expect_outcome(struct outcome o, uint16_t code, const char *wanted)
{
    assert_int_equal(o.code, code);
    assert_int_equal(o.err, code == 0 ? WEIR_OK : WEIR_EPROTO);
    if (code == 0) {
        assert_string_equal((const char *)o.words.data, wanted);
    } else {
        /* Pieces of the failing message may have been given before the bad byte came. */
        assert_int_equal(strncmp((const char *)o.words.data, wanted, strlen(wanted)), 0);
    }
    buffer_free(&o.words);
}

static inline void expect_with(const struct ws_decoder_rules *rules, bool allows_compression,
                               struct span wire, uint16_t code, const char *wanted)
{
    expect_outcome(run(rules, allows_compression, wire, 0, 0), code, wanted);
    for (size_t split = 1; split < wire.size; split++) {
        expect_outcome(run(rules, allows_compression, wire, split, 0), code, wanted);
    }
    for (size_t step = 1; step <= 3; step++) {
        expect_outcome(run(rules, allows_compression, wire, 0, step), code, wanted);
    }
}

/* What a server makes of `wire`, which it frees. Code 0: no error. */
static inline void expect(struct buffer *wire, uint16_t code, const char *wanted)
{
    expect_with(&server, false, buffer_span(wire), code, wanted);
    buffer_free(wire);
}

/* That exactly `prefix` bytes are enough to fail with `code`, and one less is not. */
static inline void expect_failure_at(const struct ws_decoder_rules *rules, struct span wire,
                                     size_t prefix, uint16_t code)
{
    struct outcome o = run(rules, false, (struct span){wire.data, prefix}, 0, 1);
    assert_int_equal(o.err, WEIR_EPROTO);
    assert_int_equal(o.code, code);
    buffer_free(&o.words);
    o = run(rules, false, (struct span){wire.data, prefix - 1}, 0, 1);
    assert_int_equal(o.err, WEIR_OK);
    buffer_free(&o.words);
}

#endif
