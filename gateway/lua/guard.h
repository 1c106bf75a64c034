/* The CPU-time limit. A guarded stretch of Lua costs a few stores; a timer on the thread's own CPU
 * clock looks now and then whether one has run for too long, and arms a Lua hook that throws. All
 * functions: the thread whose Lua is guarded. */
#ifndef WEIR_LUA_GUARD_H
#define WEIR_LUA_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"

/* One guarded stretch; they nest, as a send within one plugin runs on_send of another. */
struct guard_frame {
    struct guard_frame *outer;
    lua_State *volatile current; /* the coroutine that runs, or called out */
    uint64_t limit_ns;
    volatile uint64_t seen_ns; /* the thread's CPU time when a tick first saw it; 0: none has */
    volatile sig_atomic_t stopped;
};

/* What the innermost frame of this thread is. Signal handlers read it. */
extern _Thread_local struct guard_frame *volatile guard_top;
extern _Thread_local uint64_t guard_tick_ns;

/* Starts this thread's timer, or makes it tick often enough for `limit_ns`. WEIR_EIO: the system
 * has no such timer. */
WEIR_MUST enum weir_err guard_start(uint64_t limit_ns);

/* Opens a stretch of at most `limit_ns` of CPU time in which `L` runs. `frame` is borrowed until
 * guard_leave. */
static inline void guard_enter(struct guard_frame *frame, lua_State *L, uint64_t limit_ns)
{
    frame->outer = guard_top;
    frame->current = L;
    frame->limit_ns = limit_ns;
    frame->seen_ns = 0;
    frame->stopped = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard_top = frame;
}

/* Closes it. True when the limit was passed. */
static inline bool guard_leave(struct guard_frame *frame)
{
    guard_top = frame->outer;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return frame->stopped != 0;
}

/* Tells that `L` runs now in the innermost stretch: a coroutine of the plugin's own, or who resumed
 * it. Follow it with guard_check. */
static inline void guard_follow(lua_State *L)
{
    struct guard_frame *frame = guard_top;
    if (frame != NULL) {
        frame->current = L;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
}

/* Whether the innermost stretch has passed its limit. */
static inline bool guard_is_stopped(void)
{
    return guard_top != NULL && guard_top->stopped != 0;
}

/* Throws in `L` when the innermost stretch has passed its limit. For C functions that loop. */
void guard_check(lua_State *L);

/* Where the plugin was when its limit last stopped it, "FILE:LINE"; "" where unknown. */
const char *guard_where(void);

#endif
