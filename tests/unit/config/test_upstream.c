/* Upstreams, their parts, and the resolver: defaults, every value, and the words for each mistake.
 */
#include "config/config_fixture.h"

#define BASE LISTEN ROUTES

static const char *const servers = "servers: [{address: 'a:1'}]";

/* A file whose only upstream is `{servers: .., BODY}`, on line 3. */
static void write_upstream(const char *body, char *out, size_t size)
{
    snprintf(out, size, BASE "upstreams: {u: {%s%s%s}}\n", servers, body[0] != '\0' ? ", " : "",
             body);
}

static struct config *load_upstream(const char *body)
{
    char yaml[1024];
    write_upstream(body, yaml, sizeof(yaml));
    struct config *config = load_good(yaml);
    assert_int_equal(config->upstream_count, 1);
    assert_string_equal(config->upstreams[0].name, "u");
    return config;
}

/* The errors of an upstream; `said` begins with the column in BODY, counted from 0, and goes on
 * after `upstreams.u.`. */
struct mistake {
    const char *body;
    size_t column;
    const char *said;
};

static void expect_mistake(const struct mistake *mistake)
{
    char yaml[1024];
    char said[1024];
    write_upstream(mistake->body, yaml, sizeof(yaml));
    size_t before = strlen("upstreams: {u: {") + strlen(servers) + strlen(", ");
    snprintf(said, sizeof(said), "t.yaml:3:%zu: upstreams.u.%s\n", before + mistake->column + 1,
             mistake->said);
    expect_errors(yaml, said);
}

static void test_smallest_upstream_has_all_defaults(void **state)
{
    (void)state;
    struct config *c = load_upstream("");
    const struct config_upstream *u = &c->upstreams[0];
    assert_int_equal(u->line, 3);
    assert_int_equal(u->server_count, 1);
    assert_string_equal(u->servers[0].address, "a:1");
    assert_int_equal(u->servers[0].weight, 1);
    assert_int_equal(u->servers[0].max_connections, 0);
    assert_false(u->servers[0].backup);
    assert_int_equal(u->servers[0].state, CONFIG_SERVER_UP);
    assert_int_equal(u->servers[0].line, 3);
    assert_int_equal(u->balance, CONFIG_BALANCE_ROUND_ROBIN);
    assert_null(u->hash);
    assert_null(u->sticky);
    assert_null(u->health_check);
    assert_null(u->tls);
    assert_true(u->ejection.enabled);
    assert_int_equal(u->ejection.failures, 5);
    assert_int_equal(u->ejection.backoff_ms, 5000);
    assert_int_equal(u->ejection.max_backoff_ms, 300000);
    assert_int_equal(u->queue.size, 128);
    assert_int_equal(u->queue.timeout_ms, 10000);
    assert_int_equal(u->keep_alive.max_idle, 32);
    assert_int_equal(u->keep_alive.idle_timeout_ms, 60000);
    assert_int_equal(u->keep_alive.max_requests, 1000);
    assert_int_equal(u->slow_start_ms, 0);
    assert_int_equal(u->connect_timeout_ms, 5000);
    assert_int_equal(u->tries, 2);
    assert_int_equal(u->resolve_interval_ms, 10000);
    assert_int_equal(c->resolver.nameservers.count, 0);
    assert_int_equal(c->resolver.timeout_ms, 5000);
    config_release(&c);
    c = load_good(BASE);
    assert_int_equal(c->upstream_count, 0);
    config_release(&c);
}

static void test_reads_servers_in_both_spellings(void **state)
{
    (void)state;
    struct config *c = load_good(BASE "upstreams:\n"
                                      "  chat:\n"
                                      "    servers:\n"
                                      "      - chat-1:3000\n"
                                      "      - address: '[::1]:3000'\n"
                                      "        weight: 1000\n"
                                      "        max_connections: 7\n"
                                      "        state: draining\n"
                                      "      - {address: unix:/run/a.sock, backup: on, "
                                      "max_connections: unlimited, state: down}\n");
    const struct config_upstream *u = &c->upstreams[0];
    assert_int_equal(u->line, 4);
    assert_int_equal(u->server_count, 3);
    assert_string_equal(u->servers[0].address, "chat-1:3000");
    assert_int_equal(u->servers[0].weight, 1);
    assert_int_equal(u->servers[0].line, 6);
    assert_string_equal(u->servers[1].address, "[::1]:3000");
    assert_int_equal(u->servers[1].weight, 1000);
    assert_int_equal(u->servers[1].max_connections, 7);
    assert_int_equal(u->servers[1].state, CONFIG_SERVER_DRAINING);
    assert_int_equal(u->servers[1].line, 7);
    assert_string_equal(u->servers[2].address, "unix:/run/a.sock");
    assert_true(u->servers[2].backup);
    assert_int_equal(u->servers[2].max_connections, 0);
    assert_int_equal(u->servers[2].state, CONFIG_SERVER_DOWN);
    config_release(&c);
}

