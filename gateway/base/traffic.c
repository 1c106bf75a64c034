/* A list of the workers' counts with a lock that only joining, leaving and summing take. Called by
 * session/worker_state.c for the worker, and by handlers/metrics.c for who asks. Counting itself is
 * in the header; it shares no cache line with another worker. */
#include "base/traffic.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_BYTES = 64
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct traffic *all;
static uint64_t left[TRAFFIC_COUNTS]; /* by workers that have left */

struct traffic *traffic_join(void)
{
    size_t size = (sizeof(struct traffic) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    struct traffic *traffic = aligned_alloc(LINE_BYTES, size);
    if (traffic == NULL) {
        return NULL;
    }
    memset(traffic, 0, size);
    pthread_mutex_lock(&lock);
    traffic->next = all;
    all = traffic;
    pthread_mutex_unlock(&lock);
    return traffic;
}

static void add_to(uint64_t sums[TRAFFIC_COUNTS], const struct traffic *traffic)
{
    for (size_t i = 0; i < TRAFFIC_COUNTS; i++) {
        sums[i] += atomic_load_explicit(&traffic->counts[i], memory_order_relaxed);
    }
}

void traffic_leave(struct traffic **traffic)
{
    if (*traffic == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct traffic **place = &all;
    while (*place != *traffic) {
        place = &(*place)->next;
    }
    *place = (*traffic)->next;
    add_to(left, *traffic);
    pthread_mutex_unlock(&lock);
    free(*traffic);
    *traffic = NULL;
}

void traffic_sum(uint64_t sums[TRAFFIC_COUNTS])
{
    pthread_mutex_lock(&lock);
    memcpy(sums, left, sizeof left);
    for (const struct traffic *traffic = all; traffic != NULL; traffic = traffic->next) {
        add_to(sums, traffic);
    }
    pthread_mutex_unlock(&lock);
}
