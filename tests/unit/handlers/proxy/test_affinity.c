/* What is read out of requests and answers to tie a client to a server. The request is written by
 * hand; what upstream/ would be asked is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/proxy/affinity.h"
#include "proto/session_token.h"
#include "session/request.h"
#include "upstream/sticky.h"

enum {
    FIELDS = 8
};

struct weir_request {
    const char *method;
    const char *path;
    const char *query;
    const char *remote;
    const char *scheme;
    bool trusted;                    /* it comes from a trusted proxy */
    const char *headers[2 * FIELDS]; /* names and values in turn, NULL at the end */
};

static struct weir_request request;
static struct config_hash hash;
static struct config_sticky sticky;
static struct config_upstream config;
static struct upstream_server server;
static struct proxy proxy;
static char learned[SESSION_TOKEN_MAX + 1];
static unsigned learned_count;

static struct span text_or_nothing(const char *text)
{
    return text != NULL ? span_of(text) : (struct span){NULL, 0};
}

struct span request_method(const struct weir_request *asked)
{
    return span_of(asked->method);
}

struct span request_path(const struct weir_request *asked)
{
    return span_of(asked->path);
}

struct span request_query(const struct weir_request *asked)
{
    return span_of(asked->query);
}

const char *request_remote(const struct weir_request *asked)
{
    return asked->remote;
}

struct span request_host(const struct weir_request *asked)
{
    (void)asked;
    return SPAN("example.com");
}

const struct ip_address *request_peer(const struct weir_request *asked)
{
    (void)asked;
    return NULL; /* nobody asks for it here */
}

bool request_is_trusted(const struct weir_request *asked)
{
    return asked->trusted;
}

const char *request_scheme(const struct weir_request *asked)
{
    return asked->scheme;
}

size_t request_header_count(const struct weir_request *asked)
{
    size_t count = 0;
    while (asked->headers[2 * count] != NULL) {
        count++;
    }
    return count;
}

struct span request_header_name(const struct weir_request *asked, size_t index)
{
    return span_of(asked->headers[2 * index]);
}

struct span request_header_value(const struct weir_request *asked, size_t index)
{
    return span_of(asked->headers[2 * index + 1]);
}

struct span request_header(const struct weir_request *asked, struct span name)
{
    for (size_t i = 0; i < request_header_count(asked); i++) {
        if (span_equal_nocase(request_header_name(asked, i), name)) {
            return request_header_value(asked, i);
        }
    }
    return text_or_nothing(NULL);
}

const struct config_upstream *upstream_config(const struct upstream *upstream)
{
    assert_null(upstream);
    return &config;
}

/* A cookie is believed where it is the server's number with an "s" before it. */
uint64_t sticky_cookie_read(const struct upstream *upstream, struct span value)
{
    (void)upstream;
    return value.size == 2 && value.data[0] == 's' ? (uint64_t)(value.data[1] - '0') : 0;
}

enum weir_err sticky_cookie_write(const struct upstream *upstream, const struct upstream_server *to,
                                  bool secure, struct buffer *out)
{
    (void)upstream;
    return buffer_printf(out, "cookie=s%d%s", (int)to->id, secure ? "; Secure" : "");
}

void sticky_learn(struct upstream *upstream, struct span token, const struct upstream_server *of)
{
    (void)upstream;
    assert_ptr_equal(of, &server);
    assert_true(token.size < sizeof learned);
    memcpy(learned, token.data, token.size);
    learned[token.size] = '\0';
    learned_count++;
}

uint64_t sticky_recall(struct upstream *upstream, struct span token)
{
    (void)upstream;
    return span_equal(token, SPAN("known id")) ? 9 : 0;
}

static int set_up(void **state)
{
    (void)state;
    request = (struct weir_request){
        .method = "GET",
        .path = "/socket.io/",
        .query = "",
        .remote = "203.0.113.7",
        .scheme = "http",
    };
    hash = (struct config_hash){.by = CONFIG_HASH_ADDRESS};
    sticky = (struct config_sticky){.cookie = NULL};
    config = (struct config_upstream){.hash = NULL};
    proxy = (struct proxy){.upstream = NULL};
    server = (struct upstream_server){.id = 4};
    atomic_init(&server.references, 1);
    learned_count = 0;
    learned[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&server.references), 1);
    return 0;
}

/* --- what a request asks for --- */

static uint64_t wished_server(void)
{
    struct buffer scratch = {0};
    struct dial_wish wish = {.server_id = 77};
    affinity_of_request(&proxy, &request, &scratch, &wish);
    buffer_free(&scratch);
    return wish.server_id;
}

