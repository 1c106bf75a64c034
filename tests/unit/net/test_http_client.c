/* Calls to a server that is worked by hand, so that each byte of both sides is the test's. */
#include "http_peer.h"

#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "certificates.h"
#include "net/http_client.h"

struct outcome {
    unsigned told;
    unsigned status;
    char fields[8192]; /* "name=value|" for each */
    size_t field_count;
    struct buffer body;
    char why[HTTP_CALL_WHY_BYTES];
    struct http_call *call;
    void (*then)(struct outcome *outcome); /* runs within the callback */
};

static struct http_client *client;
static struct http_peer peer;
static struct outcome first;
static struct outcome second;
static char url[64];
static char why[HTTP_CALL_WHY_BYTES];
static char folder[] = "/tmp/weir-http-XXXXXX";

static void took(void *context, const struct http_call_answer *answer)
{
    struct outcome *outcome = context;
    outcome->told++;
    outcome->status = answer->status;
    outcome->field_count = answer->header_count;
    outcome->fields[0] = '\0';
    for (size_t i = 0; i < answer->header_count; i++) {
        size_t used = strlen(outcome->fields);
        snprintf(outcome->fields + used, sizeof outcome->fields - used, "%.*s=%.*s|",
                 SPAN_ARGS(answer->headers[i].name), SPAN_ARGS(answer->headers[i].value));
    }
    outcome->body.size = 0;
    assert_int_equal(buffer_append(&outcome->body, answer->body), WEIR_OK);
    snprintf(outcome->why, sizeof outcome->why, "%s", answer->why);
    outcome->call = NULL;
    if (outcome->then != NULL) {
        outcome->then(outcome);
    }
}

static struct http_call_wish wish(void)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", peer.port);
    return (struct http_call_wish){
        .url = span_of(url), .timeout_ms = 15000, .max_response = 1 << 20, .verify = true};
}

static void start(struct outcome *outcome, const struct http_call_wish *wanted)
{
    why[0] = '\0';
    enum weir_err err = http_client_start(client, wanted, took, outcome, why, &outcome->call);
    assert_string_equal(why, "");
    assert_int_equal(err, WEIR_OK);
}

static void get(struct outcome *outcome)
{
    struct http_call_wish wanted = wish();
    start(outcome, &wanted);
}

static void finishes(struct outcome *outcome)
{
    TURN_UNTIL(outcome->told > 0, peer_step(&peer));
    assert_int_equal(outcome->told, 1);
}

static void assert_body(const struct outcome *outcome, const char *text)
{
    assert_int_equal(outcome->body.size, strlen(text));
    if (outcome->body.size > 0) { /* an empty one may have no memory at all */
        assert_memory_equal(outcome->body.data, text, outcome->body.size);
    }
}

static int open_with(SSL_CTX *tls)
{
    signal(SIGPIPE, SIG_IGN); /* as the gateway does: OpenSSL writes without MSG_NOSIGNAL */
    peer_loop = loop_new();
    client = http_client_new(peer_loop);
    peer_open(&peer, tls);
    return client == NULL ? -1 : 0;
}

static int open_plain(void **state)
{
    (void)state;
    return open_with(NULL);
}

static int close_all(void **state)
{
    (void)state;
    http_client_free(&client);
    peer_close(&peer);
    loop_free(&peer_loop);
    buffer_free(&first.body);
    buffer_free(&second.body);
    first = (struct outcome){0};
    second = (struct outcome){0};
    return 0;
}

/* --- requests --- */

static void test_sends_the_request_as_it_was_wished_and_nothing_else(void **state)
{
    (void)state;
    const struct http_call_header fields[] = {{SPAN("X-One"), SPAN(" 1 ")},
                                              {SPAN("X-Empty"), SPAN("")},
                                              {SPAN("Host"), SPAN("example.test")},
                                              {SPAN("Content-Type"), SPAN("application/json")}};
    struct http_call_wish wanted = wish();
    wanted.method = SPAN("PATCH");
    wanted.headers = fields;
    wanted.header_count = 4;
    wanted.body = SPAN("{}\0!");
    start(&first, &wanted);
    peer_takes(&peer, 4);
    assert_string_equal(peer.got, "PATCH / HTTP/1.1\r\nHost: example.test\r\nAccept: */*\r\n"
                                  "X-One: 1\r\nX-Empty:\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 4\r\n\r\n{}");
    assert_memory_equal(peer.got + peer.size - 4, "{}\0!", 4);
    assert_int_equal(first.told, 0);
}

