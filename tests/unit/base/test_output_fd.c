/* base/output_fd: output that never waits for its reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/output_fd.h"

static void test_a_pipe_is_opened_once_more_and_left_as_it_is(void **state)
{
    int ends[2];
    char filler[4096] = {0};
    (void)state;
    assert_int_equal(pipe(ends), 0);
    int unblocked = output_fd_unblocked(ends[1]);
    assert_int_not_equal(unblocked, ends[1]);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    /* Nobody reads: a write that waited would never return. */
    while (write(unblocked, filler, sizeof filler) > 0) {
    }
    assert_true(read(ends[0], filler, 1) == 1);
    close(unblocked);
    close(ends[0]);
    close(ends[1]);
}

static void test_what_is_no_pipe_stays_the_same(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(output_fd_unblocked(fd), fd);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pipe_is_opened_once_more_and_left_as_it_is),
        cmocka_unit_test(test_what_is_no_pipe_stays_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