static void test_upstreams_keep_their_order_and_names(void **state)
{
    (void)state;
    struct config *c = load_good("upstreams:\n"
                                 "  z.1: {servers: ['z:1']}\n"
                                 "  A_b: {servers: ['a:1', 'b:1']}\n"
                                 "  a_b: {servers: ['z:1']}\n" BASE);
    assert_int_equal(c->upstream_count, 3);
    assert_string_equal(c->upstreams[0].name, "z.1");
    assert_string_equal(c->upstreams[1].name, "A_b");
    assert_int_equal(c->upstreams[1].server_count, 2);
    assert_int_equal(c->upstreams[1].line, 3);
    assert_string_equal(c->upstreams[2].name, "a_b");
    config_release(&c);
    c = load_good("upstreams: {}\n" BASE);
    assert_int_equal(c->upstream_count, 0);
    config_release(&c);
}

static void test_refuses_what_is_no_upstream(void **state)
{
    (void)state;
    expect_errors(BASE "upstreams: [a]\n", "t.yaml:3:12: upstreams: expected a mapping of names to "
                                           "mappings, found a list\n");
    expect_errors(BASE "upstreams: {a: x, b: , c: [x]}\n",
                  "t.yaml:3:16: upstreams.a: expected a mapping, found `x`\n"
                  "t.yaml:3:22: upstreams.b: expected a mapping, found nothing\n"
                  "t.yaml:3:27: upstreams.c: expected a mapping, found a list\n");
    expect_errors(BASE "upstreams:\n"
                       "  a: {servers: ['a:1']}\n"
                       "  a: {servers: ['b:1']}\n",
                  "t.yaml:5:3: upstreams.a: duplicate key, first on line 4\n");
    expect_errors(BASE "upstreams:\n"
                       "  all: {servers: ['a:1']}\n"
                       "  'a b': {servers: ['b:1']}\n"
                       "  '': {servers: ['b:1']}\n",
                  "t.yaml:4:3: upstreams.all: `all` is no name for one upstream: "
                  "`upstream_admin: all` means every one\n"
                  "t.yaml:5:3: upstreams.a b: `a b` has characters that a token may not have (RFC "
                  "9110, section 5.6.2)\n"
                  "t.yaml:6:3: upstreams.: `` is an empty name\n");
    expect_errors(BASE "upstreams: {u: {}}\n", "t.yaml:3:16: upstreams.u: missing key `servers`\n");
    expect_errors(BASE "upstreams: {u: {servers: []}}\n",
                  "t.yaml:3:26: upstreams.u.servers: is empty; at least one is needed\n");
    expect_errors(BASE "upstreams: {u: {servers: 'a:1'}}\n",
                  "t.yaml:3:26: upstreams.u.servers: expected a list of mappings, found `a:1`\n");
    expect_errors(BASE "upstreams: {u: {servers: ['a:1'], blance: hash}}\n",
                  "t.yaml:3:35: upstreams.u.blance: unknown key, did you mean `balance`?\n");
}

