/* The connection's states and every change of them. The loop calls in through stream and timer;
 * plugins reach it through requests and sessions. Callbacks of plugins may ask for anything at any
 * time, so what ends is only marked here, and unwound and freed by the sweep at the end of the
 * turn. */
#include "session/connection.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "proto/proxy_protocol.h"
#include "session/http_input.h"
#include "session/output.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

enum {
    READ_ROUNDS = 8,         /* reads of one connection in one turn; the others wait meanwhile */
    LINGER_MS = 2000,        /* for the client to end its side after ours */
    HIGH_WATERMARK_PART = 2, /* of max_queue_size: reading pauses */
    LOW_WATERMARK_PART = 8,  /* of max_queue_size: reading goes on */
    HTTP_QUEUE_BYTES = 512 * 1024
};

/* --- states
 * ---------------------------------------------------------------------------------------------------------
 */

static uint64_t now_ms(const struct connection *connection)
{
    return loop_now_ms(connection->worker->loop);
}

static bool wants_reading(const struct connection *connection)
{
    switch ((enum connection_state)connection->state) {
    case CONNECTION_PROXY_HEADER:
    case CONNECTION_HEAD:
    case CONNECTION_CLOSING:
    case CONNECTION_LINGER:
        return true;
    case CONNECTION_REQUEST:
        return !connection->hold_input && !connection->choked && !connection->request->body_done;
    case CONNECTION_SESSION:
        return !connection->hold_input && !connection->choked;
    case CONNECTION_DEAD:
        break;
    }
    return false;
}

static void update_reading(struct connection *connection)
{
    bool reading = wants_reading(connection);
    stream_set_reading(&connection->stream, reading);
    if (reading && stream_has_pending(&connection->stream)) {
        stream_wake(&connection->stream);
    }
}

static void enter(struct connection *connection, enum connection_state state)
{
    connection->state = (uint8_t)state;
    connection->since_ms = now_ms(connection);
    connection_schedule(connection);
}

void connection_sweep_later(struct connection *connection)
{
    if (list_is_empty(&connection->sweep_node)) {
        list_append(&connection->worker->swept, &connection->sweep_node);
    }
}

static void mark_ended(struct connection *connection, enum close_reason reason)
{
    if (connection->session == NULL || !connection->session->ended) {
        connection->reason = (uint8_t)reason;
    }
    if (connection->session != NULL) {
        connection->session->ended = true;
    }
    if (connection->request != NULL) {
        connection->request->ended = true;
    }
    connection_sweep_later(connection);
}

void connection_close(struct connection *connection, enum close_reason reason)
{
    struct cork *cork = &connection->worker->cork;
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    if (cork->owner == connection) {
        cork->owner = NULL;
        cork->size = 0;
    }
    mark_ended(connection, reason);
    connection->state = CONNECTION_DEAD;
    wheel_cancel(&connection->timer);
    stream_set_reading(&connection->stream, false);
}

void connection_finish(struct connection *connection, enum close_reason reason)
{
    struct cork *cork = &connection->worker->cork;
    if (connection->state >= CONNECTION_LINGER) {
        return;
    }
    if (cork->owner == connection) {
        output_uncork(cork);
    }
    if (connection->state == CONNECTION_DEAD) {
        return; /* the send has failed */
    }
    mark_ended(connection, reason);
    connection->choked = false;
    enter(connection, CONNECTION_LINGER);
    stream_shutdown(&connection->stream);
    update_reading(connection);
    if (connection->peer_ended && stream_queued(&connection->stream) == 0) {
        connection_close(connection, reason);
    }
}

void connection_request_started(struct connection *connection, struct weir_request *request)
{
    WEIR_CHECK(connection->state == CONNECTION_HEAD && connection->request == NULL);
    connection->request = request;
    enter(connection, CONNECTION_REQUEST);
}

void connection_became_session(struct connection *connection, struct weir_session *session)
{
    WEIR_CHECK(connection->state == CONNECTION_REQUEST && connection->session == NULL);
    connection->session = session;
    connection->hold_input = false;
    session->heard_ms = now_ms(connection);
    enter(connection, CONNECTION_SESSION);
}