static void assert_key(enum config_hash_by by, const char *name, const char *expected)
{
    struct buffer scratch = {0};
    struct dial_wish wish = {.hash_key = SPAN("rest"), .fresh = true};
    char room[64];
    snprintf(room, sizeof room, "%s", name);
    hash = (struct config_hash){.by = by, .name = room};
    config.hash = &hash;
    affinity_of_request(&proxy, &request, &scratch, &wish);
    assert_int_equal(wish.hash_key.size, strlen(expected));
    if (wish.hash_key.size > 0) {
        assert_memory_equal(wish.hash_key.data, expected, wish.hash_key.size);
    }
    assert_true(wish.fresh); /* not ours to say */
    buffer_free(&scratch);
}

static void test_the_address_is_hashed(void **state)
{
    (void)state;
    assert_key(CONFIG_HASH_ADDRESS, "", "203.0.113.7");
}

static void test_the_path_is_hashed(void **state)
{
    (void)state;
    assert_key(CONFIG_HASH_PATH, "", "/socket.io/");
}

static void test_a_header_is_hashed(void **state)
{
    (void)state;
    request.headers[0] = "X-Tenant";
    request.headers[1] = "acme";
    assert_key(CONFIG_HASH_HEADER, "x-tenant", "acme");
    assert_key(CONFIG_HASH_HEADER, "X-Other", "");
}

static void test_a_cookie_is_hashed_whichever_field_it_is_in(void **state)
{
    (void)state;
    request.headers[0] = "Cookie";
    request.headers[1] = "a=1; b=2";
    request.headers[2] = "cookie";
    request.headers[3] = "user=bob; c=3";
    assert_key(CONFIG_HASH_COOKIE, "user", "bob");
    assert_key(CONFIG_HASH_COOKIE, "b", "2");
    assert_key(CONFIG_HASH_COOKIE, "User", "");
}

static void test_a_query_parameter_is_hashed_decoded(void **state)
{
    (void)state;
    request.query = "x=1&ro%6fm=red+r%6fom&room=blue";
    assert_key(CONFIG_HASH_QUERY, "room", "red room");
    assert_key(CONFIG_HASH_QUERY, "x", "1");
    assert_key(CONFIG_HASH_QUERY, "y", "");
    request.query = "";
    assert_key(CONFIG_HASH_QUERY, "room", "");
}

static void test_without_settings_a_request_may_go_anywhere(void **state)
{
    struct buffer scratch = {0};
    struct dial_wish wish = {.hash_key = SPAN("rest"), .server_id = 77};
    (void)state;
    affinity_of_request(&proxy, &request, &scratch, &wish);
    assert_int_equal(wish.hash_key.size, 0);
    assert_int_equal(wish.server_id, 0);
    buffer_free(&scratch);
}

static void use_cookie(void)
{
    static char name[] = "weir_backend";
    sticky.cookie = name;
    config.sticky = &sticky;
}

static void use_learning(enum config_learn learn)
{
    sticky.learn = learn;
    config.sticky = &sticky;
}

static void test_the_cookie_names_the_server(void **state)
{
    (void)state;
    use_cookie();
    assert_int_equal(wished_server(), 0);
    request.headers[0] = "Cookie";
    request.headers[1] = "a=1; weir_backend=s4";
    assert_int_equal(wished_server(), 4);
    request.headers[1] = "weir_backend=forged";
    assert_int_equal(wished_server(), 0);
}

static void test_a_learned_id_names_the_server(void **state)
{
    (void)state;
    use_learning(CONFIG_LEARN_ENGINE_IO);
    request.query = "EIO=4&transport=polling&sid=known%20id";
    assert_int_equal(wished_server(), 9);
    request.query = "EIO=4&transport=polling&sid=unknown";
    assert_int_equal(wished_server(), 0);
    request.query = "EIO=4&transport=polling&id=known%20id";
    assert_int_equal(wished_server(), 0);
    sticky.learn = CONFIG_LEARN_SIGNALR;
    assert_int_equal(wished_server(), 9);
}

/* --- what the response tells the client --- */

static void assert_set_cookie(const char *expected)
{
    struct buffer out = {0};
    affinity_cookie(&proxy, &request, &server, &out);
    assert_int_equal(out.size, strlen(expected));
    if (out.size > 0) {
        assert_memory_equal(out.data, expected, out.size);
    }
    buffer_free(&out);
}

static void test_a_cookie_is_set_where_the_client_has_none_for_that_server(void **state)
{
    (void)state;
    use_cookie();
    assert_set_cookie("cookie=s4");
    request.headers[0] = "Cookie";
    request.headers[1] = "weir_backend=s5";
    assert_set_cookie("cookie=s4");
    request.headers[1] = "weir_backend=forged";
    assert_set_cookie("cookie=s4");
    request.headers[1] = "weir_backend=s4";
    assert_set_cookie("");
}

