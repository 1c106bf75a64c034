/* The fields that a request asks for parts, versions and codings of a file with. The first byte
 * picks the parser; the rest is the field's value. Checks what must hold whatever comes. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "proto/http_accept.h"
#include "proto/http_conditional.h"
#include "proto/http_date.h"
#include "proto/http_range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void range(struct span value)
{
    static const uint64_t SIZES[] = {0, 1, 10, 1000000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        struct http_range part = {0};
        char text[HTTP_CONTENT_RANGE_BYTES];
        if (http_range_parse(value, SIZES[i], &part) == HTTP_RANGE_PART) {
            WEIR_CHECK(part.length > 0);
            WEIR_CHECK(part.first < SIZES[i]);
            WEIR_CHECK(part.length <= SIZES[i] - part.first);
            http_range_write(&part, SIZES[i], text);
            WEIR_CHECK(strlen(text) < sizeof(text));
        }
    }
}

/* A date that is read, written and read again is the same one. */
static void date(struct span value)
{
    int64_t seconds = 0;
    int64_t again = 0;
    char text[CLOCK_HTTP_DATE_BYTES];
    if (http_date_parse(value, 1795305600, &seconds) != WEIR_OK || seconds < 0 ||
        seconds > 253402300799) {
        return;
    }
    clock_http_date((uint64_t)seconds, text);
    WEIR_CHECK(http_date_parse(span_of(text), 1795305600, &again) == WEIR_OK);
    WEIR_CHECK(again == seconds);
}

static void conditions(struct span value)
{
    static const struct span NAMES[] = {
        {(const uint8_t *)"If-Match", 8},           {(const uint8_t *)"If-None-Match", 13},
        {(const uint8_t *)"If-Modified-Since", 17}, {(const uint8_t *)"If-Unmodified-Since", 19},
        {(const uint8_t *)"If-Range", 8},
    };
    const struct http_validators validators = {.etag = SPAN("\"a\""),
                                               .has_modified = true,
                                               .modified_seconds = 784111777,
                                               .now_seconds = 1795305600};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct http_conditional conditional = {.validators = &validators};
        http_conditional_add(&conditional, NAMES[i], value);
        enum http_precondition verdict = http_conditional_judge(&conditional);
        WEIR_CHECK(verdict == HTTP_PRECONDITION_PASSED || i != 4);
        WEIR_CHECK(verdict != HTTP_PRECONDITION_FAILED || i == 0 || i == 3);
        WEIR_CHECK(verdict != HTTP_PRECONDITION_NOT_MODIFIED || i == 1 || i == 2);
    }
    /* What compares as the same strongly does so weakly. */
    WEIR_CHECK(!http_conditional_lists(value, SPAN("\"a\""), true) ||
               http_conditional_lists(value, SPAN("\"a\""), false));
}

static void codings(struct span value)
{
    struct http_accept_encoding accept = {0};
    http_accept_encoding_add(&accept, value);
    WEIR_CHECK(accept.gzip.thousandths <= 1000 && accept.identity.thousandths <= 1000 &&
               accept.any.thousandths <= 1000);
    WEIR_CHECK(!http_accept_encoding_prefers_gzip(&accept) || accept.gzip.is_named ||
               accept.any.is_named);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const PARSERS[])(struct span) = {range, date, conditions, codings};
    if (size == 0) {
        return 0;
    }
    PARSERS[data[0] % 4](span_from((struct span){data, size}, 1));
    return 0;
}
