/* A loop that a test runs until something is so, what is logged meanwhile, and what is open. */
#ifndef WEIR_TESTS_LOOP_FIXTURE_H
#define WEIR_TESTS_LOOP_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

enum {
    LOOP_GIVE_UP_MS = 20000
};

static struct loop *loop;
static struct loop_timer *loop_tick;
static int loop_log = -1;      /* what is logged goes here */
static int loop_stderr = -1;   /* and went here */
static char loop_logged[8192]; /* terminated */

static void loop_ticks(void *context)
{
    (void)context; /* only so that a turn that waits ends */
}

static inline int loop_set_up(void)
{
    loop = loop_new();
    loop_tick = loop != NULL ? loop_timer_new(loop, 1, true, loop_ticks, NULL) : NULL;
    fflush(stderr);
    loop_log = memfd_create("log", MFD_CLOEXEC);
    loop_stderr = dup(STDERR_FILENO);
    return loop_tick != NULL && loop_log >= 0 && dup2(loop_log, STDERR_FILENO) >= 0 ? 0 : -1;
}

/* How often `words` have been logged. */
static inline unsigned loop_log_count(const char *words)
{
    unsigned count = 0;
    ssize_t size = pread(loop_log, loop_logged, sizeof loop_logged - 1, 0);
    loop_logged[size > 0 ? size : 0] = '\0';
    for (const char *at = loop_logged; (at = strstr(at, words)) != NULL; at += strlen(words)) {
        count++;
    }
    return count;
}

static inline void loop_tear_down(void)
{
    dup2(loop_stderr, STDERR_FILENO);
    loop_log_count("?");
    fputs(loop_logged, stderr); /* for who reads why a test has failed */
    close(loop_stderr);
    close(loop_log);
    loop_timer_free(&loop_tick);
    loop_free(&loop);
}

/* Runs turns and `work` until `condition`. */
#define LOOP_UNTIL(condition, work)                                                                \
    do {                                                                                           \
        uint64_t give_up_ms = clock_monotonic_ms() + LOOP_GIVE_UP_MS;                              \
        while (!(condition)) {                                                                     \
            assert_true(loop_turn(loop, true));                                                    \
            work;                                                                                  \
            if (clock_monotonic_ms() > give_up_ms) {                                               \
                fail_msg("in vain: " #condition);                                                  \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Descriptors that this process has open. */
static inline unsigned loop_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

#endif
