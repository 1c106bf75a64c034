/* Every byte of a head that goes out is checked here, since names and values come from plugins,
 * configuration and backends: one CR LF too many is a response that the client reads as two.
 * Called by session/ and handlers/. It never sends, and never decides which fields there are. */
#include "proto/http_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/http_chars.h"

struct reason {
    unsigned status;
    const char *words;
};

/* RFC 9110, section 15; 103 from RFC 8297; 428, 429 and 431 from RFC 6585. */
static const struct reason REASONS[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_write_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++) {
        if (REASONS[i].status == status) {
            return REASONS[i].words;
        }
    }
    return "";
}

/* Appends all parts or none. */
static enum weir_err append_all(struct buffer *out, const struct span *parts, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i].size;
    }
    enum weir_err err = buffer_reserve(out, total);
    for (size_t i = 0; err == WEIR_OK && i < count; i++) {
        err = buffer_append(out, parts[i]);
    }
    return err;
}

enum weir_err http_write_status(struct buffer *out, unsigned status)
{
    return http_write_status_reason(out, status, span_of(http_write_reason(status)));
}

enum weir_err http_write_status_reason(struct buffer *out, unsigned status, struct span reason)
{
    if (status < 100 || status > 599 || !http_chars_all(reason, HTTP_CHAR_VALUE)) {
        return WEIR_EINVAL;
    }
    char code[16];
    int size = snprintf(code, sizeof code, "%u ", status);
    /* RFC 9112, section 4: the space stays even where there is no phrase. */
    struct span parts[] = {
        SPAN("HTTP/1.1 "), {(const uint8_t *)code, (size_t)size}, reason, SPAN("\r\n")};
    return append_all(out, parts, 4);
}

enum weir_err http_write_request(struct buffer *out, struct span method, struct span target)
{
    if (!http_chars_is_token(method) || target.size == 0 ||
        !http_chars_all(target, HTTP_CHAR_TARGET)) {
        return WEIR_EINVAL;
    }
    struct span parts[] = {method, SPAN(" "), target, SPAN(" HTTP/1.1\r\n")};
    return append_all(out, parts, 4);
}

enum weir_err http_write_field(struct buffer *out, struct span name, struct span value)
{
    if (!http_chars_is_token(name) || !http_chars_all(value, HTTP_CHAR_VALUE)) {
        return WEIR_EINVAL;
    }
    struct span parts[] = {name, SPAN(": "), value, SPAN("\r\n")};
    return append_all(out, parts, 4);
}

enum weir_err http_write_number(struct buffer *out, struct span name, uint64_t value)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, value);
    return http_write_field(out, name, (struct span){(const uint8_t *)digits, (size_t)size});
}

enum weir_err http_write_end(struct buffer *out)
{
    return buffer_append(out, SPAN("\r\n"));
}

enum weir_err http_write_chunk_head(struct buffer *out, uint64_t size)
{
    if (size == 0) {
        return WEIR_EINVAL;
    }
    char line[24];
    int length = snprintf(line, sizeof line, "%" PRIx64 "\r\n", size);
    return buffer_append(out, (struct span){(const uint8_t *)line, (size_t)length});
}

enum weir_err http_write_chunk_end(struct buffer *out)
{
    return buffer_append(out, SPAN("\r\n"));
}

enum weir_err http_write_last_chunk(struct buffer *out)
{
    return buffer_append(out, SPAN("0\r\n\r\n"));
}
