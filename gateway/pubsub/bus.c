/* The bus: who listens is a table of counters that all workers read and each writes its own row of,
 * so that publishing to a topic of which only this worker has subscribers wakes nobody. Topics that
 * share a counter cost a letter in vain, and are told apart where it arrives.
 *
 * Called by the broker. It knows no sessions, and frees a message with the last of its letters. */
#include "pubsub/bus.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"
#include "net/mail_room.h"
#include "proto/ws_frame.h"
#include "pubsub/broker.h"
#include "session/worker_access.h"

enum {
    COUNTERS = 4096 /* of one worker, a power of two; 16 KiB */
};

struct row {
    atomic_uint topics[COUNTERS];
};

struct bus {
    struct siphash_key key;
    unsigned workers;
    struct row rows[];
};

struct parcel;

/* On its way to one worker. */
struct bus_letter {
    struct mailbox_letter letter;
    struct parcel *parcel;
};

/* The copy, freed by who takes the last letter. Behind the letters are topic, head and payload. */
struct parcel {
    atomic_uint references;
    struct published published;
    struct bus_letter letters[];
};

static bool random_bytes(void *out, size_t size)
{
    ssize_t got;
    do {
        got = getrandom(out, size, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size;
}

struct bus *bus_new(unsigned workers)
{
    struct bus *bus = calloc(1, sizeof *bus + workers * sizeof *bus->rows);
    if (bus != NULL && !random_bytes(&bus->key, sizeof bus->key)) {
        bus_free(&bus);
    }
    if (bus != NULL) {
        bus->workers = workers;
    }
    return bus;
}

void bus_free(struct bus **bus)
{
    free(*bus);
    *bus = NULL;
}

uint64_t bus_hash(const struct bus *bus, struct span topic)
{
    return siphash(&bus->key, topic);
}

void bus_listen(struct bus *bus, unsigned worker, uint64_t hash, bool on)
{
    atomic_uint *counter = &bus->rows[worker].topics[hash % COUNTERS];
    if (on) {
        atomic_fetch_add(counter, 1);
    } else {
        atomic_fetch_sub(counter, 1);
    }
}

static bool listens(const struct bus *bus, unsigned worker, uint64_t hash)
{
    return atomic_load(&bus->rows[worker].topics[hash % COUNTERS]) > 0;
}

static unsigned count_listeners(const struct bus *bus, unsigned from, uint64_t hash)
{
    unsigned count = 0;
    for (unsigned worker = 0; worker < bus->workers; worker++) {
        count += worker != from && listens(bus, worker, hash);
    }
    return count;
}

static void parcel_release(struct parcel *parcel)
{
    if (atomic_fetch_sub(&parcel->references, 1) == 1) {
        free(parcel);
    }
}

static void delivered(struct mailbox_letter *letter, void *receiver)
{
    struct parcel *parcel = ((struct bus_letter *)(void *)letter)->parcel;
    broker_received(receiver, &parcel->published);
    parcel_release(parcel);
}

static struct span put(uint8_t **at, struct span bytes)
{
    struct span copy = {*at, bytes.size};
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
        *at += bytes.size;
    }
    return copy;
}

/* Room for as many letters as there are other workers: one may begin to listen meanwhile. */
static struct parcel *parcel_new(unsigned letters, const struct published *published)
{
    struct span payload = {published->message.payload.data, published->message.payload.size};
    size_t fixed = sizeof(struct parcel) + letters * sizeof(struct bus_letter);
    struct parcel *parcel =
        malloc(fixed + published->topic.size + published->head.size + payload.size);
    if (parcel == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)parcel + fixed;
    atomic_init(&parcel->references, 1);
    parcel->published.hash = published->hash;
    parcel->published.topic = put(&at, published->topic);
    parcel->published.head = put(&at, published->head);
    payload = put(&at, payload);
    parcel->published.message.kind = published->message.kind;
    parcel->published.message.payload = (struct weir_bytes){payload.data, payload.size};
    return parcel;
}

static void post(struct mail_room *room, unsigned to, struct bus_letter *letter,
                 struct parcel *parcel)
{
    letter->letter.deliver = delivered;
    letter->parcel = parcel;
    atomic_fetch_add(&parcel->references, 1);
    if (!mail_room_post(room, to, &letter->letter)) {
        parcel_release(parcel); /* that worker has ended */
    }
}

enum weir_err bus_send(struct bus *bus, struct weir_worker *from, const struct published *published)
{
    struct mail_room *room = worker_mail_room(from);
    unsigned self = worker_id(from);
    if (room == NULL || count_listeners(bus, self, published->hash) == 0) {
        return WEIR_OK;
    }
    struct parcel *parcel = parcel_new(bus->workers, published);
    if (parcel == NULL) {
        return WEIR_ENOMEM;
    }
    for (unsigned worker = 0; worker < bus->workers; worker++) {
        if (worker != self && listens(bus, worker, published->hash)) {
            post(room, worker, &parcel->letters[worker], parcel);
        }
    }
    parcel_release(parcel);
    return WEIR_OK;
}
