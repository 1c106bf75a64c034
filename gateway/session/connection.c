/* The connection's states and every change of them, from accept to free. The loop calls in through
 * stream and timer; plugins reach it through requests and sessions. Callbacks of plugins may ask
 * for anything at any time, so what ends is only marked here, and unwound and freed by the sweep at
 * the end of the turn. What it reads is connection_input.c's business, deadlines are
 * connection_deadline.c's, slow readers connection_pressure.c's. */
#include "session/connection.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "session/connection_internal.h"
#include "session/request_internal.h"
#include "session/session_internal.h"

/* --- states --- */

uint64_t connection_now_ms(const struct connection *connection)
{
    return loop_now_ms(connection->worker->loop);
}

bool connection_wants_reading(const struct connection *connection)
{
    switch ((enum connection_state)connection->state) {
    case CONNECTION_PROXY_HEADER:
    case CONNECTION_CLOSING:
        return true;
    case CONNECTION_HEAD:
        return !connection->choked;
    case CONNECTION_LINGER:
        return !connection->peer_ended;
    case CONNECTION_REQUEST:
        /* The directions of a pipe do not wait for each other. */
        return !connection->hold_input && !connection->paused &&
               (!connection->choked || connection->request->switched) &&
               !connection->request->body_done;
    case CONNECTION_SESSION:
        return !connection->hold_input && !connection->paused && !connection->choked;
    case CONNECTION_DEAD:
        break;
    }
    return false;
}

void connection_update_reading(struct connection *connection)
{
    bool reading = connection_wants_reading(connection);
    stream_set_reading(&connection->stream, reading);
    if (reading && stream_has_pending(&connection->stream)) {
        stream_wake(&connection->stream);
    }
}

void connection_enter(struct connection *connection, enum connection_state state)
{
    connection->state = (uint8_t)state;
    connection->since_ms = connection_now_ms(connection);
    connection_schedule(connection);
}