static void test_a_call_without_method_gets_or_posts(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    assert_memory_equal(peer.got, "GET / HTTP/1.1\r\n", 16);
    assert_null(strstr(peer.got, "Content-"));
    peer_says(&peer, "HTTP/1.1 204 No Content\r\n\r\n");
    finishes(&first);
    assert_int_equal(first.status, 204);
    assert_body(&first, "");

    struct http_call_wish wanted = wish();
    wanted.body = SPAN("a=b");
    start(&second, &wanted);
    peer_takes(&peer, 3);
    assert_memory_equal(peer.got, "POST / HTTP/1.1\r\n", 17);
    assert_non_null(strstr(peer.got, "Content-Length: 3\r\n"));
    assert_null(strstr(peer.got, "Content-Type"));
}

static void test_a_post_without_body_says_so(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.method = SPAN("POST");
    start(&first, &wanted);
    peer_takes(&peer, 0);
    assert_non_null(strstr(peer.got, "Content-Length: 0\r\n"));
}

static void test_does_not_wait_for_a_body_of_head(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.method = SPAN("HEAD");
    start(&first, &wanted);
    peer_takes(&peer, 0);
    assert_memory_equal(peer.got, "HEAD / ", 7);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
    finishes(&first);
    assert_int_equal(first.status, 200);
    assert_body(&first, "");
}

static void test_sends_a_body_that_no_socket_takes_at_once(void **state)
{
    (void)state;
    enum {
        SIZE = 3 << 20
    };
    uint8_t *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    }
    struct http_call_wish wanted = wish();
    wanted.body = (struct span){bytes, SIZE};
    start(&first, &wanted);
    peer_takes(&peer, SIZE);
    assert_null(strstr(peer.got, "Expect"));
    assert_memory_equal(peer.got + peer.size - SIZE, bytes, SIZE);
    free(bytes);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    finishes(&first);
    assert_body(&first, "ok");
}

static void refuses(const struct http_call_wish *wanted, const char *words)
{
    struct http_call *call = NULL;
    why[0] = '\0';
    assert_int_equal(http_client_start(client, wanted, took, &first, why, &call), WEIR_EINVAL);
    assert_null(call);
    assert_non_null(strstr(why, words));
}

static void test_refuses_what_is_no_request(void **state)
{
    (void)state;
    static const char *const urls[] = {"",
                                       "127.0.0.1/x",
                                       "file:///etc/passwd",
                                       "ftp://127.0.0.1/",
                                       "http://a b/",
                                       "http://127.0.0.1:99999/",
                                       "http://x/\r\nHost: y",
                                       "gopher://127.0.0.1:6379/_FLUSHALL"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct http_call_wish wanted = wish();
        wanted.url = span_of(urls[i]);
        refuses(&wanted, "URL");
    }
    struct http_call_wish wanted = wish();
    wanted.url = SPAN("http://127.0.0.1/\0x");
    refuses(&wanted, "zero byte");
    static const char *const methods[] = {"G T", "GET\r\nX: y", "CONNECT", "\"GET\""};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        wanted = wish();
        wanted.method = span_of(methods[i]);
        refuses(&wanted, "method");
    }
    wanted = wish();
    wanted.method = SPAN("HEAD");
    wanted.body = SPAN("x");
    refuses(&wanted, "HEAD");
    wanted = wish();
    wanted.timeout_ms = 0;
    refuses(&wanted, "timeout");
}

