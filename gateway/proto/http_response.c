/* A backend is trusted further than a client, and read no more kindly: where two readers could
 * disagree about where its response ends, the bytes behind it would become somebody else's
 * response. Called by handlers/proxy for each head that a backend sends, 1xx too, and by upstream/
 * for health checks. It never allocates, never copies, never reads the body. */
#include "proto/http_response.h"

#include <string.h>

#include "proto/http_chars.h"
#include "proto/http_framing.h"

enum {
    REFUSED = 502,    /* what http_refuse wants to know; nobody reads it here */
    VERSION_BYTES = 9 /* "HTTP/1.1 " */
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Refuses what cannot become a status line from its first bytes on, so that a backend that speaks
 * something else is found out at once and not after the read timeout. No empty line is skipped:
 * RFC 9112, section 2.2, lets servers do so only. */
static enum weir_err check_start(struct span bytes, struct http_refusal *refusal)
{
    struct span start = SPAN("HTTP/1.");
    if (bytes.size < start.size) {
        start.size = bytes.size;
    }
    if (!span_starts_with(bytes, start)) {
        return http_refuse(refusal, REFUSED, "a response that does not start with HTTP/1.");
    }
    return WEIR_OK;
}

static enum weir_err find_head(struct span bytes, size_t max_bytes, size_t *scanned,
                               struct span *head, struct http_refusal *refusal)
{
    size_t end = 0;
    struct span searched = bytes;
    enum weir_err err = check_start(bytes, refusal);
    if (err != WEIR_OK) {
        return err;
    }
    if (searched.size > max_bytes) {
        searched.size = max_bytes;
    }
    err = http_framing_find_end(searched, 0, scanned, &end, refusal);
    if (err == WEIR_AGAIN && bytes.size >= max_bytes) {
        refusal->why = "the head of the response is too large";
        return WEIR_ELIMIT;
    }
    if (err == WEIR_OK) {
        *head = (struct span){bytes.data, end};
    }
    return err;
}

/* RFC 9112, section 4: HTTP-version SP status-code SP [ reason-phrase ]. The second space is taken
 * for granted by the grammar and left out by many servers that have no phrase. */
static enum weir_err take_status_line(const uint8_t **at, const uint8_t *end,
                                      struct http_response *response, struct http_refusal *refusal)
{
    const uint8_t *text = *at;
    const uint8_t *code = text + VERSION_BYTES;
    /* The end of the head has CR LF CR LF, so that all that is looked at lies before it. */
    if (end - text < VERSION_BYTES + 5 || text[7] < '0' || text[7] > '1' || text[8] != ' ') {
        return http_refuse(refusal, REFUSED, "a version that is not HTTP/1.0 or HTTP/1.1");
    }
    /* RFC 9110, section 15: 100 to 599; others are invalid. */
    if (code[0] < '1' || code[0] > '5' || !is_digit(code[1]) || !is_digit(code[2])) {
        return http_refuse(refusal, REFUSED, "an invalid status code");
    }
    const uint8_t *reason = code + 3;
    reason += *reason == ' ';
    size_t size = reason > code + 3 ? http_chars_run(reason, end, HTTP_CHAR_VALUE) : 0;
    if (end - reason - (ptrdiff_t)size < 2 || memcmp(reason + size, "\r\n", 2) != 0) {
        return http_refuse(refusal, REFUSED, "a malformed status line");
    }
    response->minor = (uint8_t)(text[7] - '0');
    response->status = (unsigned)(code[0] - '0') * 100 + (unsigned)(code[1] - '0') * 10 +
                       (unsigned)(code[2] - '0');
    response->reason = (struct span){reason, size};
    *at = reason + size + 2;
    return WEIR_OK;
}

/* RFC 9112, section 6.3, items 1 and 2; a response to CONNECT does not occur. */
static bool has_no_body(const struct http_response *response, bool is_head)
{
    unsigned status = response->status;
    return is_head || status < 200 || status == 204 || status == 304;
}

static enum weir_err judge_coding(const struct http_framing *framing,
                                  struct http_response *response, struct http_refusal *refusal)
{
    if (response->status < 200 || response->status == 204) {
        /* RFC 9112, section 6.1: must not be sent in these. */
        return http_refuse(refusal, REFUSED, "Transfer-Encoding in a 1xx or 204 response");
    }
    if (framing->lengths > 0) {
        /* Section 6.3, item 3: it may be response splitting, and ought to be handled as an error.
         */
        return http_refuse(refusal, REFUSED, "both Content-Length and Transfer-Encoding");
    }
    if (response->minor == 0) {
        /* Section 6.1: the framing is faulty; whether there are chunks cannot be known. */
        return http_refuse(refusal, REFUSED, "Transfer-Encoding in HTTP/1.0");
    }
    /* Section 6.3, item 4: without chunked at the end the body would last until the connection
     * ends, still coded in a way that we never asked for (no TE was sent). */
    if (framing->codings > 1 || !span_equal_nocase(framing->coding, SPAN("chunked"))) {
        return http_refuse(refusal, REFUSED, "a transfer coding other than chunked");
    }
    response->body = HTTP_RESPONSE_CHUNKED;
    return WEIR_OK;
}

static enum weir_err judge_length(const struct http_framing *framing,
                                  struct http_response *response, struct http_refusal *refusal)
{
    enum weir_err err = http_framing_length(framing, &response->content_length, refusal);
    response->has_length = framing->lengths == 1;
    if (!response->has_length) {
        response->body = HTTP_RESPONSE_CLOSE; /* section 6.3, item 8 */
    } else {
        response->body = response->content_length > 0 ? HTTP_RESPONSE_LENGTH : HTTP_RESPONSE_NONE;
    }
    return err;
}

/* RFC 9110, section 7.6.1: who obeyed it would pass on a body without its length.
 * "Transfer-Encoding" is listed by some servers and does no harm, as it ends at each hop anyway. */
static enum weir_err judge_connection(struct http_response *response, struct http_refusal *refusal)
{
    const struct http_field *fields = response->fields;
    size_t count = response->field_count;
    if (http_fields_have_token(fields, count, SPAN("Connection"), SPAN("Content-Length"))) {
        return http_refuse(refusal, REFUSED, "a Connection option that names Content-Length");
    }
    /* RFC 9110, section 8.6: a 1xx or 204 must have no length. What claims to have a body there may
     * send one, and it would be read as the head of the next response. */
    bool may_have_more =
        (response->status < 200 || response->status == 204) && response->content_length > 0;
    response->keep_alive = response->body != HTTP_RESPONSE_CLOSE && !may_have_more &&
                           http_framing_keeps_alive(fields, count, response->minor);
    return WEIR_OK;
}

static enum weir_err judge_fields(struct http_response *response, bool is_head,
                                  struct http_refusal *refusal)
{
    struct http_framing framing = {0};
    for (size_t i = 0; i < response->field_count; i++) {
        enum weir_err err = http_framing_note(&framing, &response->fields[i], refusal);
        if (err != WEIR_OK) {
            return err;
        }
    }
    response->content_length = 0;
    response->has_length = false;
    enum weir_err err = framing.codings > 0 ? judge_coding(&framing, response, refusal)
                                            : judge_length(&framing, response, refusal);
    if (err != WEIR_OK) {
        return err;
    }
    if (has_no_body(response, is_head)) {
        response->body = HTTP_RESPONSE_NONE;
    }
    return judge_connection(response, refusal);
}

static enum weir_err parse_whole(struct span bytes, bool is_head, struct http_response *response,
                                 struct http_refusal *refusal)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    enum weir_err err = take_status_line(&at, end, response, refusal);
    if (err == WEIR_OK) {
        struct span lines = {at, (size_t)(end - at)};
        err = http_fields_parse(lines, HTTP_FIELDS_MAX, response->fields, &response->field_count,
                                refusal);
    }
    return err == WEIR_OK ? judge_fields(response, is_head, refusal) : err;
}

enum weir_err http_response_parse(struct span bytes, bool is_head, size_t max_bytes,
                                  size_t *scanned, struct http_response *response, size_t *consumed,
                                  const char **why)
{
    struct http_refusal refusal = {REFUSED, ""};
    struct span found;
    enum weir_err err = find_head(bytes, max_bytes, scanned, &found, &refusal);
    if (err == WEIR_OK) {
        err = parse_whole(found, is_head, response, &refusal);
    }
    if (err == WEIR_OK) {
        *consumed = found.size;
        *scanned = 0;
    } else if (err != WEIR_AGAIN) {
        *why = refusal.why;
    }
    return err;
}
