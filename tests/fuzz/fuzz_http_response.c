/* Heads of responses: what arrives in pieces is read as what arrives whole, what is taken lies
 * inside the bytes and frames its body in one way, and can be written out again to the same
 * reading. The first byte chooses HEAD and the size of the pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "proto/http_cookie.h"
#include "proto/http_hop.h"
#include "proto/http_response.h"
#include "proto/http_write.h"

enum {
    MAX_BYTES = 512
};

static struct http_response whole;
static struct http_response other;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct span part, struct span bytes)
{
    WEIR_CHECK(part.data >= bytes.data && part.data + part.size <= bytes.data + bytes.size);
}

static void check_taken(struct span bytes, bool is_head, size_t consumed)
{
    struct span used = {bytes.data, consumed};
    bool never_has_a_body =
        is_head || whole.status < 200 || whole.status == 204 || whole.status == 304;
    WEIR_CHECK(consumed >= 4 && consumed <= bytes.size && consumed <= MAX_BYTES);
    WEIR_CHECK(memcmp(bytes.data + consumed - 4, "\r\n\r\n", 4) == 0);
    WEIR_CHECK(memmem(bytes.data, consumed - 1, "\r\n\r\n", 4) == NULL);
    WEIR_CHECK(whole.status >= 100 && whole.status <= 599 && whole.minor <= 1);
    WEIR_CHECK(!never_has_a_body || whole.body == HTTP_RESPONSE_NONE);
    WEIR_CHECK(whole.body != HTTP_RESPONSE_CLOSE || !whole.keep_alive);
    WEIR_CHECK(whole.body != HTTP_RESPONSE_LENGTH ||
               (whole.has_length && whole.content_length > 0));
    WEIR_CHECK(whole.body != HTTP_RESPONSE_CHUNKED || (!whole.has_length && whole.minor == 1));
    check_inside(whole.reason, used);
    for (size_t i = 0; i < whole.field_count; i++) {
        check_inside(whole.fields[i].name, used);
        check_inside(whole.fields[i].value, used);
    }
}

/* As a proxy does: the fields that do not end here, and its own framing left out. */
static void check_written(bool is_head)
{
    struct buffer out = {0};
    const char *why = NULL;
    size_t scanned = 0;
    size_t consumed = 0;
    WEIR_CHECK(http_write_status_reason(&out, whole.status, whole.reason) == WEIR_OK);
    for (size_t i = 0; i < whole.field_count; i++) {
        const struct http_field *field = &whole.fields[i];
        struct span cookie = http_cookie_find(field->value, SPAN("a"));
        WEIR_CHECK(cookie.size <= field->value.size);
        (void)http_hop_may_trail(field->name);
        if (!http_hop_is_local(whole.fields, whole.field_count, field->name)) {
            WEIR_CHECK(http_write_field(&out, field->name, field->value) == WEIR_OK);
        }
    }
    WEIR_CHECK(http_write_end(&out) == WEIR_OK);
    WEIR_CHECK(http_response_parse(buffer_span(&out), is_head, out.size, &scanned, &other,
                                   &consumed, &why) == WEIR_OK);
    WEIR_CHECK(consumed == out.size && other.status == whole.status);
    WEIR_CHECK(span_equal(other.reason, whole.reason));
    WEIR_CHECK(other.has_length == whole.has_length);
    WEIR_CHECK(other.content_length == whole.content_length);
    WEIR_CHECK(http_fields_find(other.fields, other.field_count, SPAN("Connection")) == NULL);
    buffer_free(&out);
}

/* The verdict when the bytes come in pieces, each time in memory of exactly their size. */
static enum weir_err parse_in_pieces(struct span bytes, bool is_head, size_t step)
{
    enum weir_err err = WEIR_AGAIN;
    size_t scanned = 0;
    for (size_t size = step; err == WEIR_AGAIN && size < bytes.size + step; size += step) {
        size_t used = size < bytes.size ? size : bytes.size;
        uint8_t *copy = malloc(used);
        size_t consumed = 0;
        const char *why = NULL;
        WEIR_CHECK(copy != NULL);
        memcpy(copy, bytes.data, used);
        err = http_response_parse((struct span){copy, used}, is_head, MAX_BYTES, &scanned, &other,
                                  &consumed, &why);
        WEIR_CHECK(err == WEIR_OK || err == WEIR_AGAIN || why != NULL);
        WEIR_CHECK(err != WEIR_AGAIN || scanned <= used);
        free(copy);
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span bytes = {data + 1, size - 1};
    bool is_head = (data[0] & 0x80) != 0;
    const char *why = NULL;
    size_t scanned = 0;
    size_t consumed = 0;
    enum weir_err err =
        http_response_parse(bytes, is_head, MAX_BYTES, &scanned, &whole, &consumed, &why);
    WEIR_CHECK(err == WEIR_OK || err == WEIR_AGAIN || why != NULL);
    enum weir_err split = parse_in_pieces(bytes, is_head, 1u + data[0] % 64u);
    WEIR_CHECK((err == WEIR_OK) == (split == WEIR_OK));
    WEIR_CHECK((err == WEIR_AGAIN) == (split == WEIR_AGAIN));
    if (err == WEIR_OK) {
        check_taken(bytes, is_head, consumed);
        check_written(is_head);
    }
    return 0;
}