static void test_refuses_headers_that_cannot_stand_there(void **state)
{
    (void)state;
    const struct http_call_header bad[] = {{SPAN("X"), SPAN("a\r\nInjected: b")},
                                           {SPAN("X"), SPAN("a\0b")},
                                           {SPAN("X Y"), SPAN("a")},
                                           {SPAN(""), SPAN("a")},
                                           {SPAN("X:"), SPAN("a")},
                                           {SPAN("Content-Length"), SPAN("5")},
                                           {SPAN("transfer-encoding"), SPAN("x")},
                                           {SPAN("Connection"), SPAN("close")},
                                           {SPAN("Expect"), SPAN("100-continue")}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_call_wish wanted = wish();
        wanted.headers = &bad[i];
        wanted.header_count = 1;
        refuses(&wanted, "header");
    }
}

/* --- responses --- */

static void test_gives_status_fields_and_body(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 418 Teapot\r\nX-One: 1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
                     "X-Empty:\r\nX-Folded: one\r\n two\r\nContent-Length: 3\r\n\r\nhot");
    finishes(&first);
    assert_int_equal(first.status, 418);
    assert_body(&first, "hot");
    assert_string_equal(first.fields, "X-One=1|Set-Cookie=a=1|set-cookie=b=2|X-Empty=|"
                                      "X-Folded=one two|Content-Length=3|");
}

static void test_gives_the_final_response_without_interim_ones_and_trailers(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
                     "X-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
                     "X-Trailer: t\r\n\r\n");
    finishes(&first);
    assert_int_equal(first.status, 200);
    assert_string_equal(first.fields, "X-One=1|Transfer-Encoding=chunked|");
    assert_body(&first, "abcde");
}

static void test_follows_no_redirect(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    finishes(&first);
    assert_int_equal(first.status, 302);
    assert_string_equal(first.fields, "Location=/other|Content-Length=0|");
    assert_int_equal(peer.accepted, 1);
}

static void test_takes_a_body_up_to_the_limit_and_no_byte_more(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.max_response = 5;
    start(&first, &wanted);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345");
    finishes(&first);
    assert_body(&first, "12345");
    start(&second, &wanted);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n3\r\n");
    peer_says(&peer, "456\r\n");
    finishes(&second);
    assert_int_equal(second.status, 0);
    assert_string_equal(second.why, "the response is longer than 5 bytes");
    assert_body(&second, "");
    TURN_UNTIL(peer.ended, peer_step(&peer)); /* nothing more is taken of it */
}

static void say_fields(unsigned count)
{
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (unsigned i = 1; i < count; i++) {
        peer_says(&peer, "a: b\r\n");
    }
    peer_says(&peer, "\r\n");
}

static void test_takes_fields_up_to_the_limit_and_no_more(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    say_fields(HTTP_CALL_FIELDS);
    finishes(&first);
    assert_int_equal(first.status, 200);
    assert_int_equal(first.field_count, HTTP_CALL_FIELDS);
    get(&second);
    peer_takes(&peer, 0);
    say_fields(HTTP_CALL_FIELDS + 1);
    finishes(&second);
    assert_int_equal(second.status, 0);
    assert_string_equal(second.why, "the response has too many header fields");
}

static void test_gives_up_a_head_that_grows_too_long(void **state)
{
    (void)state;
    static char value[8192];
    memset(value, 'v', sizeof value - 1);
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\n");
    for (size_t sent = 0; sent <= HTTP_CALL_HEAD_BYTES; sent += sizeof value) {
        peer_says(&peer, "x: ");
        peer_says(&peer, value);
        peer_says(&peer, "\r\n");
    }
    finishes(&first);
    assert_int_equal(first.status, 0);
    assert_string_equal(first.why, "the response's header fields are too long");
}

/* --- failures --- */

static void test_a_response_that_ends_early_is_a_failure(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    peer_hang_up(&peer);
    TURN_UNTIL(first.told > 0, peer_turn());
    assert_int_equal(first.status, 0);
    assert_memory_equal(first.why, "the connection ended early", 26);
}

