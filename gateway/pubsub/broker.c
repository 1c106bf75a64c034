/* A worker's broker: which of its sessions has subscribed to what. A session without subscriptions
 * costs nothing: what it has hangs on a number in it (session_tag) that is the index of an entry
 * here. Called by hosts of plugins, and by the bus with what other workers have published. It
 * never stores a message: who is too far behind has missed it. */
#include "pubsub/broker.h"

#include <stdlib.h>

#include "proto/utf8.h"
#include "proto/ws_frame.h"
#include "pubsub/bus.h"
#include "pubsub/topics.h"
#include "session/session.h"
#include "session/worker_access.h"

enum {
    FIRST_SUBSCRIBERS = 64
};

/* A session that has subscribed; number 0 is nobody. */
struct subscriber {
    struct weir_session *session; /* NULL: unused */
    struct subscription *first;
    uint32_t count;
    uint32_t next_unused;
};

struct broker {
    struct weir_worker *worker;
    struct bus *bus;
    struct topics topics;
    struct subscriber *subscribers;
    uint32_t capacity;
    uint32_t used;   /* numbers below it have been given out, */
    uint32_t unused; /* but these are free again */
    bool is_delivering;
};

/* --- subscribers --- */

static enum weir_err grow(struct broker *broker)
{
    uint32_t capacity = broker->subscribers != NULL ? broker->capacity * 2 : FIRST_SUBSCRIBERS;
    struct subscriber *larger =
        realloc(broker->subscribers, capacity * sizeof *broker->subscribers);
    if (larger == NULL) {
        return WEIR_ENOMEM;
    }
    broker->subscribers = larger;
    broker->capacity = capacity;
    return WEIR_OK;
}

/* The session's number; a new one where it has none. */
static enum weir_err enter(struct broker *broker, struct weir_session *session, uint32_t *out)
{
    uint32_t number = *session_tag(session);
    if (number == 0 && broker->unused != 0) {
        number = broker->unused;
        broker->unused = broker->subscribers[number].next_unused;
    } else if (number == 0) {
        if (broker->used == broker->capacity && grow(broker) != WEIR_OK) {
            return WEIR_ENOMEM;
        }
        number = broker->used++;
    } else {
        *out = number;
        return WEIR_OK;
    }
    broker->subscribers[number] = (struct subscriber){.session = session};
    *session_tag(session) = number;
    *out = number;
    return WEIR_OK;
}

/* Gives the number of a session without subscriptions back. */
static void leave(struct broker *broker, uint32_t number)
{
    struct subscriber *subscriber = &broker->subscribers[number];
    if (subscriber->count == 0) {
        *session_tag(subscriber->session) = 0;
        *subscriber = (struct subscriber){.next_unused = broker->unused};
        broker->unused = number;
    }
}

/* The link to the session's subscription of that topic; to NULL where it has none. */
static struct subscription **find_link(struct broker *broker, uint32_t number,
                                       const struct topic *topic)
{
    struct subscription **link = &broker->subscribers[number].first;
    while (*link != NULL && (*link)->topic != topic) {
        link = &(*link)->next;
    }
    return link;
}

/* --- subscriptions --- */

static void drop_unused(struct broker *broker, struct topic *topic)
{
    uint64_t hash = topic->hash;
    if (topics_drop_unused(&broker->topics, topic)) {
        bus_listen(broker->bus, worker_id(broker->worker), hash, false);
    }
}

static void remove_subscription(struct broker *broker, struct subscription **link)
{
    struct subscription *gone = *link;
    *link = gone->next;
    broker->subscribers[gone->subscriber].count--;
    topics_leave(gone);
    drop_unused(broker, gone->topic);
    free(gone);
}

static enum weir_err add_subscription(struct broker *broker, uint32_t number, unsigned seat,
                                      struct topic *topic)
{
    struct subscriber *subscriber = &broker->subscribers[number];
    if (subscriber->count == BROKER_SUBSCRIPTIONS_MAX) {
        return WEIR_ELIMIT;
    }
    struct subscription *subscription = malloc(sizeof *subscription);
    if (subscription == NULL) {
        return WEIR_ENOMEM;
    }
    *subscription = (struct subscription){.subscriber = number, .seat = (uint16_t)seat};
    if (topics_join(topic, subscription) != WEIR_OK) {
        free(subscription);
        return WEIR_ENOMEM;
    }
    subscription->next = subscriber->first;
    subscriber->first = subscription;
    subscriber->count++;
    return WEIR_OK;
}

