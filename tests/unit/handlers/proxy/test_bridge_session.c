/* The bridge with a real session in front of it: a client on a socketpair, its connection, the
 * chain, the bridge, and a backend on a second socketpair that answers every message with itself.
 */
#include "session/client_fixture.h"

#include "handlers/proxy/bridge_internal.h"
#include "net/cork.h"
#include "proto/ws_decoder.h"
#include "proto/ws_deflate.h"
#include "proto/ws_handshake.h"
#include "proto/ws_mask.h"
#include "session/worker_access.h"

/* The backend's side of a test; there is one. */
static struct {
    struct fixture *f;
    struct backend backend;
    struct upstream_server server;
    struct proxy proxy;
    struct proxy_settings settings;
    struct chain_link chain[2];
    int fd;
    bool silent; /* does not answer messages */
    bool deaf;   /* does not read */
    bool ended;
    unsigned closes;
    uint64_t timeout_ms;
    struct ws_decoder decoder;
    struct buffer in;
    struct buffer out;
    struct buffer heard; /* words of what came */
} b;

/* --- the backend as the bridge knows it --- */

void backend_own(struct backend *backend, const struct backend_ops *ops, void *owner)
{
    backend->ops = ops;
    backend->owner = owner;
}

void backend_set_timeout(struct backend *backend, uint64_t ms)
{
    assert_ptr_equal(backend, &b.backend);
    b.timeout_ms = ms;
}

void backend_close(struct backend **backend)
{
    struct backend *gone = *backend;
    *backend = NULL;
    b.closes++;
    gone->ops = NULL;
    stream_close(&gone->stream);
}

static void backend_ready(struct stream *stream, bool readable, bool writable)
{
    if (b.backend.ops != NULL) {
        b.backend.ops->ready((struct backend *)(void *)stream, readable, writable);
    }
}