static void test_the_cookie_is_secure_where_the_client_came_by_tls(void **state)
{
    (void)state;
    use_cookie();
    request.scheme = "https";
    assert_set_cookie("cookie=s4; Secure");
    request.scheme = "wss";
    assert_set_cookie("cookie=s4; Secure");
    request.scheme = "ws";
    assert_set_cookie("cookie=s4");
}

static void test_the_cookie_is_secure_where_a_trusted_proxy_speaks_tls(void **state)
{
    (void)state;
    use_cookie();
    request.headers[0] = "X-Forwarded-Proto";
    request.headers[1] = "https";
    assert_set_cookie("cookie=s4");
    request.trusted = true;
    assert_set_cookie("cookie=s4; Secure");
    request.headers[1] = "HTTPS, http";
    assert_set_cookie("cookie=s4; Secure");
    request.headers[1] = "http";
    request.scheme = "https";
    assert_set_cookie("cookie=s4");
}

static void test_no_cookie_is_set_where_none_is_configured(void **state)
{
    (void)state;
    assert_set_cookie("");
    use_learning(CONFIG_LEARN_ENGINE_IO);
    assert_set_cookie("");
}

/* --- what is learned from answers --- */

static struct http_response answer(unsigned status, const char *coding)
{
    struct http_response response = {.status = status, .body = HTTP_RESPONSE_CHUNKED};
    if (coding != NULL) {
        response.field_count = 1;
        response.fields[0].name = SPAN("content-encoding");
        response.fields[0].value = span_of(coding);
    }
    return response;
}

static struct affinity_reader *reader_for(const struct http_response *response)
{
    return affinity_reader_new(&proxy, &request, response, &server);
}

static bool is_watched(void)
{
    struct http_response response = answer(200, NULL);
    struct affinity_reader *reader = reader_for(&response);
    bool watched = reader != NULL;
    affinity_reader_free(&reader);
    return watched;
}

static const char open_packet[] =
    "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[\"websocket\"]}";
static const char negotiated[] = "{\"connectionId\":\"public\",\"connectionToken\":\"secret\","
                                 "\"negotiateVersion\":1,\"availableTransports\":[]}";

static void ask_engine_io(void)
{
    use_learning(CONFIG_LEARN_ENGINE_IO);
    request.query = "EIO=4&transport=polling&t=abc";
}

static void ask_signalr(void)
{
    use_learning(CONFIG_LEARN_SIGNALR);
    request.method = "POST";
    request.path = "/chat/negotiate";
    request.query = "negotiateVersion=1";
}

static void learn_split_at(const char *body, size_t at, const char *expected)
{
    struct http_response response = answer(200, NULL);
    struct affinity_reader *reader = reader_for(&response);
    struct span whole = span_of(body);
    learned_count = 0;
    assert_non_null(reader);
    if (!affinity_reader_feed(reader, (struct span){whole.data, at})) {
        assert_int_equal(learned_count, 0);
        assert_true(affinity_reader_feed(reader, span_from(whole, at)));
    }
    assert_int_equal(learned_count, 1);
    assert_string_equal(learned, expected);
    affinity_reader_free(&reader);
    assert_null(reader);
}

static void learn_by_bytes(const char *body, const char *expected)
{
    struct http_response response = answer(200, NULL);
    struct affinity_reader *reader = reader_for(&response);
    bool done = false;
    learned_count = 0;
    for (const char *at = body; !done; at++) {
        assert_true(*at != '\0');
        done = affinity_reader_feed(reader, (struct span){(const uint8_t *)at, 1});
    }
    assert_int_equal(learned_count, 1);
    assert_string_equal(learned, expected);
    affinity_reader_free(&reader);
}

static void test_the_sid_of_a_first_answer_is_learned_however_it_is_cut(void **state)
{
    (void)state;
    ask_engine_io();
    for (size_t at = 0; at < strlen(open_packet); at++) {
        learn_split_at(open_packet, at, "lv_VI97HAXpY6yYWAAAC");
    }
    learn_by_bytes(open_packet, "lv_VI97HAXpY6yYWAAAC");
}

static void test_the_token_of_a_negotiation_is_learned_however_it_is_cut(void **state)
{
    (void)state;
    ask_signalr();
    for (size_t at = 0; at < strlen(negotiated); at++) {
        learn_split_at(negotiated, at, "secret");
    }
    learn_by_bytes(negotiated, "secret");
}

