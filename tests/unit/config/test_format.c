/* Forms of text values: which are taken, and why the others are not. */
#include "config/config_fixture.h"
#include "config/format.h"

static void expect_valid(const struct config_format *format, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        char why[FORMAT_WHY_BYTES] = "";
        if (!format->check(*texts, why)) {
            fail_msg("%s `%s` %s", format->name, *texts, why);
        }
    }
}

static void expect_refused(const struct config_format *format, const char *text, const char *said)
{
    char why[FORMAT_WHY_BYTES] = "";
    if (format->check(text, why)) {
        fail_msg("%s `%s` was taken", format->name, text);
    }
    if (strstr(why, said) == NULL) {
        fail_msg("%s `%s` %s", format->name, text, why);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"0.0.0.0:5000", "127.0.0.1:1",      "[::]:65535",
                                       "[fe80::1]:80", "localhost:5000",   "a-b.example.com:80",
                                       "unix:x.sock",  "unix:/run/weir:1", NULL};
    char longest[120];
    expect_valid(&format_address, good);
    expect_refused(&format_address, "0.0.0.0", "has no port");
    expect_refused(&format_address, "[::1]", "has no port");
    expect_refused(&format_address, "5000", "has no port");
    expect_refused(&format_address, ":5000", "names no address");
    expect_refused(&format_address, "*:5000", "names no address");
    expect_refused(&format_address, "::1:5000", "needs brackets");
    expect_refused(&format_address, "[::1]5000", "has no port");
    expect_refused(&format_address, "[127.0.0.1]:80", "does not begin with a valid address");
    expect_refused(&format_address, "256.0.0.1:80", "does not begin with a valid address");
    expect_refused(&format_address, "1.2.3:80", "does not begin with a valid address");
    expect_refused(&format_address, "a_b/c:80", "does not begin with a valid address");
    expect_refused(&format_address, "-a:80", "does not begin with a valid address");
    expect_refused(&format_address, "a..b:80", "does not begin with a valid address");
    expect_refused(&format_address, "a:0", "has no valid port");
    expect_refused(&format_address, "a:65536", "has no valid port");
    expect_refused(&format_address, "a:", "has no valid port");
    expect_refused(&format_address, "a:8x", "has no valid port");
    expect_refused(&format_address, "unix:", "names no path");
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "unix:", 5);
    longest[5 + 107] = '\0';
    static const char *valid[2];
    valid[0] = longest;
    expect_valid(&format_address, valid);
    longest[5 + 107] = 'x';
    longest[5 + 108] = '\0';
    expect_refused(&format_address, longest, "at most 107 bytes");
}

static void test_equal_addresses_are_written_alike(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"[0:0::1]:080", "[::1]:80"},
                                          {"LocalHost:5000", "localhost:5000"},
                                          {"127.0.0.1:80", "127.0.0.1:80"},
                                          {"unix:/Run/X", "unix:/Run/X"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[FORMAT_ADDRESS_BYTES];
        format_write_address(rows[i][0], text);
        assert_string_equal(text, rows[i][1]);
    }
}

static void test_blocks(void **state)
{
    (void)state;
    static const char *const good[] = {"10.0.0.0/8", "127.0.0.1", "0.0.0.0/0", "1.2.3.4/32", "::1",
                                       "fd00::/8",   "::/0",      "::1/128",   NULL};
    expect_valid(&format_block, good);
    expect_refused(&format_block, "10.0.0.0/33", "it is 0 to 32");
    expect_refused(&format_block, "::/129", "it is 0 to 128");
    expect_refused(&format_block, "10.0.0.0/", "has no valid prefix length");
    expect_refused(&format_block, "10.0.0.0/-1", "has no valid prefix length");
    expect_refused(&format_block, "10.0.0.0/8/8", "has no valid prefix length");
    expect_refused(&format_block, "10.0.0/8", "is not an IP address");
    expect_refused(&format_block, "localhost", "is not an IP address");
    expect_refused(&format_block, "/8", "is not an IP address");
    expect_refused(&format_block, "[::1]", "is not an IP address");
}