/* --- the plugin --- */

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    struct buffer head = {0};
    char accept[WS_ACCEPT_BYTES];
    const char *why = "";
    (void)self;
    struct bridge *bridge = bridge_new(&b.proxy, request, seat);
    assert_non_null(bridge);
    assert_int_equal(bridge_write_fields(bridge, &head), WEIR_OK);
    assert_int_equal(buffer_append(&head, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    const char *key = strstr((const char *)head.data, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    assert_true(ws_handshake_accept((struct span){(const uint8_t *)key + 19, 24}, accept));
    struct http_response response = {.status = 101, .minor = 1, .field_count = 3};
    response.fields[0] = (struct http_field){SPAN("Upgrade"), SPAN("websocket")};
    response.fields[1] = (struct http_field){SPAN("Connection"), SPAN("Upgrade")};
    response.fields[2] = (struct http_field){SPAN("Sec-WebSocket-Accept"), span_of(accept)};
    assert_int_equal(bridge_connected(bridge, &response, NULL, 0, &b.backend, SPAN(""), &why),
                     WEIR_OK);
    *request_seat(request, seat) = bridge;
    buffer_free(&head);
    return WEIR_ACCEPT;
}

static enum weir_verdict on_open(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    return bridge_open(*session_seat(session, seat), session);
}

static enum weir_verdict on_piece(void *self, struct weir_session *session, unsigned seat,
                                  const struct weir_piece *piece)
{
    (void)self;
    return bridge_piece(*session_seat(session, seat), piece);
}

static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    (void)self;
    return bridge_message(*session_seat(session, seat), message);
}

static void on_drain(void *self, struct weir_session *session, unsigned seat)
{
    (void)self;
    bridge_drained(*session_seat(session, seat));
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    (void)self;
    note(b.f, "over(%u,%s) ", ending->code, ending->closed_by);
    bridge_closed(*session_seat(session, seat), ending);
}

static const struct weir_plugin_ops bridge_ops = {
    .struct_size = sizeof bridge_ops,
    .on_request = on_request,
    .on_open = on_open,
    .on_piece = on_piece,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* --- the backend's end --- */

static void add_backend_frame(unsigned first, struct span payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t size = ws_frame_write_head(head, (uint8_t)first, payload.size, NULL);
    assert_int_equal(buffer_append(&b.out, (struct span){head, size}), WEIR_OK);
    assert_int_equal(buffer_append(&b.out, payload), WEIR_OK);
}

static void flush_backend(void)
{
    while (b.out.size > 0 && b.fd >= 0) {
        ssize_t sent = send(b.fd, b.out.data, b.out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) {
            return;
        }
        buffer_drop(&b.out, (size_t)sent);
    }
}

static void hear(const struct ws_event *event)
{
    struct span payload = {event->payload, event->payload_size};
    if (event->type == WS_EVENT_CONTROL) {
        word_of(&b.heard, event->opcode, payload.data, payload.size);
    } else if (!b.silent) {
        unsigned first = event->message_start ? event->opcode : WS_CONTINUATION;
        add_backend_frame(event->message_end ? first | WS_FIN : first, payload);
    }
}

static void backend_turn(void)
{
    static const struct ws_decoder_rules rules = {true, UINT64_MAX};
    while (b.fd >= 0 && !b.deaf && !b.ended) {
        assert_int_equal(buffer_reserve(&b.in, 64 * 1024), WEIR_OK);
        ssize_t got = recv(b.fd, b.in.data + b.in.size, 64 * 1024, MSG_DONTWAIT);
        if (got <= 0) {
            b.ended = got == 0 || errno != EAGAIN;
            break;
        }
        b.in.size += (size_t)got;
        struct ws_event event;
        size_t consumed = 0;
        uint16_t code = 0;
        const char *why = "";
        size_t at = 0;
        while (ws_decoder_next(&b.decoder, &rules, b.in.data + at, b.in.size - at, &consumed,
                               &event, &code, &why) == WEIR_OK) {
            hear(&event);
            at += consumed;
        }
        assert_int_equal(code, 0);
        buffer_drop(&b.in, at);
    }
    flush_backend();
}

/* Turns with the backend in them, until nothing more happens by itself. */
static void all_turns(struct fixture *f)
{
    for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
        size_t before = news(f) + b.heard.size + b.in.size;
        backend_turn();
        assert_true(loop_turn(f->worker.loop, false));
        if (news(f) + b.heard.size + b.in.size != before) {
            quiet = 0;
        }
    }
}

static void expect_heard(const char *wanted)
{
    assert_int_equal(buffer_append(&b.heard, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)b.heard.data, wanted);
    b.heard.size = 0;
}

static void backend_says(struct fixture *f, unsigned first, struct span payload)
{
    add_backend_frame(first, payload);
    all_turns(f);
}

static void backend_hangs_up(struct fixture *f)
{
    close(b.fd);
    b.fd = -1;
    all_turns(f);
}

/* --- making and ending --- */

static int bridge_make(void **state)
{
    int ends[2];
    memset(&b, 0, sizeof b);
    assert_int_equal(fixture_make(state), 0);
    struct fixture *f = *state;
    b.f = f;
    b.settings = (struct proxy_settings){
        .max_message_size = 1 << 20, .close_timeout_ms = 5000, .lost_code = 1014};
    b.proxy = (struct proxy){.settings = &b.settings, .worker = &f->worker};
    b.chain[0] = f->chain[0];
    b.chain[1] = (struct chain_link){&bridge_ops, NULL};
    f->route.chain = b.chain + 1;
    f->route.chain_count = 1;
    f->route.has_sender = false;
    f->route.piecewise = true;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    b.fd = ends[0];
    b.backend.server = &b.server;
    stream_open(&b.backend.stream, f->worker.loop, ends[1], backend_ready);
    return 0;
}

static int bridge_unmake(void **state)
{
    struct fixture *f = *state;
    connection_cut_all(&f->worker);
    worker_state_turn_end(&f->worker);
    if (b.backend.ops != NULL) {
        b.backend.ops->dropped(&b.backend);
    }
    cork_forget(&f->worker.cork, &b.backend.stream);
    stream_close(&b.backend.stream);
    if (b.fd >= 0) {
        close(b.fd);
    }
    buffer_free(&b.in);
    buffer_free(&b.out);
    buffer_free(&b.heard);
    return fixture_free(state);
}

/* A plugin before the bridge that reads and changes messages. */
static void put_plugin_before(struct fixture *f)
{
    f->route.chain = b.chain;
    f->route.chain_count = 2;
    f->route.has_sender = true;
    f->route.piecewise = false;
}

/* --- messages --- */

static void test_takes_messages_there_and_back(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    send_text(f, client, "hello");
    send_texts(f, client, "one|two||three");
    send_frame(f, client, WS_FIN | WS_BINARY, SPAN("bytes"));
    all_turns(f);
    expect_frames(client, "text(hello) text(one) text(two) text() text(three) binary(bytes) ");
}

static void test_takes_a_large_message_there_and_back_unchanged(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    size_t size = (1 << 20) - 7;
    uint8_t *bytes = malloc(size);
    struct buffer frame = {0};
    struct buffer back = {0};
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 1000);
    }
    add_frame(&frame, WS_FIN | WS_BINARY, (struct span){bytes, size});
    for (size_t at = 0; at < frame.size;) {
        ssize_t sent = send(client->fd, frame.data + at, frame.size - at, MSG_NOSIGNAL);
        at += sent > 0 ? (size_t)sent : 0;
        all_turns(f);
    }
    unsigned first = 0;
    for (size_t at = 0; at < client->in.size;) {
        size_t head = 0;
        size_t whole = frame_size(client->in.data + at, client->in.size - at, &head);
        first |= client->in.data[at];
        assert_int_equal(
            buffer_append(&back, (struct span){client->in.data + at + head, whole - head}),
            WEIR_OK);
        at += whole;
    }
    assert_int_equal(first, WS_FIN | WS_BINARY);
    assert_int_equal(back.size, size);
    assert_memory_equal(back.data, bytes, size);
    buffer_free(&back);
    buffer_free(&frame);
    free(bytes);
}

