/* Entity tags of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/static_etag.h"

static const struct stat FILE_INFO = {
    .st_dev = 1,
    .st_ino = 2,
    .st_size = 0x300,
    .st_mtim = {.tv_sec = 1000, .tv_nsec = 5},
    .st_ctim = {.tv_sec = 2000, .tv_nsec = 500000000},
};

static void test_tag_is_quoted_and_strong_once_the_file_has_settled(void **state)
{
    (void)state;
    char tag[STATIC_ETAG_BYTES];
    static_etag_write(&FILE_INFO, false, 2001500, tag);
    assert_int_equal(tag[0], '"');
    assert_int_equal(strspn(tag + 1, "0123456789abcdef"), 16);
    assert_string_equal(tag + 17, "-300\"");
}

static void test_tag_is_weak_within_a_second_of_the_change(void **state)
{
    (void)state;
    char weak[STATIC_ETAG_BYTES];
    char strong[STATIC_ETAG_BYTES];
    static_etag_write(&FILE_INFO, false, 2001500, strong);
    static_etag_write(&FILE_INFO, false, 2001499, weak);
    assert_memory_equal(weak, "W/", 2);
    assert_string_equal(weak + 2, strong);
    static_etag_write(&FILE_INFO, false, 1000000, weak); /* the clock was set back */
    assert_memory_equal(weak, "W/", 2);
}

static void test_tag_of_the_compressed_twin_differs(void **state)
{
    (void)state;
    char plain[STATIC_ETAG_BYTES];
    char gzip[STATIC_ETAG_BYTES];
    static_etag_write(&FILE_INFO, false, 3000000, plain);
    static_etag_write(&FILE_INFO, true, 3000000, gzip);
    assert_string_not_equal(plain, gzip);
    assert_non_null(strstr(gzip, "-gz\""));
}

static void expect_other(const struct stat *info)
{
    char tag[STATIC_ETAG_BYTES];
    char original[STATIC_ETAG_BYTES];
    static_etag_write(info, false, 9000000, tag);
    static_etag_write(&FILE_INFO, false, 9000000, original);
    assert_string_not_equal(tag, original);
}

static void test_every_change_makes_another_tag(void **state)
{
    (void)state;
    struct stat info = FILE_INFO;
    info.st_dev++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_ino++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_size++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_mtim.tv_sec++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_mtim.tv_nsec++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_ctim.tv_sec++;
    expect_other(&info);
    info = FILE_INFO;
    info.st_ctim.tv_nsec++;
    expect_other(&info);
}

static void test_largest_numbers_fit(void **state)
{
    (void)state;
    struct stat info = FILE_INFO;
    char tag[STATIC_ETAG_BYTES];
    info.st_size = INT64_MAX;
    static_etag_write(&info, true, 0, tag);
    assert_memory_equal(tag, "W/\"", 3);
    assert_string_equal(tag + 19, "-7fffffffffffffff-gz\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag_is_quoted_and_strong_once_the_file_has_settled),
        cmocka_unit_test(test_tag_is_weak_within_a_second_of_the_change),
        cmocka_unit_test(test_tag_of_the_compressed_twin_differs),
        cmocka_unit_test(test_every_change_makes_another_tag),
        cmocka_unit_test(test_largest_numbers_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
