/* The response's head on its way back: parsed where it was read, and kept only while it is
 * incomplete. Interim responses pass; the final one decides what the exchange becomes: a body that
 * passes, a tunnel, or a session's bridge. Called by exchange_receive.c. */
#include "base/clock.h"
#include "handlers/proxy/exchange_internal.h"
#include "handlers/proxy/response_head.h"
#include "handlers/proxy/tunnel.h"

static bool is_head_request(const struct exchange *exchange)
{
    return span_equal(request_method(exchange->request), SPAN("HEAD"));
}

static void bad_answer(struct exchange *exchange, const char *why)
{
    exchange_judge(exchange, false);
    exchange_fail(exchange, 502, why);
}

/* --- interim responses --- */

/* RFC 9110, section 15.2: a proxy passes them on. False when the exchange is over. */
static bool pass_interim(struct exchange *exchange, const struct http_response *response)
{
    struct response_head fields;
    if (++exchange->interims > EXCHANGE_INTERIM_MAX) {
        bad_answer(exchange, "the backend sends interim responses without end");
        return false;
    }
    if (response->status == 100) {
        exchange->expects = false;
    }
    if (response_head_make(exchange->proxy->settings, response, RESPONSE_INTERIM, (struct span){0},
                           &fields) != WEIR_OK) {
        exchange_fail(exchange, 500, "out of memory");
        return false;
    }
    const struct reply_head head = {
        .status = response->status,
        .reason = response->reason,
        .fields = fields.fields,
        .count = fields.count,
    };
    enum weir_err err = request_reply_interim(exchange->request, &head);
    (void)err; /* it is a hint: the final response tells of a client that has gone */
    response_head_free(&fields);
    return true;
}

/* --- what all final responses have --- */

static void note_answer(struct exchange *exchange, unsigned status)
{
    struct request_upstream *record = request_upstream_record(exchange->request);
    if (record != NULL) {
        record->status = status;
        record->first_byte_us = clock_monotonic_us() - exchange->started_us;
    }
    exchange_judge(exchange, status != 500 && (status < 502 || status > 504));
}

/* The fields that pass on; `cookie` holds what they borrow, free it after them. */
static enum weir_err make_fields(struct exchange *exchange, const struct http_response *response,
                                 enum response_use use, struct buffer *cookie,
                                 struct response_head *head)
{
    affinity_cookie(exchange->proxy, exchange->request, exchange->backend->server, cookie);
    return response_head_make(exchange->proxy->settings, response, use, buffer_span(cookie), head);
}

/* --- a plain response --- */

static enum weir_err forward_head(struct exchange *exchange, const struct http_response *response)
{
    struct buffer cookie = {0};
    struct response_head fields = {0};
    enum weir_err err = make_fields(exchange, response, RESPONSE_FINAL, &cookie, &fields);
    if (err == WEIR_OK) {
        const struct reply_head head = {
            .status = response->status,
            .reason = response->reason,
            .fields = fields.fields,
            .count = fields.count,
            .length = response_head_length(response),
        };
        exchange_answering(exchange);
        err = request_forward_start(exchange->request, &head);
    }
    response_head_free(&fields);
    buffer_free(&cookie);
    return err;
}

static void start_body(struct exchange *exchange, const struct http_response *response,
                       struct span rest)
{
    exchange->state = EXCHANGE_BODY;
    exchange->body = response->body;
    exchange->body_left = response->content_length;
    exchange->keep_alive = response->keep_alive;
    exchange->reader = affinity_reader_new(exchange->proxy, exchange->request, response,
                                           exchange->backend->server);
    exchange_take_body(exchange, rest);
}

static void take_answer(struct exchange *exchange, const struct http_response *response,
                        struct span rest)
{
    bridge_free(&exchange->bridge); /* a session that is refused: the refusal passes */
    switch (forward_head(exchange, response)) {
    case WEIR_OK:
        start_body(exchange, response, rest);
        break;
    case WEIR_ECLOSED:
        exchange_over(exchange);
        break;
    case WEIR_ENOMEM:
        exchange_fail(exchange, 500, "out of memory");
        break;
    default:
        exchange_fail(exchange, 502, "the backend's answer cannot be passed on");
        break;
    }
}

/* --- a tunnel --- */

static enum weir_err switch_client(struct exchange *exchange, const struct http_response *response)
{
    struct buffer cookie = {0};
    struct response_head fields = {0};
    enum weir_err err = make_fields(exchange, response, RESPONSE_SWITCH, &cookie, &fields);
    if (err == WEIR_OK) {
        const struct reply_head head = {
            .status = 101,
            .reason = response->reason,
            .fields = fields.fields,
            .count = fields.count,
            .length = REPLY_LENGTH_UNKNOWN,
        };
        err = request_switch(exchange->request, exchange->seat, &head);
    }
    response_head_free(&fields);
    buffer_free(&cookie);
    return err;
}

