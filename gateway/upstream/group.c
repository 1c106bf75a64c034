/* The servers of an upstream, published to all workers: a roster is immutable, a new one takes its
 * place under the lock, and workers look at the version alone until it differs.
 * Called by names on the control thread, and by each worker's part, which joins to be woken while
 * its requests wait. It never picks a server. */
#include "upstream/group.h"

#include <stdlib.h>

#include "base/check.h"
#include "upstream/upstream.h"

/* --- rosters --- */

struct roster *roster_new(struct upstream_server *const *servers, size_t count, bool pending)
{
    struct roster *roster = calloc(1, sizeof *roster + count * sizeof(roster->servers[0]));
    if (roster == NULL) {
        return NULL;
    }
    atomic_init(&roster->references, 1);
    roster->pending = pending;
    roster->count = count;
    for (size_t i = 0; i < count; i++) {
        roster->servers[i] = server_share(servers[i]);
    }
    return roster;
}

void roster_release(struct roster **roster)
{
    struct roster *mine = *roster;
    *roster = NULL;
    if (mine == NULL ||
        atomic_fetch_sub_explicit(&mine->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < mine->count; i++) {
        server_release(&mine->servers[i]);
    }
    free(mine);
}

/* --- groups --- */

struct upstream_group *group_new(const struct config_upstream *config)
{
    struct upstream_group *group = calloc(1, sizeof *group);
    if (group == NULL) {
        return NULL;
    }
    group->config = config;
    group->roster = roster_new(NULL, 0, true);
    if (group->roster == NULL || pthread_mutex_init(&group->lock, NULL) != 0) {
        roster_release(&group->roster);
        free(group);
        return NULL;
    }
    list_init(&group->members);
    atomic_init(&group->version, 1); /* a worker that starts with 0 fetches its first one */
    return group;
}

void group_free(struct upstream_group **group)
{
    struct upstream_group *mine = *group;
    *group = NULL;
    if (mine == NULL) {
        return;
    }
    WEIR_CHECK(list_is_empty(&mine->members));
    roster_release(&mine->roster);
    pthread_mutex_destroy(&mine->lock);
    free(mine);
}

struct roster *group_roster(struct upstream_group *group)
{
    pthread_mutex_lock(&group->lock);
    struct roster *roster = group->roster;
    atomic_fetch_add_explicit(&roster->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&group->lock);
    return roster;
}

void group_publish(struct upstream_group *group, struct roster *roster)
{
    pthread_mutex_lock(&group->lock);
    struct roster *old = group->roster;
    group->roster = roster;
    atomic_fetch_add_explicit(&group->version, 1, memory_order_release);
    pthread_mutex_unlock(&group->lock);
    roster_release(&old);
    group_wake(group);
}

/* --- those who wait --- */

void group_wake(struct upstream_group *group)
{
    /* A change of nothing, and not a load, so that it has its place among the changes that
     * group_queue_enter makes: either we see the request that waits, or it sees the slot that we
     * have just given back. */
    if (atomic_fetch_add_explicit(&group->waiting, 0, memory_order_acq_rel) == 0) {
        return;
    }
    pthread_mutex_lock(&group->lock);
    struct list_node *head = &group->members;
    for (struct list_node *node = head->next; node != head; node = node->next) {
        struct upstream *member = list_item(node, struct upstream, membership);
        /* The letter is one object, so it is in the mailbox at most once. */
        if (!atomic_exchange_explicit(&member->woken, true, memory_order_acq_rel)) {
            mailbox_post(member->mailbox, &member->wake_letter);
        }
    }
    pthread_mutex_unlock(&group->lock);
}

bool group_queue_enter(struct upstream_group *group)
{
    unsigned waiting = atomic_load_explicit(&group->waiting, memory_order_relaxed);
    do {
        if (waiting >= group->config->queue.size) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&group->waiting, &waiting, waiting + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

void group_queue_leave(struct upstream_group *group)
{
    unsigned before = atomic_fetch_sub_explicit(&group->waiting, 1, memory_order_relaxed);
    WEIR_CHECK(before > 0);
}

void group_join(struct upstream_group *group, struct upstream *member)
{
    WEIR_CHECK(member->mailbox != NULL && member->wake_letter.deliver != NULL);
    pthread_mutex_lock(&group->lock);
    list_append(&group->members, &member->membership);
    pthread_mutex_unlock(&group->lock);
}

void group_leave(struct upstream_group *group, struct upstream *member)
{
    pthread_mutex_lock(&group->lock);
    list_remove(&member->membership);
    pthread_mutex_unlock(&group->lock);
}