void connection_session_closing(struct connection *connection, enum close_reason reason)
{
    if (connection->state == CONNECTION_SESSION) {
        connection->reason = (uint8_t)reason;
        connection->choked = false;
        enter(connection, CONNECTION_CLOSING);
        update_reading(connection);
        connection_sweep_later(
            connection); /* input that was held may hold the client's close frame */
    }
}

void connection_hold_input(struct connection *connection, bool on)
{
    if (connection->hold_input != on) {
        connection->hold_input = on;
        connection->since_ms = now_ms(connection);
        connection_schedule(connection);
        connection_sweep_later(connection);
    }
}

/* --- deadlines
 * ------------------------------------------------------------------------------------------------------
 */

static uint64_t head_deadline(const struct connection *connection)
{
    const struct config_http *http = &connection->generation->config->http;
    if (!stream_is_established(&connection->stream)) {
        return connection->listener->config->tls->handshake_timeout_ms;
    }
    bool between = connection->served && connection->kept.size == 0;
    return between ? http->idle_timeout_ms : http->header_timeout_ms;
}

static bool is_queued(const struct connection *connection)
{
    return stream_queued(&connection->stream) > 0;
}

/* How long the state may stay without progress, in milliseconds; 0 for as long as it likes. */
static uint64_t patience(const struct connection *connection)
{
    const struct generation *generation = connection->generation;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_PROXY_HEADER:
        return generation->config->http.header_timeout_ms;
    case CONNECTION_HEAD:
        return head_deadline(connection);
    case CONNECTION_REQUEST:
        return wants_reading(connection) || is_queued(connection)
                   ? generation->config->http.body_timeout_ms
                   : 0;
    case CONNECTION_SESSION:
        return is_queued(connection)
                   ? connection->request->route->config->websocket->write_timeout_ms
                   : 0;
    case CONNECTION_CLOSING:
        return connection->request->route->config->websocket->close_timeout_ms;
    case CONNECTION_LINGER:
        return LINGER_MS;
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
        uint64_t spent = now_ms(connection) - connection->since_ms;
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
    } else if (connection->kept.size == 0) {
        connection_finish(connection, WEIR_CLOSE_HTTP_TIMEOUT);
    } else {
        reply_refuse(connection, 408, "the request head took longer than header_timeout");
    }
}

static void request_timed_out(struct connection *connection)
{
    if (is_queued(connection) || !request_is_unanswered(connection->request)) {
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
    if (limit != 0 && now_ms(connection) - connection->since_ms >= limit) {
        timed_out(connection);
    } else if (connection->state == CONNECTION_SESSION) {
        keep_alive_ms = peer_keep_alive(connection->session);
    }
    if (connection->state != CONNECTION_DEAD && list_is_empty(&connection->timer.node)) {
        set_timer(connection, keep_alive_ms);
    }
}

/* --- back-pressure
 * ----------------------------------------------------------------------------------------------------
 */

static uint64_t queue_limit(const struct connection *connection)
{
    return connection->session != NULL
               ? connection->request->route->config->websocket->max_queue_size
               : HTTP_QUEUE_BYTES;
}

void connection_output_grew(struct connection *connection, bool full)
{
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    if (!connection->was_queued) {
        connection->was_queued = true;
        connection->since_ms = now_ms(connection);
        connection_schedule(connection);
    }
    connection->was_full |= full;
    if (!connection->choked && connection->state <= CONNECTION_SESSION &&
        stream_queued(&connection->stream) >= queue_limit(connection) / HIGH_WATERMARK_PART) {
        connection->choked = true;
        update_reading(connection);
    }
}

static void output_moved(struct connection *connection)
{
    size_t queued = stream_queued(&connection->stream);
    connection->since_ms = now_ms(connection);
    connection->was_queued = queued > 0;
    if (connection->state == CONNECTION_LINGER && queued == 0 && connection->peer_ended) {
        connection_close(connection, (enum close_reason)connection->reason);
    }
    if ((!connection->choked && !connection->was_full) ||
        queued > queue_limit(connection) / LOW_WATERMARK_PART) {
        return;
    }
    bool told = connection->was_full || connection->choked;
    connection->choked = false;
    connection->was_full = false;
    if (told && connection->session != NULL) {
        session_drained(connection->session);
    } else if (told && connection->request != NULL && !connection->request->ended) {
        request_drained(connection->request);
    }
    connection_sweep_later(connection);
}

/* --- input
 * --------------------------------------------------------------------------------------------------------
 */

/* Ends a request that is complete, and goes on to the next one or to the end. */
static void settle(struct connection *connection)
{
    if (connection->state != CONNECTION_REQUEST || !request_is_complete(connection->request)) {
        return;
    }
    bool keep_alive = connection->request->keep_alive && !connection->worker->draining;
    request_end(&connection->request, WEIR_CLOSE_HTTP_DONE);
    if (!keep_alive) {
        connection_finish(connection, WEIR_CLOSE_HTTP_DONE);
        return;
    }
    connection->served = true;
    connection->hold_input = false;
    enter(connection, CONNECTION_HEAD);
}

static size_t take(struct connection *connection, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_HEAD:
        used = http_input_head(connection, bytes, size);
        break;
    case CONNECTION_REQUEST:
        if (!connection->request->body_done && !connection->hold_input) {
            request_input(connection->request, bytes, size, &used);
            connection->since_ms = now_ms(connection);
        }
        break;
    case CONNECTION_SESSION:
    case CONNECTION_CLOSING:
        used = peer_input(connection->session, bytes, size);
        break;
    case CONNECTION_PROXY_HEADER: /* read apart, before TLS */
    case CONNECTION_LINGER:
    case CONNECTION_DEAD:
        used = size;
        break;
    }
    settle(connection);
    return used;
}