static void test_what_is_no_http_is_a_failure(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "-ERR unknown command\r\n");
    peer_hang_up(&peer);
    TURN_UNTIL(first.told > 0, peer_turn());
    assert_int_equal(first.status, 0);
    assert_true(first.why[0] != '\0');
}

static void test_tells_of_a_timeout(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.timeout_ms = 60;
    start(&first, &wanted);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow");
    finishes(&first);
    assert_int_equal(first.status, 0);
    assert_string_equal(first.why, "timeout");
}

static void test_tells_that_nobody_listens(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    close(peer.listener);
    peer.listener = -1;
    start(&first, &wanted);
    assert_int_equal(first.told, 0); /* never from within */
    TURN_UNTIL(first.told > 0, peer_turn());
    assert_int_equal(first.status, 0);
    assert_memory_equal(first.why, "could not connect", 17);
}

/* --- connections --- */

static void test_uses_a_connection_again(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    finishes(&first);
    get(&second);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    finishes(&second);
    assert_body(&second, "2");
    assert_int_equal(peer.accepted, 1);
}

/* Brings a connection to where it has been used once. */
static void use_once(void)
{
    get(&first);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finishes(&first);
}

static void test_sends_a_post_once_though_a_kept_connection_ends_without_answer(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.body = SPAN("pay");
    use_once();
    start(&second, &wanted);
    peer_takes(&peer, 3);
    assert_int_equal(peer.accepted, 1);
    peer_hang_up(&peer);
    peer.size = 0;
    finishes(&second); /* accepts meanwhile, if something comes */
    assert_int_equal(second.status, 0);
    assert_memory_equal(second.why, "the connection ended early", 26);
    for (int i = 0; i < 50; i++) {
        peer_turn();
        peer_step(&peer);
    }
    assert_int_equal(peer.size, 0); /* libcurl has connected again, but sends nothing there */
}

static void test_sends_an_empty_post_on_a_connection_of_its_own(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.method = SPAN("POST");
    use_once();
    start(&second, &wanted);
    peer_hang_up(&peer);
    peer_takes(&peer, 0);
    assert_int_equal(peer.accepted, 2);
    peer_hang_up(&peer);
    finishes(&second);
    assert_int_equal(second.status, 0);
    assert_int_equal(peer.accepted, 2);
}

static void test_repeats_a_get_when_a_kept_connection_ends_without_answer(void **state)
{
    (void)state;
    use_once();
    get(&second);
    peer_takes(&peer, 0);
    peer_hang_up(&peer);
    peer_takes(&peer, 0);
    assert_int_equal(peer.accepted, 2);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    finishes(&second);
    assert_body(&second, "2");
}

static void test_takes_no_proxy_from_the_environment(void **state)
{
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    use_once();
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_int_equal(first.status, 200);
}

static void test_a_cancelled_call_is_never_told(void **state)
{
    (void)state;
    get(&first);
    peer_takes(&peer, 0);
    http_call_cancel(&first.call);
    assert_null(first.call);
    TURN_UNTIL(peer.ended, peer_step(&peer));
    assert_int_equal(first.told, 0);
    http_call_cancel(&first.call); /* again: nothing */
}

static void test_a_client_that_is_freed_ends_its_calls(void **state)
{
    (void)state;
    get(&first);
    get(&second);
    peer_takes(&peer, 0);
    http_client_free(&client);
    TURN_UNTIL(peer.ended, peer_step(&peer));
    assert_int_equal(first.told + second.told, 0);
}

static void start_second(struct outcome *outcome)
{
    (void)outcome;
    get(&second);
    assert_int_equal(second.told, 0);
}

static void test_a_callback_may_start_a_call(void **state)
{
    (void)state;
    first.then = start_second;
    use_once();
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    finishes(&second);
    assert_body(&second, "2");
    assert_int_equal(peer.accepted, 1);
}

static void cancel_other(struct outcome *outcome)
{
    http_call_cancel(outcome == &first ? &second.call : &first.call);
}

