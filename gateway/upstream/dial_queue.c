/* Requests that wait for a server: for one of max_connections, or for a name's first answer. The
 * places are counted over all workers (group.h), the order is each worker's own. Whoever waits
 * tries again when this worker gives a lease back, when another worker or the control thread wakes
 * us, and when an ejection ends, of which nobody tells; and gives up after queue.timeout. Called by
 * dial.c and worker_part.c. It never calls back itself: what ends here is told of in the next turn.
 */
#include <stdio.h>

#include "upstream/dial_internal.h"

void dial_queue_leave(struct dial *dial)
{
    if (dial->has_place) {
        dial->has_place = false;
        dial->upstream->waiting_count--;
        upstream_timer_cancel(&dial->timer);
        list_remove(&dial->node);
        list_append(&dial->upstream->dials, &dial->node);
        group_queue_leave(dial->upstream->group);
    }
}

/* Why it has not got a server. */
static void end_unserved(struct dial *dial, const char *because)
{
    if (dial->tried_count > 0) {
        dial_done(dial, dial->result); /* what was tried says more */
        return;
    }
    snprintf(dial->why, sizeof dial->why, "%s%s", because,
             dial->for_names ? ", no name has been resolved yet" : ", all servers are busy");
    dial_done(dial, dial->for_names ? DIAL_NO_SERVER : DIAL_BUSY);
}

static void waited_too_long(struct upstream_timer *timer)
{
    end_unserved(list_item(timer, struct dial, timer), "waited too long");
}

static void end_without_server(struct dial *dial)
{
    if (dial->tried_count > 0) {
        dial_done(dial, dial->result);
        return;
    }
    snprintf(dial->why, sizeof dial->why, "no server can be used");
    dial_done(dial, DIAL_NO_SERVER);
}

/* An ejection ends by the clock alone, so those who wait look again then. */
static void await_revival(struct upstream *upstream)
{
    const struct roster *roster = upstream->roster;
    uint64_t now_ms = upstream_now_ms(upstream);
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < roster->count; i++) {
        uint64_t until_ms =
            atomic_load_explicit(&roster->servers[i]->ejected_until_ms, memory_order_relaxed);
        if (until_ms > now_ms && until_ms < next_ms) {
            next_ms = until_ms;
        }
    }
    upstream_timer_cancel(&upstream->revival);
    if (upstream->waiting_count > 0 && next_ms != UINT64_MAX) {
        upstream_timer_set(upstream, &upstream->revival, next_ms - now_ms);
    }
}

/* With a place in the queue it tries once more before it waits: a slot that was given back before
 * the place was taken has woken nobody. */
static void take_place(struct dial *dial)
{
    struct upstream *upstream = dial->upstream;
    bool busy;
    dial->has_place = true;
    upstream->waiting_count++;
    dial->state = DIAL_WAITING;
    list_remove(&dial->node);
    list_append(&upstream->waiting, &dial->node);
    upstream_timer_init(&dial->timer, waited_too_long);
    upstream_timer_set(upstream, &dial->timer, upstream->group->config->queue.timeout_ms);
    upstream_refresh(upstream);
    struct upstream_server *server = dial_pick(dial, &busy);
    if (server != NULL) {
        dial_queue_leave(dial);
        dial_try(dial, server);
    } else {
        await_revival(upstream);
    }
}

void dial_wait(struct dial *dial, bool busy)
{
    if (!busy && !dial->upstream->roster->pending) {
        end_without_server(dial);
        return;
    }
    dial->for_names = !busy;
    if (dial->has_place) {
        return; /* it waits on */
    }
    if (!group_queue_enter(dial->upstream->group)) {
        end_unserved(dial, "the queue is full");
        return;
    }
    take_place(dial);
}

/* One that waits tries again; whether it still waits for a slot that any server could give. */
static bool still_in_vain(struct dial *dial)
{
    bool busy = false;
    struct upstream_server *server = dial_pick(dial, &busy);
    if (server != NULL) {
        dial_queue_leave(dial);
        dial_try(dial, server);
        return false;
    }
    dial_wait(dial, busy);
    return dial->has_place && dial->server_id == 0 && dial->tried_count == 0;
}

void dial_queue_run(struct upstream *upstream)
{
    bool in_vain = false;
    size_t count = upstream->waiting_count;
    struct list_node *node = upstream->waiting.next;
    upstream_refresh(upstream);
    /* Steps may take dials out of the list, and put some back at its end; those at its front have
     * been seen once after `count`. */
    for (size_t i = 0; i < count && node != &upstream->waiting; i++) {
        struct dial *dial = list_item(node, struct dial, node);
        node = node->next;
        /* Where one that any server would do for has found none, the next will find none either;
         * one that sticks to its own server may. */
        if (!in_vain || dial->server_id != 0 || dial->tried_count > 0) {
            in_vain = still_in_vain(dial) || in_vain;
        }
    }
    if (count > 0) {
        await_revival(upstream);
    }
}

void dial_queue_revived(struct upstream_timer *timer)
{
    dial_queue_run(list_item(timer, struct upstream, revival));
}
