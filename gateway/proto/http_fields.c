/* The field section: one pass over its bytes, each tested once against the class table. Nothing is
 * repaired: a line that RFC 9112 does not allow refuses the whole head, because what one program
 * repairs another reads differently, and that difference is request smuggling.
 * Called by http_head.c and by whoever parses response heads. It never allocates, and never knows
 * what a field means. */
#include "proto/http_fields.h"

#include <string.h>

#include "base/check.h"
#include "proto/http_chars.h"

enum weir_err http_refuse(struct http_refusal *refusal, unsigned status, const char *why)
{
    refusal->status = status;
    refusal->why = why;
    return WEIR_EPROTO;
}

/* Names the fault of the first byte that ended a field name and is not a colon. */
static const char *name_fault(uint8_t byte, bool is_first)
{
    if (byte == ' ' || byte == '\t') {
        /* obs-fold (RFC 9112, section 5.2) at the start of a line; else space before the colon
         * (section 5.1). Both must be refused by a server. */
        return is_first ? "a folded header line" : "whitespace in or after a header name";
    }
    if (byte == ':') {
        return "an empty header name";
    }
    return "a header name that is not a token";
}

/* Takes the value and the line's end. The caller guarantees that the bytes end with CR LF, so the
 * run stops before `end`, and a CR always has a byte behind it. */
static enum weir_err take_value(const uint8_t **at, const uint8_t *end, struct span *value,
                                struct http_refusal *refusal)
{
    size_t size = http_chars_run(*at, end, HTTP_CHAR_VALUE);
    const uint8_t *stop = *at + size;
    if (stop[0] != '\r') {
        /* RFC 9110, section 5.5: CR, LF and NUL are dangerous, other controls invalid. */
        return http_refuse(refusal, 400, "a control character in a header value");
    }
    if (stop[1] != '\n') {
        /* RFC 9112, section 2.2: a bare CR is never a line's end. */
        return http_refuse(refusal, 400, "a carriage return without line feed");
    }
    *value = span_trim((struct span){*at, size});
    *at = stop + 2;
    return WEIR_OK;
}

static enum weir_err take_field(const uint8_t **at, const uint8_t *end, struct http_field *field,
                                struct http_refusal *refusal)
{
    size_t size = http_chars_run(*at, end, HTTP_CHAR_TOKEN);
    const uint8_t *stop = *at + size;
    if (size == 0 || *stop != ':') {
        return http_refuse(refusal, 400, name_fault(*stop, size == 0));
    }
    field->name = (struct span){*at, size};
    *at = stop + 1;
    return take_value(at, end, &field->value, refusal);
}

enum weir_err http_fields_parse(struct span lines, size_t max, struct http_field *fields,
                                size_t *count, struct http_refusal *refusal)
{
    WEIR_CHECK(lines.size >= 2 && memcmp(lines.data + lines.size - 2, "\r\n", 2) == 0);
    const uint8_t *at = lines.data;
    const uint8_t *end = at + lines.size;
    size_t used = 0;
    while (end - at > 2) {
        if (used == max) {
            refusal->status = 431;
            refusal->why = "too many headers";
            return WEIR_ELIMIT;
        }
        enum weir_err err = take_field(&at, end, &fields[used], refusal);
        if (err != WEIR_OK) {
            return err;
        }
        used++;
    }
    if (end - at != 2) {
        return http_refuse(refusal, 400, "headers that do not end with an empty line");
    }
    *count = used;
    return WEIR_OK;
}

const struct http_field *http_fields_find(const struct http_field *fields, size_t count,
                                          struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

static bool list_has(struct span list, struct span token)
{
    struct span item;
    while (span_list_next(&list, &item)) {
        if (span_equal_nocase(item, token)) {
            return true;
        }
    }
    return false;
}

bool http_fields_have_token(const struct http_field *fields, size_t count, struct span name,
                            struct span token)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(fields[i].name, name) && list_has(fields[i].value, token)) {
            return true;
        }
    }
    return false;
}
