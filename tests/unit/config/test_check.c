/* Checks across keys. */
#include "config/config_fixture.h"

static void test_refuses_duplicate_routes(void **state)
{
    (void)state;
    expect_errors(LISTEN "routes:\n"
                         "  - {path: /a, handler: {static: www}}\n"
                         "  - {path: /b, host: a.com, handler: {static: www}}\n"
                         "  - {path: /a, handler: {lua: echo}}\n"
                         "  - {path: /b, host: [b.com, A.com], handler: {static: www}}\n"
                         "  - {path: /a, handler: {lua: echo}}\n",
                  "t.yaml:5:12: routes[2].path: the same as on line 3\n"
                  "t.yaml:6:12: routes[3].path: the same as on line 4\n"
                  "t.yaml:7:12: routes[4].path: the same as on line 3\n");
}

static void test_routes_differ_by_host_or_path(void **state)
{
    (void)state;
    expect_good(LISTEN "routes:\n"
                       "  - {path: /a, handler: {static: www}}\n"
                       "  - {path: /A, handler: {static: www}}\n"
                       "  - {path: /a/, handler: {static: www}}\n"
                       "  - {path: /a, host: a.com, handler: {static: www}}\n"
                       "  - {path: /a, host: '*.a.com', handler: {static: www}}\n"
                       "  - {path: /a, host: b.com, handler: {static: www}}\n");
}

static void test_refuses_duplicate_addresses(void **state)
{
    (void)state;
    expect_errors("listen:\n"
                  "  - address: '[::1]:80'\n"
                  "  - address: '[0:0:0::1]:80'\n"
                  "  - address: 127.0.0.1:80\n"
                  "  - address: 127.0.0.1:81\n" ROUTES,
                  "t.yaml:3:14: listen[1].address: the same as on line 2\n");
}

static void test_proxy_protocol_needs_senders(void **state)
{
    (void)state;
    expect_errors(
        "listen:\n  - address: 'a:1'\n    proxy_protocol: on\n" ROUTES,
        "t.yaml:3:21: listen[0].proxy_protocol: needs `proxy_protocol_from`: who may send "
        "the header\n");
    expect_errors("listen:\n  - address: 'a:1'\n    proxy_protocol_from: 10.0.0.0/8\n" ROUTES,
                  "t.yaml:3:26: listen[0].proxy_protocol_from: has no effect without "
                  "`proxy_protocol: on`\n");
    expect_good(
        "listen: [{address: 'a:1', proxy_protocol: on, proxy_protocol_from: ['::1']}]\n" ROUTES);
    expect_good("listen: [{address: unix:s, proxy_protocol: on}]\n" ROUTES);
}

static void expect_tls_errors(const char *tls, const char *said)
{
    char yaml[512];
    snprintf(yaml, sizeof(yaml), "listen:\n  - address: 'a:1'\n    tls: %s\n" ROUTES, tls);
    expect_errors(yaml, said);
}

static void test_tls_needs_a_whole_pair(void **state)
{
    (void)state;
    expect_tls_errors("{}", "t.yaml:3:10: listen[0].tls: needs `certificate` and `private_key`, or "
                            "`certificates`\n");
    expect_tls_errors("{certificate: tls/cert.pem}",
                      "t.yaml:3:24: listen[0].tls.certificate: needs `private_key` beside it\n");
    expect_tls_errors("{private_key: tls/key.pem}",
                      "t.yaml:3:24: listen[0].tls.private_key: needs `certificate` beside it\n");
    expect_tls_errors(
        "{certificate: tls/none.pem, private_key: tls}",
        "t.yaml:3:24: listen[0].tls.certificate: `tls/none.pem` cannot be read: No such "
        "file or directory\n"
        "t.yaml:3:51: listen[0].tls.private_key: `tls` is not a regular file\n");
    expect_tls_errors("on", "t.yaml:3:10: listen[0].tls: expected a mapping, found `on`\n");
}

static void test_client_certificates_need_an_authority(void **state)
{
    (void)state;
    expect_tls_errors("{certificate: tls/cert.pem, private_key: tls/key.pem, client_certificate: "
                      "optional}",
                      "t.yaml:3:84: listen[0].tls.client_certificate: needs `client_ca`: who signs "
                      "client certificates\n");
    expect_tls_errors(
        "{certificate: tls/cert.pem, private_key: tls/key.pem, client_ca: tls/client-ca.pem}",
        "t.yaml:3:75: listen[0].tls.client_ca: has no effect without `client_certificate: "
        "optional` "
        "or `required`\n");
}

