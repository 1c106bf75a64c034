/* The life of an exchange: start, failure, end. What happens in which state:
 *
 *   event            DIALLING       HEAD              BODY              OVER
 *   dial ends        send head      -                 -                 -
 *   dial fails       50x            -                 -                 -
 *   body piece       (paused)       send              send              throw away
 *   backend bytes    -              head, or 502      pass on           -
 *   backend ends     -              again, or 502     end, or cut       -
 *   queue moves      -              read client       read client       -
 *   read_timeout     -              504               cut               -
 *   client caught up -              -                 read backend      -
 *   request done     cancel dial    close backend     close backend     free
 *
 * Sending goes on beside that: a response may begin, and end, while the body still comes. Called by
 * proxy.c for what the session says, and by the dial and the backend. It never answers twice: each
 * way out goes through exchange_over. */
#include "handlers/proxy/exchange.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "handlers/proxy/exchange_internal.h"
#include "net/cork.h"
#include "session/worker_access.h"

static void ready(struct backend *backend, bool readable, bool writable);
static void timed_out(struct backend *backend);
static void dropped(struct backend *backend);

const struct backend_ops exchange_backend_ops = {
    .ready = ready, .timed_out = timed_out, .dropped = dropped};

uint64_t exchange_now_ms(const struct exchange *exchange)
{
    return loop_now_ms(worker_loop(exchange->proxy->worker));
}

/* --- ends --- */

void exchange_over(struct exchange *exchange)
{
    exchange->state = EXCHANGE_OVER;
    dial_cancel(&exchange->dial);
    if (exchange->backend != NULL) {
        cork_forget(worker_cork(exchange->proxy->worker), &exchange->backend->stream);
    }
    backend_close(&exchange->backend);
    affinity_reader_free(&exchange->reader);
    buffer_free(&exchange->partial);
    exchange_refuse_body(exchange);
}

void exchange_answering(struct exchange *exchange)
{
    if (exchange->waiting) {
        exchange->waiting = false;
        request_resume(exchange->request, exchange->seat, WEIR_REPLY);
    }
}

void exchange_abort(struct exchange *exchange, enum close_reason reason)
{
    exchange_over(exchange);
    request_reply_abort(exchange->request, reason);
}

void exchange_fail(struct exchange *exchange, unsigned status, const char *why)
{
    bool has_begun = exchange->state == EXCHANGE_BODY;
    if (exchange->backend != NULL && status > 500) {
        /* It is that server's fault; of one that could not be reached the dial has told. */
        log_info("proxy", "%s: %s: %s", exchange->proxy->settings->upstream,
                 exchange->backend->server->text, why);
    }
    exchange_over(exchange);
    if (has_begun) {
        request_reply_abort(exchange->request, WEIR_CLOSE_OUT_OF_MEMORY); /* no other reason */
        return;
    }
    exchange_answering(exchange);
    if (request_reply_error(exchange->request, status, why) == WEIR_ENOMEM) {
        request_reply_abort(exchange->request, WEIR_CLOSE_OUT_OF_MEMORY);
    }
}

void exchange_judge(struct exchange *exchange, bool good)
{
    if (exchange->judged || exchange->backend == NULL) {
        return;
    }
    exchange->judged = true;
    if (good) {
        backend_succeeded(exchange->backend);
    } else {
        backend_failed(exchange->backend);
    }
}

static void settle_bytes(const struct exchange *exchange)
{
    struct request_upstream *record = request_upstream_record(exchange->request);
    if (record != NULL) {
        record->bytes_sent += exchange->bytes_sent;
        record->bytes_received += exchange->bytes_received;
    }
}

static void exchange_free(struct loop_retired *retired)
{
    free(list_item(retired, struct exchange, retired));
}

void exchange_leave(struct exchange *exchange)
{
    settle_bytes(exchange);
    exchange_over(exchange);
    buffer_free(&exchange->trailers);
    exchange->magic = 0;
    loop_retire(worker_loop(exchange->proxy->worker), &exchange->retired, exchange_free);
}

void exchange_done(struct exchange *exchange)
{
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC);
    exchange->sending = SENDING_REFUSED; /* nothing is asked of a request that has ended */
    exchange->paused = false;
    *request_seat(exchange->request, exchange->seat) = NULL;
    bridge_free(&exchange->bridge);
    exchange_leave(exchange);
}

struct bridge *exchange_take_bridge(struct exchange *exchange)
{
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC && exchange->bridge != NULL);
    struct bridge *bridge = exchange->bridge;
    exchange->bridge = NULL;
    *request_seat(exchange->request, exchange->seat) = NULL;
    exchange_leave(exchange);
    return bridge;
}

/* --- the start --- */

