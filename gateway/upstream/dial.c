/* Tries servers until one has a connection to give: the one that the client sticks to, or the
 * balancer's pick; out of the pool, or anew. While it connects, the dial is the owner of the
 * backend. Results that are known at once wait for the next turn of the loop, so that nobody is
 * called back from within dial_start or backend_close. Waiting is dial_queue.c's.
 * Called by the proxy's exchanges. It never sends a byte of a request, so trying again is safe. */
#include "upstream/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "upstream/backend_internal.h"
#include "upstream/balancer.h"
#include "upstream/dial_internal.h"
#include "upstream/pool.h"

static const struct backend_ops dial_ops;

/* --- ends --- */

static void say(struct dial *dial, const struct upstream_server *server, const char *words)
{
    snprintf(dial->why, sizeof dial->why, "%s: %s", server->text, words);
}

static void free_dial(struct dial *dial)
{
    dial_queue_leave(dial);
    list_remove(&dial->node);
    list_remove(&dial->soon);
    upstream_timer_cancel(&dial->timer);
    backend_close(&dial->backend);
    for (size_t i = 0; i < dial->tried_count; i++) {
        server_release(&dial->tried[i]);
    }
    dial->upstream->worker->busy--;
    free(dial);
}

/* Tells the result and frees; from the loop alone. */
static void tell(struct dial *dial)
{
    dial_fn fn = dial->fn;
    void *context = dial->context;
    enum dial_result result = dial->result;
    struct backend *backend = dial->backend;
    char why[DIAL_WHY_BYTES];
    memcpy(why, dial->why, sizeof why);
    dial->backend = NULL;
    free_dial(dial);
    if (backend != NULL) {
        backend_set_timeout(backend, 0);
        backend->ops = NULL;
        backend->owner = NULL;
    }
    fn(context, result, backend, why);
}

void dial_done(struct dial *dial, enum dial_result result)
{
    dial_queue_leave(dial);
    dial->state = DIAL_DONE;
    dial->result = result;
    list_remove(&dial->soon);
    list_append(&dial->upstream->worker->soon, &dial->soon);
    dial_soon(dial->upstream->worker);
}

void dial_run_soon(struct upstream_worker *worker)
{
    struct list_node due;
    worker->soon_posted = false;
    if (worker->queue_due) {
        worker->queue_due = false;
        for (size_t i = 0; i < worker->count; i++) {
            dial_queue_run(&worker->items[i]);
        }
    }
    /* What is started from within callbacks waits for the turn after, or this might never end. */
    list_init(&due);
    while (!list_is_empty(&worker->soon)) {
        struct list_node *node = worker->soon.next;
        list_remove(node);
        list_append(&due, node);
    }
    while (!list_is_empty(&due)) {
        struct dial *dial = list_item(due.next, struct dial, soon);
        list_remove(&dial->soon);
        tell(dial);
    }
}

static void soon_delivered(struct mailbox_letter *letter, void *receiver)
{
    (void)letter;
    dial_run_soon(receiver);
}

void dial_soon(struct upstream_worker *worker)
{
    if (!worker->soon_posted) {
        worker->soon_posted = true;
        worker->soon_letter.deliver = soon_delivered;
        mailbox_post(worker->mailbox, &worker->soon_letter);
    }
}

/* --- one server --- */

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
        tell(dial);
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
        tell(dial);
        return;
    }
    if (stream_start_tls_client(&backend->stream, tls, server_tls_name(backend->server)) !=
        WEIR_OK) {
        say(dial, backend->server, "no memory for TLS");
        backend_close(&dial->backend);
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

/* --- picking --- */

/* The server that the client sticks to, while it can be used for that and has not been tried. */
static struct upstream_server *own_server(const struct dial *dial)
{
    const struct roster *roster = dial->upstream->roster;
    for (size_t i = 0; dial->server_id != 0 && i < roster->count; i++) {
        struct upstream_server *server = roster->servers[i];
        if (server->id != dial->server_id) {
            continue;
        }
        for (size_t t = 0; t < dial->tried_count; t++) {
            if (dial->tried[t] == server) {
                return NULL;
            }
        }
        return server_serves_its_own(server, upstream_now_ms(dial->upstream)) ? server : NULL;
    }
    return NULL;
}

struct upstream_server *dial_pick(struct dial *dial, bool *busy)
{
    struct balancer_pick pick = {
        .hash_key = {dial->key, dial->key_size},
        .now_ms = upstream_now_ms(dial->upstream),
        .tried = (const struct upstream_server *const *)dial->tried,
        .tried_count = dial->tried_count,
    };
    struct upstream_server *own = own_server(dial);
    if (own == NULL) {
        return balancer_next(dial->upstream->balancer, &pick, busy);
    }
    /* No other server knows this client: it waits for a slot of its own. */
    *busy = !server_lease(own);
    return *busy ? NULL : own;
}

void dial_step(struct dial *dial)
{
    bool busy = false;
    upstream_refresh(dial->upstream);
    struct upstream_server *server = dial_pick(dial, &busy);
    if (server != NULL) {
        dial_try(dial, server);
    } else {
        dial_wait(dial, busy);
    }
}

/* --- for handlers --- */

struct dial *dial_start(struct upstream *upstream, const struct dial_wish *wish, dial_fn fn,
                        void *context)
{
    struct dial *dial = calloc(1, sizeof *dial + wish->hash_key.size);
    if (dial == NULL) {
        return NULL;
    }
    dial->upstream = upstream;
    dial->fn = fn;
    dial->context = context;
    dial->server_id = wish->server_id;
    dial->fresh = wish->fresh;
    dial->key_size = wish->hash_key.size;
    if (dial->key_size > 0) {
        memcpy(dial->key, wish->hash_key.data, dial->key_size);
    }
    list_init(&dial->soon);
    list_init(&dial->node);
    list_append(&upstream->dials, &dial->node);
    upstream_timer_init(&dial->timer, NULL);
    upstream->worker->busy++;
    if (upstream->waiting_count > 0) {
        dial_queue_run(upstream); /* those who came before come first */
    }
    dial_step(dial);
    return dial;
}

void dial_cancel(struct dial **dial)
{
    if (*dial != NULL) {
        free_dial(*dial);
        *dial = NULL;
    }
}