/* The seat is the tunnel's from before the switch, since bytes may come with it. */
static void become_tunnel(struct exchange *exchange, const struct http_response *response,
                          struct span early)
{
    void **seat = request_seat(exchange->request, exchange->seat);
    exchange_answering(exchange);
    struct tunnel *tunnel = tunnel_new(exchange->proxy, exchange->request, exchange->seat);
    if (tunnel == NULL) {
        exchange_fail(exchange, 500, "out of memory");
        return;
    }
    enum weir_err err = switch_client(exchange, response);
    if (err != WEIR_OK) {
        tunnel_done(tunnel);
        *seat = exchange;
        if (err == WEIR_ECLOSED) {
            exchange_over(exchange); /* the client has gone; on_done comes */
        } else {
            exchange_fail(exchange, err == WEIR_ENOMEM ? 500 : 502,
                          "the backend's switch cannot be passed on");
        }
        return;
    }
    struct backend *backend = exchange->backend;
    exchange->backend = NULL;
    exchange->bytes_received -= early.size; /* the tunnel counts them */
    exchange_leave(exchange);
    tunnel_start(tunnel, backend, early);
}

/* --- a session --- */

/* On WEIR_OK the backend is the bridge's. */
static enum weir_err connect_bridge(struct exchange *exchange, const struct http_response *response,
                                    struct span early, const char **why)
{
    struct buffer cookie = {0};
    struct response_head fields = {0};
    enum weir_err err = make_fields(exchange, response, RESPONSE_SESSION, &cookie, &fields);
    if (err == WEIR_OK) {
        backend_set_timeout(exchange->backend, 0);
        err = bridge_connected(exchange->bridge, response, fields.fields, fields.count,
                               exchange->backend, early, why);
    }
    response_head_free(&fields);
    buffer_free(&cookie);
    return err;
}

/* The session opens from within request_resume, and takes the bridge out of the exchange. */
static void become_session(struct exchange *exchange, const struct http_response *response,
                           struct span early)
{
    const char *why = "";
    enum weir_err err = connect_bridge(exchange, response, early, &why);
    if (err == WEIR_ENOMEM) {
        exchange_fail(exchange, 500, "out of memory");
    } else if (err != WEIR_OK) {
        exchange_fail(exchange, 502, why);
    } else {
        exchange->backend = NULL;
        exchange_over(exchange);
        exchange->waiting = false;
        request_resume(exchange->request, exchange->seat, WEIR_ACCEPT);
    }
}

/* --- the head --- */

static void take_switch(struct exchange *exchange, const struct http_response *response,
                        struct span early)
{
    bool names_protocol =
        http_fields_find(response->fields, response->field_count, SPAN("Upgrade")) != NULL;
    switch ((enum exchange_kind)exchange->kind) {
    case EXCHANGE_SESSION:
        note_answer(exchange, 101);
        become_session(exchange, response, early);
        return;
    case EXCHANGE_TUNNEL:
        if (names_protocol) {
            note_answer(exchange, 101);
            become_tunnel(exchange, response, early);
            return;
        }
        break;
    case EXCHANGE_HTTP:
        break;
    }
    /* RFC 9110, section 7.8: a server switches only to what it was asked for. */
    bad_answer(exchange, "the backend switches to a protocol that nobody asked for");
}

/* Takes as many heads as `bytes` holds, interim ones and then the final one with what is behind it.
 * `*rest` is the beginning of a head that is not whole. */
static enum weir_err take_heads(struct exchange *exchange, struct span bytes, struct span *rest)
{
    size_t most = (size_t)exchange->proxy->settings->max_head_size;
    for (;;) {
        struct http_response response;
        const char *why = "";
        size_t consumed = 0;
        enum weir_err err = http_response_parse(bytes, is_head_request(exchange), most,
                                                &exchange->scanned, &response, &consumed, &why);
        *rest = bytes;
        if (err == WEIR_AGAIN) {
            return err;
        }
        if (err != WEIR_OK) {
            bad_answer(exchange, why);
            return err;
        }
        bytes = span_from(bytes, consumed);
        if (response.status == 101) {
            take_switch(exchange, &response, bytes);
            return WEIR_OK;
        }
        if (response.status >= 200) {
            note_answer(exchange, response.status);
            take_answer(exchange, &response, bytes);
            return WEIR_OK;
        }
        if (!pass_interim(exchange, &response)) {
            return WEIR_EPROTO;
        }
    }
}

/* What was kept is taken out first: what comes behind the head may end the exchange. */
void exchange_take_head(struct exchange *exchange, struct span bytes)
{
    struct buffer held = exchange->partial;
    struct span rest = {NULL, 0};
    exchange->partial = (struct buffer){0};
    if (held.size > 0) {
        if (buffer_append(&held, bytes) != WEIR_OK) {
            buffer_free(&held);
            exchange_fail(exchange, 500, "out of memory");
            return;
        }
        bytes = buffer_span(&held);
    }
    if (take_heads(exchange, bytes, &rest) == WEIR_AGAIN && rest.size > 0 &&
        buffer_append(&exchange->partial, rest) != WEIR_OK) {
        exchange_fail(exchange, 500, "out of memory");
    }
    buffer_free(&held);
}
