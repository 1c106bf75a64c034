/* One POSIX timer for each thread, on that thread's CPU clock, so an idle worker is never woken.
 * Its signal is sent to that very thread. The handler only compares clocks and calls lua_sethook,
 * which Lua allows in signal handlers; the hook then throws inside the Lua code that ran too long.
 *
 * The hook stays armed until the stretch ends, so a pcall in the plugin catches the error once and
 * gets it again with its next instruction. Coroutines of the plugin's own are followed with
 * guard_follow. Called by call.c and coroutine.c; never frees or allocates anything. */
#include "lua/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    WHERE_BYTES = 128,
    TICKS_PER_LIMIT = 4
};

static const uint64_t SHORTEST_TICK_NS = 1000000;
static const uint64_t SECOND_NS = 1000000000;

_Thread_local struct guard_frame *volatile guard_top;
_Thread_local uint64_t guard_tick_ns; /* 0: no timer yet */
static _Thread_local timer_t ticker;
static _Thread_local char where[WHERE_BYTES];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static int setup_errno;

static int guard_signal(void)
{
    return SIGRTMIN + 3;
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) {
        return 1;
    }
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

const char *guard_where(void)
{
    return where;
}

static void note_where(lua_State *L)
{
    lua_Debug at;
    where[0] = '\0';
    for (int level = 0; lua_getstack(L, level, &at) == 1; level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0) {
            snprintf(where, sizeof where, "%s:%d", at.short_src, at.currentline);
            return;
        }
    }
}

static _Noreturn void stop(lua_State *L)
{
    /* A literal string would have to be interned, and memory may be out. */
    lua_pushlightuserdata(L, &thread_end);
    lua_error(L);
    __builtin_unreachable();
}

static void stop_hook(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct guard_frame *frame = guard_top;
    if (frame == NULL || frame->stopped == 0) {
        lua_sethook(L, NULL, 0, 0); /* armed in an earlier stretch that has ended */
        return;
    }
    if (frame->stopped == 1) {
        frame->stopped = 2;
        note_where(L);
    }
    stop(L);
}

static void arm(lua_State *L)
{
    lua_sethook(L, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void on_tick(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    int saved = errno;
    uint64_t now = thread_cpu_ns();
    for (struct guard_frame *frame = guard_top; frame != NULL; frame = frame->outer) {
        if (frame->seen_ns == 0) {
            frame->seen_ns = now;
        } else if (now - frame->seen_ns >= frame->limit_ns) {
            if (frame->stopped == 0) {
                frame->stopped = 1;
            }
            arm(frame->current);
        }
    }
    errno = saved;
}

static void delete_timer(void *timer)
{
    timer_delete(*(timer_t *)timer);
}

static void set_up_process(void)
{
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(guard_signal(), &action, NULL) != 0) {
        setup_errno = errno;
        return;
    }
    setup_errno = pthread_key_create(&thread_end, delete_timer);
}

static enum weir_err create_timer(void)
{
    pthread_once(&once, set_up_process);
    if (setup_errno != 0) {
        errno = setup_errno;
        return WEIR_EIO;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, guard_signal());
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = guard_signal()};
    event.sigev_notify_thread_id = gettid();
    if (pthread_sigmask(SIG_UNBLOCK, &set, NULL) != 0 ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &ticker) != 0) {
        return WEIR_EIO;
    }
    return pthread_setspecific(thread_end, &ticker) == 0 ? WEIR_OK : WEIR_ENOMEM;
}

enum weir_err guard_start(uint64_t limit_ns)
{
    uint64_t tick = limit_ns / TICKS_PER_LIMIT;
    if (tick < SHORTEST_TICK_NS) {
        tick = SHORTEST_TICK_NS;
    }
    if (guard_tick_ns != 0 && guard_tick_ns <= tick) {
        return WEIR_OK;
    }
    if (guard_tick_ns == 0) {
        enum weir_err err = create_timer();
        if (err != WEIR_OK) {
            return err;
        }
    }
    struct timespec every = {.tv_sec = (time_t)(tick / SECOND_NS),
                             .tv_nsec = (long)(tick % SECOND_NS)};
    struct itimerspec times = {.it_value = every, .it_interval = every};
    if (timer_settime(ticker, 0, &times, NULL) != 0) {
        return WEIR_EIO;
    }
    guard_tick_ns = tick;
    return WEIR_OK;
}

void guard_check(lua_State *L)
{
    struct guard_frame *frame = guard_top;
    if (frame != NULL && frame->stopped != 0) {
        if (frame->stopped == 1) {
            frame->stopped = 2;
            note_where(L);
        }
        arm(L);
        stop(L);
    }
}
