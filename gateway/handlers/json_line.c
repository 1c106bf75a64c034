/* Strict JSON (RFC 8259) without allocation, for log lines. Called by access_log.c; never writes a
 * part of a member, so every line parses. */
#include "handlers/json_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "proto/utf8.h"

enum {
    TAIL_BYTES = 2,      /* "}\n" */
    MEMBER_BYTES = 6,    /* comma, quotes, colon */
    CHARACTER_BYTES = 8, /* the longest of one character: an escape, or UTF-8; terminated */
    UTF8_BYTES = 4
};

void json_line_begin(struct json_line *line)
{
    line->bytes[0] = '{';
    line->used = 1;
    line->has_members = false;
}

static void put(struct json_line *line, const char *bytes, size_t size)
{
    WEIR_CHECK(line->used + size <= sizeof line->bytes);
    memcpy(line->bytes + line->used, bytes, size);
    line->used += size;
}

/* The name of a member whose value takes `value_size` bytes. False: there is no room for both. */
static bool put_name(struct json_line *line, const char *name, size_t value_size)
{
    size_t size = strlen(name);
    size_t room = sizeof line->bytes - line->used - TAIL_BYTES;
    if (size + value_size + MEMBER_BYTES > room) {
        return false;
    }
    put(line, line->has_members ? ",\"" : "\"", line->has_members ? 2 : 1);
    put(line, name, size);
    put(line, "\":", 2);
    line->has_members = true;
    return true;
}

static size_t utf8_size(struct span text)
{
    for (size_t size = 2; size <= UTF8_BYTES && size <= text.size; size++) {
        struct utf8_state state = {0};
        if (utf8_feed(&state, text.data, size) && utf8_is_complete(&state)) {
            return size;
        }
    }
    return 0;
}

/* Writes the first character of `text` as JSON has it into `out`, and tells the size of both. */
static size_t escape(struct span text, char out[CHARACTER_BYTES], size_t *out_size)
{
    uint8_t c = text.data[0];
    size_t taken = 1;
    int size = 1;
    if (c == '"' || c == '\\') {
        size = snprintf(out, CHARACTER_BYTES, "\\%c", c);
    } else if (c < 0x20 || c == 0x7f) {
        size = snprintf(out, CHARACTER_BYTES, "\\u%04x", c);
    } else if (c < 0x80) {
        out[0] = (char)c;
    } else if ((taken = utf8_size(text)) > 0) {
        memcpy(out, text.data, taken);
        size = (int)taken;
    } else {
        taken = 1;
        size = snprintf(out, CHARACTER_BYTES, "\\ufffd");
    }
    *out_size = (size_t)size;
    return taken;
}

void json_line_text(struct json_line *line, const char *name, struct span value, size_t limit)
{
    if (!put_name(line, name, limit)) {
        return;
    }
    put(line, "\"", 1);
    size_t used = 0;
    while (value.size > 0) {
        char out[CHARACTER_BYTES];
        size_t size = 0;
        size_t taken = escape(value, out, &size);
        if (used + size > limit) {
            break;
        }
        put(line, out, size);
        used += size;
        value = span_from(value, taken);
    }
    put(line, "\"", 1);
}

static void put_value(struct json_line *line, const char *name, const char *value)
{
    if (put_name(line, name, strlen(value))) {
        put(line, value, strlen(value));
    }
}

void json_line_number(struct json_line *line, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    put_value(line, name, text);
}

void json_line_milliseconds(struct json_line *line, const char *name, uint64_t value_us)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 ".%03u", value_us / 1000, (unsigned)(value_us % 1000));
    put_value(line, name, text);
}

struct span json_line_end(struct json_line *line)
{
    put(line, "}\n", 2);
    return (struct span){(const uint8_t *)line->bytes, line->used};
}
