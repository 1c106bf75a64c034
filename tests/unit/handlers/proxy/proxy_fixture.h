/* The session fixture's worker with the real proxy as the last of its chain, a real upstream, and a
 * backend that is the test itself: a listening unix socket, accepted, read and answered by hand
 * between turns of the loop. */
#ifndef WEIR_TESTS_PROXY_FIXTURE_H
#define WEIR_TESTS_PROXY_FIXTURE_H

#include <netinet/in.h>
#include <sys/un.h>

#include "config/config.h"
#include "handlers/proxy/proxy.h"
#include "session/client_fixture.h"
#include "upstream/upstream.h"
#include "upstream/upstreams.h"
#include "upstream/worker_part.h"

enum {
    BACKENDS = 4,
    QUIET_ROUNDS = 6
};

/* One connection that the gateway has made, seen from its other end. */
struct backend_end {
    int fd;
    bool deaf; /* is not read */
    bool ended;
    bool reset;
    struct buffer in;
};

static struct proxy_test {
    struct fixture *f;
    char folder[64];
    char path[96];
    char address[112]; /* of the server, as configured */
    int listener;
    struct config *config;
    struct upstreams *upstreams;
    struct upstream_worker *worker;
    const struct weir_plugin_ops *ops;
    void *plugin;
    void *self;
    struct backend_end ends[BACKENDS];
    size_t accepted;
    struct request_upstream record; /* of the request that was done last */
} px;

/* --- making --- */

static inline void listen_at_path(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", px.path);
    px.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(px.listener >= 0);
    assert_int_equal(bind(px.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(px.listener, 16), 0);
    snprintf(px.address, sizeof px.address, "unix:%s", px.path);
}

static inline void load_upstream(const char *options)
{
    char yaml[1024];
    struct buffer errors = {0};
    snprintf(yaml, sizeof yaml,
             "listen: [{address: '127.0.0.1:1'}]\n"
             "upstreams:\n  back:\n    servers: [{address: '%s'}]\n%s"
             "routes: [{path: /, handler: {proxy: back}}]\n",
             px.address, options);
    enum weir_err err = config_load_text("t.yaml", yaml, strlen(yaml), &errors, &px.config);
    if (err != WEIR_OK) {
        print_error("%.*s", (int)errors.size, (const char *)errors.data);
    }
    assert_int_equal(err, WEIR_OK);
    assert_int_equal(upstreams_new(px.config, "t.yaml", &errors, &px.upstreams), WEIR_OK);
    px.worker = upstream_worker_new(px.upstreams, px.f->worker.loop);
    assert_non_null(px.worker);
    px.f->worker.upstreams = px.worker;
    buffer_free(&errors);
}

/* The plugin before the proxy notes what the access log would. */
static inline void keep_record(struct plug *plug, struct weir_request *request)
{
    const struct request_upstream *record = request_upstream(request);
    (void)plug;
    if (record != NULL) {
        px.record = *record;
    }
}

/* `settings` are the handler's, as JSON; `options` are lines of YAML for the upstream. */
static inline void start_with(const char *settings, const char *options)
{
    char error[256] = "";
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = "back", .file = "", .settings_json = settings};
    load_upstream(options);
    px.ops = proxy_ops();
    if (px.ops->load(&config, &px.plugin, error, sizeof error) != 0 ||
        px.ops->worker_start(px.plugin, &px.f->worker, &px.self, error, sizeof error) != 0) {
        fail_msg("%s", error);
    }
    px.f->chain[SEATS - 1] = (struct chain_link){px.ops, px.self};
    px.f->plugs[0].does.done = keep_record;
}

static inline void start(void)
{
    start_with("{\"forwarded\": \"off\"}", "");
}

static inline int proxy_make(void **state)
{
    memset(&px, 0, sizeof px);
    assert_int_equal(fixture_make(state), 0);
    px.f = *state;
    for (size_t i = 0; i < BACKENDS; i++) {
        px.ends[i].fd = -1;
    }
    strcpy(px.folder, "/tmp/weir-proxy-XXXXXX");
    assert_non_null(mkdtemp(px.folder));
    snprintf(px.path, sizeof px.path, "%s/socket", px.folder);
    px.f->route_config.websocket = NULL;
    px.f->route_config.max_body_size = UINT64_MAX;
    listen_at_path();
    return 0;
}

static inline void stop_listening(void)
{
    if (px.listener >= 0) {
        close(px.listener);
        px.listener = -1;
        unlink(px.path);
    }
}