static void test_refuses_what_is_no_server(void **state)
{
    (void)state;
    expect_errors(BASE "upstreams:\n"
                       "  u:\n"
                       "    servers:\n"
                       "      - http://a:80\n"
                       "      - a\n"
                       "      - '*:80'\n"
                       "      - {weight: 2}\n"
                       "      - {adress: 'a:1'}\n"
                       "      - [x]\n"
                       "      -\n"
                       "      - 3000\n"
                       "      - {address: 'a:1', weight: 0, max_connections: all, state: drain}\n",
                  "t.yaml:6:9: upstreams.u.servers[0].address: `http://a:80` is a URL; write "
                  "HOST:PORT, and `tls: on` beside `servers` for TLS\n"
                  "t.yaml:7:9: upstreams.u.servers[1].address: `a` has no port; write HOST:PORT, "
                  "[IPV6]:PORT or unix:PATH\n"
                  "t.yaml:8:9: upstreams.u.servers[2].address: `*:80` names no server; write "
                  "HOST:PORT, [IPV6]:PORT or unix:PATH\n"
                  "t.yaml:9:9: upstreams.u.servers[3]: missing key `address`\n"
                  "t.yaml:10:9: upstreams.u.servers[4]: missing key `address`\n"
                  "t.yaml:10:10: upstreams.u.servers[4].adress: unknown key, did you mean "
                  "`address`?\n"
                  "t.yaml:11:9: upstreams.u.servers[5]: expected a mapping, found a list\n"
                  "t.yaml:12:8: upstreams.u.servers[6]: expected a mapping, found nothing\n"
                  "t.yaml:13:9: upstreams.u.servers[7].address: expected a string, found `3000`; "
                  "put it in quotes if it is one\n"
                  "t.yaml:14:34: upstreams.u.servers[8].weight: `0` is out of range: 1 to 1000\n"
                  "t.yaml:14:54: upstreams.u.servers[8].max_connections: `all` is not a whole "
                  "number\n"
                  "t.yaml:14:66: upstreams.u.servers[8].state: `drain` is not one of `up`, "
                  "`draining` or `down`\n");
}

static void test_refuses_the_same_server_twice(void **state)
{
    (void)state;
    expect_errors(BASE "upstreams:\n"
                       "  u:\n"
                       "    servers:\n"
                       "      - Chat:3000\n"
                       "      - chat:3001\n"
                       "      - {address: 'chat:03000'}\n"
                       "      - '[::1]:1'\n"
                       "      - '[0::1]:1'\n"
                       "  v: {servers: ['chat:3000']}\n",
                  "t.yaml:8:19: upstreams.u.servers[2].address: the same as on line 6\n"
                  "t.yaml:10:9: upstreams.u.servers[4].address: the same as on line 9\n");
}

static void test_needs_a_server_that_is_no_backup(void **state)
{
    (void)state;
    expect_errors(BASE "upstreams: {u: {servers: [{address: 'a:1', backup: on}]}}\n",
                  "t.yaml:3:26: upstreams.u.servers: are all backups; at least one must not be\n");
    expect_good(BASE "upstreams: {u: {servers: [{address: 'a:1', backup: on}, 'b:1']}}\n");
}

static void test_hash_says_what_is_hashed(void **state)
{
    (void)state;
    static const struct {
        const char *hash;
        enum config_hash_by by;
        const char *name;
    } rows[] = {{"{by: address}", CONFIG_HASH_ADDRESS, NULL},
                {"{by: path}", CONFIG_HASH_PATH, NULL},
                {"{by: header, name: X-User}", CONFIG_HASH_HEADER, "X-User"},
                {"{by: cookie, name: user}", CONFIG_HASH_COOKIE, "user"},
                {"{by: query, name: 'a b'}", CONFIG_HASH_QUERY, "a b"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "balance: hash, hash: %s", rows[i].hash);
        struct config *c = load_upstream(body);
        const struct config_upstream *u = &c->upstreams[0];
        assert_int_equal(u->balance, CONFIG_BALANCE_HASH);
        assert_int_equal(u->hash->by, rows[i].by);
        assert_int_equal(u->hash->name != NULL, rows[i].name != NULL);
        assert_true(rows[i].name == NULL || strcmp(rows[i].name, u->hash->name) == 0);
        config_release(&c);
    }
}