static void prepare_body(struct exchange *exchange)
{
    struct weir_request *request = exchange->request;
    struct span expectation = request_header(request, SPAN("Expect"));
    uint64_t length = 0;
    enum request_framing framing = request_framing(request, &length);
    exchange->chunked_request = framing == REQUEST_CHUNKED;
    exchange->sending = SENDING_LATER;
    if (framing != REQUEST_NO_BODY) {
        exchange->expects = expectation.data != NULL;
        request_take_body(request, exchange->seat);
        exchange_pause(exchange, true);
    }
}

static enum weir_verdict start(struct exchange *exchange)
{
    struct weir_request *request = exchange->request;
    struct request_upstream *record = request_upstream_record(request);
    if (record != NULL) {
        record->name = exchange->proxy->settings->upstream;
    }
    request_watch_client(request);
    prepare_body(exchange);
    if (exchange->kind == EXCHANGE_SESSION) {
        exchange->bridge = bridge_new(exchange->proxy, request, exchange->seat);
    }
    bool is_whole = exchange->kind != EXCHANGE_SESSION || exchange->bridge != NULL;
    if (!is_whole || !exchange_dial(exchange, exchange->kind != EXCHANGE_HTTP)) {
        exchange_fail(exchange, 500, "out of memory");
        return WEIR_REPLY;
    }
    exchange->waiting = true;
    return WEIR_WAIT;
}

enum weir_verdict exchange_start(struct proxy *proxy, struct weir_request *request, unsigned seat,
                                 enum exchange_kind kind)
{
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        enum weir_err err = request_reply_error(request, 500, "out of memory");
        return err == WEIR_OK ? WEIR_REPLY : WEIR_DROP;
    }
    exchange->magic = EXCHANGE_MAGIC;
    exchange->kind = (uint8_t)kind;
    exchange->seat = seat;
    exchange->proxy = proxy;
    exchange->request = request;
    exchange->started_us = clock_monotonic_us();
    *request_seat(request, seat) = exchange;
    return start(exchange);
}

/* --- what the session says --- */

void exchange_body(struct exchange *exchange, struct span piece, bool last)
{
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC);
    switch ((enum exchange_sending)exchange->sending) {
    case SENDING_LATER:
        exchange_fail(exchange, 500, "a body came before its time");
        break;
    case SENDING_BODY:
        exchange_send_body(exchange, piece, last);
        break;
    case SENDING_DONE:
    case SENDING_REFUSED:
        break;
    }
}

static void read_on(struct exchange *exchange)
{
    struct stream *stream = &exchange->backend->stream;
    stream_set_reading(stream, !exchange->full);
    if (!exchange->full && stream_has_pending(stream)) {
        stream_wake(stream);
    }
}

void exchange_drained(struct exchange *exchange)
{
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC);
    exchange->full = false;
    if (exchange->backend != NULL) {
        exchange->moved_ms = exchange_now_ms(exchange);
        read_on(exchange);
    }
}

/* --- what the backend says --- */

static struct exchange *exchange_of(struct backend *backend)
{
    struct exchange *exchange = backend->owner;
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC && exchange->backend == backend);
    return exchange;
}

/* A backend that has gone while it was not read (neither flag) is found out when the client has
 * caught up, behind what it has sent before. */
static void ready(struct backend *backend, bool readable, bool writable)
{
    struct exchange *exchange = exchange_of(backend);
    if (writable) {
        exchange_sent(exchange);
    }
    if (readable && !exchange->full && exchange->backend != NULL) {
        exchange_receive(exchange);
    }
    if (exchange->backend != NULL) {
        read_on(exchange);
    }
}

/* Whether the backend has nothing to do, since the client has to read or to send first. */
static bool waits_for_client(const struct exchange *exchange)
{
    bool has_all = stream_queued(&exchange->backend->stream) == 0;
    return exchange->full || (exchange->sending == SENDING_BODY && has_all && !exchange->expects);
}

static void timed_out(struct backend *backend)
{
    struct exchange *exchange = exchange_of(backend);
    uint64_t limit = exchange->proxy->settings->read_timeout_ms;
    uint64_t now = exchange_now_ms(exchange);
    if (waits_for_client(exchange)) {
        exchange->moved_ms = now;
    }
    uint64_t silent = now - exchange->moved_ms;
    if (silent < limit) {
        backend_set_timeout(backend, limit - silent);
        return;
    }
    exchange_judge(exchange, false);
    if (exchange->state == EXCHANGE_HEAD) {
        exchange_fail(exchange, 504, "the backend did not answer in time");
    } else {
        exchange_abort(exchange, WEIR_CLOSE_BACKEND_TIMEOUT);
    }
}

/* The worker stops; the request ends by itself. */
static void dropped(struct backend *backend)
{
    struct exchange *exchange = exchange_of(backend);
    exchange->backend = NULL;
    exchange->state = EXCHANGE_OVER;
}
