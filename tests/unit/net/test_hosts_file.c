/* The hosts file: what is a line, and what is found. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/hosts_file.h"

static char found[512];

static void collect(void *context, const struct sockaddr *address, socklen_t size)
{
    char text[INET6_ADDRSTRLEN];
    size_t used = strlen(found);
    const struct sockaddr_in *ipv4 = (const void *)address;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    assert_ptr_equal(context, found);
    if (address->sa_family == AF_INET) {
        assert_int_equal(size, sizeof *ipv4);
        inet_ntop(AF_INET, &ipv4->sin_addr, text, sizeof text);
    } else {
        assert_int_equal(size, sizeof *ipv6);
        inet_ntop(AF_INET6, &ipv6->sin6_addr, text, sizeof text);
    }
    snprintf(found + used, sizeof found - used, "%s ", text);
}

static struct hosts_file *load(const char *content)
{
    char path[] = "/tmp/weir-hosts-XXXXXX";
    struct hosts_file *hosts = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    close(fd);
    assert_int_equal(hosts_file_load(path, &hosts), WEIR_OK);
    unlink(path);
    return hosts;
}

static void finds(const char *content, const char *name, const char *expected)
{
    struct hosts_file *hosts = load(content);
    found[0] = '\0';
    hosts_file_find(hosts, name, collect, found);
    assert_string_equal(found, expected);
    hosts_file_free(&hosts);
    assert_null(hosts);
}

static void test_finds_every_name_of_a_line(void **state)
{
    static const char content[] = "10.0.0.1\tone  uno eins\n10.0.0.2 two";
    (void)state;
    finds(content, "one", "10.0.0.1 ");
    finds(content, "eins", "10.0.0.1 ");
    finds(content, "two", "10.0.0.2 "); /* the last line needs no end */
    finds(content, "three", "");
    finds(content, "on", "");
    finds(content, "", "");
}

static void test_finds_all_addresses_of_a_name(void **state)
{
    (void)state;
    finds("127.0.0.1 me\n::1 me\n10.0.0.1 me\n", "me", "127.0.0.1 ::1 10.0.0.1 ");
}

static void test_case_and_a_last_dot_do_not_matter(void **state)
{
    (void)state;
    finds("10.0.0.1 App.Test\n", "aPP.tEST.", "10.0.0.1 ");
}

static void test_comments_and_lines_that_are_none_are_passed_over(void **state)
{
    static const char content[] = "# 10.0.0.1 app\n\n   \nno.address app\n10.0.0.999 app\n"
                                  "10.0.0.2\n 10.0.0.3 app # web\r\n10.0.0.4 x#app\n";
    (void)state;
    finds(content, "app", "10.0.0.3 ");
    finds(content, "web", "");
    finds(content, "x", "10.0.0.4 ");
}

static void test_a_name_has_at_most_255_bytes(void **state)
{
    char content[600];
    char name[300];
    (void)state;
    for (int size = 255; size <= 256; size++) {
        memset(name, 'a', (size_t)size);
        name[size] = '\0';
        snprintf(content, sizeof content, "10.0.0.1 %s after\n", name);
        finds(content, name, size == 255 ? "10.0.0.1 " : "");
        finds(content, "after", "10.0.0.1 ");
    }
}

static void test_a_file_that_is_not_there_is_empty(void **state)
{
    struct hosts_file *hosts = NULL;
    (void)state;
    assert_int_equal(hosts_file_load("/no/such/file", &hosts), WEIR_OK);
    found[0] = '\0';
    hosts_file_find(hosts, "localhost", collect, found);
    assert_string_equal(found, "");
    hosts_file_free(&hosts);
    hosts_file_free(&hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_every_name_of_a_line),
        cmocka_unit_test(test_finds_all_addresses_of_a_name),
        cmocka_unit_test(test_case_and_a_last_dot_do_not_matter),
        cmocka_unit_test(test_comments_and_lines_that_are_none_are_passed_over),
        cmocka_unit_test(test_a_name_has_at_most_255_bytes),
        cmocka_unit_test(test_a_file_that_is_not_there_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
