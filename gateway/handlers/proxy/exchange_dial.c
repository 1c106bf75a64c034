/* How an exchange gets its backend: by a wish, and once more where a kept connection was found dead
 * before a byte of an answer. Called by exchange.c at the start, and by whoever finds the backend
 * gone. It never repeats what a backend may have acted upon. */
#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "handlers/proxy/exchange_internal.h"

static void dialled(void *context, enum dial_result result, struct backend *backend,
                    const struct dial_report *report);

bool exchange_dial(struct exchange *exchange, bool fresh)
{
    struct buffer scratch = {0};
    struct dial_wish wish = {.fresh = fresh};
    affinity_of_request(exchange->proxy, exchange->request, &scratch, &wish);
    exchange->state = EXCHANGE_DIALLING;
    exchange->dial = dial_start(exchange->proxy->upstream, &wish, dialled, exchange);
    buffer_free(&scratch);
    return exchange->dial != NULL;
}

static void note_tries(struct exchange *exchange, const struct dial_report *report)
{
    struct request_upstream *record = request_upstream_record(exchange->request);
    if (record == NULL || report->tries == 0) {
        return;
    }
    record->tries += report->tries;
    snprintf(record->server, sizeof record->server, "%.*s", REQUEST_SERVER_BYTES - 1,
             report->server); /* cut if need be */
}

static void note_connection(struct exchange *exchange)
{
    struct request_upstream *record = request_upstream_record(exchange->request);
    if (record != NULL) {
        record->connect_us = clock_monotonic_us() - exchange->started_us;
    }
}

static void dial_failed(struct exchange *exchange, enum dial_result result)
{
    static const struct {
        unsigned status;
        const char *why;
    } ANSWERS[] = {
        [DIAL_OK] = {500, ""},
        [DIAL_REFUSED] = {502, "no backend could be reached"},
        [DIAL_NO_SERVER] = {503, "no backend is available"},
        [DIAL_BUSY] = {503, "all backends are busy"},
        [DIAL_TIMEOUT] = {504, "the backend did not accept a connection in time"},
        [DIAL_NO_MEMORY] = {503, "the gateway is out of descriptors or memory"},
    };
    exchange_fail(exchange, ANSWERS[result].status, ANSWERS[result].why);
}

static void dialled(void *context, enum dial_result result, struct backend *backend,
                    const struct dial_report *report)
{
    struct exchange *exchange = context;
    WEIR_CHECK(exchange->magic == EXCHANGE_MAGIC && exchange->state == EXCHANGE_DIALLING);
    exchange->dial = NULL;
    note_tries(exchange, report);
    if (result != DIAL_OK) {
        /* What is this machine's fault is for its operator to mend. */
        enum log_level level = result == DIAL_NO_MEMORY ? LOG_WARN : LOG_INFO;
        log_line(level, "proxy", "%s: %s", exchange->proxy->settings->upstream, report->why);
        dial_failed(exchange, result);
        return;
    }
    note_connection(exchange);
    exchange->backend = backend;
    exchange->state = EXCHANGE_HEAD;
    exchange->moved_ms = exchange_now_ms(exchange);
    backend_own(backend, &exchange_backend_ops, exchange);
    backend_set_timeout(backend, exchange->proxy->settings->read_timeout_ms);
    enum weir_err err = exchange_send_head(exchange);
    if (err == WEIR_OK) {
        stream_set_reading(&backend->stream, true);
    } else if (err == WEIR_EINVAL) {
        exchange_fail(exchange, 400, "the request cannot be passed on");
    } else if (err == WEIR_ENOMEM) {
        exchange_fail(exchange, 500, "out of memory");
    } else {
        exchange_lost(exchange);
    }
}

/* RFC 9110, section 9.2.2, and those alone of them that nobody means otherwise. */
static bool is_idempotent(struct span method)
{
    static const char *const METHODS[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        if (span_equal(method, span_of(METHODS[i]))) {
            return true;
        }
    }
    return false;
}

/* RFC 9112, section 9.3.1: a connection from the pool may have been closed by the backend just
 * before, and then the request was never seen. */
static bool may_try_again(const struct exchange *exchange)
{
    return exchange->backend->served > 0 && !exchange->retried && !exchange->has_sent_body &&
           exchange->interims == 0 && exchange->partial.size == 0 &&
           is_idempotent(request_method(exchange->request));
}

void exchange_lost(struct exchange *exchange)
{
    if (!may_try_again(exchange)) {
        exchange_judge(exchange, false);
        exchange_fail(exchange, 502, "the backend has closed the connection without an answer");
        return;
    }
    exchange->retried = true;
    exchange->sending = SENDING_LATER;
    exchange_pause(exchange, true);
    backend_close(&exchange->backend);
    if (!exchange_dial(exchange, true)) {
        exchange_fail(exchange, 500, "out of memory");
    }
}