/* In place of the unix socket; before start. */
static inline void listen_over_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    stop_listening();
    px.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(px.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(px.listener, 16), 0);
    assert_int_equal(getsockname(px.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(px.address, sizeof px.address, "127.0.0.1:%u", ntohs(address.sin_port));
}

/* Nothing of the requests is left: no connection in use, no dial, no lease. */
static inline int proxy_free(void **state)
{
    struct fixture *f = px.f;
    connection_cut_all(&f->worker);
    worker_state_turn_end(&f->worker);
    assert_int_equal(upstream_worker_busy(px.worker), 0);
    px.ops->worker_stop(px.self);
    upstream_worker_free(&px.worker);
    assert_true(loop_turn(f->worker.loop, false)); /* frees what was retired */
    px.ops->unload(px.plugin);
    upstreams_free(&px.upstreams);
    config_release(&px.config);
    stop_listening();
    for (size_t i = 0; i < BACKENDS; i++) {
        if (px.ends[i].fd >= 0) {
            close(px.ends[i].fd);
        }
        buffer_free(&px.ends[i].in);
    }
    rmdir(px.folder);
    return fixture_free(state);
}

/* --- turns --- */

static inline void accept_backends(void)
{
    int fd;
    while (px.listener >= 0 && px.accepted < BACKENDS &&
           (fd = accept4(px.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        px.ends[px.accepted++].fd = fd;
    }
}

static inline void read_end(struct backend_end *end)
{
    while (end->fd >= 0 && !end->deaf && !end->ended) {
        size_t room = 512 * 1024;
        assert_int_equal(buffer_reserve(&end->in, room), WEIR_OK);
        ssize_t got = recv(end->fd, end->in.data + end->in.size, room, MSG_DONTWAIT);
        if (got > 0) {
            end->in.size += (size_t)got;
        } else if (got < 0 && errno == EAGAIN) {
            return;
        } else {
            end->ended = true;
            end->reset = got < 0;
        }
    }
}

static inline size_t all_news(void)
{
    size_t sum = news(px.f);
    accept_backends();
    for (size_t i = 0; i < BACKENDS; i++) {
        read_end(&px.ends[i]);
        sum += px.ends[i].in.size + px.ends[i].ended;
    }
    return sum + px.accepted + upstream_worker_busy(px.worker);
}

/* Turns the loop until nothing more happens by itself. */
static inline void run(void)
{
    size_t before = all_news();
    for (unsigned quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
        assert_true(loop_turn(px.f->worker.loop, false));
        size_t after = all_news();
        if (after != before) {
            quiet = 0;
        }
        before = after;
    }
}

/* Lets time pass for the backend's deadlines. */
static inline void pass_backend_ms(uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < WHEEL_TICK_MS ? ms : WHEEL_TICK_MS;
        loop_skip_ms(px.f->worker.loop, step);
        wheel_advance(px.worker->wheel, loop_now_ms(px.f->worker.loop));
        ms -= step;
        worker_state_turn_end(&px.f->worker);
    }
    run();
}

/* --- both ends --- */

static inline struct client *client_asks(size_t at, const char *text)
{
    struct client *client =
        px.f->clients[at].fd < 0 ? connect_client(px.f, at) : &px.f->clients[at];
    client_send(px.f, client, span_of(text));
    run();
    return client;
}

static inline void end_says(size_t at, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(px.ends[at].fd, text, size, MSG_NOSIGNAL), size);
    run();
}

static inline void end_closes(size_t at)
{
    close(px.ends[at].fd);
    px.ends[at].fd = -1;
    run();
}

/* What the backend has received on a connection, as terminated text; forgotten at the next call. */
static inline const char *end_received(size_t at)
{
    struct buffer *in = &px.ends[at].in;
    assert_int_equal(buffer_append(in, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    in->size = 0;
    return (const char *)in->data;
}

/* Compares a response without its Date line, which every one has. */
static inline void expect_response(struct client *client, const char *wanted)
{
    char text[4096];
    const char *got = received(client);
    const char *date = strstr(got, "Date: ");
    if (date != NULL) {
        const char *behind = strstr(date, "\r\n") + 2;
        snprintf(text, sizeof text, "%.*s%s", (int)(date - got), got, behind);
        assert_string_equal(text, wanted);
    } else {
        assert_string_equal(got, wanted);
    }
}

static inline void expect_status(struct client *client, unsigned status)
{
    char start[32];
    snprintf(start, sizeof start, "HTTP/1.1 %u ", status);
    const char *got = received(client);
    if (strncmp(got, start, strlen(start)) != 0) {
        fail_msg("wanted %u, got: %s", status, got);
    }
}

#define PROXY_TEST(function) cmocka_unit_test_setup_teardown(function, proxy_make, proxy_free)

#endif