/* Uses up what it can of `bytes`; returns how many. */
static size_t consume(struct connection *connection, uint8_t *bytes, size_t size)
{
    size_t used = 0;
    while (used < size) {
        size_t took = take(connection, bytes + used, size - used);
        if (took == 0) {
            break;
        }
        used += took;
    }
    return used;
}

static void keep(struct connection *connection, const uint8_t *bytes, size_t size)
{
    bool first = connection->kept.size == 0;
    if (size == 0 || connection->state == CONNECTION_DEAD) {
        return;
    }
    if (buffer_append(&connection->kept, (struct span){bytes, size}) != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
    } else if (connection->state == CONNECTION_HEAD && first && connection->served) {
        enter(connection,
              CONNECTION_HEAD); /* the next head has begun: from now on header_timeout counts */
    }
}

/* Goes on with what was kept, after whatever held it up. */
static void consume_kept(struct connection *connection)
{
    struct buffer kept = connection->kept;
    if (kept.size == 0) {
        return;
    }
    connection->kept = (struct buffer){0};
    size_t used = consume(connection, kept.data, kept.size);
    keep(connection, kept.data + used, kept.size - used);
    buffer_free(&kept);
}

static void input_ended(struct connection *connection, enum weir_err err)
{
    connection->peer_ended = true;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_HEAD:
        if (!stream_is_established(&connection->stream)) {
            connection_close(connection, WEIR_CLOSE_TLS_FAILED);
        } else {
            connection_close(connection,
                             connection->kept.size == 0 ? WEIR_CLOSE_CLIENT : WEIR_CLOSE_RESET);
        }
        break;
    case CONNECTION_CLOSING:
        connection_close(connection, (enum close_reason)connection->reason);
        break;
    case CONNECTION_LINGER:
        if (err != WEIR_ECLOSED || !is_queued(connection)) {
            connection_close(connection, (enum close_reason)connection->reason);
        } else {
            stream_set_reading(&connection->stream,
                               false); /* the last words are still on their way */
        }
        break;
    default:
        connection_close(connection, WEIR_CLOSE_RESET);
        break;
    }
}

/* One read into the message under way, where that is possible. */
static bool read_direct(struct connection *connection, bool *more)
{
    size_t room = 0;
    size_t got = 0;
    if ((connection->state != CONNECTION_SESSION) || connection->kept.size != 0) {
        return false;
    }
    uint8_t *space = peer_input_space(connection->session, &room);
    if (space == NULL) {
        return false;
    }
    enum weir_err err = stream_read(&connection->stream, space, room, &got);
    if (err == WEIR_OK) {
        peer_input_direct(connection->session, got);
        *more = got == room;
    } else {
        *more = false;
        if (err != WEIR_AGAIN) {
            input_ended(connection, err);
        }
    }
    return true;
}

