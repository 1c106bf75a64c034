/* Who is believed what it says of its client: the peer, by http.trusted_proxies. */
#include "client_fixture.h"
#include "session/request_internal.h"

static const char *peer; /* NULL: a unix socket */
static struct ip_block blocks[2];

static bool was_trusted;
static char was_peer[IP_ADDRESS_TEXT_BYTES];

static enum weir_verdict look(struct plug *plug, struct weir_request *request)
{
    struct ip_address *remote = &request->connection->remote;
    (void)plug;
    *remote = (struct ip_address){0};
    if (peer != NULL) {
        assert_int_equal(ip_address_parse(span_of(peer), remote), WEIR_OK);
    }
    was_trusted = request_is_trusted(request);
    ip_address_format(request_peer(request), false, was_peer);
    assert_int_equal(request_reply(request, 200, NULL, 0, SPAN("")), WEIR_OK);
    return WEIR_REPLY;
}

static bool trusts(struct fixture *f, const char *address)
{
    peer = address;
    f->plugs[2].does.request = look;
    client_says(f, &f->clients[0], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(was_peer, address != NULL ? address : "unknown");
    return was_trusted;
}

static void test_trusts_peers_within_the_blocks_alone(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ip_block_parse(SPAN("10.0.0.0/8"), &blocks[0]), WEIR_OK);
    assert_int_equal(ip_block_parse(SPAN("::1"), &blocks[1]), WEIR_OK);
    f->generation.trusted_proxies = blocks;
    f->generation.trusted_proxy_count = 2;
    connect_client(f, 0);
    assert_true(trusts(f, "10.255.0.1"));
    assert_true(trusts(f, "::1"));
    assert_false(trusts(f, "11.0.0.1"));
    assert_false(trusts(f, "::2"));
    assert_false(trusts(f, NULL));
}

static void test_trusts_nobody_by_default(void **state)
{
    struct fixture *f = *state;
    connect_client(f, 0);
    assert_false(trusts(f, "127.0.0.1"));
    assert_false(trusts(f, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trusts_peers_within_the_blocks_alone),
        TEST(test_trusts_nobody_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
