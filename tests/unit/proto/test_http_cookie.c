/* One cookie of a Cookie field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http_cookie.h"

struct row {
    const char *field;
    const char *value; /* NULL: not there */
};

/* All ask for the cookie "id". */
static const struct row ROWS[] = {
    {"id=1", "1"},
    {"id=", ""},
    {"a=b; id=1", "1"},
    {"a=b;id=1;c=d", "1"},
    {"a=b ; \tid = 1 ; c=d", "1"},
    {"id=1; id=2", "1"},
    {"id=a=b=", "a=b="},
    {"id=\"1\"", "1"},
    {"id=\"\"", ""},
    {"id=\"", "\""},
    {"id=\"1", "\"1"},
    {"id=a b", "a b"},
    {";;; ; id=1;", "1"},
    {"id; id=1", "1"},
    {"", NULL},
    {";", NULL},
    {"=1", NULL},
    {"id", NULL},
    {"ID=1", NULL},
    {"xid=1", NULL},
    {"idx=1", NULL},
    {"x=id=1", NULL},
    {"\"id=1\"", NULL},
    {"a=b, id=1", NULL},
};

static void test_finds_the_first_of_that_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        size_t size = strlen(ROWS[i].field);
        uint8_t *copy = malloc(size + (size == 0));
        assert_non_null(copy);
        memcpy(copy, ROWS[i].field, size);
        struct span value = http_cookie_find((struct span){copy, size}, SPAN("id"));
        bool is_right = ROWS[i].value == NULL
                            ? value.data == NULL
                            : value.data != NULL && span_equal(value, span_of(ROWS[i].value));
        if (!is_right) {
            fail_msg("%s gave \"%.*s\"", ROWS[i].field, SPAN_ARGS(value));
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_first_of_that_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