static void test_files_and_folders(void **state)
{
    (void)state;
    static const char *const files[] = {"tls/cert.pem", "./www/index.html", NULL};
    static const char *const folders[] = {"www", "./tls", "/", NULL};
    expect_valid(&format_file, files);
    expect_valid(&format_folder, folders);
    expect_refused(&format_file, "tls", "is not a regular file");
    expect_refused(&format_file, "tls/none.pem", "cannot be read: No such file or directory");
    expect_refused(&format_folder, "tls/cert.pem", "is not a folder");
    static const char *const outputs[] = {"-",         "new.log",      "www/new.log",
                                          "/dev/null", "tls/cert.pem", NULL};
    expect_valid(&format_output, outputs);
    expect_refused(&format_output, "www", "is a folder");
    expect_refused(&format_output, "none/new.log", "cannot be written: No such file or directory");
    expect_refused(&format_folder, "none", "cannot be read: No such file or directory");
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {
        "example.com", "*.example.com",         "localhost", "a_b", "10.0.0.1",
        "[::1]",       "xn--bcher-kva.example", NULL};
    expect_valid(&format_host, good);
    expect_refused(&format_host, "https://example.com", "is a URL");
    expect_refused(&format_host, "example.com:80", "has a port");
    expect_refused(&format_host, "*", "is not a host name");
    expect_refused(&format_host, "*.10.0.0.1", "is not a host name");
    expect_refused(&format_host, "a.*.com", "is not a host name");
    expect_refused(&format_host, "*.", "is not a host name");
    expect_refused(&format_host, "example.com.", "is not a host name");
    expect_refused(&format_host, "::1", "is not a host name");
    expect_refused(&format_host, "a b", "is not a host name");
}

static void test_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"/",     "/ws",  "/a/b/", "/.well-known/x",
                                       "/a..b", "/...", "/é",    NULL};
    expect_valid(&format_path, good);
    expect_refused(&format_path, "ws", "does not start with `/`");
    expect_refused(&format_path, "/a?b", "has `?` or `#`");
    expect_refused(&format_path, "/a#b", "has `?` or `#`");
    expect_refused(&format_path, "/a b", "has a space");
    expect_refused(&format_path, "/a\x7f", "has a space or a control character");
    expect_refused(&format_path, "//", "can never match");
    expect_refused(&format_path, "/a/../b", "can never match");
    expect_refused(&format_path, "/a/.", "can never match");
    expect_refused(&format_path, "/..", "can never match");
}

static void test_origins(void **state)
{
    (void)state;
    static const char *const good[] = {"https://example.com",
                                       "http://localhost:3000",
                                       "null",
                                       "https://*.example.com",
                                       "https://[::1]:8443",
                                       "https://[::1]",
                                       "chrome-extension://abcdef",
                                       NULL};
    expect_valid(&format_origin, good);
    expect_refused(&format_origin, "example.com", "is not an origin");
    expect_refused(&format_origin, "*", "is not an origin");
    expect_refused(&format_origin, "://example.com", "is not an origin");
    expect_refused(&format_origin, "https://example.com/", "has a path");
    expect_refused(&format_origin, "https://example.com:x", "has no valid port");
    expect_refused(&format_origin, "https://", "has no valid host");
    expect_refused(&format_origin, "https://*.", "has no valid host");
    expect_refused(&format_origin, "https://*", "has no valid host");
    expect_refused(&format_origin, "https://a b", "has no valid host");
}

static void test_tokens_names_and_fields(void **state)
{
    (void)state;
    static const char *const tokens[] = {"chat.v1", "a!#$%&'*+-.^_`|~9", NULL};
    static const char *const names[] = {"echo", "access_log", "a.b-c", NULL};
    static const char *const leaves[] = {"index.html", "main", NULL};
    static const char *const fields[] = {"public, max-age=60", NULL};
    expect_valid(&format_token, tokens);
    expect_refused(&format_token, "a b", "may not have");
    expect_refused(&format_token, "a,b", "may not have");
    expect_refused(&format_token, "é", "may not have");
    expect_valid(&format_name, names);
    expect_refused(&format_name, "echo.lua", "is a file name");
    expect_refused(&format_name, "echo.so", "is a file name");
    expect_refused(&format_name, "../echo", "is not a plugin name");
    expect_refused(&format_name, "a/b", "is not a plugin name");
    expect_refused(&format_name, ".hidden", "is not a plugin name");
    expect_valid(&format_leaf, leaves);
    expect_refused(&format_leaf, "a/b", "is not a plain file name");
    expect_refused(&format_leaf, ".htaccess", "is not a plain file name");
    expect_valid(&format_header, fields);
    expect_refused(&format_header, "a\r\nb", "has a control character");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_equal_addresses_are_written_alike),
        cmocka_unit_test(test_blocks),    cmocka_unit_test(test_files_and_folders),
        cmocka_unit_test(test_hosts),     cmocka_unit_test(test_paths),
        cmocka_unit_test(test_origins),   cmocka_unit_test(test_tokens_names_and_fields),
    };
    return cmocka_run_group_tests(tests, fixture_make, fixture_remove);
}
