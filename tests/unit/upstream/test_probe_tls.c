/* Checks of servers that speak TLS: a certificate that is believed, one that is not, and a server
 * that does not speak TLS at all. The server blocks in a thread of its own. */
#include <poll.h>
#include <pthread.h>

#include "net/stream_fixture.h"
#include "net/tls_client.h"
#include "upstream/fake_backend.h"
#include "upstream/loop_fixture.h"
#include "upstream/probe.h"
#include "upstream/upstream_fixture.h"

static struct upstream_fixture fixture;
static struct config_health_check check;
static struct config_upstream_tls tls;
static struct fake_backend backend;
static struct upstream_group *group;
static struct upstream_server *server;
static char path[] = "/";
static char name[] = "test"; /* as make_certificate has it */
static char other_name[] = "other.example.com";

static struct verdict {
    unsigned count;
    bool good;
    char why[400];
} verdict;

static void probed(void *context, bool good, const char *why)
{
    (void)context;
    verdict.count++;
    verdict.good = good;
    snprintf(verdict.why, sizeof verdict.why, "%s", why);
}

/* One connection: the handshake, a request, an answer. */
static void *serve(void *context)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    char bytes[1024];
    struct pollfd wait = {.fd = backend.fd, .events = POLLIN};
    SSL_CTX *made = context;
    SSL *ssl = SSL_new(made);
    poll(&wait, 1, GIVE_UP_MS);
    int fd = accept4(backend.fd, NULL, NULL, SOCK_CLOEXEC);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && SSL_read(ssl, bytes, sizeof bytes) > 0) {
        SSL_write(ssl, answer, sizeof answer - 1);
        SSL_read(ssl, bytes, sizeof bytes); /* until the client goes */
    }
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    upstream_fixture_init(&fixture, 1);
    check = (struct config_health_check){.type = CONFIG_HEALTH_HTTP,
                                         .path = path,
                                         .status_from = 200,
                                         .status_to = 299,
                                         .timeout_ms = GIVE_UP_MS};
    tls = (struct config_upstream_tls){.verify = true, .server_name = name};
    fixture.config.health_check = &check;
    fixture.config.tls = &tls;
    verdict = (struct verdict){0};
    if (loop_set_up() != 0 || fake_backend_open(&backend) != 0) {
        return -1;
    }
    group = group_new(&fixture.config);
    server = fixture_server(&fixture, &backend.address);
    return group != NULL && server != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    server_release(&server);
    tls_client_free(&group->tls);
    group_free(&group);
    loop_turn(loop, false);
    loop_tear_down();
    fake_backend_close(&backend);
    ERR_clear_error();
    return 0;
}

static void use_client(bool verify, const char *ca)
{
    struct tls_client_settings settings = {.verify = verify, .ca = ca};
    char why[256];
    assert_int_equal(tls_client_new(&settings, why, sizeof why, &group->tls), WEIR_OK);
}

static void run_against_tls(void)
{
    pthread_t thread;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_file(context, certificate_file, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM), 1);
    unsigned descriptors = loop_descriptors();
    assert_int_equal(pthread_create(&thread, NULL, serve, context), 0);
    assert_non_null(probe_start(loop, group, server, probed, NULL));
    LOOP_UNTIL(verdict.count > 0, (void)0);
    pthread_join(thread, NULL);
    SSL_CTX_free(context);
    assert_int_equal(loop_descriptors(), descriptors);
    assert_int_equal(verdict.count, 1);
}

static void expect_bad(const char *why)
{
    assert_false(verdict.good);
    if (strstr(verdict.why, why) == NULL) {
        fail_msg("bad for another reason: %s", verdict.why);
    }
}

static void test_is_good_with_a_certificate_that_is_believed(void **state)
{
    (void)state;
    use_client(true, certificate_file);
    run_against_tls();
    if (!verdict.good) {
        fail_msg("bad: %s", verdict.why);
    }
}

static void test_is_good_with_any_certificate_where_that_is_allowed(void **state)
{
    (void)state;
    tls.server_name = other_name;
    use_client(false, NULL);
    run_against_tls();
    assert_true(verdict.good);
}

static void test_is_bad_with_a_certificate_of_another_name(void **state)
{
    (void)state;
    tls.server_name = other_name;
    use_client(true, certificate_file);
    run_against_tls();
    expect_bad("TLS: ");
}

static void test_is_bad_with_a_certificate_of_nobody_known(void **state)
{
    (void)state;
    use_client(true, NULL);
    run_against_tls();
    expect_bad("TLS: ");
}

static void test_tcp_checks_shake_hands_too(void **state)
{
    (void)state;
    check.type = CONFIG_HEALTH_TCP;
    use_client(true, NULL);
    run_against_tls();
    expect_bad("TLS: ");
}

static void test_is_bad_where_no_tls_is_spoken(void **state)
{
    (void)state;
    use_client(false, NULL);
    backend.answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    backend.cuts = true;
    assert_non_null(probe_start(loop, group, server, probed, NULL));
    LOOP_UNTIL(verdict.count > 0, fake_backend_work(&backend));
    expect_bad("TLS handshake");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_is_good_with_a_certificate_that_is_believed),
        TEST(test_is_good_with_any_certificate_where_that_is_allowed),
        TEST(test_is_bad_with_a_certificate_of_another_name),
        TEST(test_is_bad_with_a_certificate_of_nobody_known),
        TEST(test_tcp_checks_shake_hands_too),
        TEST(test_is_bad_where_no_tls_is_spoken),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
