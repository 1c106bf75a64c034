/* The request head, in three steps: find its end with memchr, walk the request line and the fields
 * once against the class table, then judge the few fields that decide framing, routing and
 * persistence. Wherever two readers could disagree about where a message ends, it is refused.
 * Called by session/ for each request. It never allocates, never copies, never reads the body. */
#include "proto/http_head.h"

#include <string.h>

#include "proto/http_chars.h"
#include "proto/http_framing.h"
#include "proto/http_host.h"

enum {
    /* RFC 9112, section 2.2, asks for at least one; some old clients send a CRLF after a body. */
    LEADING_LINES_MAX = 4,
    VERSION_BYTES = 10 /* "HTTP/1.1" and CR LF */
};

/* How often the fields occur that must not occur twice, and their values. */
struct noted {
    unsigned hosts;
    unsigned expectations;
    struct span host;
    struct span expectation;
    struct http_framing body;
};

static enum weir_err over_limit(struct http_refusal *refusal, unsigned status, const char *why)
{
    refusal->status = status;
    refusal->why = why;
    return WEIR_ELIMIT;
}

/* --- step one: where the head starts and ends --- */

static size_t leading_lines(struct span bytes)
{
    size_t at = 0;
    while (at < 2 * LEADING_LINES_MAX && bytes.size - at >= 2 && bytes.data[at] == '\r' &&
           bytes.data[at + 1] == '\n') {
        at += 2;
    }
    return at;
}

/* Refuses a first byte that cannot start a request, so that TLS or garbage on a plain port is
 * answered at once and not after the head timeout. */
static enum weir_err check_first(struct span bytes, size_t start, struct http_refusal *refusal)
{
    if (bytes.size == start) {
        return WEIR_OK;
    }
    uint8_t first = bytes.data[start];
    bool may_be_empty_line =
        first == '\r' && bytes.size == start + 1 && start < 2 * LEADING_LINES_MAX;
    if ((http_chars[first] & HTTP_CHAR_TOKEN) == 0 && !may_be_empty_line) {
        return http_refuse(refusal, 400, "a request that does not start with a method");
    }
    return WEIR_OK;
}

static enum weir_err check_line_size(struct span bytes, size_t start, size_t line_bytes,
                                     size_t scanned, struct http_refusal *refusal)
{
    size_t room = line_bytes + 2;
    if (scanned > start + room || bytes.size - start < room) {
        return WEIR_OK;
    }
    if (memchr(bytes.data + start, '\n', room) == NULL) {
        return over_limit(refusal, 414, "the request line is too long");
    }
    return WEIR_OK;
}

static enum weir_err find_head(struct span bytes, const struct http_head_limits *limits,
                               size_t *scanned, struct span *head, struct http_refusal *refusal)
{
    size_t end = 0;
    size_t start = leading_lines(bytes);
    enum weir_err err = check_first(bytes, start, refusal);
    if (err == WEIR_OK) {
        err = check_line_size(bytes, start, limits->line_bytes, *scanned, refusal);
    }
    if (err != WEIR_OK) {
        return err;
    }
    struct span searched = bytes;
    if (searched.size > limits->head_bytes) {
        searched.size = limits->head_bytes;
    }
    if (start > searched.size) {
        start = searched.size;
    }
    err = http_framing_find_end(searched, start, scanned, &end, refusal);
    if (err == WEIR_AGAIN && bytes.size >= limits->head_bytes) {
        return over_limit(refusal, 431, "the headers are too large");
    }
    if (err == WEIR_OK) {
        *head = (struct span){bytes.data + start, end - start};
    }
    return err;
}

