/* A worker, a generation and a chain of three plugins made by hand, with clients on socketpairs.
 * The plugins `a`, `b` and `c` write what they are told into a journal, one word for each call; a
 * test says what else they do. Clients are in client_fixture.h. */
#ifndef WEIR_TESTS_SESSION_FIXTURE_H
#define WEIR_TESTS_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "net/loop.h"
#include "session/connection.h"
#include "session/generation.h"
#include "session/request.h"
#include "session/session.h"
#include "session/worker_state.h"

enum {
    SEATS = 3,
    CLIENTS = 3,
    QUIET_TURNS = 4 /* without anything new, and nothing more will come by itself */
};

struct fixture;
struct plug;

/* What a plugin does besides telling the journal; NULL: hands on. */
struct plug_does {
    enum weir_verdict (*request)(struct plug *plug, struct weir_request *request);
    void (*body)(struct plug *plug, struct weir_request *request, struct span piece, bool last);
    void (*reply_drain)(struct plug *plug, struct weir_request *request);
    void (*done)(struct plug *plug, struct weir_request *request);
    enum weir_verdict (*open)(struct plug *plug, struct weir_session *session);
    enum weir_verdict (*message)(struct plug *plug, struct weir_session *session,
                                 const struct weir_message *message);
    enum weir_verdict (*send)(struct plug *plug, struct weir_session *session,
                              const struct weir_message *message);
    void (*drain)(struct plug *plug, struct weir_session *session);
    void (*close)(struct plug *plug, struct weir_session *session);
};

struct plug {
    struct fixture *f;
    char name;
    unsigned seat;
    struct plug_does does;
    struct weir_request *request; /* the one it was last asked about, while that lives */
    struct weir_session *session; /* the one that was last opened */
};

struct client {
    int fd;
    bool deaf; /* does not read */
    bool ended;
    unsigned packets; /* that were received; each was one send, where sockets keep them apart */
    struct buffer in;
};

struct fixture {
    struct weir_worker worker;
    struct config config;
    struct config_websocket websocket;
    struct config_route route_config;
    struct config_listener listener_config;
    struct listener_setup listener;
    struct route route;
    struct route nowhere;
    struct chain_link chain[SEATS];
    struct generation generation;
    struct generation *held; /* the worker's own use */
    unsigned times_left;
    struct plug plugs[SEATS];
    struct buffer journal;
    struct weir_ending ending; /* that was told last; the reason is below */
    char reason[128];
    int send_buffer_bytes; /* of the gateway's sockets; 0: the system's own */
    bool keep_packets;     /* sockets keep what was sent at once together */
    struct client clients[CLIENTS];
};

/* --- the journal --- */

static inline void note(struct fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void note(struct fixture *f, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_int_equal(buffer_append(&f->journal, span_of(text)), WEIR_OK);
}

/* Compares all that was noted since the last look. */
static inline void expect_journal(struct fixture *f, const char *wanted)
{
    assert_int_equal(buffer_append(&f->journal, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)f->journal.data, wanted);
    f->journal.size = 0;
}

/* --- the plugins --- */

static inline enum weir_verdict plug_on_request(void *self, struct weir_request *request,
                                                unsigned seat)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    note(plug->f, "%c:request ", plug->name);
    plug->request = request;
    return plug->does.request != NULL ? plug->does.request(plug, request) : WEIR_NEXT;
}

static inline void plug_on_body(void *self, struct weir_request *request, unsigned seat,
                                struct weir_bytes piece, int last)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    if (plug->does.body != NULL) {
        plug->does.body(plug, request, (struct span){piece.data, piece.size}, last != 0);
    }
}

static inline void plug_on_reply_drain(void *self, struct weir_request *request, unsigned seat)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    note(plug->f, "%c:reply_drain ", plug->name);
    if (plug->does.reply_drain != NULL) {
        plug->does.reply_drain(plug, request);
    }
}

static inline void keep_ending(struct fixture *f, const struct weir_ending *ending)
{
    f->ending = *ending;
    assert_true(ending->reason.size < sizeof f->reason);
    snprintf(f->reason, sizeof f->reason, "%.*s", (int)ending->reason.size,
             (const char *)ending->reason.data);
    f->ending.reason = (struct weir_bytes){NULL, 0};
}

static inline void plug_on_done(void *self, struct weir_request *request, unsigned seat,
                                const struct weir_ending *ending)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    assert_int_equal(ending->code, 0);
    note(plug->f, "%c:done(%u,%s) ", plug->name, ending->status, ending->closed_by);
    keep_ending(plug->f, ending);
    if (plug->does.done != NULL) {
        plug->does.done(plug, request);
    }
    plug->request = NULL;
}

static inline enum weir_verdict plug_on_open(void *self, struct weir_session *session,
                                             unsigned seat)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    note(plug->f, "%c:open ", plug->name);
    plug->session = session;
    return plug->does.open != NULL ? plug->does.open(plug, session) : WEIR_NEXT;
}

static inline enum weir_verdict plug_on_message(void *self, struct weir_session *session,
                                                unsigned seat, const struct weir_message *message)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    int shown = message->payload.size < 40 ? (int)message->payload.size : 40;
    note(plug->f, "%c:message(%.*s) ", plug->name, shown, (const char *)message->payload.data);
    return plug->does.message != NULL ? plug->does.message(plug, session, message) : WEIR_NEXT;
}

static inline enum weir_verdict plug_on_send(void *self, struct weir_session *session,
                                             unsigned seat, const struct weir_message *message)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    int shown = message->payload.size < 40 ? (int)message->payload.size : 40;
    note(plug->f, "%c:send(%.*s) ", plug->name, shown, (const char *)message->payload.data);
    return plug->does.send != NULL ? plug->does.send(plug, session, message) : WEIR_NEXT;
}