static void test_refuses_a_hash_that_is_not_whole(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"balance: hash", 9, "balance: needs `hash` beside it: what is hashed"},
        {"hash: {by: path}", 6, "hash: has no effect without `balance: hash`"},
        {"balance: hash, hash: {}", 21, "hash: missing key `by`"},
        {"balance: hash, hash: on", 21, "hash: expected a mapping, found `on`"},
        {"balance: hash, hash: {by: header}", 26,
         "hash.by: needs `name` beside it: of the header field, cookie or parameter"},
        {"balance: hash, hash: {by: query}", 26,
         "hash.by: needs `name` beside it: of the header field, cookie or parameter"},
        {"balance: hash, hash: {by: path, name: x}", 38,
         "hash.name: has no effect with `by: path`"},
        {"balance: hash, hash: {by: address, name: x}", 41,
         "hash.name: has no effect with `by: address`"},
        {"balance: hash, hash: {by: cookie, name: a b}", 40,
         "hash.name: `a b` has characters that a token may not have (RFC 9110, section 5.6.2)"},
        {"balance: hash, hash: {by: coookie, name: a}", 26,
         "hash.by: `coookie` is not one of `address`, `header`, `cookie`, `query` or `path`; did "
         "you mean `cookie`?"},
        {"balance: least_connection", 9,
         "balance: `least_connection` is not one of `round_robin`, `least_connections`, "
         "`random_two`, `hash` or `sticky`; did you mean `least_connections`?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_sticky_is_a_cookie_unless_ids_are_learned(void **state)
{
    (void)state;
    static const char *const defaults[] = {"balance: sticky", "balance: sticky, sticky: {}"};
    for (size_t i = 0; i < 2; i++) {
        struct config *c = load_upstream(defaults[i]);
        const struct config_sticky *s = c->upstreams[0].sticky;
        assert_int_equal(c->upstreams[0].balance, CONFIG_BALANCE_STICKY);
        assert_string_equal(s->cookie, "weir_backend");
        assert_null(s->secret);
        assert_int_equal(s->max_age_ms, 0);
        assert_int_equal(s->same_site, CONFIG_SAME_SITE_LAX);
        assert_int_equal(s->learn, CONFIG_LEARN_NOTHING);
        config_release(&c);
    }
    struct config *c = load_upstream("balance: sticky, sticky: {cookie: where, secret: "
                                     "1234567890123456, max_age: 24h, same_site: none}");
    const struct config_sticky *s = c->upstreams[0].sticky;
    assert_string_equal(s->cookie, "where");
    assert_string_equal(s->secret, "1234567890123456");
    assert_int_equal(s->max_age_ms, 86400000);
    assert_int_equal(s->same_site, CONFIG_SAME_SITE_NONE);
    config_release(&c);
    c = load_upstream("balance: sticky, sticky: {learn: engine.io}");
    s = c->upstreams[0].sticky;
    assert_null(s->cookie);
    assert_int_equal(s->learn, CONFIG_LEARN_ENGINE_IO);
    assert_int_equal(s->learn_ttl_ms, 120000);
    assert_int_equal(s->learn_max_ids, 100000);
    config_release(&c);
    c = load_upstream("balance: sticky, sticky: {learn: signalr, ttl: 1s, max_ids: 1}");
    s = c->upstreams[0].sticky;
    assert_int_equal(s->learn, CONFIG_LEARN_SIGNALR);
    assert_int_equal(s->learn_ttl_ms, 1000);
    assert_int_equal(s->learn_max_ids, 1);
    config_release(&c);
}

static void test_refuses_a_sticky_that_contradicts_itself(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"sticky: {}", 8, "sticky: has no effect without `balance: sticky`"},
        {"balance: sticky, sticky: {cookie: a, learn: signalr}", 34,
         "sticky.cookie: excludes `learn`: a client is known by one or the other"},
        {"balance: sticky, sticky: {learn: signalr, secret: 'sixteen letters!'}", 50,
         "sticky.secret: has no effect with `learn`, which sets no cookie"},
        {"balance: sticky, sticky: {learn: signalr, max_age: 1s}", 51,
         "sticky.max_age: has no effect with `learn`, which sets no cookie"},
        {"balance: sticky, sticky: {learn: signalr, same_site: lax}", 53,
         "sticky.same_site: has no effect with `learn`, which sets no cookie"},
        {"balance: sticky, sticky: {ttl: 1m}", 31, "sticky.ttl: has no effect without `learn`"},
        {"balance: sticky, sticky: {max_ids: 5}", 35,
         "sticky.max_ids: has no effect without `learn`"},
        {"balance: sticky, sticky: {cookie: 'a;b'}", 34,
         "sticky.cookie: `a;b` has characters that a token may not have (RFC 9110, section 5.6.2)"},
        {"balance: sticky, sticky: {max_age: 0}", 35,
         "sticky.max_age: `0` is out of range: 1s to 9600h"},
        {"balance: sticky, sticky: {learn: engin.io}", 33,
         "sticky.learn: `engin.io` is not one of `off`, `engine.io` or `signalr`; did you mean "
         "`engine.io`?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_a_bad_secret_is_not_repeated(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"balance: sticky, sticky: {secret: fifteen-letters}", 34,
         "sticky.secret: is too short: a secret has at least 16 characters"},
        {"balance: sticky, sticky: {secret: 123456789012345}", 34,
         "sticky.secret: is too short: a secret has at least 16 characters"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
    assert_int_equal(setenv("WEIR_TEST_SECRET", "from-the-environment", 1), 0);
    struct config *c = load_upstream("balance: sticky, sticky: {secret: '${WEIR_TEST_SECRET}'}");
    assert_string_equal(c->upstreams[0].sticky->secret, "from-the-environment");
    config_release(&c);
}

static void test_health_check_has_the_type_that_its_keys_mean(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum config_health_type type;
        const char *path;
    } rows[] = {{"on", CONFIG_HEALTH_TCP, NULL},
                {"{}", CONFIG_HEALTH_TCP, NULL},
                {"{interval: 1s}", CONFIG_HEALTH_TCP, NULL},
                {"{path: /healthz?full}", CONFIG_HEALTH_HTTP, "/healthz?full"},
                {"{type: http}", CONFIG_HEALTH_HTTP, "/"},
                {"{type: websocket}", CONFIG_HEALTH_WEBSOCKET, "/"},
                {"{type: websocket, path: /ws}", CONFIG_HEALTH_WEBSOCKET, "/ws"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "health_check: %s", rows[i].body);
        struct config *c = load_upstream(body);
        const struct config_health_check *h = c->upstreams[0].health_check;
        assert_non_null(h);
        assert_int_equal(h->type, rows[i].type);
        assert_int_equal(h->path != NULL, rows[i].path != NULL);
        assert_true(h->path == NULL || strcmp(h->path, rows[i].path) == 0);
        assert_null(h->host);
        assert_int_equal(h->status_from, 200);
        assert_int_equal(h->status_to, 399);
        assert_int_equal(h->timeout_ms, 2000);
        assert_int_equal(h->rise, 2);
        assert_int_equal(h->fall, 3);
        assert_int_equal(h->interval_ms, strstr(rows[i].body, "1s") != NULL ? 1000 : 5000);
        config_release(&c);
    }
    struct config *c = load_upstream("health_check: off");
    assert_null(c->upstreams[0].health_check);
    config_release(&c);
}

