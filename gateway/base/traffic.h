/* What passes through the gateway, counted by each worker for itself and summed when somebody asks.
 */
#ifndef WEIR_BASE_TRAFFIC_H
#define WEIR_BASE_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>

enum traffic_count {
    TRAFFIC_CONNECTIONS_OPENED,
    TRAFFIC_CONNECTIONS_CLOSED,
    TRAFFIC_REQUESTS,
    TRAFFIC_SESSIONS_OPENED,
    TRAFFIC_SESSIONS_CLOSED,
    TRAFFIC_MESSAGES_IN,
    TRAFFIC_MESSAGES_OUT,
    TRAFFIC_BYTES_IN, /* payload of messages */
    TRAFFIC_BYTES_OUT,
    TRAFFIC_MESSAGES_MISSED, /* published, but the client was too far behind */
    TRAFFIC_COUNTS
};

/* One worker's counts; only that worker changes them. */
struct traffic {
    _Atomic uint64_t counts[TRAFFIC_COUNTS];
    struct traffic *next; /* for traffic.c */
};

/* The counts of one more worker, on cache lines of their own; given. NULL when memory is out. Any
 * thread. */
struct traffic *traffic_join(void);

/* Frees and nulls them; what they counted stays in the sums. Any thread. */
void traffic_leave(struct traffic **traffic);

/* Counts. A load and a store, with no lock between processors: nobody else writes. The worker that
 * joined with `traffic`. */
static inline void traffic_add(struct traffic *traffic, enum traffic_count count, uint64_t by)
{
    uint64_t before = atomic_load_explicit(&traffic->counts[count], memory_order_relaxed);
    atomic_store_explicit(&traffic->counts[count], before + by, memory_order_relaxed);
}

/* The sums of all workers, those that have left too. The counts need not be of one moment. Any
 * thread. */
void traffic_sum(uint64_t sums[TRAFFIC_COUNTS]);

#endif