static void test_lets_a_plugin_see_whole_messages_both_ways(void **state)
{
    struct fixture *f = *state;
    put_plugin_before(f);
    struct client *client = open_quietly(f);
    send_frame(f, client, WS_TEXT, SPAN("he"));
    send_frame(f, client, WS_FIN | WS_CONTINUATION, SPAN("llo"));
    all_turns(f);
    expect_journal(f, "a:message(hello) a:send(hello) ");
    expect_frames(client, "text(hello) ");
    b.silent = true;
    backend_says(f, WS_TEXT, SPAN("wor"));
    backend_says(f, WS_FIN | WS_CONTINUATION, SPAN("ld"));
    expect_journal(f, "a:send(world) ");
    expect_frames(client, "text(world) ");
}

static void test_compresses_with_a_client_of_a_plain_backend(void **state)
{
    struct fixture *f = *state;
    f->websocket.compression = (struct config_compression){
        .enabled = true, .server_max_window_bits = 15, .client_max_window_bits = 15, .level = 6};
    f->route.deflate = (struct ws_deflate_params){true, true, 15, 15};
    struct client *client = connect_client(f, 0);
    client_says(f, client,
                "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    assert_true(contains(received(client), "permessage-deflate"));
    struct ws_deflater *deflater = ws_deflater_new(15, 6);
    struct ws_inflater *inflater = ws_inflater_new(15);
    struct buffer wire = {0};
    struct buffer text = {0};
    assert_int_equal(ws_deflater_message(deflater, SPAN("squeezed squeezed"), false, &wire),
                     WEIR_OK);
    send_frame(f, client, WS_FIN | WS_RSV1 | WS_TEXT, buffer_span(&wire));
    all_turns(f);
    size_t head = 0;
    size_t whole = frame_size(client->in.data, client->in.size, &head);
    assert_int_equal(client->in.data[0], WS_FIN | WS_RSV1 | WS_TEXT);
    assert_int_equal(whole, client->in.size);
    struct span back = {client->in.data + head, whole - head};
    assert_int_equal(ws_inflater_message(inflater, back, false, 100, &text), WEIR_OK);
    assert_true(span_equal(buffer_span(&text), SPAN("squeezed squeezed")));
    buffer_free(&wire);
    buffer_free(&text);
    ws_deflater_free(&deflater);
    ws_inflater_free(&inflater);
}

/* --- back-pressure --- */

/* Of all frames that the client has received; a message may have come in several. */
static size_t payload_bytes(const struct client *client)
{
    size_t sum = 0;
    for (size_t at = 0; at < client->in.size;) {
        size_t head = 0;
        size_t size = frame_size(client->in.data + at, client->in.size - at, &head);
        sum += size - head;
        at += size;
    }
    return sum;
}

static void test_stops_reading_the_backend_while_the_client_is_behind(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[32 * 1024];
    struct client *client = open_session(f);
    client->deaf = true;
    b.silent = true;
    size_t messages = 512;
    for (size_t i = 0; i < messages; i++) {
        add_backend_frame(WS_FIN | WS_BINARY, (struct span){bytes, sizeof bytes});
    }
    all_turns(f);
    assert_true(b.out.size > messages / 2 * sizeof bytes); /* most of it stays with the backend */
    assert_false(b.backend.stream.reading);
    client->deaf = false;
    all_turns(f);
    assert_int_equal(b.out.size, 0);
    assert_int_equal(payload_bytes(client), messages * sizeof bytes);
}

static void test_stops_reading_the_client_while_the_backend_is_behind(void **state)
{
    struct fixture *f = *state;
    struct buffer frame = {0};
    static const uint8_t bytes[32 * 1024];
    struct client *client = open_session(f);
    b.deaf = true;
    add_frame(&frame, WS_FIN | WS_BINARY, (struct span){bytes, sizeof bytes});
    size_t sent = 0;
    for (unsigned stuck = 0; stuck < QUIET_TURNS;) {
        size_t at = sent % frame.size;
        ssize_t n = send(client->fd, frame.data + at, frame.size - at, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        stuck = n > 0 ? 0 : stuck + 1;
        all_turns(f);
    }
    assert_true(stream_queued(&b.backend.stream) > BRIDGE_QUEUE_HIGH);
    assert_true(stream_queued(&b.backend.stream) < BRIDGE_QUEUE_HIGH + 2 * WORKER_READ_BYTES);
    b.deaf = false;
    b.silent = true;
    all_turns(f);
    assert_int_equal(stream_queued(&b.backend.stream), 0);
    client_send(f, client,
                (struct span){frame.data + sent % frame.size, frame.size - sent % frame.size});
    b.silent = false;
    send_text(f, client, "after it");
    all_turns(f);
    assert_true(client->in.size >= 10);
    assert_memory_equal(client->in.data + client->in.size - 8, "after it", 8);
    buffer_free(&frame);
}

/* --- the end --- */

static void test_takes_the_clients_close_to_the_backend(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    b.silent = true;
    send_close(f, client, 4000, "bye");
    all_turns(f);
    expect_heard("close(4000,bye) ");
    expect_frames(client, "close(4000,bye) ");
    expect_journal(f, "over(4000,client) ");
    assert_int_equal(b.timeout_ms, 5000);
    backend_says(f, WS_FIN | WS_CLOSE, SPAN("\x0f\xa0"));
    backend_hangs_up(f);
    assert_int_equal(b.closes, 1);
}

static void test_takes_the_backends_close_to_the_client(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    backend_says(f, WS_FIN | WS_CLOSE, SPAN("\x0f\xa1no more"));
    expect_frames(client, "close(4001,no more) ");
    expect_heard("close(4001,no more) ");
    send_close(f, client, 4001, "");
    all_turns(f);
    expect_journal(f, "over(4001,backend) ");
    backend_hangs_up(f);
    assert_int_equal(b.closes, 1);
}

static void test_takes_a_close_without_a_code_to_the_client(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    backend_says(f, WS_FIN | WS_CLOSE, SPAN(""));
    expect_frames(client, "close(1005,) ");
    expect_heard("close(1005,) ");
}

static void test_tells_the_client_of_a_lost_backend(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    backend_says(f, WS_TEXT, SPAN("half of a mess"));
    backend_hangs_up(f);
    /* The first frame is of a message that never ends. */
    assert_true(contains(received(client), "half of a mess"));
    send_close(f, client, 1014, "");
    all_turns(f);
    expect_journal(f, "over(1014,backend) ");
    assert_int_equal(b.closes, 1);
}

static void test_tells_the_backend_of_a_lost_client(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    send_text(f, client, "last words");
    close(client->fd);
    client->fd = -1;
    all_turns(f);
    expect_heard("close(1001,the client is gone) ");
    expect_journal(f, "over(1006,client) ");
}

static void test_closes_the_backend_with_1001_when_the_gateway_drains(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_session(f);
    connection_drain_all(&f->worker);
    all_turns(f);
    send_close(f, client, 1001, "");
    all_turns(f);
    assert_true(contains((const char *)b.heard.data, "close(1001,"));
}

static void test_survives_a_client_that_closes_while_it_is_paused(void **state)
{
    struct fixture *f = *state;
    static const uint8_t bytes[32 * 1024];
    struct buffer frame = {0};
    struct client *client = open_session(f);
    b.deaf = true;
    add_frame(&frame, WS_FIN | WS_BINARY, (struct span){bytes, sizeof bytes});
    while (!f->clients[0].ended && stream_queued(&b.backend.stream) <= BRIDGE_QUEUE_HIGH) {
        ssize_t n = send(client->fd, frame.data, frame.size, MSG_NOSIGNAL);
        assert_int_equal(n, frame.size);
        all_turns(f);
    }
    send_close(f, client, 1000, "done");
    all_turns(f);
    expect_frames(client, ""); /* the close frame is not read before what came before it */
    b.deaf = false;
    b.silent = true;
    all_turns(f);
    expect_heard("close(1000,done) ");
    expect_frames(client, "close(1000,done) ");
    buffer_free(&frame);
}

#undef TEST
#define TEST(function) cmocka_unit_test_setup_teardown(function, bridge_make, bridge_unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_takes_messages_there_and_back),
        TEST(test_takes_a_large_message_there_and_back_unchanged),
        TEST(test_lets_a_plugin_see_whole_messages_both_ways),
        TEST(test_compresses_with_a_client_of_a_plain_backend),
        TEST(test_stops_reading_the_backend_while_the_client_is_behind),
        TEST(test_stops_reading_the_client_while_the_backend_is_behind),
        TEST(test_takes_the_clients_close_to_the_backend),
        TEST(test_takes_the_backends_close_to_the_client),
        TEST(test_takes_a_close_without_a_code_to_the_client),
        TEST(test_tells_the_client_of_a_lost_backend),
        TEST(test_tells_the_backend_of_a_lost_client),
        TEST(test_closes_the_backend_with_1001_when_the_gateway_drains),
        TEST(test_survives_a_client_that_closes_while_it_is_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
