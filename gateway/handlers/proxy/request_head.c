/* Writes the head that a backend gets. Every field that came is judged once: it is for this hop
 * only (RFC 9110, section 7.6.1), or the proxy writes it anew, or the settings take it away, or it
 * passes as it came. Called by the exchange for each connection it tries, since the Host may be the
 * server's. It never decides about the body; it repeats the framing the request has. */
#include "handlers/proxy/request_head.h"

#include <string.h>

#include "handlers/proxy/bridge.h"
#include "handlers/proxy/client_fields.h"
#include "handlers/proxy/header_changes.h"
#include "handlers/proxy/request_target.h"
#include "proto/http_fields.h"
#include "proto/http_hop.h"
#include "proto/http_write.h"
#include "session/request.h"

/* What the writing of one head knows. */
struct head {
    const struct proxy_settings *settings;
    const struct weir_request *request;
    enum exchange_kind kind;
    struct buffer *out;
    struct client_fields client;
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX]; /* the client's */
};

static void read_fields(struct head *head)
{
    size_t count = request_header_count(head->request);
    head->field_count = count < HTTP_FIELDS_MAX ? count : HTTP_FIELDS_MAX;
    for (size_t i = 0; i < head->field_count; i++) {
        head->fields[i].name = request_header_name(head->request, i);
        head->fields[i].value = request_header_value(head->request, i);
    }
}

/* Fields of the client's that this head has anew. */
static bool is_own(const struct head *head, struct span name)
{
    if (span_equal_nocase(name, SPAN("Host")) || span_equal_nocase(name, SPAN("Content-Length"))) {
        return true;
    }
    if (name.size > 14 && head->kind == EXCHANGE_SESSION &&
        span_equal_nocase((struct span){name.data, 14}, SPAN("Sec-WebSocket-"))) {
        return true; /* the handshake with the backend is the bridge's own */
    }
    return client_fields_own(&head->client, name);
}

/* --- the request line and Host --- */

static enum weir_err write_line(struct head *head)
{
    struct buffer target = {0};
    enum weir_err err = request_target_write(&target, request_target(head->request),
                                             span_of(head->settings->strip_prefix),
                                             span_of(head->settings->add_prefix));
    if (err == WEIR_OK) {
        err = http_write_request(head->out, request_method(head->request), buffer_span(&target));
    }
    buffer_free(&target);
    return err;
}

/* A server without a name is reached by a path of the file system, which no Host can say. */
static struct span server_host(const struct upstream_server *server)
{
    struct span address = span_of(server->config->address);
    return span_starts_with(address, SPAN("unix:")) ? SPAN("localhost") : address;
}

/* RFC 9112, section 3.2.2: of an absolute target and a Host field that differ the target counts,
 * which is what request_host says. */
static enum weir_err write_host(struct head *head, const struct upstream_server *server)
{
    struct span host = server_host(server);
    if (head->settings->host == PROXY_HOST_TEXT) {
        host = span_of(head->settings->host_text);
    } else if (head->settings->host == PROXY_HOST_PASS && request_host(head->request).size > 0) {
        host = request_host(head->request); /* HTTP/1.0 may have none */
    }
    return http_write_field(head->out, SPAN("Host"), host);
}

/* --- fields that pass --- */

static bool passes(const struct head *head, struct span name)
{
    return !is_own(head, name) && !http_hop_is_local(head->fields, head->field_count, name) &&
           !header_changes_hide(&head->settings->request_headers, name);
}

static enum weir_err write_passing(struct head *head)
{
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < head->field_count && err == WEIR_OK; i++) {
        if (passes(head, head->fields[i].name)) {
            err = http_write_field(head->out, head->fields[i].name, head->fields[i].value);
        }
    }
    return err;
}

static enum weir_err write_changes(struct head *head)
{
    const struct header_changes *changes = &head->settings->request_headers;
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < changes->count && err == WEIR_OK; i++) {
        if (header_change_writes(&changes->items[i])) {
            err = http_write_field(head->out, changes->items[i].name, changes->items[i].value);
        }
    }
    return err;
}

/* --- fields of this hop --- */

static enum weir_err write_framing(struct head *head)
{
    uint64_t length = 0;
    switch (request_framing(head->request, &length)) {
    case REQUEST_LENGTH:
        return http_write_number(head->out, SPAN("Content-Length"), length);
    case REQUEST_CHUNKED:
        return http_write_field(head->out, SPAN("Transfer-Encoding"), SPAN("chunked"));
    case REQUEST_NO_BODY:
        break;
    }
    /* RFC 9110, section 8.6: a body that may be there and is empty says so. */
    if (request_header(head->request, SPAN("Content-Length")).data != NULL) {
        return http_write_number(head->out, SPAN("Content-Length"), 0);
    }
    return WEIR_OK;
}

static enum weir_err write_upgrade(struct head *head)
{
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; i < head->field_count && err == WEIR_OK; i++) {
        if (span_equal_nocase(head->fields[i].name, SPAN("Upgrade"))) {
            err = http_write_field(head->out, SPAN("Upgrade"), head->fields[i].value);
        }
    }
    return err == WEIR_OK ? http_write_field(head->out, SPAN("Connection"), SPAN("Upgrade")) : err;
}

/* RFC 9110, section 10.1.4: who sends TE lists it in Connection. */
static enum weir_err write_te(struct head *head)
{
    if (!request_head_wants_trailers(head->request)) {
        return WEIR_OK;
    }
    enum weir_err err = http_write_field(head->out, SPAN("TE"), SPAN("trailers"));
    return err == WEIR_OK ? http_write_field(head->out, SPAN("Connection"), SPAN("TE")) : err;
}

static enum weir_err write_hop(struct head *head, const struct bridge *bridge)
{
    switch (head->kind) {
    case EXCHANGE_TUNNEL:
        return write_upgrade(head);
    case EXCHANGE_SESSION:
        return bridge_write_fields(bridge, head->out);
    case EXCHANGE_HTTP:
        break;
    }
    return write_te(head);
}

static enum weir_err write_fields(struct head *head, const struct upstream_server *server,
                                  const struct bridge *bridge)
{
    enum weir_err err = write_host(head, server);
    if (err == WEIR_OK) {
        err = write_passing(head);
    }
    if (err == WEIR_OK) {
        err = client_fields_write(&head->client, head->out);
    }
    if (err == WEIR_OK) {
        err = write_changes(head);
    }
    if (err == WEIR_OK) {
        err = write_hop(head, bridge);
    }
    return err == WEIR_OK ? write_framing(head) : err;
}

enum weir_err request_head_write(const struct proxy_settings *settings,
                                 const struct weir_request *request,
                                 const struct upstream_server *server, enum exchange_kind kind,
                                 const struct bridge *bridge, struct buffer *out)
{
    struct head head;
    head.settings = settings;
    head.request = request;
    head.kind = kind;
    head.out = out;
    read_fields(&head);
    head.client = (struct client_fields){settings, request, head.fields, head.field_count};
    enum weir_err err = write_line(&head);
    if (err == WEIR_OK) {
        err = write_fields(&head, server, bridge);
    }
    return err == WEIR_OK ? http_write_end(out) : err;
}

bool request_head_wants_trailers(const struct weir_request *request)
{
    size_t count = request_header_count(request);
    for (size_t i = 0; i < count; i++) {
        struct http_field field = {request_header_name(request, i),
                                   request_header_value(request, i)};
        if (http_fields_have_token(&field, 1, SPAN("TE"), SPAN("trailers"))) {
            return true;
        }
    }
    return false;
}
