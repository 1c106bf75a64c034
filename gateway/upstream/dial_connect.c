/* One server at a time: out of its pool, or connected to, through the TLS handshake. While that
 * goes on the dial is the owner of the backend, and hears what becomes of it. What fails goes on
 * with dial.c's next pick. Called by dial.c and dial_queue.c. It never sends a byte of a request.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "upstream/backend_internal.h"
#include "upstream/dial_internal.h"
#include "upstream/pool.h"

static const struct backend_ops dial_ops;

static void say(struct dial *dial, const struct upstream_server *server, const char *words)
{
    snprintf(dial->why, sizeof dial->why, "%s: %s", server->text, words);
}

/* Faults of this machine, which no other server would cure. */
static bool is_ours(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* That server could not be reached. With `blame` it counts against it. The dial's next step is the
 * caller's to take. */
static void give_up(struct dial *dial, struct upstream_server *server, enum dial_result result,
                    bool blame)
{
    if (blame) {
        server_failed(server, upstream_now_ms(dial->upstream));
    }
    dial->tried[dial->tried_count++] = server_share(server);
    dial->result = result;
    backend_close(&dial->backend);
}

static bool may_try_again(const struct dial *dial)
{
    uint64_t tries = dial->upstream->group->config->tries;
    return dial->tried_count < DIAL_TRIES_MAX && dial->tried_count < tries;
}

static void step_or_end(struct dial *dial)
{
    if (may_try_again(dial)) {
        dial_step(dial);
    } else {
        dial_done(dial, dial->result);
    }
}

static void try_failed(struct dial *dial, enum dial_result result)
{
    give_up(dial, dial->backend->server, result, true);
    step_or_end(dial);
}

/* Connects. False: it failed at once, and the lease has been given back. */
static bool begin_connecting(struct dial *dial, struct upstream_server *server)
{
    struct upstream *upstream = dial->upstream;
    enum weir_err err = backend_connect(upstream, server, &dial_ops, dial, &dial->backend);
    int error = err == WEIR_ENOMEM ? ENOMEM : errno;
    if (err == WEIR_OK) {
        dial->state = DIAL_CONNECTING;
        backend_set_timeout(dial->backend, upstream->group->config->connect_timeout_ms);
        return true;
    }
    say(dial, server, strerror(error));
    /* EADDRNOTAVAIL: our ports towards that server have run out, which is not its fault. */
    give_up(dial, server, is_ours(error) ? DIAL_NO_MEMORY : DIAL_REFUSED,
            !is_ours(error) && error != EADDRNOTAVAIL);
    upstream_unlease(upstream, server);
    return false;
}

void dial_try(struct dial *dial, struct upstream_server *server)
{
    if (!dial->fresh) {
        dial->backend = pool_take(dial->upstream, server);
    }
    if (dial->backend != NULL) {
        backend_use(dial->backend);
        dial->backend->ops = &dial_ops;
        dial->backend->owner = dial;
        dial_done(dial, DIAL_OK);
    } else if (!begin_connecting(dial, server)) {
        if (dial->result == DIAL_NO_MEMORY) {
            dial_done(dial, DIAL_NO_MEMORY);
        } else {
            step_or_end(dial);
        }
    }
}

/* --- what the connection says --- */

/* TLS: to the end of the handshake, however many turns that takes. */
static void shake_hands(struct dial *dial)
{
    char why[256] = "cut during the TLS handshake";
    enum weir_err err = stream_handshake(&dial->backend->stream, why, sizeof why);
    if (err == WEIR_OK) {
        dial->state = DIAL_DONE;
        dial->result = DIAL_OK;
        dial_tell(dial);
    } else if (err != WEIR_AGAIN) {
        say(dial, dial->backend->server, why);
        try_failed(dial, DIAL_REFUSED);
    }
}

static void connected(struct dial *dial)
{
    struct backend *backend = dial->backend;
    struct tls_client *tls = dial->upstream->group->tls;
    if (tls == NULL) {
        dial->state = DIAL_DONE;
        dial->result = DIAL_OK;
        dial_tell(dial);
        return;
    }
    if (stream_start_tls_client(&backend->stream, tls, server_tls_name(backend->server)) !=
        WEIR_OK) {
        say(dial, backend->server, "no memory for TLS");
        give_up(dial, backend->server, DIAL_NO_MEMORY, false);
        dial_done(dial, DIAL_NO_MEMORY);
        return;
    }
    dial->state = DIAL_SHAKING_HANDS;
    stream_set_reading(&backend->stream, true);
    shake_hands(dial);
}

/* Idle a moment ago, and gone before its new owner has heard of it: no try was lost. */
static void lost_again(struct dial *dial)
{
    backend_close(&dial->backend);
    list_remove(&dial->soon);
    dial_step(dial);
}

static void cut_off(struct dial *dial)
{
    int error = stream_error(&dial->backend->stream);
    say(dial, dial->backend->server, error != 0 ? strerror(error) : "cut before it was ready");
    try_failed(dial, DIAL_REFUSED);
}

static void dial_ready(struct backend *backend, bool readable, bool writable)
{
    struct dial *dial = backend->owner;
    if (dial->state == DIAL_DONE) {
        if ((!readable && !writable) || !pool_is_silent(backend)) {
            lost_again(dial);
        }
    } else if (!readable && !writable) {
        cut_off(dial);
    } else if (dial->state == DIAL_CONNECTING) {
        connected(dial);
    } else if (dial->state == DIAL_SHAKING_HANDS) {
        shake_hands(dial);
    }
}

static void dial_timed_out(struct backend *backend)
{
    struct dial *dial = backend->owner;
    char words[64];
    snprintf(words, sizeof words, "not connected within %llu ms",
             (unsigned long long)dial->upstream->group->config->connect_timeout_ms);
    say(dial, backend->server, words);
    try_failed(dial, DIAL_TIMEOUT);
}

static const struct backend_ops dial_ops = {.ready = dial_ready, .timed_out = dial_timed_out};