static size_t read_size(const struct connection *connection)
{
    if (connection->session != NULL) {
        uint64_t wanted = connection->request->route->config->websocket->receive_buffer_size;
        return wanted < WORKER_READ_BYTES ? (size_t)wanted : WORKER_READ_BYTES;
    }
    return WORKER_READ_BYTES;
}

/* One read into the worker's buffer, behind what was kept. */
static bool read_buffered(struct connection *connection)
{
    uint8_t *bytes = connection->worker->read_buffer;
    struct buffer kept = connection->kept;
    size_t room = read_size(connection);
    size_t got = 0;
    room = kept.size < room / 2 ? room - kept.size : room / 2;
    enum weir_err err = stream_read(&connection->stream, bytes + kept.size, room, &got);
    if (err != WEIR_OK) {
        if (err != WEIR_AGAIN) {
            input_ended(connection, err);
        }
        return false;
    }
    if (kept.size > 0) {
        memcpy(bytes, kept.data, kept.size);
        connection->kept = (struct buffer){0};
        buffer_free(&kept);
    }
    size_t size = kept.size + got;
    size_t used = consume(connection, bytes, size);
    keep(connection, bytes + used, size - used);
    return got == room;
}

static void start_tls(struct connection *connection)
{
    if (connection->listener->tls != NULL &&
        stream_start_tls(&connection->stream, connection->listener->tls) != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
        return;
    }
    enter(connection, CONNECTION_HEAD);
}

/* Takes exactly the PROXY header off the socket, so that TLS finds its first byte. A part of the
 * header is taken too, since leaving it would wake the loop again and again. */
static void read_proxy_header(struct connection *connection)
{
    uint8_t bytes[PROXY_BYTES_MAX];
    struct buffer *kept = &connection->kept;
    struct proxy_header header;
    size_t seen = 0;
    size_t size = 0;
    const char *why = "";
    memcpy(bytes, kept->data != NULL ? kept->data : bytes, kept->size);
    enum weir_err err =
        stream_peek(&connection->stream, bytes + kept->size, sizeof bytes - kept->size, &seen);
    if (err != WEIR_OK) {
        if (err != WEIR_AGAIN) {
            input_ended(connection, err);
        }
        return;
    }
    err = proxy_protocol_parse((struct span){bytes, kept->size + seen}, &header, &size, &why);
    if (err != WEIR_OK && err != WEIR_AGAIN) {
        log_warn("listener", "%s: PROXY header refused: %s", connection->listener->config->address,
                 why);
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
        return;
    }
    size_t taken = err == WEIR_OK ? size - kept->size : seen;
    enum weir_err read = stream_read(&connection->stream, bytes + kept->size, taken, &taken);
    if (read != WEIR_OK ||
        (err == WEIR_AGAIN &&
         buffer_append(kept, (struct span){bytes + kept->size, taken}) != WEIR_OK)) {
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
        return;
    }
    if (err == WEIR_OK) {
        if (!header.is_local && header.source.family != IP_NONE) {
            connection->remote = header.source;
        }
        buffer_free(kept);
        start_tls(connection);
    }
}

static void read_turn(struct connection *connection)
{
    bool more = true;
    for (int round = 0; round < READ_ROUNDS && more && wants_reading(connection); round++) {
        if (connection->state == CONNECTION_PROXY_HEADER) {
            read_proxy_header(connection);
        } else if (!read_direct(connection, &more)) {
            more = read_buffered(connection);
        }
    }
}

static void connection_ready(struct stream *stream, bool readable, bool writable)
{
    struct connection *connection = (struct connection *)(void *)stream;
    struct cork *cork = &connection->worker->cork;
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    if (writable) {
        output_moved(connection);
    }
    if (readable) {
        bool established = stream_is_established(stream);
        read_turn(connection);
        if (!established && connection->state == CONNECTION_HEAD && stream_is_established(stream)) {
            enter(connection,
                  CONNECTION_HEAD); /* the handshake's time is over, the head's begins */
        }
    }
    if (cork->owner == connection) {
        output_uncork(cork);
    }
    if (connection->state != CONNECTION_DEAD) {
        update_reading(connection);
    }
}

/* --- beginning and end
 * -----------------------------------------------------------------------------------------------
 */

