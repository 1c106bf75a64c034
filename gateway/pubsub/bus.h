/* What is published travels between workers: one immutable copy for all of them, a letter for each
 * that has subscribers. */
#ifndef WEIR_PUBSUB_BUS_H
#define WEIR_PUBSUB_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/plugin.h>

#include "base/err.h"
#include "base/span.h"

struct bus;
struct weir_worker;

/* One message for a topic. All is borrowed for the call. */
struct published {
    uint64_t hash; /* of the topic, by bus_hash */
    struct span topic;
    struct weir_message message; /* text has been checked */
    struct span head;            /* of its frame, without a mask */
};

/* Given; NULL when memory is out. Shared by `workers` workers, and freed when the last has ended.
 * Control thread. */
struct bus *bus_new(unsigned workers);
void bus_free(struct bus **bus);

/* The hash of a topic's name, keyed, the same on all workers. Any thread. */
uint64_t bus_hash(const struct bus *bus, struct span topic);

/* The worker has its first subscriber of a topic with that hash (`on`), or has lost its last. The
 * worker's thread. */
void bus_listen(struct bus *bus, unsigned worker, uint64_t hash, bool on);

/* Sends to all other workers that listen; there broker_received gets it, a moment later, in the
 * order of this worker. WEIR_ENOMEM: it was sent to none. The worker's thread. */
WEIR_MUST enum weir_err bus_send(struct bus *bus, struct weir_worker *from,
                                 const struct published *published);

#endif
