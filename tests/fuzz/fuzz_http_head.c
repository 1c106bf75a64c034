/* The head parser: no overread, every span inside the input, and the same verdict however the head
 * was split. The first two bytes choose the split and the limits. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/http_head.h"
#include "proto/http_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct verdict {
    enum weir_err err;
    unsigned status;
    const char *why;
    size_t consumed;
};

/* Parses a copy of exactly `size` bytes; the caller frees `*copy`. */
static struct verdict parse(const uint8_t *data, size_t size, const struct http_head_limits *limits,
                            size_t *scanned, struct http_head *head, uint8_t **copy)
{
    struct verdict verdict = {.why = ""};
    *copy = malloc(size > 0 ? size : 1);
    WEIR_CHECK(*copy != NULL);
    memcpy(*copy, data, size);
    verdict.err = http_head_parse((struct span){*copy, size}, limits, scanned, head,
                                  &verdict.consumed, &verdict.status, &verdict.why);
    return verdict;
}

static void check_inside(struct span s, const uint8_t *bytes, size_t size)
{
    WEIR_CHECK(s.data >= bytes && s.size <= size && s.data <= bytes + size - s.size);
}

static void check_head(const struct http_head *head, const uint8_t *bytes, size_t consumed,
                       const struct http_head_limits *limits)
{
    WEIR_CHECK(consumed >= 4 && consumed <= limits->head_bytes);
    WEIR_CHECK(memcmp(bytes + consumed - 4, "\r\n\r\n", 4) == 0);
    WEIR_CHECK(head->field_count <= limits->fields && head->minor <= 1);
    WEIR_CHECK((head->body == HTTP_BODY_LENGTH) == (head->content_length > 0));
    WEIR_CHECK(head->body != HTTP_BODY_CHUNKED || head->minor == 1);
    WEIR_CHECK(head->host.size == 0 || http_host_is_valid(head->host));
    WEIR_CHECK(head->path.size > 0 && (head->path.data[0] == '/' || head->path.data[0] == '*'));
    check_inside(head->method, bytes, consumed);
    check_inside(head->target, bytes, consumed);
    for (size_t i = 0; i < head->field_count; i++) {
        check_inside(head->fields[i].name, bytes, consumed);
        check_inside(head->fields[i].value, bytes, consumed);
    }
}

static void check_verdict(const struct verdict *verdict)
{
    bool is_refused = verdict->err == WEIR_EPROTO || verdict->err == WEIR_ELIMIT;
    WEIR_CHECK(is_refused || verdict->err == WEIR_OK || verdict->err == WEIR_AGAIN);
    WEIR_CHECK(!is_refused || (verdict->status >= 400 && verdict->why[0] != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head; /* large, and never cleared: stale fields must not matter */
    static struct http_head again;
    if (size < 2) {
        return 0;
    }
    const struct http_head_limits limits = {
        .line_bytes = 16u + data[1], .head_bytes = 64u + data[1] * 8u, .fields = data[1] % 64u};
    const uint8_t *bytes = data + 2;
    size_t left = size - 2;
    size_t cut = left * data[0] / 255;
    size_t scanned = 0;
    uint8_t *whole_copy;
    uint8_t *copy;

    struct verdict whole = parse(bytes, left, &limits, &scanned, &head, &whole_copy);
    check_verdict(&whole);
    if (whole.err == WEIR_OK) {
        check_head(&head, whole_copy, whole.consumed, &limits);
    }
    scanned = 0;
    struct verdict split = parse(bytes, cut, &limits, &scanned, &again, &copy);
    free(copy);
    check_verdict(&split);
    if (split.err == WEIR_AGAIN) {
        split = parse(bytes, left, &limits, &scanned, &again, &copy);
        free(copy);
        WEIR_CHECK(split.err == whole.err && split.status == whole.status);
    }
    WEIR_CHECK((split.err == WEIR_OK) == (whole.err == WEIR_OK));
    WEIR_CHECK(whole.err != WEIR_OK || split.consumed == whole.consumed);
    free(whole_copy);
    return 0;
}