static void test_own_pair_is_the_first_certificate(void **state)
{
    (void)state;
    struct config *c = load_good("listen:\n"
                                 "  - address: 'a:1'\n"
                                 "    tls:\n"
                                 "      certificate: tls/cert.pem\n"
                                 "      private_key: tls/key.pem\n"
                                 "      min_version: 1.3\n"
                                 "      client_ca: tls/client-ca.pem\n"
                                 "      client_certificate: required\n"
                                 "      session_resumption: off\n"
                                 "      certificates:\n"
                                 "        - host: '*.example.com'\n"
                                 "          certificate: tls/other-cert.pem\n"
                                 "          private_key: tls/other-key.pem\n" ROUTES);
    const struct config_tls *tls = c->listen[0].tls;
    assert_int_equal(tls->certificate_count, 2);
    assert_null(tls->certificates[0].host);
    assert_string_equal(tls->certificates[0].certificate, "tls/cert.pem");
    assert_string_equal(tls->certificates[0].private_key, "tls/key.pem");
    assert_string_equal(tls->certificates[1].host, "*.example.com");
    assert_string_equal(tls->certificates[1].certificate, "tls/other-cert.pem");
    assert_int_equal(tls->min_version, CONFIG_TLS_1_3);
    assert_int_equal(tls->client_certificate, CONFIG_CLIENT_REQUIRED);
    assert_int_equal(tls->handshake_timeout_ms, 10000);
    assert_false(tls->session_resumption);
    config_release(&c);
}

static void test_certificates_alone_are_enough(void **state)
{
    (void)state;
    struct config *c =
        load_good("listen: [{address: 'a:1', tls: {certificates: [{host: b.com, "
                  "certificate: tls/cert.pem, private_key: tls/key.pem}]}}]\n" ROUTES);
    assert_int_equal(c->listen[0].tls->certificate_count, 1);
    assert_string_equal(c->listen[0].tls->certificates[0].host, "b.com");
    assert_int_equal(c->listen[0].tls->min_version, CONFIG_TLS_1_2);
    assert_true(c->listen[0].tls->session_resumption);
    config_release(&c);
}

static void test_refuses_two_certificates_for_one_name(void **state)
{
    (void)state;
    expect_errors(
        "listen:\n"
        "  - address: 'a:1'\n"
        "    tls:\n"
        "      certificates:\n"
        "        - &c {host: b.com, certificate: tls/cert.pem, private_key: tls/key.pem}\n"
        "        - {host: B.com, certificate: tls/cert.pem, private_key: tls/key.pem}\n"
        "        - {certificate: tls/cert.pem}\n" ROUTES,
        "t.yaml:7:11: listen[0].tls.certificates[2]: missing key `host`\n"
        "t.yaml:7:11: listen[0].tls.certificates[2]: missing key `private_key`\n");
    expect_errors(
        "listen:\n"
        "  - address: 'a:1'\n"
        "    tls:\n"
        "      certificates:\n"
        "        - {host: b.com, certificate: tls/cert.pem, private_key: tls/key.pem}\n"
        "        - {host: B.com, certificate: tls/cert.pem, private_key: tls/key.pem}\n" ROUTES,
        "t.yaml:6:18: listen[0].tls.certificates[1].host: the same as on line 5\n");
}

static void test_request_line_fits_into_its_head(void **state)
{
    (void)state;
    expect_good(LISTEN ROUTES "http: {max_line_size: 4KiB, max_header_size: 4KiB}\n");
    expect_errors(LISTEN ROUTES "http: {max_line_size: 4097, max_header_size: 4KiB}\n",
                  "t.yaml:3:23: http.max_line_size: `max_line_size` is larger than "
                  "`max_header_size`, which the line is part of\n");
    expect_errors(LISTEN ROUTES "http: {max_header_size: 4KiB}\n",
                  "t.yaml:3:25: http.max_header_size: `max_line_size` is larger than "
                  "`max_header_size`, which the line is part of\n");
}

static void test_keep_alive_timeout_needs_pings(void **state)
{
    (void)state;
    expect_errors(LISTEN "routes:\n"
                         "  - path: /\n"
                         "    handler: {lua: echo}\n"
                         "    websocket: {keep_alive_interval: off, keep_alive_timeout: 5s}\n",
                  "t.yaml:5:63: routes[0].websocket.keep_alive_timeout: has no effect with "
                  "`keep_alive_interval: off`\n");
}

/* Values that are missing because they were refused must not trip the checks. */
static void test_checks_pass_over_what_was_refused(void **state)
{
    (void)state;
    expect_errors(
        "listen:\n"
        "  - address: !x 'a:1'\n"
        "    proxy_protocol: on\n"
        "  - address: 'a:1'\n"
        "routes:\n"
        "  - {path: *none, handler: !x {}}\n"
        "  - {path: /, handler: {static: www}}\n",
        "t.yaml:2:14: listen[0].address: tags like `!x` are not supported; put a string in "
        "quotes\n"
        "t.yaml:6:12: routes[0].path: alias `*none` has no anchor before it\n"
        "t.yaml:6:28: routes[0].handler: tags like `!x` are not supported; put a string in "
        "quotes\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_duplicate_routes),
        cmocka_unit_test(test_routes_differ_by_host_or_path),
        cmocka_unit_test(test_refuses_duplicate_addresses),
        cmocka_unit_test(test_proxy_protocol_needs_senders),
        cmocka_unit_test(test_tls_needs_a_whole_pair),
        cmocka_unit_test(test_client_certificates_need_an_authority),
        cmocka_unit_test(test_own_pair_is_the_first_certificate),
        cmocka_unit_test(test_certificates_alone_are_enough),
        cmocka_unit_test(test_refuses_two_certificates_for_one_name),
        cmocka_unit_test(test_request_line_fits_into_its_head),
        cmocka_unit_test(test_keep_alive_timeout_needs_pings),
        cmocka_unit_test(test_checks_pass_over_what_was_refused),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
