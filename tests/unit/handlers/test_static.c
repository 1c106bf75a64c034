/* The static handler as the chain sees it: settings, methods, paths, conditions, ranges, codings,
 * and large bodies to slow readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handlers/fake_request.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "handlers/static.h"

enum {
    SEAT = 3,
    PIECE = 64 * 1024,
    BIG = 5 * 1024 * 1024 + 123
};

static char base[64];
static void *plugin;
static void *self;

/* --- the folder --- */

static void at_base(const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", base, name);
}

static void write_bytes(const char *name, size_t size)
{
    char path[256];
    at_base(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++) {
        assert_true(putc((int)((i * 7 + i / 251) & 0xff), file) != EOF);
    }
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    char path[256];
    at_base(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void set_time(const char *name, time_t seconds)
{
    char path[256];
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    at_base(name, path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    at_base(name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

static uint64_t changed_ms(const char *name)
{
    char path[256];
    struct stat info;
    at_base(name, path);
    assert_int_equal(stat(path, &info), 0);
    return (uint64_t)info.st_ctim.tv_sec * 1000 + (uint64_t)info.st_ctim.tv_nsec / 1000000;
}

static void load_with(const char *settings)
{
    char folder[256];
    char error[200] = "";
    at_base("www", folder);
    struct weir_plugin_config config = {sizeof(config), "www", folder, settings};
    if (static_ops()->load(&config, &plugin, error, sizeof(error)) != 0) {
        fail_msg("%s", error);
    }
    assert_int_equal(static_ops()->worker_start(plugin, NULL, &self, error, sizeof(error)), 0);
}

static void unload(void)
{
    static_ops()->worker_stop(self);
    static_ops()->unload(plugin);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/weir-static-XXXXXX");
    assert_non_null(mkdtemp(base));
    write_text("secret", "secret");
    make_folder("www");
    make_folder("www/docs");
    make_folder("www/empty");
    make_folder("www/a b");
    write_text("www/index.html", "<p>root");
    write_text("www/docs/index.html", "<p>docs");
    write_text("www/main.html", "<p>main");
    write_text("www/ten.txt", "0123456789");
    write_text("www/nothing", "");
    write_text("www/.env", "hidden");
    write_text("www/app.js", "plain script");
    write_text("www/app.js.gz", "packed");
    write_text("www/old.js", "plain script");
    write_text("www/old.js.gz", "outdated");
    write_bytes("www/piece", PIECE);
    write_bytes("www/piece_and_one", PIECE + 1);
    write_bytes("www/big", BIG);
    set_time("www/ten.txt", 784111777);
    set_time("www/old.js.gz", 784111777);
    set_time("www/nothing", 4102444800); /* 2100 */
    char link[256];
    at_base("www/escape", link);
    assert_int_equal(symlink("../secret", link), 0);
    /* Tags are strong once their file has settled, and If-Range needs strong ones. */
    while (clock_wall_ms() < changed_ms("www/nothing") + 1000) {
        usleep(10000);
    }
    load_with("{}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    unload();
    snprintf(command, sizeof(command), "rm -r '%s'", base);
    return system(command);
}

/* --- requests --- */

static struct weir_request make_request(const char *method, const char *path)
{
    return (struct weir_request){.method = method, .path = path, .query = "", .route = "/"};
}

static void add_header(struct weir_request *request, const char *name, const char *value)
{
    size_t count = request_header_count(request);
    request->headers[2 * count] = name;
    request->headers[2 * count + 1] = value;
}

static void ask(struct weir_request *request)
{
    assert_int_equal(static_ops()->on_request(self, request, SEAT), WEIR_REPLY);
}

/* The request is over; nothing of it may stay behind. */
static void finish(struct weir_request *request)
{
    const struct weir_ending ending = {.struct_size = sizeof(ending)};
    static_ops()->on_done(self, request, SEAT, &ending);
    assert_null(request->seat);
    assert_null(fake_timer);
    buffer_free(&request->body);
}

/* By value, so for answers that are complete at once. */
static struct weir_request get(const char *path)
{
    struct weir_request request = make_request("GET", path);
    ask(&request);
    return request;
}

static struct weir_request get_with(const char *path, const char *name, const char *value)
{
    struct weir_request request = make_request("GET", path);
    add_header(&request, name, value);
    ask(&request);
    return request;
}

static void expect_body(const struct weir_request *request, const char *text)
{
    assert_int_equal(request->body.size, strlen(text));
    assert_memory_equal(request->body.data, text, strlen(text));
    assert_int_equal(request->length, strlen(text));
    assert_true(request->is_ended);
}

static bool has_field(const struct weir_request *request, const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    char all[2100] = "\n";
    strcat(all, request->fields);
    return strstr(all, wanted) != NULL;
}

static void expect_field(const struct weir_request *request, const char *line)
{
    if (!has_field(request, line)) {
        fail_msg("no `%s` in:\n%s", line, request->fields);
    }
}

static void expect_no_field(const struct weir_request *request, const char *name)
{
    char start[128];
    snprintf(start, sizeof(start), "%s: ", name);
    if (strncmp(request->fields, start, strlen(start)) == 0) {
        fail_msg("there is %s", name);
    }
    snprintf(start, sizeof(start), "\n%s: ", name);
    if (strstr(request->fields, start) != NULL) {
        fail_msg("there is %s", name);
    }
}

static void copy_field(const struct weir_request *request, const char *name, char out[128])
{
    const char *at = strstr(request->fields, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    size_t size = strcspn(at, "\n");
    assert_true(size < 128);
    memcpy(out, at, size);
    out[size] = '\0';
}

static void copy_etag(const char *path, const char *accept, char out[128])
{
    struct weir_request request = get_with(path, "Accept-Encoding", accept);
    copy_field(&request, "ETag", out);
    finish(&request);
}

static void expect_status(const char *path, unsigned status)
{
    struct weir_request request = get(path);
    if (request.status != status) {
        fail_msg("%s gave %u, not %u", path, request.status, status);
    }
    finish(&request);
}

static void expect_file_bytes(const struct weir_request *request, size_t from, size_t size)
{
    assert_int_equal(request->body.size, size);
    for (size_t i = 0; i < size; i++) {
        size_t at = from + i;
        if (request->body.data[i] != (uint8_t)(at * 7 + at / 251)) {
            fail_msg("byte %zu is wrong", at);
        }
    }
}

/* --- settings --- */

static void expect_load_error(const char *folder, const char *settings, const char *words)
{
    void *made = NULL;
    char error[200] = "";
    struct weir_plugin_config config = {sizeof(config), "www", folder, settings};
    assert_int_equal(static_ops()->load(&config, &made, error, sizeof(error)), -1);
    if (strstr(error, words) == NULL) {
        fail_msg("the error was: %s", error);
    }
    assert_null(made);
}

static void test_wrong_settings_are_refused_with_words(void **state)
{
    (void)state;
    expect_load_error(base, "[]", "not a JSON object");
    expect_load_error(base, "{\"indx\":\"a\"}", "unknown setting `indx`");
    expect_load_error(base, "{\"index\":1}", "`index` is not a text");
    expect_load_error(base, "{\"index\":\"a/b\"}", "`index` is not a file name");
    expect_load_error(base, "{\"index\":\"..\"}", "`index` is not a file name");
    expect_load_error(base, "{\"cache_control\":\"a\\r\\nb: c\"}", "`cache_control` cannot stand");
    expect_load_error(base, "{\"precompressed\":\"yes\"}", "`precompressed` is not on or off");
}

static void test_a_folder_that_is_none_is_refused_with_words(void **state)
{
    (void)state;
    char path[256];
    expect_load_error("/nonexistent/www", "{}", "/nonexistent/www`: No such file or directory");
    at_base("secret", path);
    expect_load_error(path, "{}", "Not a directory");
}

static void test_settings_are_followed(void **state)
{
    (void)state;
    unload();
    load_with("{\"index\":\"main.html\",\"cache_control\":\"public, max-age=60\","
              "\"precompressed\":false}");
    struct weir_request request = get("/");
    expect_body(&request, "<p>main");
    expect_field(&request, "Cache-Control: public, max-age=60");
    finish(&request);
    request = get_with("/app.js", "Accept-Encoding", "gzip");
    expect_body(&request, "plain script");
    expect_no_field(&request, "Vary");
    finish(&request);
    unload();
    load_with("{\"index\":\"\",\"cache_control\":\"\"}");
    expect_status("/", 404);
    request = get("/ten.txt");
    expect_no_field(&request, "Cache-Control");
    finish(&request);
    unload();
    load_with("{}");
}

/* --- methods and paths --- */

static void test_get_sends_the_file_with_its_fields(void **state)
{
    (void)state;
    struct weir_request request = get("/ten.txt");
    assert_int_equal(request.status, 200);
    expect_body(&request, "0123456789");
    expect_field(&request, "Content-Type: text/plain; charset=utf-8");
    expect_field(&request, "X-Content-Type-Options: nosniff");
    expect_field(&request, "Accept-Ranges: bytes");
    expect_field(&request, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT");
    expect_field(&request, "Cache-Control: no-cache");
    expect_no_field(&request, "Content-Encoding");
    expect_no_field(&request, "Content-Range");
    expect_no_field(&request, "Vary");
    char tag[128];
    copy_field(&request, "ETag", tag);
    assert_int_equal(tag[0], '"');
    finish(&request);
}

static void test_head_promises_the_length_and_sends_nothing(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"/ten.txt", "/nothing", "/big"};
    static const uint64_t LENGTHS[] = {10, 0, BIG};
    for (size_t i = 0; i < 3; i++) {
        struct weir_request request = make_request("HEAD", PATHS[i]);
        add_header(&request, "Range", "bytes=0-0");
        ask(&request);
        assert_int_equal(request.status, 200);
        assert_int_equal(request.length, LENGTHS[i]);
        assert_int_equal(request.body.size, 0);
        assert_true(request.is_ended);
        expect_no_field(&request, "Content-Range");
        finish(&request);
    }
}

static void test_options_and_other_methods_name_what_is_allowed(void **state)
{
    (void)state;
    struct weir_request request = make_request("OPTIONS", "/missing");
    ask(&request);
    assert_int_equal(request.status, 204);
    expect_field(&request, "Allow: GET, HEAD, OPTIONS");
    expect_body(&request, "");
    finish(&request);
    static const char *const METHODS[] = {"POST", "PUT", "DELETE", "get", "TRACE", "GETX"};
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
        request = make_request(METHODS[i], "/ten.txt");
        ask(&request);
        assert_int_equal(request.status, 405);
        expect_field(&request, "Allow: GET, HEAD, OPTIONS");
        finish(&request);
    }
}

static void test_folders_send_their_index(void **state)
{
    (void)state;
    struct weir_request request = get("/");
    expect_body(&request, "<p>root");
    expect_field(&request, "Content-Type: text/html; charset=utf-8");
    finish(&request);
    request = get("/docs/");
    expect_body(&request, "<p>docs");
    finish(&request);
    expect_status("/empty/", 404);
}

static void test_folders_without_slash_are_redirected(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/docs");
    request.query = "a=1&b";
    ask(&request);
    assert_int_equal(request.status, 301);
    expect_field(&request, "Location: /docs/?a=1&b");
    expect_body(&request, "");
    finish(&request);
    request = get("/a b");
    expect_field(&request, "Location: /a%20b/");
    finish(&request);
}

static void test_the_routes_path_is_cut_off(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/files/docs/");
    request.route = "/files";
    ask(&request);
    expect_body(&request, "<p>docs");
    finish(&request);
    request = make_request("GET", "/files");
    request.route = "/files";
    ask(&request);
    assert_int_equal(request.status, 301);
    expect_field(&request, "Location: /files/");
    finish(&request);
    request = make_request("GET", "/files/docs");
    request.route = "/files";
    ask(&request);
    expect_field(&request, "Location: /files/docs/");
    finish(&request);
}

static void test_what_is_not_there_or_not_public_is_404(void **state)
{
    (void)state;
    static const char *const PATHS[] = {
        "/missing",    "/missing/", "/ten.txt/",          "/ten.txt/x",
        "/.env",       "/escape",   "/../secret",         "//etc/passwd",
        "/docs/../..", "/docs//",   "/missing/index.html"};
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        expect_status(PATHS[i], 404);
    }
}

static void test_no_descriptors_left_is_503(void **state)
{
    (void)state;
    struct rlimit limit;
    struct weir_request request = make_request("GET", "/ten.txt");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum weir_verdict verdict = static_ops()->on_request(self, &request, SEAT);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(verdict, WEIR_REPLY);
    assert_int_equal(request.status, 503);
    finish(&request);
}

static void test_a_reply_that_fails_drops_the_request(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"/ten.txt", "/big", "/missing", "/docs"};
    for (size_t i = 0; i < 4; i++) {
        struct weir_request request = make_request("GET", PATHS[i]);
        request.refuse = WEIR_ENOMEM;
        assert_int_equal(static_ops()->on_request(self, &request, SEAT), WEIR_DROP);
        finish(&request);
    }
}

/* --- conditions --- */

static void test_a_file_that_is_known_is_304_with_caching_fields_alone(void **state)
{
    (void)state;
    char tag[128];
    char line[160];
    copy_etag("/ten.txt", "", tag);
    struct weir_request request = get_with("/ten.txt", "If-None-Match", tag);
    assert_int_equal(request.status, 304);
    expect_body(&request, "");
    snprintf(line, sizeof(line), "ETag: %s", tag);
    expect_field(&request, line);
    expect_field(&request, "Cache-Control: no-cache");
    expect_no_field(&request, "Content-Type");
    expect_no_field(&request, "Last-Modified");
    finish(&request);
    request = get_with("/ten.txt", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(request.status, 304);
    finish(&request);
    request = get_with("/ten.txt", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
    assert_int_equal(request.status, 200);
    finish(&request);
}

static void test_head_is_conditional_too(void **state)
{
    (void)state;
    struct weir_request request = make_request("HEAD", "/ten.txt");
    add_header(&request, "If-None-Match", "*");
    ask(&request);
    assert_int_equal(request.status, 304);
    finish(&request);
}

static void test_a_precondition_that_fails_is_412_before_any_range(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/ten.txt");
    add_header(&request, "If-Match", "\"other\"");
    add_header(&request, "Range", "bytes=0-1");
    ask(&request);
    assert_int_equal(request.status, 412);
    finish(&request);
    request = get_with("/ten.txt", "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
    assert_int_equal(request.status, 412);
    finish(&request);
    request = get_with("/missing", "If-Match", "\"other\"");
    assert_int_equal(request.status, 404);
    finish(&request);
}

static void test_a_date_from_the_future_is_not_told(void **state)
{
    (void)state;
    struct weir_request request = get("/nothing");
    char date[128];
    copy_field(&request, "Last-Modified", date);
    assert_null(strstr(date, "2100"));
    finish(&request);
}

static void test_a_tag_is_weak_while_the_file_is_fresh(void **state)
{
    (void)state;
    char tag[128];
    write_text("www/fresh", "a");
    copy_etag("/fresh", "", tag);
    if (clock_wall_ms() < changed_ms("www/fresh") + 1000) {
        assert_memory_equal(tag, "W/\"", 3);
    }
    struct weir_request request = get_with("/fresh", "If-None-Match", tag);
    assert_int_equal(request.status, 304);
    finish(&request);
    write_text("www/fresh", "ab");
    request = get_with("/fresh", "If-None-Match", tag);
    assert_int_equal(request.status, 200);
    finish(&request);
}

/* --- ranges --- */

static void expect_range(const char *value, const char *body, const char *content_range)
{
    char line[160];
    struct weir_request request = get_with("/ten.txt", "Range", value);
    assert_int_equal(request.status, 206);
    expect_body(&request, body);
    snprintf(line, sizeof(line), "Content-Range: %s", content_range);
    expect_field(&request, line);
    expect_field(&request, "Content-Type: text/plain; charset=utf-8");
    expect_field(&request, "Cache-Control: no-cache");
    finish(&request);
}

static void test_one_range_is_206(void **state)
{
    (void)state;
    expect_range("bytes=2-4", "234", "bytes 2-4/10");
    expect_range("bytes=7-", "789", "bytes 7-9/10");
    expect_range("bytes=-2", "89", "bytes 8-9/10");
    expect_range("bytes=0-999", "0123456789", "bytes 0-9/10");
}

static void test_a_range_beyond_the_end_is_416_with_the_size(void **state)
{
    (void)state;
    struct weir_request request = get_with("/ten.txt", "Range", "bytes=10-");
    assert_int_equal(request.status, 416);
    expect_field(&request, "Content-Range: bytes */10");
    finish(&request);
    request = get_with("/nothing", "Range", "bytes=0-");
    assert_int_equal(request.status, 416);
    expect_field(&request, "Content-Range: bytes */0");
    finish(&request);
}

static void test_several_ranges_or_range_fields_are_answered_whole(void **state)
{
    (void)state;
    struct weir_request request = get_with("/ten.txt", "Range", "bytes=0-1,4-5");
    assert_int_equal(request.status, 200);
    expect_body(&request, "0123456789");
    finish(&request);
    request = make_request("GET", "/ten.txt");
    add_header(&request, "Range", "bytes=0-1");
    add_header(&request, "range", "bytes=0-1");
    ask(&request);
    assert_int_equal(request.status, 200);
    finish(&request);
}

static void expect_if_range(const char *value, unsigned status)
{
    struct weir_request request = make_request("GET", "/ten.txt");
    add_header(&request, "Range", "bytes=20-");
    add_header(&request, "If-Range", value);
    ask(&request);
    assert_int_equal(request.status, status);
    finish(&request);
}

static void test_if_range_decides_whether_the_range_counts(void **state)
{
    (void)state;
    char tag[128];
    copy_etag("/ten.txt", "", tag);
    expect_if_range(tag, 416);
    expect_if_range("Sun, 06 Nov 1994 08:49:37 GMT", 416);
    expect_if_range("\"other\"", 200);
    expect_if_range("Sun, 06 Nov 1994 08:49:38 GMT", 200);
}

/* --- codings --- */

static void test_the_compressed_twin_is_sent_where_gzip_is_accepted(void **state)
{
    (void)state;
    struct weir_request request = get_with("/app.js", "Accept-Encoding", "br, gzip");
    assert_int_equal(request.status, 200);
    expect_body(&request, "packed");
    expect_field(&request, "Content-Encoding: gzip");
    expect_field(&request, "Vary: Accept-Encoding");
    expect_field(&request, "Content-Type: text/javascript; charset=utf-8");
    finish(&request);
    request = get_with("/app.js", "Accept-Encoding", "gzip;q=0, *");
    expect_body(&request, "plain script");
    expect_no_field(&request, "Content-Encoding");
    expect_field(&request, "Vary: Accept-Encoding");
    finish(&request);
    request = get("/app.js");
    expect_body(&request, "plain script");
    finish(&request);
}

static void test_an_older_twin_is_not_sent(void **state)
{
    (void)state;
    struct weir_request request = get_with("/old.js", "Accept-Encoding", "gzip");
    expect_body(&request, "plain script");
    expect_no_field(&request, "Vary");
    finish(&request);
}

static void test_each_representation_has_its_own_tag_and_ranges(void **state)
{
    (void)state;
    char plain[128];
    char packed[128];
    copy_etag("/app.js", "identity", plain);
    copy_etag("/app.js", "gzip", packed);
    assert_string_not_equal(plain, packed);
    struct weir_request request = make_request("GET", "/app.js");
    add_header(&request, "Accept-Encoding", "gzip");
    add_header(&request, "If-None-Match", plain);
    add_header(&request, "Range", "bytes=-2");
    ask(&request);
    assert_int_equal(request.status, 206);
    expect_body(&request, "ed");
    expect_field(&request, "Content-Range: bytes 4-5/6");
    expect_field(&request, "Content-Encoding: gzip");
    finish(&request);
    request = make_request("GET", "/app.js");
    add_header(&request, "Accept-Encoding", "gzip");
    add_header(&request, "If-None-Match", packed);
    ask(&request);
    assert_int_equal(request.status, 304);
    expect_field(&request, "Vary: Accept-Encoding");
    expect_no_field(&request, "Content-Encoding");
    finish(&request);
}

static void test_the_packed_file_itself_is_a_file(void **state)
{
    (void)state;
    struct weir_request request = get_with("/app.js.gz", "Accept-Encoding", "gzip");
    expect_body(&request, "packed");
    expect_field(&request, "Content-Type: application/gzip");
    expect_no_field(&request, "Content-Encoding");
    finish(&request);
}

/* --- large bodies --- */

static unsigned run_to_end(struct weir_request *request)
{
    unsigned turns = 1;
    while (!request->is_ended) {
        turns++;
        if (fake_timer != NULL) {
            static_ops()->on_reply_drain(self, request, SEAT); /* has nothing to do then */
            fake_timer->fn(fake_timer->context);
        } else {
            static_ops()->on_reply_drain(self, request, SEAT);
        }
    }
    return turns;
}

static void test_up_to_a_piece_goes_out_at_once_and_more_in_parts(void **state)
{
    (void)state;
    struct weir_request request = get("/piece");
    assert_true(request.is_ended);
    assert_int_equal(request.parts, 0);
    expect_file_bytes(&request, 0, PIECE);
    finish(&request);
    request = get("/piece_and_one");
    assert_true(request.is_ended);
    assert_int_equal(request.parts, 2);
    expect_file_bytes(&request, 0, PIECE + 1);
    finish(&request);
}

static void test_a_large_file_takes_several_turns_of_the_loop(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/big");
    ask(&request);
    assert_int_equal(request.length, BIG);
    assert_int_equal(request.parts, 16);
    assert_non_null(fake_timer);
    assert_int_equal(run_to_end(&request), 6);
    expect_file_bytes(&request, 0, BIG);
    finish(&request);
}

static void test_a_slow_reader_is_waited_for(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/big");
    request.full_after = 1;
    ask(&request);
    assert_int_equal(request.parts, 1);
    assert_null(fake_timer);
    assert_int_equal(run_to_end(&request), (BIG + PIECE - 1) / PIECE);
    expect_file_bytes(&request, 0, BIG);
    static_ops()->on_reply_drain(self, &request, SEAT); /* late: there is no more to send */
    finish(&request);
}

static void test_a_large_range_is_sent_in_parts(void **state)
{
    (void)state;
    struct weir_request request = make_request("GET", "/big");
    request.full_after = 3;
    add_header(&request, "Range", "bytes=100-4000000");
    ask(&request);
    assert_int_equal(request.status, 206);
    assert_int_equal(request.length, 3999901);
    run_to_end(&request);
    expect_file_bytes(&request, 100, 3999901);
    finish(&request);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void test_a_client_that_leaves_frees_the_file(void **state)
{
    (void)state;
    int before = count_descriptors();
    struct weir_request request = make_request("GET", "/big");
    request.closed_after = 2;
    ask(&request);
    assert_false(request.is_ended);
    finish(&request);
    request = make_request("GET", "/big"); /* leaves while a turn is awaited */
    ask(&request);
    assert_non_null(fake_timer);
    finish(&request);
    request = make_request("GET", "/big"); /* leaves while it is behind */
    request.full_after = 1;
    ask(&request);
    assert_int_equal(count_descriptors(), before + 1);
    finish(&request);
    assert_int_equal(count_descriptors(), before);
}

static void test_a_file_that_shrinks_ends_the_body_early(void **state)
{
    (void)state;
    char path[256];
    write_bytes("www/shrinking", 3 * PIECE);
    struct weir_request request = make_request("GET", "/shrinking");
    request.full_after = 1;
    ask(&request);
    at_base("www/shrinking", path);
    assert_int_equal(truncate(path, 2 * PIECE + 10), 0);
    run_to_end(&request);
    assert_true(request.is_ended);
    assert_int_equal(request.length, 3 * PIECE);
    assert_int_equal(request.body.size, 2 * PIECE);
    finish(&request);
}

static void test_without_memory_for_a_turn_the_body_ends_early(void **state)
{
    (void)state;
    fake_timers_fail = true;
    struct weir_request request = make_request("GET", "/big");
    ask(&request);
    fake_timers_fail = false;
    assert_true(request.is_ended);
    assert_int_equal(request.body.size, 16 * PIECE);
    finish(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_settings_are_refused_with_words),
        cmocka_unit_test(test_a_folder_that_is_none_is_refused_with_words),
        cmocka_unit_test(test_settings_are_followed),
        cmocka_unit_test(test_get_sends_the_file_with_its_fields),
        cmocka_unit_test(test_head_promises_the_length_and_sends_nothing),
        cmocka_unit_test(test_options_and_other_methods_name_what_is_allowed),
        cmocka_unit_test(test_folders_send_their_index),
        cmocka_unit_test(test_folders_without_slash_are_redirected),
        cmocka_unit_test(test_the_routes_path_is_cut_off),
        cmocka_unit_test(test_what_is_not_there_or_not_public_is_404),
        cmocka_unit_test(test_no_descriptors_left_is_503),
        cmocka_unit_test(test_a_reply_that_fails_drops_the_request),
        cmocka_unit_test(test_a_file_that_is_known_is_304_with_caching_fields_alone),
        cmocka_unit_test(test_head_is_conditional_too),
        cmocka_unit_test(test_a_precondition_that_fails_is_412_before_any_range),
        cmocka_unit_test(test_a_date_from_the_future_is_not_told),
        cmocka_unit_test(test_a_tag_is_weak_while_the_file_is_fresh),
        cmocka_unit_test(test_one_range_is_206),
        cmocka_unit_test(test_a_range_beyond_the_end_is_416_with_the_size),
        cmocka_unit_test(test_several_ranges_or_range_fields_are_answered_whole),
        cmocka_unit_test(test_if_range_decides_whether_the_range_counts),
        cmocka_unit_test(test_the_compressed_twin_is_sent_where_gzip_is_accepted),
        cmocka_unit_test(test_an_older_twin_is_not_sent),
        cmocka_unit_test(test_each_representation_has_its_own_tag_and_ranges),
        cmocka_unit_test(test_the_packed_file_itself_is_a_file),
        cmocka_unit_test(test_up_to_a_piece_goes_out_at_once_and_more_in_parts),
        cmocka_unit_test(test_a_large_file_takes_several_turns_of_the_loop),
        cmocka_unit_test(test_a_slow_reader_is_waited_for),
        cmocka_unit_test(test_a_large_range_is_sent_in_parts),
        cmocka_unit_test(test_a_client_that_leaves_frees_the_file),
        cmocka_unit_test(test_a_file_that_shrinks_ends_the_body_early),
        cmocka_unit_test(test_without_memory_for_a_turn_the_body_ends_early),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