static void test_a_callback_may_cancel_a_call_that_is_done_too(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    wanted.timeout_ms = 30; /* both end in the same turn of libcurl */
    first.then = cancel_other;
    second.then = cancel_other;
    start(&first, &wanted);
    start(&second, &wanted);
    poll(NULL, 0, 60);
    TURN_UNTIL(first.told + second.told > 0, peer_turn());
    for (int i = 0; i < 20; i++) {
        peer_turn();
    }
    assert_int_equal(first.told + second.told, 1);
}

/* --- names --- */

static atomic_int lookups;
static atomic_bool lookup_may_end;

/* In place of the C library's, for libcurl too: "slow.test" takes as long as a test says. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    (void)node;
    (void)service;
    (void)hints;
    *found = NULL;
    atomic_fetch_add(&lookups, 1);
    while (!atomic_load(&lookup_may_end)) {
        poll(NULL, 0, 1);
    }
    atomic_fetch_sub(&lookups, 1);
    return EAI_NONAME;
}

static void test_waits_for_no_lookup_of_a_call_that_is_over(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    atomic_store(&lookup_may_end, false);
    wanted.url = SPAN("http://slow.test/");
    wanted.timeout_ms = 50;
    start(&first, &wanted);
    TURN_UNTIL(atomic_load(&lookups) == 1, peer_turn());
    TURN_UNTIL(first.told > 0, peer_turn()); /* would hang here, as the lookup goes on */
    assert_string_equal(first.why, "timeout");
    assert_int_equal(atomic_load(&lookups), 1);
    wanted.timeout_ms = 10000;
    start(&second, &wanted);
    TURN_UNTIL(atomic_load(&lookups) == 2, peer_turn());
    http_call_cancel(&second.call);
    assert_int_equal(atomic_load(&lookups), 2);
    atomic_store(&lookup_may_end, true);
    TURN_UNTIL(atomic_load(&lookups) == 0, peer_turn());
}

static void test_tells_that_a_name_is_not_known(void **state)
{
    (void)state;
    struct http_call_wish wanted = wish();
    atomic_store(&lookup_may_end, true);
    wanted.url = SPAN("http://nobody.test/");
    start(&first, &wanted);
    TURN_UNTIL(first.told > 0, peer_turn());
    assert_int_equal(first.status, 0);
    assert_memory_equal(first.why, "could not resolve the name", 26);
}

/* --- TLS --- */

static char ca_file[80];
static char other_file[80];
static char certificate_file[80];
static char key_file[80];

static int make_files(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    char unused[80];
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(other_file, sizeof other_file, "%s/other.pem", folder);
    snprintf(certificate_file, sizeof certificate_file, "%s/cert.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/cert.key", folder);
    snprintf(unused, sizeof unused, "%s/unused.key", folder);
    struct identity authority = identity_new("our authority", NULL, NULL, 10);
    struct identity other = identity_new("another authority", NULL, NULL, 10);
    struct identity server = identity_new("server", "IP:127.0.0.1", &authority, 10);
    identity_write(&authority, ca_file, unused);
    identity_write(&other, other_file, unused);
    identity_write(&server, certificate_file, key_file);
    identity_free(&authority);
    identity_free(&other);
    identity_free(&server);
    unlink(unused);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(ca_file);
    unlink(other_file);
    unlink(certificate_file);
    unlink(key_file);
    return rmdir(folder);
}

static SSL_CTX *server_context;