static void test_a_status_is_a_number_or_a_range(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        uint64_t from;
        uint64_t to;
    } rows[] = {
        {"100-599", 100, 599}, {"204", 204, 204}, {"'204'", 204, 204}, {"200-200", 200, 200}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "health_check: {path: /, host: a.b, status: %s}",
                 rows[i].status);
        struct config *c = load_upstream(body);
        const struct config_health_check *h = c->upstreams[0].health_check;
        assert_int_equal(h->status_from, rows[i].from);
        assert_int_equal(h->status_to, rows[i].to);
        assert_string_equal(h->host, "a.b");
        config_release(&c);
    }
    static const struct mistake wrong[] = {
        {"health_check: {path: /, status: 99}", 32,
         "health_check.status: `99` is out of range: 100 to 599"},
        {"health_check: {path: /, status: 200-600}", 32,
         "health_check.status: `200-600` is out of range: 100 to 599"},
        {"health_check: {path: /, status: 300-200}", 32,
         "health_check.status: `300-200` ends before it begins"},
        {"health_check: {path: /, status: ok}", 32,
         "health_check.status: `ok` is not a number or a range like `200-399`"},
        {"health_check: {path: /, status: 200-}", 32,
         "health_check.status: `200-` is not a number or a range like `200-399`"},
        {"health_check: {path: /, status: 2-3-4}", 32,
         "health_check.status: `2-3-4` is not a number or a range like `200-399`"},
        {"health_check: {path: /, status: [200]}", 32,
         "health_check.status: expected a number or a range like `200-399`, found a list"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_mistake(&wrong[i]);
    }
}