void connection_sweep_later(struct connection *connection)
{
    struct weir_worker *worker = connection->worker;
    if (!connection->is_swept) {
        connection->is_swept = true;
        connection->swept_next = worker->swept;
        worker->swept = connection;
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
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    cork_forget(&connection->worker->cork, &connection->stream);
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
    if (cork->owner == &connection->stream) {
        cork_flush(cork);
    }
    if (connection->state == CONNECTION_DEAD) {
        return; /* the send has failed */
    }
    mark_ended(connection, reason);
    connection->choked = false;
    connection_enter(connection, CONNECTION_LINGER);
    stream_shutdown(&connection->stream);
    connection_update_reading(connection);
    if (connection->peer_ended && stream_queued(&connection->stream) == 0) {
        connection_close(connection, reason);
    }
}

void connection_request_started(struct connection *connection, struct weir_request *request)
{
    WEIR_CHECK(connection->state == CONNECTION_HEAD && connection->request == NULL);
    connection->request = request;
    connection_enter(connection, CONNECTION_REQUEST);
}

void connection_became_session(struct connection *connection, struct weir_session *session)
{
    WEIR_CHECK(connection->state == CONNECTION_REQUEST && connection->session == NULL);
    connection->session = session;
    connection->hold_input = false;
    connection->paused = false;
    session->heard_ms = connection_now_ms(connection);
    directory_add(connection->worker, session);
    connection_enter(connection, CONNECTION_SESSION);
    connection_sweep_later(connection); /* frames may have come early, while the request waited */
}

void connection_session_closing(struct connection *connection, enum close_reason reason)
{
    if (connection->state == CONNECTION_SESSION) {
        connection->reason = (uint8_t)reason;
        connection->choked = false;
        connection_enter(connection, CONNECTION_CLOSING);
        connection_update_reading(connection);
        connection_sweep_later(
            connection); /* input that was held may hold the client's close frame */
    }
}

void connection_restart_clock(struct connection *connection)
{
    connection->since_ms = connection_now_ms(connection);
    connection_schedule(connection);
}

void connection_hold_input(struct connection *connection, bool on)
{
    if (connection->hold_input != on) {
        connection->hold_input = on;
        connection_restart_clock(connection);
        connection_sweep_later(connection);
    }
}

void connection_pause_input(struct connection *connection, bool on)
{
    if (connection->paused == on) {
        return;
    }
    connection->paused = on;
    if (connection->state == CONNECTION_REQUEST && !connection_is_queued(connection)) {
        connection_restart_clock(connection); /* body_timeout counts anew */
    }
    connection_sweep_later(connection);
}

/* Ends a request that is complete, and goes on to the next one or to the end. */
void connection_settle(struct connection *connection)
{
    if (connection->state != CONNECTION_REQUEST || !request_is_complete(connection->request)) {
        return;
    }
    bool keep_alive = connection->request->keep_alive && !connection->worker->draining;
    enum close_reason reason = request_done_reason(connection->request);
    request_end(&connection->request, reason);
    if (!keep_alive) {
        connection_finish(connection, reason);
        return;
    }
    connection->served = true;
    connection->hold_input = false;
    connection->paused = false;
    connection_enter(connection, CONNECTION_HEAD);
}

/* --- beginning and end --- */

void connection_start_tls(struct connection *connection)
{
    if (connection->listener->tls != NULL &&
        stream_start_tls(&connection->stream, connection->listener->tls) != WEIR_OK) {
        connection_close(connection, WEIR_CLOSE_OUT_OF_MEMORY);
        return;
    }
    connection_enter(connection, CONNECTION_HEAD);
}

/* Nobody was reading. A request's client that has only ended its direction still wants its answer,
 * unless its handler says otherwise (request_watch_client); a session's has gone (RFC 6455, section
 * 7.1.5: without a close frame). */
static void peer_gone(struct connection *connection)
{
    bool ending = connection->state >= CONNECTION_CLOSING;
    bool is_request = connection->state == CONNECTION_REQUEST;
    enum close_reason reason = ending ? (enum close_reason)connection->reason : WEIR_CLOSE_RESET;
    if (is_request) {
        connection->peer_ended = true;
        reason = request_lost_reason(connection->request);
    }
    if (stream_is_broken(&connection->stream) || connection->state == CONNECTION_SESSION ||
        (is_request && request_needs_client(connection->request))) {
        connection_close(connection, reason);
    }
}

static void connection_ready(struct stream *stream, bool readable, bool writable)
{
    struct connection *connection = (struct connection *)(void *)stream;
    if (connection->state == CONNECTION_DEAD) {
        return;
    }
    if (!readable && !writable) {
        peer_gone(connection);
    }
    if (writable) {
        connection_output_moved(connection);
    }
    if (readable) {
        bool established = stream_is_established(stream);
        connection_input_read(connection);
        if (!established && connection->state == CONNECTION_HEAD && stream_is_established(stream)) {
            connection_enter(connection,
                             CONNECTION_HEAD); /* the handshake's time is over, the head's begins */
        }
    }
    cork_flush(&connection->worker->cork); /* maybe a backend's bytes: their turn is over too */
    if (connection->state != CONNECTION_DEAD) {
        connection_update_reading(connection);
    }
}

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
        connection_start_tls(connection);
    } else if (ip_block_any_contains(listener->proxy_from, listener->proxy_from_count,
                                     &connection->remote)) {
        connection_enter(connection, CONNECTION_PROXY_HEADER);
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
    list_init(&connection->node);
    list_append(&worker->connections, &connection->node);
    worker->connection_count++;
    traffic_add(worker->traffic, TRAFFIC_CONNECTIONS_OPENED, 1);
    connection->worker = worker;
    connection->listener = listener;
    connection->generation = generation_join(worker->generation);
    connection->remote = address_of(peer);
    /* Worker and count make it unique in the process without sharing anything. */
    connection->id = (uint64_t)worker->id << DIRECTORY_WORKER_SHIFT | ++worker->next_id;
    start(connection);
    if (connection->state != CONNECTION_DEAD) {
        connection_update_reading(connection);
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
    traffic_add(connection->worker->traffic, TRAFFIC_CONNECTIONS_CLOSED, 1);
    stream_close(&connection->stream);
    blob_free(&connection->kept);
    generation_leave(&connection->generation);
    free(connection);
}

static void sweep_one(struct connection *connection)
{
    unwind(connection);
    if (connection->state == CONNECTION_DEAD) {
        if (!connection->is_swept) { /* a callback has not put it back into the list */
            connection_free(connection);
        }
        return;
    }
    if (connection->session != NULL) {
        session_pieces_over(connection->session);
    }
    connection_settle(connection);
    connection_input_kept(connection);
    connection_update_reading(connection);
}

void connection_sweep(struct weir_worker *worker)
{
    while (worker->swept != NULL) {
        struct connection *connection = worker->swept;
        worker->swept = connection->swept_next;
        connection->is_swept = false;
        sweep_one(connection);
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
        } else if (connection->state < CONNECTION_REQUEST && connection->kept == NULL) {
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
