/* What becomes of a callback's outcome: verdicts given at once, or later to what waits for them. */
#ifndef WEIR_LUA_SETTLE_H
#define WEIR_LUA_SETTLE_H

#include <weir/plugin.h>

#include "lua/instance.h"

/* Runs a callback that a session or request waits for, and returns its verdict, or WEIR_WAIT when
 * it parked. `runner` is taken. */
enum weir_verdict settle_now(struct lua_runner *runner);

/* Starts `serve` of an open session: WEIR_NEXT, or WEIR_CLOSE when it is over already. */
enum weir_verdict settle_serve(struct lua_instance *instance, struct weir_session *session,
                               unsigned seat);

/* Gives a message to `serve`. */
enum weir_verdict settle_serve_message(struct lua_instance *instance, struct api_conn *conn,
                                       const struct weir_message *message);

/* Tells `serve` that its session is over. */
void settle_serve_end(struct api_conn *conn);

/* Goes on with a parked runner, and gives its verdict to what waits for it. From the loop alone,
 * never within a callback. */
void settle_wake(struct lua_runner *runner);

/* Runs the function of a timer that fired. */
void settle_timer(struct lua_instance *instance, struct api_timer *timer);

#endif
