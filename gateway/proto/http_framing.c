/* What the heads of requests and of responses have in common: where they end, and the fields that
 * say where their bodies end. One reading for both directions, because a gateway that frames a
 * request and its response by different rules is what desynchronises two connections.
 * Called by http_head.c and http_response.c. It never decides what a message without these fields
 * has for a body. */
#include "proto/http_framing.h"

#include <string.h>

enum weir_err http_framing_find_end(struct span bytes, size_t start, size_t *scanned, size_t *end,
                                    struct http_refusal *refusal)
{
    size_t at = *scanned > start ? *scanned : start;
    while (at < bytes.size) {
        const uint8_t *lf = memchr(bytes.data + at, '\n', bytes.size - at);
        if (lf == NULL) {
            break;
        }
        size_t i = (size_t)(lf - bytes.data);
        if (i == start || bytes.data[i - 1] != '\r') {
            /* RFC 9112, section 2.2, lets a recipient take a bare LF for a line's end. Others do
             * not, so the two see different heads. */
            return http_refuse(refusal, 400, "a line feed without carriage return");
        }
        at = i + 1;
        if (i >= start + 2 && bytes.data[i - 2] == '\n') {
            *end = at;
            return WEIR_OK;
        }
    }
    *scanned = bytes.size;
    return WEIR_AGAIN;
}

/* As CGI sees a character of a name (RFC 3875, section 4.1.18). */
static uint8_t as_variable(uint8_t c)
{
    c = c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
    return c == '-' ? '_' : c;
}

bool http_framing_reads_as(struct span name, struct span real)
{
    size_t i = 0;
    if (name.size != real.size) {
        return false;
    }
    while (i < name.size && as_variable(name.data[i]) == as_variable(real.data[i])) {
        i++;
    }
    return i == name.size;
}

/* Counts one more, and keeps the last. */
static void note(unsigned *count, struct span *kept, struct span value)
{
    *count += 1;
    *kept = value;
}

enum weir_err http_framing_note(struct http_framing *framing, const struct http_field *field,
                                struct http_refusal *refusal)
{
    struct span name = field->name;
    if (http_framing_reads_as(name, SPAN("Content-Length"))) {
        if (span_find(name, '_') < name.size) {
            return http_refuse(refusal, 400, "a disguised Content-Length");
        }
        note(&framing->lengths, &framing->length, field->value);
    } else if (http_framing_reads_as(name, SPAN("Transfer-Encoding"))) {
        if (span_find(name, '_') < name.size) {
            return http_refuse(refusal, 400, "a disguised Transfer-Encoding");
        }
        note(&framing->codings, &framing->coding, field->value);
    }
    return WEIR_OK;
}

enum weir_err http_framing_length(const struct http_framing *framing, uint64_t *length,
                                  struct http_refusal *refusal)
{
    uint64_t value = 0;
    if (framing->lengths > 1) {
        /* RFC 9112, section 6.3, item 5, would let equal ones pass; refusing is allowed too. */
        return http_refuse(refusal, 400, "more than one Content-Length");
    }
    /* RFC 9110, section 8.6: digits only. Signs, lists, spaces, 0x and overflow end here; the upper
     * bound is that of peers with signed lengths. */
    if (framing->lengths == 1 && (!span_to_u64(framing->length, &value) || value > INT64_MAX)) {
        return http_refuse(refusal, 400, "an invalid Content-Length");
    }
    *length = value;
    return WEIR_OK;
}

/* RFC 9112, section 9.3. */
bool http_framing_keeps_alive(const struct http_field *fields, size_t count, uint8_t minor)
{
    bool closes = http_fields_have_token(fields, count, SPAN("Connection"), SPAN("close"));
    bool keeps = http_fields_have_token(fields, count, SPAN("Connection"), SPAN("keep-alive"));
    return !closes && (minor >= 1 || keeps);
}
