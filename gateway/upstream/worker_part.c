/* What one worker has of all upstreams: a wheel for their timeouts, a mailbox through which it is
 * woken, and a struct upstream for each group. Made and freed by worker/. At the end it cuts what
 * is left without a word, since by then nobody is there to hear. */
#include "upstream/worker_part.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/backend_internal.h"
#include "upstream/balancer.h"
#include "upstream/dial_internal.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"
#include "upstream/upstreams.h"

/* --- timers --- */

static void wheel_fired(struct wheel_timer *wheel_timer)
{
    struct upstream_timer *timer = list_item(wheel_timer, struct upstream_timer, wheel);
    timer->fired(timer);
}

void upstream_timer_init(struct upstream_timer *timer, void (*fired)(struct upstream_timer *timer))
{
    wheel_timer_init(&timer->wheel);
    timer->fired = fired;
}

void upstream_timer_set(struct upstream *upstream, struct upstream_timer *timer, uint64_t ms)
{
    wheel_set(upstream->worker->wheel, &timer->wheel, ms);
}

void upstream_timer_cancel(struct upstream_timer *timer)
{
    wheel_cancel(&timer->wheel);
}

/* --- one upstream --- */

uint64_t upstream_now_ms(const struct upstream *upstream)
{
    return loop_now_ms(upstream->worker->loop);
}

/* What makes workers differ: where they lie, and when they began. */
static uint64_t seed_of(const struct upstream *upstream)
{
    return clock_monotonic_us() ^ (uint64_t)(uintptr_t)upstream;
}

void upstream_refresh(struct upstream *upstream)
{
    unsigned version = atomic_load_explicit(&upstream->group->version, memory_order_acquire);
    if (version == upstream->version && upstream->roster != NULL) {
        return;
    }
    struct roster *roster = group_roster(upstream->group);
    struct balancer *balancer = balancer_new(upstream->group->config, roster, seed_of(upstream));
    if (balancer == NULL) {
        roster_release(&roster);
        return;
    }
    balancer_free(&upstream->balancer);
    roster_release(&upstream->roster);
    upstream->balancer = balancer;
    upstream->roster = roster;
    upstream->version = version;
    pool_sweep(upstream);
}

void upstream_unlease(struct upstream *upstream, struct upstream_server *server)
{
    server_unlease(server);
    if (upstream->waiting_count > 0) {
        upstream->worker->queue_due = true;
        dial_soon(upstream->worker);
    }
    /* Without max_connections nobody waits for a slot. */
    if (server->config->max_connections > 0) {
        group_wake(upstream->group);
    }
}

void upstream_woken(struct mailbox_letter *letter, void *receiver)
{
    struct upstream *upstream = list_item(letter, struct upstream, wake_letter);
    (void)receiver;
    /* An exchange, so that what the one has done who finds it set, and posts nothing, is seen here.
     */
    atomic_exchange_explicit(&upstream->woken, false, memory_order_acq_rel);
    upstream_refresh(upstream);
    dial_queue_run(upstream);
}

static bool begin(struct upstream *upstream, struct upstream_worker *worker,
                  struct upstream_group *group)
{
    upstream->group = group;
    upstream->worker = worker;
    upstream->mailbox = worker->mailbox;
    upstream->wake_letter.deliver = upstream_woken;
    list_init(&upstream->in_use);
    list_init(&upstream->dials);
    list_init(&upstream->waiting);
    upstream_timer_init(&upstream->revival, dial_queue_revived);
    list_init(&upstream->membership);
    pool_init(upstream);
    upstream_refresh(upstream);
    if (upstream->balancer == NULL) {
        return false;
    }
    group_join(group, upstream);
    return true;
}

static void cancel_all(struct list_node *dials)
{
    while (!list_is_empty(dials)) {
        struct dial *dial = list_item(dials->next, struct dial, node);
        dial_cancel(&dial);
    }
}

static void end(struct upstream *upstream)
{
    group_leave(upstream->group, upstream);
    cancel_all(&upstream->waiting);
    upstream_timer_cancel(&upstream->revival);
    cancel_all(&upstream->dials);
    while (!list_is_empty(&upstream->in_use)) {
        struct backend *backend = list_item(upstream->in_use.next, struct backend, node);
        if (backend->ops != NULL && backend->ops->dropped != NULL) {
            backend->ops->dropped(backend); /* what outlives its session would never be freed */
        }
        backend_close(&backend);
    }
    pool_clear(upstream);
}

/* --- all of them --- */

struct upstream_worker *upstream_worker_new(struct upstreams *upstreams, struct loop *loop)
{
    size_t count = upstreams_count(upstreams);
    struct upstream_worker *worker = calloc(1, sizeof *worker + count * sizeof worker->items[0]);
    if (worker == NULL) {
        return NULL;
    }
    worker->loop = loop;
    list_init(&worker->soon);
    if (count == 0) {
        return worker; /* nothing that a wheel would have to turn for */
    }
    worker->wheel = wheel_new(loop, wheel_fired);
    worker->mailbox = mailbox_new(loop, worker);
    while (worker->wheel != NULL && worker->mailbox != NULL && worker->count < count &&
           begin(&worker->items[worker->count], worker, upstreams_at(upstreams, worker->count))) {
        worker->count++;
    }
    if (worker->wheel == NULL || worker->mailbox == NULL || worker->count < count) {
        upstream_worker_free(&worker);
    }
    return worker;
}

void upstream_worker_free(struct upstream_worker **worker)
{
    struct upstream_worker *gone = *worker;
    if (gone == NULL) {
        return;
    }
    for (size_t i = 0; i < gone->count; i++) {
        end(&gone->items[i]);
    }
    mailbox_free(&gone->mailbox); /* delivers what is still inside; nobody waits any more */
    wheel_free(&gone->wheel);
    for (size_t i = 0; i < gone->count; i++) {
        balancer_free(&gone->items[i].balancer);
        roster_release(&gone->items[i].roster);
    }
    free(gone);
    *worker = NULL;
}

size_t upstream_worker_busy(const struct upstream_worker *worker)
{
    return worker->busy;
}

struct upstream *upstream_worker_find(struct upstream_worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->count; i++) {
        if (strcmp(worker->items[i].group->config->name, name) == 0) {
            return &worker->items[i];
        }
    }
    return NULL;
}

const struct config_upstream *upstream_config(const struct upstream *upstream)
{
    return upstream->group->config;
}
