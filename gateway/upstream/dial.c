/* Which server is tried next, and how a dial ends: the server that the client sticks to, or the
 * balancer's pick, until one has a connection to give (dial_connect.c) or none is left to try.
 * Results that are known at once wait for the next turn of the loop, so that nobody is called back
 * from within dial_start or backend_close. Waiting is dial_queue.c's.
 * Called by the proxy's exchanges. No byte of a request is sent here, so trying again is safe. */
#include "upstream/dial.h"

#include <stdlib.h>
#include <string.h>

#include "upstream/balancer.h"
#include "upstream/dial_internal.h"

/* --- ends --- */

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

/* The server that was tried last; NULL where none was. */
static const struct upstream_server *last_tried(const struct dial *dial)
{
    if (dial->backend != NULL) {
        return dial->backend->server;
    }
    return dial->tried_count > 0 ? dial->tried[dial->tried_count - 1] : NULL;
}

void dial_tell(struct dial *dial)
{
    dial_fn fn = dial->fn;
    void *context = dial->context;
    enum dial_result result = dial->result;
    struct backend *backend = dial->backend;
    const struct upstream_server *last = last_tried(dial);
    char why[DIAL_WHY_BYTES];
    char server[SERVER_ADDRESS_BYTES] = "";
    memcpy(why, dial->why, sizeof why);
    if (last != NULL) {
        memcpy(server, last->text, sizeof server);
    }
    struct dial_report report = {
        .why = why,
        .server = server,
        .tries = (unsigned)dial->tried_count + (backend != NULL ? 1 : 0),
    };
    dial->backend = NULL;
    free_dial(dial);
    if (backend != NULL) {
        backend_set_timeout(backend, 0);
        backend->ops = NULL;
        backend->owner = NULL;
    }
    fn(context, result, backend, &report);
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
        dial_tell(dial);
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