static inline void plug_on_drain(void *self, struct weir_session *session, unsigned seat)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    note(plug->f, "%c:drain ", plug->name);
    if (plug->does.drain != NULL) {
        plug->does.drain(plug, session);
    }
}

static inline void plug_on_close(void *self, struct weir_session *session, unsigned seat,
                                 const struct weir_ending *ending)
{
    struct plug *plug = self;
    assert_int_equal(seat, plug->seat);
    note(plug->f, "%c:close(%u,%s) ", plug->name, ending->code, ending->closed_by);
    keep_ending(plug->f, ending);
    if (plug->does.close != NULL) {
        plug->does.close(plug, session);
    }
    plug->session = NULL;
    plug->request = NULL;
}

static const struct weir_plugin_ops plug_ops = {
    .struct_size = sizeof plug_ops,
    .on_request = plug_on_request,
    .on_body = plug_on_body,
    .on_reply_drain = plug_on_reply_drain,
    .on_done = plug_on_done,
    .on_open = plug_on_open,
    .on_message = plug_on_message,
    .on_send = plug_on_send,
    .on_drain = plug_on_drain,
    .on_close = plug_on_close,
};

/* --- what tests often let a plugin do --- */

/* The handler's own way: sessions are accepted, plain requests answered. */
static inline enum weir_verdict accept_or_hello(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    if (request_wants_session(request)) {
        return WEIR_ACCEPT;
    }
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("hello")), WEIR_OK);
    return WEIR_REPLY;
}

static inline enum weir_verdict wait_request(struct plug *plug, struct weir_request *request)
{
    (void)plug;
    (void)request;
    return WEIR_WAIT;
}

static inline enum weir_verdict wait_open(struct plug *plug, struct weir_session *session)
{
    (void)plug;
    (void)session;
    return WEIR_WAIT;
}

static inline enum weir_verdict wait_message(struct plug *plug, struct weir_session *session,
                                             const struct weir_message *message)
{
    (void)plug;
    (void)session;
    (void)message;
    return WEIR_WAIT;
}

static inline enum weir_verdict echo(struct plug *plug, struct weir_session *session,
                                     const struct weir_message *message)
{
    struct span payload = {message->payload.data, message->payload.size};
    assert_int_equal(session_send(session, plug->seat, message->kind, payload), WEIR_OK);
    return WEIR_NEXT;
}

/* --- making and ending --- */

static inline void fixture_left(struct generation *generation)
{
    struct fixture *f = generation->owner;
    f->times_left++;
}

static inline void fixture_settings(struct fixture *f)
{
    f->config.http = (struct config_http){
        .max_line_size = 8192,
        .max_header_size = 16384,
        .max_headers = 64,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .body_timeout_ms = 20000,
    };
    f->websocket = (struct config_websocket){
        .receive_buffer_size = 64 * 1024,
        .max_message_size = 1 << 20,
        .max_queue_size = 1 << 20,
        .write_timeout_ms = 30000,
        .close_timeout_ms = 5000,
    };
    f->route_config.path = (char *)(uintptr_t) "/";
    f->route_config.max_body_size = 1 << 20;
    f->route_config.websocket = &f->websocket;
    f->listener_config.address = (char *)(uintptr_t) "test";
    f->listener.config = &f->listener_config;
}

static inline void fixture_chain(struct fixture *f)
{
    for (unsigned seat = 0; seat < SEATS; seat++) {
        f->plugs[seat] = (struct plug){.f = f, .name = (char)('a' + seat), .seat = seat};
        f->chain[seat] = (struct chain_link){&plug_ops, &f->plugs[seat]};
    }
    f->plugs[SEATS - 1].does.request = accept_or_hello;
    f->route = (struct route){
        .config = &f->route_config,
        .rules = {.expects_mask = true, .max_message_size = f->websocket.max_message_size},
        .chain = f->chain,
        .chain_count = SEATS,
        .has_sender = true,
    };
    f->nowhere = (struct route){.config = &f->route_config};
    f->generation = (struct generation){
        .config = &f->config,
        .routes = &f->route,
        .route_count = 1,
        .nowhere = &f->nowhere,
        .last_user_left = fixture_left,
        .owner = f,
    };
}

static inline int fixture_make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_settings(f);
    fixture_chain(f);
    for (size_t i = 0; i < CLIENTS; i++) {
        f->clients[i].fd = -1;
    }
    f->worker.loop = loop_new();
    assert_non_null(f->worker.loop);
    f->worker.count = 1;
    assert_int_equal(worker_state_init(&f->worker), WEIR_OK);
    f->held = generation_join(&f->generation);
    f->worker.generation = f->held;
    *state = f;
    return 0;
}

/* Every test ends with nothing left: no connection, no user of the generation. */
static inline int fixture_free(void **state)
{
    struct fixture *f = *state;
    connection_cut_all(&f->worker);
    worker_state_turn_end(&f->worker);
    assert_int_equal(f->worker.connection_count, 0);
    assert_int_equal(f->generation.users, 1);
    assert_int_equal(f->times_left, 0);
    generation_leave(&f->held);
    assert_int_equal(f->times_left, 1);
    worker_state_destroy(&f->worker);
    loop_free(&f->worker.loop);
    buffer_free(&f->journal);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (f->clients[i].fd >= 0) {
            close(f->clients[i].fd);
        }
        buffer_free(&f->clients[i].in);
    }
    free(f);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make, fixture_free)

#endif