static void test_refuses_health_keys_without_effect(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"health_check: {type: tcp, path: /}", 32,
         "health_check.path: has no effect with `type: tcp`, which only connects"},
        {"health_check: {host: a}", 21,
         "health_check.host: has no effect with `type: tcp`, which only connects"},
        {"health_check: {status: 200}", 23,
         "health_check.status: has no effect with `type: tcp`, which only connects"},
        {"health_check: {type: websocket, status: 101}", 40,
         "health_check.status: has no effect with `type: websocket`, where only 101 is healthy"},
        {"health_check: {path: healthz}", 21,
         "health_check.path: `healthz` does not start with `/`"},
        {"health_check: {path: '/a b'}", 21,
         "health_check.path: `/a b` has a character that the target of a request may not have"},
        {"health_check: {path: /, host: 'a/b'}", 30,
         "health_check.host: `a/b` is not a host, like example.com or example.com:8080"},
        {"health_check: {rise: 0}", 21, "health_check.rise: `0` is out of range: 1 to 100"},
        {"health_check: yes", 14, "health_check: expected `on`, `off` or a mapping, found `yes`"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_reads_the_limits_of_an_upstream(void **state)
{
    (void)state;
    struct config *c = load_upstream(
        "balance: random_two, ejection: {failures: 1, backoff: 1m, max_backoff: 1m}, queue: {size: "
        "0}, keep_alive: {max_idle: 0, idle_timeout: 1s, max_requests: unlimited}, slow_start: "
        "30s, "
        "connect_timeout: 1s, tries: 16, resolve_interval: 100ms");
    const struct config_upstream *u = &c->upstreams[0];
    assert_int_equal(u->balance, CONFIG_BALANCE_RANDOM_TWO);
    assert_true(u->ejection.enabled);
    assert_int_equal(u->ejection.failures, 1);
    assert_int_equal(u->ejection.backoff_ms, 60000);
    assert_int_equal(u->ejection.max_backoff_ms, 60000);
    assert_int_equal(u->queue.size, 0);
    assert_int_equal(u->keep_alive.max_idle, 0);
    assert_int_equal(u->keep_alive.idle_timeout_ms, 1000);
    assert_int_equal(u->keep_alive.max_requests, 0);
    assert_int_equal(u->slow_start_ms, 30000);
    assert_int_equal(u->connect_timeout_ms, 1000);
    assert_int_equal(u->tries, 16);
    assert_int_equal(u->resolve_interval_ms, 100);
    config_release(&c);
    c = load_upstream("ejection: off");
    assert_false(c->upstreams[0].ejection.enabled);
    config_release(&c);
    c = load_upstream("ejection: on");
    assert_true(c->upstreams[0].ejection.enabled);
    config_release(&c);
}

static void test_refuses_limits_that_do_not_fit(void **state)
{
    (void)state;
    static const struct mistake rows[] = {
        {"tries: 0", 7, "tries: `0` is out of range: 1 to 16"},
        {"tries: 17", 7, "tries: `17` is out of range: 1 to 16"},
        {"resolve_interval: 99ms", 18, "resolve_interval: `99ms` is out of range: 100ms to 24h"},
        {"queue: {size: 0, timeout: 1s}", 26, "queue.timeout: has no effect with `size: 0`"},
        {"queue: off", 7, "queue: expected a mapping, found `off`"},
        {"ejection: {backoff: 10m}", 20,
         "ejection.backoff: `backoff` is longer than `max_backoff`"},
        {"ejection: {max_backoff: 4s}", 24,
         "ejection.max_backoff: `backoff` is longer than `max_backoff`"},
        {"slow_start: on", 12,
         "slow_start: `on` does not begin with a number; durations have ms, s, m or h"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_tls_to_servers_is_a_switch_or_a_mapping(void **state)
{
    (void)state;
    static const char *const switched[] = {"tls: on", "tls: {}"};
    for (size_t i = 0; i < 2; i++) {
        struct config *c = load_upstream(switched[i]);
        const struct config_upstream_tls *t = c->upstreams[0].tls;
        assert_true(t->verify);
        assert_null(t->ca);
        assert_null(t->server_name);
        assert_null(t->certificate);
        assert_null(t->private_key);
        config_release(&c);
    }
    struct config *c = load_upstream("tls: off");
    assert_null(c->upstreams[0].tls);
    config_release(&c);
    c = load_upstream("tls: {ca: tls/client-ca.pem, server_name: a.example, certificate: "
                      "tls/cert.pem, private_key: tls/key.pem}");
    const struct config_upstream_tls *t = c->upstreams[0].tls;
    assert_string_equal(t->ca, "tls/client-ca.pem");
    assert_string_equal(t->server_name, "a.example");
    assert_string_equal(t->certificate, "tls/cert.pem");
    assert_string_equal(t->private_key, "tls/key.pem");
    config_release(&c);
    c = load_upstream("tls: {verify: off, server_name: '::1'}");
    assert_false(c->upstreams[0].tls->verify);
    config_release(&c);
    static const struct mistake rows[] = {
        {"tls: {certificate: tls/cert.pem}", 19, "tls.certificate: needs `private_key` beside it"},
        {"tls: {private_key: tls/key.pem}", 19, "tls.private_key: needs `certificate` beside it"},
        {"tls: {verify: off, ca: tls/client-ca.pem}", 23,
         "tls.ca: has no effect with `verify: off`"},
        {"tls: {ca: tls/none.pem}", 10,
         "tls.ca: `tls/none.pem` cannot be read: No such file or directory"},
        {"tls: {server_name: 'a:443'}", 19,
         "tls.server_name: `a:443` is not a host name, like example.com, or an IP address"},
        {"tls: {server_name: '*.example.com'}", 19,
         "tls.server_name: `*.example.com` is not a host name, like example.com, or an IP address"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_mistake(&rows[i]);
    }
}

static void test_resolver_asks_addresses(void **state)
{
    (void)state;
    struct config *c =
        load_good(BASE "resolver: {nameservers: [127.0.0.11, '10.0.0.1:5353', '::1', "
                       "'[::1]:53'], timeout: 1s}\n");
    assert_int_equal(c->resolver.nameservers.count, 4);
    assert_string_equal(c->resolver.nameservers.items[3], "[::1]:53");
    assert_int_equal(c->resolver.timeout_ms, 1000);
    config_release(&c);
    expect_errors(BASE "resolver: {nameservers: [dns.example, '127.0.0.1:0', '[::1]', "
                       "'[::1]:x', '1.2.3']}\n",
                  "t.yaml:3:26: resolver.nameservers[0]: `dns.example` is not a name server; write "
                  "IP, IP:PORT or [IPV6]:PORT\n"
                  "t.yaml:3:39: resolver.nameservers[1]: `127.0.0.1:0` has no valid port; ports "
                  "are 1 to 65535\n"
                  "t.yaml:3:54: resolver.nameservers[2]: `[::1]` is not a name server; write IP, "
                  "IP:PORT or [IPV6]:PORT\n"
                  "t.yaml:3:63: resolver.nameservers[3]: `[::1]:x` has no valid port; ports are 1 "
                  "to 65535\n"
                  "t.yaml:3:74: resolver.nameservers[4]: `1.2.3` is not a name server; write IP, "
                  "IP:PORT or [IPV6]:PORT\n");
}

static void test_ranges_end_where_they_say(void **state)
{
    (void)state;
    static const struct range_row rows[] = {
        {"servers: [{address: 'a:1', weight: ", {"0", "1", "1000", "1001"}, "}]", "1 to 1000"},
        {"servers: [{address: 'a:1', max_connections: ",
         {NULL, "0", "1000000", "1000001"},
         "}]",
         "0 to 1000000"},
        {"balance: sticky, sticky: {max_age: ",
         {"999ms", "1s", "9600h", "9601h"},
         "}, servers: ['a:1']",
         "1s to 9600h"},
        {"balance: sticky, sticky: {learn: signalr, ttl: ",
         {"999ms", "1s", "24h", "25h"},
         "}, servers: ['a:1']",
         "1s to 24h"},
        {"balance: sticky, sticky: {learn: signalr, max_ids: ",
         {"0", "1", "10000000", "10000001"},
         "}, servers: ['a:1']",
         "1 to 10000000"},
        {"servers: ['a:1'], health_check: {interval: ",
         {"9ms", "10ms", "1h", "61m"},
         "}",
         "10ms to 1h"},
        {"servers: ['a:1'], health_check: {timeout: ",
         {"9ms", "10ms", "1h", "61m"},
         "}",
         "10ms to 1h"},
        {"servers: ['a:1'], health_check: {rise: ", {"0", "1", "100", "101"}, "}", "1 to 100"},
        {"servers: ['a:1'], health_check: {fall: ", {"0", "1", "100", "101"}, "}", "1 to 100"},
        {"servers: ['a:1'], health_check: {path: /, status: ",
         {"99", "100", "599", "600"},
         "}",
         "100 to 599"},
        {"servers: ['a:1'], ejection: {failures: ", {"0", "1", "1000", "1001"}, "}", "1 to 1000"},
        {"servers: ['a:1'], ejection: {max_backoff: 24h, backoff: ",
         {"9ms", "10ms", "24h", "25h"},
         "}",
         "10ms to 24h"},
        {"servers: ['a:1'], ejection: {backoff: 10ms, max_backoff: ",
         {"9ms", "10ms", "24h", "25h"},
         "}",
         "10ms to 24h"},
        {"servers: ['a:1'], queue: {size: ",
         {NULL, "0", "1000000", "1000001"},
         "}",
         "0 to 1000000"},
        {"servers: ['a:1'], queue: {timeout: ", {"9ms", "10ms", "1h", "61m"}, "}", "10ms to 1h"},
        {"servers: ['a:1'], keep_alive: {max_idle: ",
         {NULL, "0", "10000", "10001"},
         "}",
         "0 to 10000"},
        {"servers: ['a:1'], keep_alive: {idle_timeout: ",
         {"9ms", "10ms", "24h", "25h"},
         "}",
         "10ms to 24h"},
        {"servers: ['a:1'], keep_alive: {max_requests: ",
         {NULL, "0", "1000000000", "1000000001"},
         "}",
         "0 to 1000000000"},
        {"servers: ['a:1'], slow_start: ", {"9ms", "10ms", "1h", "61m"}, "", "10ms to 1h"},
        {"servers: ['a:1'], connect_timeout: ", {"9ms", "10ms", "1h", "61m"}, "", "10ms to 1h"},
        {"servers: ['a:1'], tries: ", {"0", "1", "16", "17"}, "", "1 to 16"},
        {"servers: ['a:1'], resolve_interval: ",
         {"99ms", "100ms", "24h", "25h"},
         "",
         "100ms to 24h"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct range_row row = rows[i];
        char after[64];
        snprintf(after, sizeof(after), "%s}}", row.after);
        row.after = after;
        expect_range(BASE "upstreams: {u: {", &row);
    }
    expect_range(BASE,
                 &(struct range_row){
                     "resolver: {timeout: ", {"9ms", "10ms", "5m", "301s"}, "}", "10ms to 5m"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_end_where_they_say),
        cmocka_unit_test(test_smallest_upstream_has_all_defaults),
        cmocka_unit_test(test_reads_servers_in_both_spellings),
        cmocka_unit_test(test_upstreams_keep_their_order_and_names),
        cmocka_unit_test(test_refuses_what_is_no_upstream),
        cmocka_unit_test(test_refuses_what_is_no_server),
        cmocka_unit_test(test_refuses_the_same_server_twice),
        cmocka_unit_test(test_needs_a_server_that_is_no_backup),
        cmocka_unit_test(test_hash_says_what_is_hashed),
        cmocka_unit_test(test_refuses_a_hash_that_is_not_whole),
        cmocka_unit_test(test_sticky_is_a_cookie_unless_ids_are_learned),
        cmocka_unit_test(test_refuses_a_sticky_that_contradicts_itself),
        cmocka_unit_test(test_a_bad_secret_is_not_repeated),
        cmocka_unit_test(test_health_check_has_the_type_that_its_keys_mean),
        cmocka_unit_test(test_a_status_is_a_number_or_a_range),
        cmocka_unit_test(test_refuses_health_keys_without_effect),
        cmocka_unit_test(test_reads_the_limits_of_an_upstream),
        cmocka_unit_test(test_refuses_limits_that_do_not_fit),
        cmocka_unit_test(test_tls_to_servers_is_a_switch_or_a_mapping),
        cmocka_unit_test(test_resolver_asks_addresses),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
