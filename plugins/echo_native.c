/* Sends every message back as it came: the C twin of echo.lua, and a beginning for a plugin of your
 * own. docs/native-plugins.md goes through it line by line.
 *
 * It needs nothing but the public header. Build it with
 *
 *     cc -shared -fPIC -O2 -I /usr/local/include -o echo_native.so echo_native.c
 *
 * put echo_native.so into a folder of `plugin_path`, and name it as a route's handler:
 *
 *     handler: {native: echo_native}
 */
#include <weir/plugin.h>

/* What Weir offers: the same table for the life of the process, so one variable holds it. */
static const struct weir_host *host;

/* A whole message has come. `message` is Weir's, for this call: session_send takes what it needs of
 * it, and what you want to keep longer you copy. */
static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    (void)self; /* what worker_start has made; this plugin keeps nothing */

    /* Not OK: the client reads too slowly (FULL) or is going (CLOSED). Like echo.lua, let it be. */
    (void)host->session_send(session, seat, message->kind, message->payload);

    /* As the handler we are the last of the chain. Before others, WEIR_NEXT passes it on to them.
     */
    return WEIR_NEXT;
}

/* The callbacks. What is not named here is NULL, and not called. */
static const struct weir_plugin_ops ops = {
    .struct_size = sizeof(struct weir_plugin_ops),
    .major = WEIR_ABI_MAJOR,
    .minor = WEIR_ABI_MINOR,
    .on_message = on_message,
};

/* The one function that Weir looks for. */
const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)
{
    host = table;
    return &ops;
}