static enum weir_err join(struct broker *broker, uint32_t number, unsigned seat, struct span name)
{
    uint64_t hash = bus_hash(broker->bus, name);
    struct topic *topic = NULL;
    size_t topics = broker->topics.count;
    if (topics_make(&broker->topics, hash, name, &topic) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    if (broker->topics.count > topics) {
        bus_listen(broker->bus, worker_id(broker->worker), hash, true);
    }
    struct subscription *had = *find_link(broker, number, topic);
    if (had != NULL) {
        had->seat = seat > had->seat ? (uint16_t)seat : had->seat;
        return WEIR_OK;
    }
    enum weir_err err = add_subscription(broker, number, seat, topic);
    drop_unused(broker, topic);
    return err;
}

static bool is_name(struct span topic)
{
    return topic.size > 0 && topic.size <= BROKER_TOPIC_MAX;
}

enum weir_err broker_subscribe(struct weir_worker *worker, struct weir_session *session,
                               unsigned seat, struct span topic)
{
    struct broker *broker = worker_broker(worker);
    uint32_t number = 0;
    if (!is_name(topic)) {
        return WEIR_EINVAL;
    }
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    if (enter(broker, session, &number) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    enum weir_err err = join(broker, number, seat, topic);
    leave(broker, number);
    return err;
}

bool broker_unsubscribe(struct weir_worker *worker, struct weir_session *session, struct span topic)
{
    struct broker *broker = worker_broker(worker);
    uint32_t number = *session_tag(session);
    if (number == 0 || !is_name(topic)) {
        return false;
    }
    struct topic *found = topics_find(&broker->topics, bus_hash(broker->bus, topic), topic);
    struct subscription **link = find_link(broker, number, found);
    if (found == NULL || *link == NULL) {
        return false;
    }
    remove_subscription(broker, link);
    leave(broker, number);
    return true;
}

static void session_ended(struct broker *broker, uint32_t number)
{
    struct subscriber *subscriber = &broker->subscribers[number];
    while (subscriber->first != NULL) {
        remove_subscription(broker, &subscriber->first);
    }
    leave(broker, number);
}

/* --- publishing --- */

static void send_to(struct broker *broker, const struct subscription *subscription,
                    const struct weir_session *except, const struct published *published)
{
    struct weir_session *session = broker->subscribers[subscription->subscriber].session;
    if (session != except) {
        enum weir_err err =
            session_send_framed(session, subscription->seat, &published->message, published->head);
        (void)err; /* who has missed it is counted there */
    }
}

static void deliver(struct broker *broker, const struct weir_session *except,
                    const struct published *published)
{
    struct topic *topic = topics_find(&broker->topics, published->hash, published->topic);
    if (topic == NULL) {
        return;
    }
    uint32_t size = topic->size; /* who subscribes meanwhile has come too late */
    broker->is_delivering = true;
    topics_walk_begin(topic);
    for (uint32_t place = 0; place < size; place++) {
        if (topic->subscriptions[place] != NULL) {
            send_to(broker, topic->subscriptions[place], except, published);
        }
    }
    topics_walk_end(topic);
    broker->is_delivering = false;
    drop_unused(broker, topic);
}

enum weir_err broker_publish(struct weir_worker *worker, struct weir_session *except,
                             struct span topic, enum weir_kind kind, struct span payload)
{
    struct broker *broker = worker_broker(worker);
    if (!is_name(topic) || (kind == WEIR_TEXT && !utf8_is_valid(payload.data, payload.size))) {
        return WEIR_EINVAL;
    }
    if (broker == NULL) {
        return WEIR_OK; /* where there are no sessions, nobody has subscribed */
    }
    if (broker->is_delivering) {
        return WEIR_ELIMIT;
    }
    uint8_t head[WS_HEAD_MAX];
    uint8_t first_byte = (uint8_t)(WS_FIN | (kind == WEIR_TEXT ? WS_TEXT : WS_BINARY));
    struct published published = {
        .hash = bus_hash(broker->bus, topic),
        .topic = topic,
        .message = {kind, {payload.data, payload.size}},
        .head = {head, ws_frame_write_head(head, first_byte, payload.size, NULL)},
    };
    enum weir_err err = bus_send(broker->bus, worker, &published);
    if (err == WEIR_OK) {
        deliver(broker, except, &published);
    }
    return err;
}

void broker_received(struct weir_worker *worker, const struct published *published)
{
    struct broker *broker = worker_broker(worker);
    if (broker != NULL) { /* else the worker ends */
        deliver(broker, NULL, published);
    }
}

size_t broker_subscribers(struct weir_worker *worker, struct span topic)
{
    const struct broker *broker = worker_broker(worker);
    const struct topic *found = topics_find(&broker->topics, bus_hash(broker->bus, topic), topic);
    return found != NULL ? found->count : 0;
}

/* --- the worker's beginning and end --- */

enum weir_err broker_start(struct weir_worker *worker, struct bus *bus)
{
    struct broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL) {
        return WEIR_ENOMEM;
    }
    broker->worker = worker;
    broker->bus = bus;
    broker->used = 1;
    broker->capacity = 1; /* number 0, which is never looked at */
    worker_set_broker(worker, broker, session_ended);
    return WEIR_OK;
}

void broker_stop(struct weir_worker *worker)
{
    struct broker *broker = worker_broker(worker);
    if (broker != NULL) {
        worker_set_broker(worker, NULL, NULL);
        topics_free(&broker->topics);
        free(broker->subscribers);
        free(broker);
    }
}
