/* Who the client is, as a backend is told. Anybody may write these fields, and backends that take
 * the first of a list believe whoever wrote it; so they are passed on from trusted proxies alone
 * (http.trusted_proxies), which have seen the client themselves, and from nobody else. Called by
 * request_head.c for each head, and by affinity.c for the cookie's Secure. It decides nothing about
 * the request. */
#include "handlers/proxy/client_fields.h"

#include <string.h>

#include "handlers/proxy/header_changes.h"
#include "proto/http_forwarded.h"
#include "proto/http_framing.h"
#include "proto/http_write.h"
#include "proto/ip_address.h"
#include "session/request.h"

static bool writes_x(const struct proxy_settings *settings)
{
    return settings->forwarded == PROXY_FORWARDED_X || settings->forwarded == PROXY_FORWARDED_BOTH;
}

static bool writes_rfc(const struct proxy_settings *settings)
{
    return settings->forwarded == PROXY_FORWARDED_RFC ||
           settings->forwarded == PROXY_FORWARDED_BOTH;
}

/* With "_" for "-" as well: to a CGI backend both are one variable, and the last may win. */
bool client_fields_own(const struct client_fields *client, struct span name)
{
    bool is_x = http_framing_reads_as(name, SPAN("X-Forwarded-For")) ||
                http_framing_reads_as(name, SPAN("X-Forwarded-Proto")) ||
                http_framing_reads_as(name, SPAN("X-Forwarded-Host"));
    bool is_rfc = span_equal_nocase(name, SPAN("Forwarded"));
    if ((!is_x && !is_rfc) || client->settings->forwarded == PROXY_FORWARDED_OFF) {
        return false;
    }
    bool written = is_x ? writes_x(client->settings) : writes_rfc(client->settings);
    return written || !request_is_trusted(client->request);
}

/* Appends the values of all fields of that name, with ", " between them: several fields are one
 * list (RFC 9110, section 5.3). Nothing where the client is not believed. */
static enum weir_err join(const struct client_fields *client, struct span name, struct buffer *out)
{
    enum weir_err err = WEIR_OK;
    size_t count = request_is_trusted(client->request) ? client->field_count : 0;
    for (size_t i = 0; i < count && err == WEIR_OK; i++) {
        struct span value = client->fields[i].value;
        if (value.size > 0 && span_equal_nocase(client->fields[i].name, name)) {
            err = out->size > 0 ? buffer_append(out, SPAN(", ")) : WEIR_OK;
            if (err == WEIR_OK) {
                err = buffer_append(out, value);
            }
        }
    }
    return err;
}

/* Writes one field, unless the settings take it away or set it. */
static enum weir_err put(const struct client_fields *client, struct buffer *out, struct span name,
                         struct span value)
{
    if (value.size == 0 || header_changes_hide(&client->settings->request_headers, name)) {
        return WEIR_OK;
    }
    return http_write_field(out, name, value);
}

/* What a trusted proxy has said of the client, or else what we see. */
static enum weir_err put_kept(const struct client_fields *client, struct buffer *out,
                              struct span name, struct span seen)
{
    struct buffer kept = {0};
    enum weir_err err = join(client, name, &kept);
    if (err == WEIR_OK) {
        err = put(client, out, name, kept.size > 0 ? buffer_span(&kept) : seen);
    }
    buffer_free(&kept);
    return err;
}

/* Each proxy appends who it speaks with: here the peer, not the client whom the list names. */
static enum weir_err put_list(const struct client_fields *client, struct buffer *out)
{
    struct buffer list = {0};
    char peer[IP_ADDRESS_TEXT_BYTES];
    size_t size = ip_address_format(request_peer(client->request), false, peer);
    enum weir_err err = join(client, SPAN("X-Forwarded-For"), &list);
    if (err == WEIR_OK && list.size > 0) {
        err = buffer_append(&list, SPAN(", "));
    }
    if (err == WEIR_OK) {
        err = buffer_append(&list, (struct span){(const uint8_t *)peer, size});
    }
    if (err == WEIR_OK) {
        err = put(client, out, SPAN("X-Forwarded-For"), buffer_span(&list));
    }
    buffer_free(&list);
    return err;
}

static enum weir_err write_x(const struct client_fields *client, struct buffer *out)
{
    enum weir_err err = put_list(client, out);
    if (err == WEIR_OK) {
        err = put_kept(client, out, SPAN("X-Forwarded-Proto"),
                       span_of(request_scheme(client->request)));
    }
    return err == WEIR_OK
               ? put_kept(client, out, SPAN("X-Forwarded-Host"), request_host(client->request))
               : err;
}

/* The first item of a trusted proxy's field, which is the one nearest to the client; empty for
 * none. */
static struct span trusted_word(const struct weir_request *request, struct span name)
{
    struct span item = {NULL, 0};
    if (request_is_trusted(request)) {
        struct span value = request_header(request, name);
        if (!span_list_next(&value, &item)) {
            item = (struct span){NULL, 0};
        }
    }
    return item;
}

static struct span either(struct span first, struct span second)
{
    return first.size > 0 ? first : second;
}

/* Continues the list. Where a trusted proxy has told only by X-Forwarded fields, what they say
 * begins it. */
static enum weir_err append_element(const struct client_fields *client, struct buffer *list)
{
    const struct weir_request *request = client->request;
    struct span host = request_host(request);
    struct span scheme = span_of(request_scheme(request));
    if (list->size == 0) {
        return http_forwarded_write(
            list, span_of(request_remote(request)),
            either(trusted_word(request, SPAN("X-Forwarded-Host")), host),
            either(trusted_word(request, SPAN("X-Forwarded-Proto")), scheme));
    }
    char peer[IP_ADDRESS_TEXT_BYTES];
    size_t size = ip_address_format(request_peer(request), false, peer);
    enum weir_err err = buffer_append(list, SPAN(", "));
    return err == WEIR_OK ? http_forwarded_write(list, (struct span){(const uint8_t *)peer, size},
                                                 host, scheme)
                          : err;
}

static enum weir_err write_rfc(const struct client_fields *client, struct buffer *out)
{
    struct buffer list = {0};
    enum weir_err err = join(client, SPAN("Forwarded"), &list);
    if (err == WEIR_OK) {
        err = append_element(client, &list);
    }
    if (err == WEIR_OK) {
        err = put(client, out, SPAN("Forwarded"), buffer_span(&list));
    }
    buffer_free(&list);
    return err;
}

enum weir_err client_fields_write(const struct client_fields *client, struct buffer *out)
{
    enum weir_err err = WEIR_OK;
    if (writes_x(client->settings)) {
        err = write_x(client, out);
    }
    if (err == WEIR_OK && writes_rfc(client->settings)) {
        err = write_rfc(client, out);
    }
    return err;
}

bool client_fields_secure(const struct weir_request *request)
{
    struct span scheme =
        either(trusted_word(request, SPAN("X-Forwarded-Proto")), span_of(request_scheme(request)));
    return span_equal_nocase(scheme, SPAN("https")) || span_equal_nocase(scheme, SPAN("wss"));
}