static struct ip_address address_of(const struct sockaddr_storage *peer)
{
    struct ip_address address = {0};
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        address.family = IP_V4;
        memcpy(address.bytes, &in->sin_addr, sizeof in->sin_addr);
        address.port = ntohs(in->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
        address.family = IP_V6;
        memcpy(address.bytes, &in6->sin6_addr, sizeof in6->sin6_addr);
        address.port = ntohs(in6->sin6_port);
    }
    return ip_address_unmapped(address);
}

static void start(struct connection *connection)
{
    const struct listener_setup *listener = connection->listener;
    if (!listener->config->proxy_protocol) {
        start_tls(connection);
    } else if (ip_block_any_contains(listener->proxy_from, listener->proxy_from_count,
                                     &connection->remote)) {
        enter(connection, CONNECTION_PROXY_HEADER);
    } else {
        char text[IP_ADDRESS_TEXT_BYTES];
        ip_address_format(&connection->remote, false, text);
        log_warn("listener", "%s: %s is not in proxy_protocol_from", listener->config->address,
                 text);
        connection_close(connection, WEIR_CLOSE_PROXY_HEADER);
    }
}

void connection_accept(struct weir_worker *worker, const struct listener_setup *listener, int fd,
                       const struct sockaddr_storage *peer, socklen_t peer_size)
{
    struct connection *connection = calloc(1, sizeof *connection);
    (void)peer_size;
    if (connection == NULL) {
        close(fd);
        return;
    }
    stream_open(&connection->stream, worker->loop, fd, connection_ready);
    wheel_timer_init(&connection->timer);
    list_init(&connection->sweep_node);
    list_init(&connection->node);
    list_append(&worker->connections, &connection->node);
    worker->connection_count++;
    connection->worker = worker;
    connection->listener = listener;
    connection->generation = generation_join(worker->generation);
    connection->remote = address_of(peer);
    /* Worker and count make it unique in the process without sharing anything. */
    connection->id = (uint64_t)worker->id << 48 | ++worker->next_id;
    start(connection);
    if (connection->state != CONNECTION_DEAD) {
        update_reading(connection);
    }
}

static void unwind(struct connection *connection)
{
    enum close_reason reason = (enum close_reason)connection->reason;
    if (connection->session != NULL && connection->session->ended) {
        session_end(&connection->session, reason);
        request_end(&connection->request, reason);
    } else if (connection->request != NULL && connection->request->ended) {
        request_end(&connection->request, reason);
    }
}

static void connection_free(struct connection *connection)
{
    list_remove(&connection->node);
    connection->worker->connection_count--;
    stream_close(&connection->stream);
    buffer_free(&connection->kept);
    generation_leave(&connection->generation);
    free(connection);
}

static void sweep_one(struct connection *connection)
{
    unwind(connection);
    if (connection->state == CONNECTION_DEAD) {
        connection_free(connection);
        return;
    }
    settle(connection);
    consume_kept(connection);
    update_reading(connection);
}

void connection_sweep(struct weir_worker *worker)
{
    while (!list_is_empty(&worker->swept)) {
        struct list_node *node = worker->swept.next;
        list_remove(node);
        sweep_one(list_item(node, struct connection, sweep_node));
    }
}

void connection_drain_all(struct weir_worker *worker)
{
    struct list_node *next;
    for (struct list_node *node = worker->connections.next; node != &worker->connections;
         node = next) {
        struct connection *connection = list_item(node, struct connection, node);
        next = node->next;
        if (connection->state == CONNECTION_SESSION) {
            peer_send_close(connection->session, close_reason_code(WEIR_CLOSE_SHUTDOWN),
                            SPAN("going away"));
            connection_session_closing(connection, WEIR_CLOSE_SHUTDOWN);
        } else if (connection->state < CONNECTION_REQUEST && connection->kept.size == 0) {
            connection_finish(connection, WEIR_CLOSE_SHUTDOWN);
        }
    }
}

void connection_cut_all(struct weir_worker *worker)
{
    for (struct list_node *node = worker->connections.next; node != &worker->connections;
         node = node->next) {
        connection_close(list_item(node, struct connection, node), WEIR_CLOSE_SHUTDOWN);
    }
    connection_sweep(worker);
}