static void test_only_requests_that_open_an_engine_io_session_are_watched(void **state)
{
    static const struct {
        const char *method;
        const char *query;
        bool watched;
    } cases[] = {
        {"GET", "EIO=4&transport=polling", true},
        {"POST", "EIO=4&transport=polling", true},
        {"GET", "transport=polling&EIO=3&b64=1", true},
        {"GET", "EIO=4&transport=polling&sid=abc", false},
        {"GET", "EIO=4&transport=polling&sid=", false},
        {"GET", "EIO=4&transport=websocket", false},
        {"GET", "EIO=4", false},
        {"GET", "transport=polling", false},
        {"GET", "", false},
        {"OPTIONS", "EIO=4&transport=polling", false},
        {"HEAD", "EIO=4&transport=polling", false},
    };
    (void)state;
    use_learning(CONFIG_LEARN_ENGINE_IO);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request.method = cases[i].method;
        request.query = cases[i].query;
        assert_int_equal(is_watched(), cases[i].watched);
    }
}

static void test_only_negotiations_are_watched_for_signalr(void **state)
{
    (void)state;
    ask_signalr();
    assert_true(is_watched());
    request.path = "/negotiate";
    assert_true(is_watched());
    request.path = "/chat/renegotiate";
    assert_false(is_watched());
    request.path = "/chat";
    assert_false(is_watched());
    request.path = "/chat/negotiate";
    request.method = "GET";
    assert_false(is_watched());
}

static void test_nothing_is_watched_where_nothing_is_learned(void **state)
{
    (void)state;
    request.query = "EIO=4&transport=polling";
    assert_false(is_watched());
    use_cookie();
    assert_false(is_watched());
}

static void test_only_plain_answers_of_status_200_are_watched(void **state)
{
    struct http_response response = answer(400, NULL);
    (void)state;
    ask_engine_io();
    assert_null(reader_for(&response));
    response = answer(201, NULL);
    assert_null(reader_for(&response));
    response = answer(200, "gzip");
    assert_null(reader_for(&response));
    response = answer(200, NULL);
    response.body = HTTP_RESPONSE_NONE;
    assert_null(reader_for(&response));
    response = answer(200, "Identity");
    struct affinity_reader *reader = reader_for(&response);
    assert_non_null(reader);
    affinity_reader_free(&reader);
}

static void test_an_answer_without_an_id_is_given_up(void **state)
{
    struct http_response response = answer(200, NULL);
    (void)state;
    ask_engine_io();
    struct affinity_reader *reader = reader_for(&response);
    assert_true(affinity_reader_feed(reader, SPAN("<html>")));
    affinity_reader_free(&reader);
    reader = reader_for(&response);
    assert_false(affinity_reader_feed(reader, SPAN("0{\"other\":")));
    affinity_reader_free(&reader); /* the body has ended here */
    assert_int_equal(learned_count, 0);
}

/* An answer that may still bring an id, but is too long for one. */
static void test_an_endless_answer_is_given_up(void **state)
{
    static uint8_t filler[SESSION_TOKEN_BODY_MAX];
    struct http_response response = answer(200, NULL);
    size_t fed = 3;
    bool done = false;
    (void)state;
    memset(filler, ' ', sizeof filler);
    ask_signalr();
    struct affinity_reader *reader = reader_for(&response);
    assert_false(affinity_reader_feed(reader, SPAN("{  ")));
    while (!done) {
        done = affinity_reader_feed(reader, (struct span){filler, 1000});
        fed += 1000;
        assert_int_equal(done, fed >= SESSION_TOKEN_BODY_MAX);
    }
    affinity_reader_free(&reader);
    reader = reader_for(&response);
    assert_true(affinity_reader_feed(reader, (struct span){filler, sizeof filler}));
    affinity_reader_free(&reader);
    assert_int_equal(learned_count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_address_is_hashed),
        CASE(test_the_path_is_hashed),
        CASE(test_a_header_is_hashed),
        CASE(test_a_cookie_is_hashed_whichever_field_it_is_in),
        CASE(test_a_query_parameter_is_hashed_decoded),
        CASE(test_without_settings_a_request_may_go_anywhere),
        CASE(test_the_cookie_names_the_server),
        CASE(test_a_learned_id_names_the_server),
        CASE(test_a_cookie_is_set_where_the_client_has_none_for_that_server),
        CASE(test_the_cookie_is_secure_where_the_client_came_by_tls),
        CASE(test_the_cookie_is_secure_where_a_trusted_proxy_speaks_tls),
        CASE(test_no_cookie_is_set_where_none_is_configured),
        CASE(test_the_sid_of_a_first_answer_is_learned_however_it_is_cut),
        CASE(test_the_token_of_a_negotiation_is_learned_however_it_is_cut),
        CASE(test_only_requests_that_open_an_engine_io_session_are_watched),
        CASE(test_only_negotiations_are_watched_for_signalr),
        CASE(test_nothing_is_watched_where_nothing_is_learned),
        CASE(test_only_plain_answers_of_status_200_are_watched),
        CASE(test_an_answer_without_an_id_is_given_up),
        CASE(test_an_endless_answer_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
