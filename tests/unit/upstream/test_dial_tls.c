/* Dials to servers that speak TLS, or should: the handshake is part of connecting, and a server
 * that fails in it is followed by the next. The servers' ends are worked by hand between turns. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "dial_fixture.h"

static SSL_CTX *server_context;
static struct config_upstream_tls tls_config;

static int make_server_context(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_sign(certificate, key, EVP_sha256());
    server_context = SSL_CTX_new(TLS_server_method());
    int used = SSL_CTX_use_certificate(server_context, certificate) == 1 &&
               SSL_CTX_use_PrivateKey(server_context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return used ? 0 : -1;
}

static int free_server_context(void **state)
{
    (void)state;
    SSL_CTX_free(server_context);
    return 0;
}

static void prepare_tls(size_t servers, bool verify)
{
    struct tls_client_settings settings = {.verify = verify};
    char why[256];
    prepare(servers);
    tls_config = (struct config_upstream_tls){.verify = verify};
    fx.settings.config.tls = &tls_config;
    assert_int_equal(tls_client_new(&settings, why, sizeof why, &fx.upstreams.group->tls), WEIR_OK);
}

/* The server's end of a connection that has come, ready to shake hands. */
static SSL *accept_tls(size_t index)
{
    int fd = -1;
    TURN_UNTIL((fd = accept_at(index)) >= 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SSL *ssl = SSL_new(server_context);
    SSL_set_fd(ssl, fd);
    SSL_set_accept_state(ssl);
    return ssl;
}

static void end_tls(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_free(ssl);
    close(fd);
    ERR_clear_error();
}

static struct dial *dial_first(struct outcome *outcome)
{
    struct dial_wish wish = {.server_id = fx.servers[0]->id};
    return dial_for(outcome, &wish);
}

static void test_a_connection_is_given_when_the_handshake_is_done(void **state)
{
    struct outcome outcome;
    char bytes[8];
    struct iovec hello = {(char[]){"hello"}, 5};
    (void)state;
    prepare_tls(1, false);
    start(1);
    dial_first(&outcome);
    SSL *ssl = accept_tls(0);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    TURN_UNTIL(outcome.calls > 0 || (SSL_do_handshake(ssl), false));
    assert_int_equal(outcome.result, DIAL_OK);
    assert_true(stream_is_tls(&outcome.backend->stream));
    assert_true(stream_is_established(&outcome.backend->stream));
    assert_int_equal(stream_write(&outcome.backend->stream, &hello, 1), WEIR_OK);
    int got = 0;
    TURN_UNTIL((got = SSL_read(ssl, bytes, sizeof bytes)) > 0);
    assert_int_equal(got, 5);
    backend_close(&outcome.backend);
    end_tls(ssl);
}

/* Session tickets come behind the handshake (RFC 8446, section 4.6.1), and are no answer. */
static void test_a_connection_is_kept_although_tickets_come(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_tls(1, false);
    start(1);
    dial_first(&outcome);
    SSL *ssl = accept_tls(0);
    TURN_UNTIL(outcome.calls > 0 || (SSL_do_handshake(ssl), false));
    const struct backend *same = outcome.backend;
    backend_keep(&outcome.backend);
    TURN_UNTIL(SSL_do_handshake(ssl) == 1);
    some_turns();
    assert_int_equal(fx.upstream->idle_count, 1);
    assert_int_equal(SSL_new_session_ticket(ssl), 1);
    assert_int_equal(SSL_do_handshake(ssl), 1); /* sends it */
    some_turns();
    assert_int_equal(fx.upstream->idle_count, 1);
    struct backend *again = connect_one(NULL);
    assert_ptr_equal(again, same);
    backend_keep(&again);
    SSL_shutdown(ssl); /* close_notify, with no FIN behind it */
    TURN_UNTIL(fx.upstream->idle_count == 0);
    end_tls(ssl);
}

static void test_a_server_that_speaks_no_tls_is_followed_by_the_next(void **state)
{
    struct outcome outcome;
    int fd = -1;
    (void)state;
    prepare_tls(2, false);
    start(2);
    dial_first(&outcome);
    TURN_UNTIL((fd = accept_at(0)) >= 0);
    assert_int_equal(send(fd, "HTTP/1.1 400 \r\n\r\n", 17, 0), 17);
    SSL *ssl = accept_tls(1);
    TURN_UNTIL(outcome.calls > 0 || (SSL_do_handshake(ssl), false));
    assert_int_equal(outcome.result, DIAL_OK);
    assert_ptr_equal(outcome.backend->server, fx.servers[1]);
    assert_int_equal(atomic_load(&fx.servers[0]->errors), 1);
    assert_int_equal(active(0), 0);
    backend_close(&outcome.backend);
    close(fd);
    end_tls(ssl);
}

static void test_a_server_that_leaves_during_the_handshake_is_followed_by_the_next(void **state)
{
    struct outcome outcome;
    int fd = -1;
    (void)state;
    prepare_tls(2, false);
    start(2);
    dial_first(&outcome);
    TURN_UNTIL((fd = accept_at(0)) >= 0);
    close(fd);
    SSL *ssl = accept_tls(1);
    TURN_UNTIL(outcome.calls > 0 || (SSL_do_handshake(ssl), false));
    assert_int_equal(outcome.result, DIAL_OK);
    backend_close(&outcome.backend);
    end_tls(ssl);
}

static void test_a_certificate_that_is_not_believed_is_a_refusal(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_tls(1, true);
    start(1);
    dial_first(&outcome);
    SSL *ssl = accept_tls(0);
    TURN_UNTIL(outcome.calls > 0 || (SSL_do_handshake(ssl), false));
    assert_int_equal(outcome.result, DIAL_REFUSED);
    assert_non_null(strstr(outcome.why, "self"));
    end_tls(ssl);
}

static void test_the_handshake_is_within_the_time_to_connect(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_tls(1, false);
    start(1);
    dial_first(&outcome);
    SSL *ssl = accept_tls(0); /* which says nothing */
    loop_skip_ms(fx.loop, CONNECT_TIMEOUT_MS - LATE_MS - 6 * WHEEL_TICK_MS);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    loop_skip_ms(fx.loop, 2 * LATE_MS + 3 * WHEEL_TICK_MS);
    TURN_UNTIL(outcome.calls > 0);
    assert_int_equal(outcome.result, DIAL_TIMEOUT);
    end_tls(ssl);
}

static void test_a_dial_can_be_cancelled_during_the_handshake(void **state)
{
    struct outcome outcome;
    (void)state;
    prepare_tls(1, false);
    start(1);
    struct dial *dial = dial_first(&outcome);
    SSL *ssl = accept_tls(0);
    some_turns();
    dial_cancel(&dial);
    some_turns();
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(active(0), 0);
    end_tls(ssl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_connection_is_given_when_the_handshake_is_done, finish),
        cmocka_unit_test_teardown(test_a_connection_is_kept_although_tickets_come, finish),
        cmocka_unit_test_teardown(test_a_server_that_speaks_no_tls_is_followed_by_the_next, finish),
        cmocka_unit_test_teardown(
            test_a_server_that_leaves_during_the_handshake_is_followed_by_the_next, finish),
        cmocka_unit_test_teardown(test_a_certificate_that_is_not_believed_is_a_refusal, finish),
        cmocka_unit_test_teardown(test_the_handshake_is_within_the_time_to_connect, finish),
        cmocka_unit_test_teardown(test_a_dial_can_be_cancelled_during_the_handshake, finish),
    };
    return cmocka_run_group_tests(tests, make_server_context, free_server_context);
}