/* --- step two: the request line --- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9112, section 2.3: HTTP-name is case-sensitive, one digit on each side of the dot. */
static enum weir_err take_version(const uint8_t **at, const uint8_t *end, struct http_head *head,
                                  struct http_refusal *refusal)
{
    const uint8_t *text = *at;
    if (end - text < VERSION_BYTES || memcmp(text, "HTTP/", 5) != 0 || !is_digit(text[5]) ||
        text[6] != '.' || !is_digit(text[7]) || memcmp(text + 8, "\r\n", 2) != 0) {
        return http_refuse(refusal, 400, "a malformed HTTP version");
    }
    /* RFC 9110, section 2.5, would let us read HTTP/1.2 as 1.1. There is no such version, and what
     * claims it is probing for proxies that disagree. */
    if (text[5] != '1' || text[7] > '1') {
        return http_refuse(refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    head->minor = (uint8_t)(text[7] - '0');
    *at = text + VERSION_BYTES;
    return WEIR_OK;
}

/* RFC 9112, section 3: single spaces only. Section 3 lets a recipient split at any whitespace, and
 * names the security risk of doing so. */
static enum weir_err take_request_line(const uint8_t **at, const uint8_t *end,
                                       struct http_head *head, struct http_refusal *refusal)
{
    const uint8_t *text = *at;
    size_t size = http_chars_run(text, end, HTTP_CHAR_TOKEN);
    if (size == 0 || text[size] != ' ') {
        return http_refuse(refusal, 400, "a malformed request method");
    }
    head->method = (struct span){text, size};
    text += size + 1;
    size = http_chars_run(text, end, HTTP_CHAR_TARGET);
    if (size == 0 || text[size] != ' ') {
        return http_refuse(refusal, 400, "a malformed request target");
    }
    head->target = (struct span){text, size};
    *at = text + size + 1;
    return take_version(at, end, head, refusal);
}

/* The size of "scheme://" at the start of `target`, or 0 where there is none that we serve. */
static size_t scheme_size(struct span target)
{
    static const struct span schemes[] = {{(const uint8_t *)"http://", 7},
                                          {(const uint8_t *)"https://", 8},
                                          {(const uint8_t *)"ws://", 5},
                                          {(const uint8_t *)"wss://", 6}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct span start = {target.data, schemes[i].size};
        if (target.size >= start.size && span_equal_nocase(start, schemes[i])) {
            return start.size;
        }
    }
    return 0;
}

static void split_query(struct span text, struct http_head *head)
{
    size_t mark = span_find(text, '?');
    head->path = (struct span){text.data, mark};
    head->query = span_from(text, mark + 1);
}

/* RFC 9112, section 3.2.2. User information is refused as RFC 9110, section 4.2.4 asks: "@" is no
 * part of a host. */
static enum weir_err split_absolute(struct http_head *head, struct http_refusal *refusal)
{
    size_t scheme = scheme_size(head->target);
    struct span rest = span_from(head->target, scheme);
    size_t size = 0;
    if (scheme == 0) {
        return http_refuse(refusal, 400, "a request target of unknown form");
    }
    while (size < rest.size && rest.data[size] != '/' && rest.data[size] != '?') {
        size++;
    }
    head->host = (struct span){rest.data, size};
    if (!http_host_is_valid(head->host)) {
        return http_refuse(refusal, 400, "an invalid host in the request target");
    }
    split_query(span_from(rest, size), head);
    if (head->path.size == 0) {
        /* Section 3.2.4: an OPTIONS without path and query asks about the server as a whole. */
        bool is_server_wide = head->query.size == 0 && span_equal(head->method, SPAN("OPTIONS"));
        head->path = is_server_wide ? SPAN("*") : SPAN("/");
    }
    return WEIR_OK;
}

static enum weir_err split_target(struct http_head *head, struct http_refusal *refusal)
{
    struct span target = head->target;
    head->host = (struct span){target.data, 0};
    head->query = (struct span){target.data + target.size, 0};
    if (span_equal(head->method, SPAN("CONNECT"))) {
        /* RFC 9112, section 3.2.3: authority-form goes with CONNECT, which is no gateway's task. */
        return http_host_is_valid(target) ? http_refuse(refusal, 501, "CONNECT is not served")
                                          : http_refuse(refusal, 400, "a malformed CONNECT target");
    }
    if (target.data[0] == '/') {
        split_query(target, head);
        return WEIR_OK;
    }
    if (span_equal(target, SPAN("*"))) {
        head->path = target;
        return span_equal(head->method, SPAN("OPTIONS"))
                   ? WEIR_OK
                   : http_refuse(refusal, 400, "the target * is for OPTIONS only");
    }
    return split_absolute(head, refusal);
}

/* --- step three: what the fields mean --- */

static void note(unsigned *count, struct span *kept, struct span value)
{
    *count += 1;
    *kept = value;
}

/* Sorts one field by the size of its name first, since most names are none of these. */
static enum weir_err note_field(const struct http_field *field, struct noted *noted,
                                struct http_refusal *refusal)
{
    struct span name = field->name;
    if (name.size == 4 && span_equal_nocase(name, SPAN("Host"))) {
        note(&noted->hosts, &noted->host, field->value);
    } else if (name.size == 6 && span_equal_nocase(name, SPAN("Expect"))) {
        note(&noted->expectations, &noted->expectation, field->value);
    } else if (name.size == 14 || name.size == 17) {
        return http_framing_note(&noted->body, field, refusal);
    }
    return WEIR_OK;
}

static bool is_registered_coding(struct span item)
{
    static const char *const names[] = {"gzip", "x-gzip", "deflate", "compress", "x-compress"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_equal_nocase(item, span_of(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Whether the value is codings that are registered and that we lack, and then "chunked". */
static bool is_unserved_coding(struct span value)
{
    struct span item = {value.data, 0};
    bool found = false;
    while (span_list_next(&value, &item) && value.size > 0) {
        if (!is_registered_coding(item)) {
            return false;
        }
        found = true;
    }
    return found && span_equal_nocase(item, SPAN("chunked"));
}

static enum weir_err judge_coding(const struct http_framing *framing, struct http_head *head,
                                  struct http_refusal *refusal)
{
    if (framing->lengths > 0) {
        /* RFC 9112, section 6.1: a request with both may be an attack, and may be refused. */
        return http_refuse(refusal, 400, "both Content-Length and Transfer-Encoding");
    }
    if (head->minor == 0) {
        /* Section 6.1: HTTP/1.0 has no transfer codings; the framing is faulty. */
        return http_refuse(refusal, 400, "Transfer-Encoding in HTTP/1.0");
    }
    if (framing->codings > 1) {
        return http_refuse(refusal, 400, "more than one Transfer-Encoding");
    }
    if (span_equal_nocase(framing->coding, SPAN("chunked"))) {
        head->body = HTTP_BODY_CHUNKED;
        return WEIR_OK;
    }
    if (is_unserved_coding(framing->coding)) {
        /* Section 6.1: a server answers 501 to a coding that it does not understand. */
        return http_refuse(refusal, 501, "a transfer coding other than chunked");
    }
    /* Section 6.3, item 4: where chunked is not the last coding the length cannot be known. */
    return http_refuse(refusal, 400, "a Transfer-Encoding that is not chunked");
}

static enum weir_err judge_length(const struct http_framing *framing, struct http_head *head,
                                  struct http_refusal *refusal)
{
    enum weir_err err = http_framing_length(framing, &head->content_length, refusal);
    head->body = head->content_length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    return err;
}

/* RFC 9112, section 3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0; valid or empty. */
static enum weir_err judge_host(const struct noted *noted, struct http_head *head,
                                struct http_refusal *refusal)
{
    if (noted->hosts > 1) {
        return http_refuse(refusal, 400, "more than one Host");
    }
    if (noted->hosts == 0 && head->minor >= 1) {
        return http_refuse(refusal, 400, "no Host");
    }
    if (noted->hosts == 0) {
        return WEIR_OK;
    }
    if (noted->host.size > 0 && !http_host_is_valid(noted->host)) {
        return http_refuse(refusal, 400, "an invalid Host");
    }
    if (head->host.size == 0) {
        head->host = noted->host;
    }
    return WEIR_OK;
}

/* RFC 9110, section 10.1.1. An expectation that we do not know, or one said twice, would be read
 * differently by a backend, and what is expected decides when the body starts. */
static enum weir_err judge_expectation(const struct noted *noted, struct http_head *head,
                                       struct http_refusal *refusal)
{
    head->expects_continue = false;
    if (noted->expectations == 0) {
        return WEIR_OK;
    }
    if (noted->expectations > 1 || !span_equal_nocase(noted->expectation, SPAN("100-continue"))) {
        return http_refuse(refusal, 417, "an expectation other than 100-continue");
    }
    head->expects_continue = head->minor >= 1 && head->body != HTTP_BODY_NONE;
    return WEIR_OK;
}

/* RFC 9110, section 7.6.1: Connection must not list what is meant for all recipients. A proxy that
 * obeyed would forward a message without its framing. */
static enum weir_err judge_connection(struct http_head *head, struct http_refusal *refusal)
{
    static const char *const kept[] = {"Host", "Content-Length", "Transfer-Encoding"};
    if (http_head_find(head, SPAN("Connection")) == NULL) {
        head->keep_alive = head->minor >= 1;
        return WEIR_OK;
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (http_head_has_token(head, SPAN("Connection"), span_of(kept[i]))) {
            return http_refuse(refusal, 400, "a Connection option that names a framing header");
        }
    }
    head->keep_alive = http_framing_keeps_alive(head->fields, head->field_count, head->minor);
    return WEIR_OK;
}

static enum weir_err judge_fields(struct http_head *head, struct http_refusal *refusal)
{
    struct noted noted = {0};
    for (size_t i = 0; i < head->field_count; i++) {
        enum weir_err err = note_field(&head->fields[i], &noted, refusal);
        if (err != WEIR_OK) {
            return err;
        }
    }
    enum weir_err err = judge_host(&noted, head, refusal);
    head->content_length = 0;
    if (err == WEIR_OK) {
        err = noted.body.codings > 0 ? judge_coding(&noted.body, head, refusal)
                                     : judge_length(&noted.body, head, refusal);
    }
    if (err == WEIR_OK) {
        err = judge_expectation(&noted, head, refusal);
    }
    return err == WEIR_OK ? judge_connection(head, refusal) : err;
}

static enum weir_err parse_whole(struct span bytes, size_t fields_max, struct http_head *head,
                                 struct http_refusal *refusal)
{
    const uint8_t *at = bytes.data;
    const uint8_t *end = at + bytes.size;
    enum weir_err err = take_request_line(&at, end, head, refusal);
    if (err == WEIR_OK) {
        err = split_target(head, refusal);
    }
    if (err == WEIR_OK) {
        struct span lines = {at, (size_t)(end - at)};
        err = http_fields_parse(lines, fields_max, head->fields, &head->field_count, refusal);
    }
    return err == WEIR_OK ? judge_fields(head, refusal) : err;
}

enum weir_err http_head_parse(struct span bytes, const struct http_head_limits *limits,
                              size_t *scanned, struct http_head *head, size_t *consumed,
                              unsigned *status, const char **why)
{
    struct http_refusal refusal = {400, ""};
    struct span found;
    size_t fields_max = limits->fields < HTTP_FIELDS_MAX ? limits->fields : HTTP_FIELDS_MAX;
    enum weir_err err = find_head(bytes, limits, scanned, &found, &refusal);
    if (err == WEIR_AGAIN) {
        return err;
    }
    if (err == WEIR_OK) {
        err = parse_whole(found, fields_max, head, &refusal);
    }
    if (err != WEIR_OK) {
        *status = refusal.status;
        *why = refusal.why;
        return err;
    }
    *consumed = (size_t)(found.data - bytes.data) + found.size;
    *scanned = 0;
    return WEIR_OK;
}

const struct http_field *http_head_find(const struct http_head *head, struct span name)
{
    return http_fields_find(head->fields, head->field_count, name);
}

bool http_head_has_token(const struct http_head *head, struct span name, struct span token)
{
    return http_fields_have_token(head->fields, head->field_count, name, token);
}
