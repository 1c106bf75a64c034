/* What a person or a program reads when a request is refused: the same status and words, as a small
 * page or as JSON, by what the client says it accepts.
 * Called by session/ for every error response that no plugin made. It never writes a head, and
 * never shows a byte of the request unescaped. */
#include "proto/http_error.h"

#include <stdbool.h>

#include "proto/http_accept.h"
#include "proto/http_write.h"

/* How well one type is accepted: the quality in thousandths, by the most specific range. */
struct preference {
    unsigned quality;
    int specificity;
};

static struct span cut(struct span *rest, uint8_t separator)
{
    size_t end = span_find(*rest, separator);
    struct span part = span_trim((struct span){rest->data, end});
    *rest = span_from(*rest, end + 1);
    return part;
}

/* The weight among an item's parameters (RFC 9110, section 12.4.2). None, or a malformed one,
 * counts as 1. */
static unsigned item_quality(struct span parameters)
{
    unsigned quality = 1000;
    while (parameters.size > 0) {
        struct span parameter = cut(&parameters, ';');
        struct span name = cut(&parameter, '=');
        if (span_equal_nocase(name, SPAN("q"))) {
            return http_accept_weight_parse(span_trim(parameter), &quality) ? quality : 1000;
        }
    }
    return quality;
}

static void consider(struct preference *preference, struct span range, struct span type,
                     struct span group, unsigned quality)
{
    int specificity = 0;
    if (span_equal_nocase(range, type)) {
        specificity = 3;
    } else if (span_equal_nocase(range, group)) {
        specificity = 2;
    } else if (span_equal(range, SPAN("*/*"))) {
        specificity = 1;
    }
    if (specificity > preference->specificity) {
        *preference = (struct preference){quality, specificity};
    }
}

/* RFC 9110, section 12.5.1. Programs that send nothing or a bare wildcard get JSON. */
static bool prefers_html(struct span accept)
{
    struct preference html = {0, 0};
    struct preference json = {0, 0};
    struct span item;
    while (span_list_next(&accept, &item)) {
        struct span range = cut(&item, ';');
        unsigned quality = item_quality(item);
        consider(&html, range, SPAN("text/html"), SPAN("text/*"), quality);
        consider(&json, range, SPAN("application/json"), SPAN("application/*"), quality);
    }
    return html.quality > json.quality;
}

static struct span html_escape(uint8_t byte)
{
    switch (byte) {
    case '&':
        return SPAN("&amp;");
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    case '"':
        return SPAN("&quot;");
    case '\'':
        return SPAN("&#39;");
    default:
        return (struct span){NULL, 0};
    }
}

static enum weir_err append_html(struct buffer *out, const char *text)
{
    enum weir_err err = WEIR_OK;
    for (const char *at = text; *at != '\0' && err == WEIR_OK; at++) {
        struct span escaped = html_escape((uint8_t)*at);
        if (escaped.size == 0) {
            escaped = (struct span){(const uint8_t *)at, 1};
        }
        err = buffer_append(out, escaped);
    }
    return err;
}

/* RFC 8259, section 7: quotes, backslashes and controls. */
static enum weir_err append_json(struct buffer *out, const char *text)
{
    enum weir_err err = WEIR_OK;
    for (const char *at = text; *at != '\0' && err == WEIR_OK; at++) {
        uint8_t byte = (uint8_t)*at;
        if (byte == '"' || byte == '\\') {
            err = buffer_printf(out, "\\%c", byte);
        } else if (byte < 0x20) {
            err = buffer_printf(out, "\\u%04x", byte);
        } else {
            err = buffer_append(out, (struct span){(const uint8_t *)at, 1});
        }
    }
    return err;
}

static enum weir_err write_html(struct buffer *out, unsigned status, const char *why)
{
    const char *reason = http_write_reason(status);
    enum weir_err err =
        buffer_printf(out,
                      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                      "<title>%u %s</title>\n<h1>%u %s</h1>\n<p>",
                      status, reason, status, reason);
    if (err == WEIR_OK) {
        err = append_html(out, why);
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("</p>\n</html>\n")) : err;
}

static enum weir_err write_json(struct buffer *out, unsigned status, const char *why)
{
    enum weir_err err = buffer_printf(out, "{\"status\":%u,\"error\":\"%s\",\"message\":\"", status,
                                      http_write_reason(status));
    if (err == WEIR_OK) {
        err = append_json(out, why);
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("\"}\n")) : err;
}

enum weir_err http_error_body(struct buffer *out, unsigned status, const char *why,
                              struct span accept, const char **content_type)
{
    size_t before = out->size;
    bool is_html = prefers_html(accept);
    enum weir_err err = is_html ? write_html(out, status, why) : write_json(out, status, why);
    if (err != WEIR_OK) {
        out->size = before;
        return err;
    }
    *content_type = is_html ? "text/html; charset=utf-8" : "application/json";
    return WEIR_OK;
}