static int open_tls(void **state)
{
    (void)state;
    server_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(server_context, certificate_file, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(server_context, key_file, SSL_FILETYPE_PEM);
    return open_with(server_context);
}

static int close_tls(void **state)
{
    int failed = close_all(state);
    SSL_CTX_free(server_context);
    return failed;
}

static struct http_call_wish tls_wish(const char *ca)
{
    struct http_call_wish wanted = wish();
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", peer.port);
    wanted.url = span_of(url);
    wanted.ca = span_of(ca);
    return wanted;
}

static void succeeds_over_tls(const struct http_call_wish *wanted)
{
    start(&first, wanted);
    peer_takes(&peer, 0);
    peer_says(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    finishes(&first);
    assert_int_equal(first.status, 200);
    assert_body(&first, "secret");
}

static void fails_over_tls(const struct http_call_wish *wanted, const char *words)
{
    start(&first, wanted);
    finishes(&first);
    assert_int_equal(first.status, 0);
    assert_memory_equal(first.why, words, strlen(words));
}

static void test_trusts_the_authority_that_is_named(void **state)
{
    (void)state;
    struct http_call_wish wanted = tls_wish(ca_file);
    succeeds_over_tls(&wanted);
}

static void test_trusts_no_other_authority(void **state)
{
    (void)state;
    struct http_call_wish wanted = tls_wish(other_file);
    fails_over_tls(&wanted, "the server's certificate is not trusted");
    assert_int_equal(peer.size, 0);
}

static void test_trusts_no_certificate_of_another_name(void **state)
{
    (void)state;
    struct http_call_wish wanted = tls_wish(ca_file);
    snprintf(url, sizeof url, "https://[::ffff:127.0.0.1]:%u/", peer.port);
    wanted.url = span_of(url);
    fails_over_tls(&wanted, "the server's certificate is not trusted");
}

static void test_does_not_verify_where_it_is_told_not_to(void **state)
{
    (void)state;
    struct http_call_wish wanted = tls_wish("");
    wanted.verify = false;
    succeeds_over_tls(&wanted);
    /* That connection is not for one who wants to be sure. */
    peer_hang_up(&peer);
    wanted.verify = true;
    start(&second, &wanted);
    finishes(&second);
    assert_int_equal(second.status, 0);
}

static void test_tells_that_the_authority_cannot_be_read(void **state)
{
    (void)state;
    struct http_call_wish wanted = tls_wish("/nowhere/ca.pem");
    fails_over_tls(&wanted, "the CA file cannot be read");
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, open_plain, close_all)
#define TLS(test) cmocka_unit_test_setup_teardown(test, open_tls, close_tls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_sends_the_request_as_it_was_wished_and_nothing_else),
        PLAIN(test_a_call_without_method_gets_or_posts),
        PLAIN(test_a_post_without_body_says_so),
        PLAIN(test_does_not_wait_for_a_body_of_head),
        PLAIN(test_sends_a_body_that_no_socket_takes_at_once),
        PLAIN(test_refuses_what_is_no_request),
        PLAIN(test_refuses_headers_that_cannot_stand_there),
        PLAIN(test_gives_status_fields_and_body),
        PLAIN(test_gives_the_final_response_without_interim_ones_and_trailers),
        PLAIN(test_follows_no_redirect),
        PLAIN(test_takes_a_body_up_to_the_limit_and_no_byte_more),
        PLAIN(test_takes_fields_up_to_the_limit_and_no_more),
        PLAIN(test_gives_up_a_head_that_grows_too_long),
        PLAIN(test_a_response_that_ends_early_is_a_failure),
        PLAIN(test_what_is_no_http_is_a_failure),
        PLAIN(test_tells_of_a_timeout),
        PLAIN(test_tells_that_nobody_listens),
        PLAIN(test_uses_a_connection_again),
        PLAIN(test_sends_a_post_once_though_a_kept_connection_ends_without_answer),
        PLAIN(test_sends_an_empty_post_on_a_connection_of_its_own),
        PLAIN(test_repeats_a_get_when_a_kept_connection_ends_without_answer),
        PLAIN(test_takes_no_proxy_from_the_environment),
        PLAIN(test_a_cancelled_call_is_never_told),
        PLAIN(test_a_client_that_is_freed_ends_its_calls),
        PLAIN(test_a_callback_may_start_a_call),
        PLAIN(test_a_callback_may_cancel_a_call_that_is_done_too),
        PLAIN(test_waits_for_no_lookup_of_a_call_that_is_over),
        PLAIN(test_tells_that_a_name_is_not_known),
        TLS(test_trusts_the_authority_that_is_named),
        TLS(test_trusts_no_other_authority),
        TLS(test_trusts_no_certificate_of_another_name),
        TLS(test_does_not_verify_where_it_is_told_not_to),
        TLS(test_tells_that_the_authority_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
