/* Topics: what is published to one reaches every session that has subscribed to it, on every
 * worker; its frame is encoded once. One broker a worker; the bus carries between workers. One
 * thread: the worker's. */
#ifndef WEIR_PUBSUB_BROKER_H
#define WEIR_PUBSUB_BROKER_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/plugin.h>

#include "base/err.h"
#include "base/span.h"

enum {
    BROKER_TOPIC_MAX = 256,        /* bytes of a topic's name, at least 1 */
    BROKER_SUBSCRIPTIONS_MAX = 256 /* of one session */
};

struct broker;
struct bus;
struct published;

/* Makes the worker's broker and hangs it on the worker. `bus` is borrowed until broker_free.
 * WEIR_ENOMEM. */
WEIR_MUST enum weir_err broker_start(struct weir_worker *worker, struct bus *bus);

/* Frees it, if there is one, when no session of the worker is left. */
void broker_stop(struct weir_worker *worker);

/* Subscribes the session for the plugin at `seat`: what is published walks on_send of the plugins
 * before it (before the last of them, where several subscribe to one topic). A second time does
 * nothing. The end of the session unsubscribes. WEIR_EINVAL: no such name can be. WEIR_ELIMIT: too
 * many. WEIR_ECLOSED: the session is closing. WEIR_ENOMEM. */
WEIR_MUST enum weir_err broker_subscribe(struct weir_worker *worker, struct weir_session *session,
                                         unsigned seat, struct span topic);

/* False: it had not subscribed. */
bool broker_unsubscribe(struct weir_worker *worker, struct weir_session *session,
                        struct span topic);

/* Sends to all subscribers, but not to `except` (may be NULL). A subscriber that is too far behind,
 * or in the midst of a message that is sent in parts, misses it. What one worker publishes reaches
 * each subscriber in its order. WEIR_EINVAL: no such name, or text that is not UTF-8. WEIR_ELIMIT:
 * within an on_send that runs because something is published: that could go on for ever.
 * WEIR_ENOMEM: it was sent to nobody. */
WEIR_MUST enum weir_err broker_publish(struct weir_worker *worker, struct weir_session *except,
                                       struct span topic, enum weir_kind kind, struct span payload);

/* How many sessions of this worker have subscribed. */
size_t broker_subscribers(struct weir_worker *worker, struct span topic);

/* What another worker has published has arrived. For the bus. */
void broker_received(struct weir_worker *worker, const struct published *published);

#endif
