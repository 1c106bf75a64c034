/* What a connection waits for, and how long: one timer on the worker's wheel, set anew at each
 * change of state and looked at lazily, so that traffic moves no timer. */
#include "session/connection_internal.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

enum {
    LINGER_MS = 2000 /* for the client to end its side after ours */
};

static uint64_t head_deadline(const struct connection *connection)
{
    const struct config_http *http = &connection->generation->config->http;
    if (!stream_is_established(&connection->stream)) {
        return connection->listener->config->tls->handshake_timeout_ms;
    }
    bool between = connection->served && connection->kept == NULL;
    return between ? http->idle_timeout_ms : http->header_timeout_ms;
}

static uint64_t request_patience(const struct connection *connection)
{
    const struct weir_request *request = connection->request;
    uint64_t limit = connection->generation->config->http.body_timeout_ms;
    if (request->switched) {
        return 0; /* who has switched knows how long silence may be */
    }
    if (connection_is_queued(connection)) {
        return limit;
    }
    /* A client that waits for 100 Continue does as it should: its silence is the handler's. */
    return connection_wants_reading(connection) && !request_awaits_continue(request) ? limit : 0;
}

/* How long the state may stay without progress, in milliseconds; 0 for as long as it likes. */
static uint64_t patience(const struct connection *connection)
{
    const struct generation *generation = connection->generation;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_PROXY_HEADER:
        return generation->config->http.header_timeout_ms;
    case CONNECTION_HEAD:
        return connection->choked ? generation->config->http.body_timeout_ms
                                  : head_deadline(connection);
    case CONNECTION_REQUEST:
        return request_patience(connection);
    case CONNECTION_SESSION:
        return connection_is_queued(connection)
                   ? connection->request->route->config->websocket->write_timeout_ms
                   : 0;
    case CONNECTION_CLOSING:
        return connection->request->route->config->websocket->close_timeout_ms;
    case CONNECTION_LINGER:
        return connection_is_queued(connection) ? generation->config->http.body_timeout_ms
                                                : LINGER_MS;
    case CONNECTION_DEAD:
        break;
    }
    return 0;
}

static void set_timer(struct connection *connection, uint64_t keep_alive_ms)
{
    uint64_t limit = patience(connection);
    uint64_t delay = 0;
    if (limit != 0) {
        uint64_t spent = connection_now_ms(connection) - connection->since_ms;
        delay = spent < limit ? limit - spent : 1;
    }
    if (keep_alive_ms != 0 && (delay == 0 || keep_alive_ms < delay)) {
        delay = keep_alive_ms;
    }
    if (delay != 0) {
        wheel_set(connection->worker->wheel, &connection->timer, delay);
    } else {
        wheel_cancel(&connection->timer);
    }
}

void connection_schedule(struct connection *connection)
{
    uint64_t keep_alive_ms = 0;
    if (connection->state == CONNECTION_SESSION) {
        keep_alive_ms = connection->request->route->config->websocket->keep_alive_interval_ms;
    }
    set_timer(connection, keep_alive_ms);
}

static void head_timed_out(struct connection *connection)
{
    if (!stream_is_established(&connection->stream)) {
        connection_close(connection, WEIR_CLOSE_TLS_FAILED);
    } else if (connection->choked) {
        connection_close(connection, WEIR_CLOSE_SLOW_READER);
    } else if (connection->kept == NULL) {
        connection_finish(connection, WEIR_CLOSE_HTTP_TIMEOUT);
    } else {
        reply_refuse(connection, 408, "the request head took longer than header_timeout");
    }
}

static void request_timed_out(struct connection *connection)
{
    if (connection_is_queued(connection) || !request_is_unanswered(connection->request)) {
        connection_close(connection, WEIR_CLOSE_SLOW_READER);
        return;
    }
    connection->request->keep_alive = false;
    enum weir_err err = request_reply_error(connection->request, 408,
                                            "the request body took longer than body_timeout");
    if (err != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_HTTP_TIMEOUT);
    }
}

static void timed_out(struct connection *connection)
{
    switch ((enum connection_state)connection->state) {
    case CONNECTION_PROXY_HEADER:
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
        break;
    case CONNECTION_HEAD:
        head_timed_out(connection);
        break;
    case CONNECTION_REQUEST:
        request_timed_out(connection);
        break;
    case CONNECTION_SESSION:
        connection_close(connection, WEIR_CLOSE_SLOW_READER);
        break;
    case CONNECTION_CLOSING:
        connection_close(connection, (enum close_reason)connection->reason);
        break;
    case CONNECTION_LINGER:
        /* While bytes of the last words still move, they may. */
        connection_close(connection, (enum close_reason)connection->reason);
        break;
    case CONNECTION_DEAD:
        break;
    }
}

void connection_timer_fired(struct wheel_timer *timer)
{
    struct connection *connection = list_item(timer, struct connection, timer);
    uint64_t keep_alive_ms = 0;
    uint64_t limit = patience(connection);
    if (limit != 0 && connection_now_ms(connection) - connection->since_ms >= limit) {
        timed_out(connection);
    } else if (connection->state == CONNECTION_SESSION) {
        keep_alive_ms = peer_keep_alive(connection->session);
    }
    if (connection->state != CONNECTION_DEAD && list_is_empty(&connection->timer.node)) {
        set_timer(connection, keep_alive_ms);
    }
}
