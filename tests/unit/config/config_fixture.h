/* A folder with the files that configurations name, and comparisons of whole error texts. */
#ifndef WEIR_TESTS_CONFIG_FIXTURE_H
#define WEIR_TESTS_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "config/config.h"

/* The smallest good file; `ROUTES` alone for tests that write their own `listen`. */
#define LISTEN "listen: [{address: '127.0.0.1:5000'}]\n"
#define ROUTES "routes: [{path: /, handler: {static: www}}]\n"

static char fixture_folder[] = "/tmp/weir-config-XXXXXX";
static const char *const fixture_files[] = {"plugins/echo.lua",
                                            "plugins/rate_limit.lua",
                                            "plugins/notes.txt",
                                            "more/chat.lua",
                                            "more/echo.lua",
                                            "www/index.html",
                                            "tls/cert.pem",
                                            "tls/key.pem",
                                            "tls/other-cert.pem",
                                            "tls/other-key.pem",
                                            "tls/client-ca.pem",
                                            "more/auth.so",
                                            NULL};
static const char *const fixture_folders[] = {"plugins", "more", "www", "tls", NULL};

static int fixture_make(void **state)
{
    (void)state;
    strcpy(fixture_folder + sizeof(fixture_folder) - 7, "XXXXXX");
    assert_non_null(mkdtemp(fixture_folder));
    assert_int_equal(chdir(fixture_folder), 0);
    for (const char *const *folder = fixture_folders; *folder != NULL; folder++) {
        assert_int_equal(mkdir(*folder, 0700), 0);
    }
    for (const char *const *path = fixture_files; *path != NULL; path++) {
        FILE *file = fopen(*path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    return 0;
}

static int fixture_remove(void **state)
{
    (void)state;
    for (const char *const *path = fixture_files; *path != NULL; path++) {
        assert_int_equal(unlink(*path), 0);
    }
    for (const char *const *folder = fixture_folders; *folder != NULL; folder++) {
        assert_int_equal(rmdir(*folder), 0);
    }
    assert_int_equal(chdir("/"), 0);
    return rmdir(fixture_folder);
}

/* Loads a good file; given. */
static inline struct config *load_good(const char *yaml)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    enum weir_err err = config_load_text("t.yaml", yaml, strlen(yaml), &errors, &config);
    if (err != WEIR_OK) {
        print_error("%.*s", (int)errors.size, (const char *)errors.data);
    }
    assert_int_equal(err, WEIR_OK);
    assert_int_equal(errors.size, 0);
    buffer_free(&errors);
    return config;
}

/* Loads a bad file and compares all that is said about it, byte for byte. */
static inline void expect_errors(const char *yaml, const char *expected)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    assert_int_equal(config_load_text("t.yaml", yaml, strlen(yaml), &errors, &config), WEIR_EINVAL);
    assert_null(config);
    assert_int_equal(buffer_append(&errors, (struct span){(const uint8_t *)"", 1}), WEIR_OK);
    assert_string_equal((const char *)errors.data, expected);
    buffer_free(&errors);
}

/* Loads a file and releases it. */
static inline void expect_good(const char *yaml)
{
    struct config *config = load_good(yaml);
    config_release(&config);
    assert_null(config);
}

/* A number with a range: the two ends are taken and what lies beyond is not. */
struct range_row {
    const char *before;    /* of the value, in the file's last line */
    const char *values[4]; /* below, least, most, above; NULL: there is none */
    const char *after;
    const char *range;
};

/* Checks one row in a file that begins with `yaml`. */
static inline void expect_range(const char *yaml, const struct range_row *row)
{
    for (size_t i = 0; i < 4; i++) {
        char text[1024];
        char said[256];
        struct buffer errors = {0};
        struct config *config = NULL;
        const char *value = row->values[i];
        if (value == NULL) {
            continue;
        }
        snprintf(text, sizeof(text), "%s%s%s%s\n", yaml, row->before, value, row->after);
        if (i == 1 || i == 2) {
            expect_good(text);
            continue;
        }
        snprintf(said, sizeof(said), ": `%s` is out of range: %s\n", value, row->range);
        assert_int_equal(config_load_text("t", text, strlen(text), &errors, &config), WEIR_EINVAL);
        assert_true(errors.size > strlen(said));
        assert_memory_equal(errors.data + errors.size - strlen(said), said, strlen(said));
        buffer_free(&errors);
    }
}

#endif
