/* What few requests have, behind one pointer: trailers of a body that is passed on, what a handler
 * wants in the answer to an upgrade, who the client is, and what the access log tells of a backend.
 * Called by the proxy through request.h, and by the files of session/ that fill or use it. */
#include <stdlib.h>
#include <string.h>

#include "proto/http_chars.h"
#include "proto/http_write.h"
#include "session/request_internal.h"

struct request_extra *request_extra(struct weir_request *request)
{
    if (request->extra == NULL) {
        request->extra = calloc(1, sizeof *request->extra);
    }
    return request->extra;
}

void request_extra_free(struct weir_request *request)
{
    if (request->extra != NULL) {
        blob_free(&request->extra->trailers);
        blob_free(&request->extra->accept_fields);
        blob_free(&request->extra->user);
        request_changes_free(request->extra);
        free(request->extra);
        request->extra = NULL;
    }
}

struct span request_trailers(const struct weir_request *request)
{
    return request->extra != NULL ? blob_span(request->extra->trailers) : (struct span){0};
}

struct request_upstream *request_upstream_record(struct weir_request *request)
{
    struct request_extra *extra = request_extra(request);
    if (extra == NULL) {
        return NULL;
    }
    extra->has_upstream = true;
    return &extra->upstream;
}

const struct request_upstream *request_upstream(const struct weir_request *request)
{
    return request->extra != NULL && request->extra->has_upstream ? &request->extra->upstream
                                                                  : NULL;
}

enum weir_err request_set_user(struct weir_request *request, struct span user)
{
    struct blob *copy = NULL;
    struct request_extra *extra = request_extra(request);
    if (extra == NULL || blob_append(&copy, user) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    blob_free(&extra->user);
    extra->user = copy;
    return WEIR_OK;
}

struct span request_user(const struct weir_request *request)
{
    return request->extra != NULL ? blob_span(request->extra->user) : (struct span){0};
}

/* --- the answer to an upgrade --- */

/* Where the client has offered that subprotocol (RFC 6455, section 11.3.4). */
static bool find_offer(const struct weir_request *request, struct span wanted,
                       struct text_part *out)
{
    for (size_t i = 0; i < request_header_count(request); i++) {
        struct span rest = request_header_value(request, i);
        struct span offer;
        if (!span_equal_nocase(request_header_name(request, i), SPAN("Sec-WebSocket-Protocol"))) {
            continue;
        }
        while (span_list_next(&rest, &offer)) {
            if (span_equal(offer, wanted) && http_chars_is_token(offer)) {
                *out = (struct text_part){(uint16_t)(offer.data - request_text(request)),
                                          (uint16_t)offer.size};
                return true;
            }
        }
    }
    return false;
}

/* Fields that the gateway itself answers an upgrade with. */
static bool is_ours(struct span name)
{
    static const char *const ours[] = {"Upgrade", "Connection", "Content-Length",
                                       "Transfer-Encoding"};
    struct span prefix = SPAN("Sec-WebSocket-");
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (span_equal_nocase(name, span_of(ours[i]))) {
            return true;
        }
    }
    return name.size >= prefix.size &&
           span_equal_nocase((struct span){name.data, prefix.size}, prefix);
}

/* A 101 has a Date and a Server of the gateway. */
static bool is_passed_over(struct span name)
{
    return span_equal_nocase(name, SPAN("Date")) || span_equal_nocase(name, SPAN("Server"));
}

static enum weir_err write_lines(struct buffer *lines, const struct reply_field *fields,
                                 size_t count)
{
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < count && err == WEIR_OK; i++) {
        if (is_ours(fields[i].name)) {
            return WEIR_EINVAL;
        }
        if (!is_passed_over(fields[i].name)) {
            err = http_write_field(lines, fields[i].name, fields[i].value);
        }
    }
    return err;
}

static enum weir_err keep_accept(struct weir_request *request, bool is_chosen,
                                 struct text_part subprotocol, struct span lines)
{
    struct blob *copy = NULL;
    struct request_extra *extra = request_extra(request);
    if (extra == NULL || blob_append(&copy, lines) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    blob_free(&extra->accept_fields);
    extra->accept_fields = copy;
    extra->subprotocol = subprotocol;
    extra->accept_prepared = is_chosen;
    return WEIR_OK;
}

enum weir_err request_prepare_accept(struct weir_request *request, struct span subprotocol,
                                     const struct reply_field *fields, size_t count)
{
    struct text_part offer = {0, 0};
    struct buffer lines = {0};
    if (subprotocol.size > 0 && !find_offer(request, subprotocol, &offer)) {
        return WEIR_EINVAL;
    }
    enum weir_err err = write_lines(&lines, fields, count);
    if (err == WEIR_OK) {
        err = keep_accept(request, subprotocol.data != NULL, offer, buffer_span(&lines));
    }
    buffer_free(&lines);
    return err;
}
