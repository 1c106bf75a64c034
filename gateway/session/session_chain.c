/* A session's walk along its chain: opening and messages inwards, and the waits in between. A seat
 * that waits has a queue: whatever is passed to it meanwhile comes after what it waits with, so no
 * message overtakes another. Called by the peer for messages, and by plugins that pass or resume.
 * It never reads the socket; while any seat waits, the connection does not either. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "session/session_internal.h"

/* A copy of a message that cannot go on yet. */
struct parked_message {
    struct parked_message *next;
    enum weir_kind kind;
    size_t size;
    uint8_t bytes[];
};

/* One seat's wait. It stays in the session's list until all that queued behind it has gone on. */
struct session_wait {
    struct session_wait *next;
    unsigned seat;
    bool opening;                   /* on_open waits, not on_message */
    bool going_on;                  /* has been resumed; its queue is being emptied */
    struct parked_message *message; /* for the seats behind; NULL where none would see it */
    struct parked_message *queue;   /* for the seat itself */
    struct parked_message **queue_end;
};

/* --- parking --- */

static struct parked_message *message_copy(const struct weir_message *message)
{
    struct parked_message *copy = malloc(sizeof *copy + message->payload.size);
    if (copy != NULL) {
        copy->next = NULL;
        copy->kind = message->kind;
        copy->size = message->payload.size;
        if (copy->size > 0) {
            memcpy(copy->bytes, message->payload.data, copy->size);
        }
    }
    return copy;
}

static struct session_wait *find_wait(const struct weir_session *session, unsigned seat)
{
    struct session_wait *wait = session->waits;
    while (wait != NULL && wait->seat != seat) {
        wait = wait->next;
    }
    return wait;
}

/* The seat's wait, a new one where it has none; NULL when memory is out. */
static struct session_wait *make_wait(struct weir_session *session, unsigned seat)
{
    struct session_wait *wait = find_wait(session, seat);
    if (wait == NULL) {
        wait = calloc(1, sizeof *wait);
        if (wait == NULL) {
            return NULL;
        }
        wait->seat = seat;
        wait->queue_end = &wait->queue;
        wait->next = session->waits;
        session->waits = wait;
    }
    return wait;
}

static void wait_free(struct session_wait *wait)
{
    while (wait->queue != NULL) {
        struct parked_message *message = wait->queue;
        wait->queue = message->next;
        free(message);
    }
    free(wait->message);
    free(wait);
}

static void end_wait(struct weir_session *session, struct session_wait *wait)
{
    struct session_wait **link = &session->waits;
    while (*link != wait) {
        link = &(*link)->next;
    }
    *link = wait->next;
    wait_free(wait);
}

void session_forget_waits(struct weir_session *session)
{
    while (session->waits != NULL) {
        end_wait(session, session->waits);
    }
}

static bool is_seen_behind(const struct weir_session *session, unsigned seat)
{
    const struct weir_request *request = session->request;
    for (unsigned next = seat + 1; next < request->walk; next++) {
        if (request->route->chain[next].ops->on_message != NULL) {
            return true;
        }
    }
    return false;
}

/* `message` is NULL for on_open. */
static bool park(struct weir_session *session, unsigned seat, const struct weir_message *message)
{
    struct session_wait *wait = make_wait(session, seat);
    if (wait == NULL) {
        return false;
    }
    wait->opening = message == NULL;
    wait->going_on = false;
    if (message != NULL && is_seen_behind(session, seat)) {
        wait->message = message_copy(message);
        if (wait->message == NULL) {
            return false;
        }
    }
    connection_hold_input(session->connection, true);
    return true;
}

static void enqueue(struct weir_session *session, struct session_wait *wait,
                    const struct weir_message *message)
{
    struct parked_message *copy = message_copy(message);
    if (copy == NULL) {
        session_fail(session);
        return;
    }
    *wait->queue_end = copy;
    wait->queue_end = &copy->next;
}

static struct parked_message *dequeue(struct session_wait *wait)
{
    struct parked_message *message = wait->queue;
    wait->queue = message->next;
    if (wait->queue == NULL) {
        wait->queue_end = &wait->queue;
    }
    return message;
}

/* --- walking --- */

/* Whether the walk goes on to the next seat. */
static bool take_verdict(struct weir_session *session, unsigned seat,
                         const struct weir_message *message, enum weir_verdict verdict)
{
    if (verdict == WEIR_NEXT) {
        return session_is_open(session);
    }
    if (verdict == WEIR_WAIT && !park(session, seat, message)) {
        session_fail(session);
    }
    if (verdict == WEIR_CLOSE && session_is_open(session)) {
        enum weir_err err = session_close(session, 1000, (struct span){0});
        (void)err; /* closing already is what was wanted */
    }
    return false;
}

static void walk_open(struct weir_session *session, unsigned seat)
{
    const struct weir_request *request = session->request;
    for (; seat < request->walk; seat++) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_open != NULL &&
            !take_verdict(session, seat, NULL, link->ops->on_open(link->self, session, seat))) {
            return;
        }
    }
}

void session_opened(struct weir_session *session)
{
    walk_open(session, 0);
}

/* Hands a message to one seat; whether it goes on to the next. */
static bool deliver_to(struct weir_session *session, unsigned seat,
                       const struct weir_message *message)
{
    const struct chain_link *link = &session->request->route->chain[seat];
    return link->ops->on_message == NULL ||
           take_verdict(session, seat, message,
                        link->ops->on_message(link->self, session, seat, message));
}

void session_deliver(struct weir_session *session, unsigned seat,
                     const struct weir_message *message)
{
    for (; seat < session->request->walk; seat++) {
        struct session_wait *wait = session->waits != NULL ? find_wait(session, seat) : NULL;
        if (wait != NULL) {
            enqueue(session, wait, message);
            return;
        }
        if (!deliver_to(session, seat, message)) {
            return;
        }
    }
}

void session_pass(struct weir_session *session, unsigned seat, const struct weir_message *message)
{
    if (session_is_open(session)) {
        session_deliver(session, seat + 1, message);
    }
}

/* --- resuming --- */

static void deliver_parked(struct weir_session *session, unsigned seat,
                           struct parked_message *parked)
{
    struct weir_message message = {parked->kind, {parked->bytes, parked->size}};
    session_deliver(session, seat, &message);
}

/* Hands on what has queued, until the seat waits again or nothing is left. Callbacks may resume and
 * wait anew, so the wait is looked up each time. */
static void empty_queue(struct weir_session *session, unsigned seat)
{
    struct session_wait *wait = find_wait(session, seat);
    while (wait != NULL && wait->going_on) {
        if (wait->queue == NULL || !session_is_open(session)) {
            end_wait(session, wait);
            return;
        }
        struct parked_message *parked = dequeue(wait);
        struct weir_message message = {parked->kind, {parked->bytes, parked->size}};
        if (deliver_to(session, seat, &message)) {
            session_deliver(session, seat + 1, &message);
        }
        free(parked);
        wait = find_wait(session, seat);
    }
}

void session_resume(struct weir_session *session, unsigned seat, enum weir_verdict verdict)
{
    WEIR_CHECK(verdict != WEIR_WAIT);
    struct session_wait *wait = find_wait(session, seat);
    if (wait == NULL || wait->going_on || session->ended) {
        return;
    }
    struct parked_message *parked = wait->message;
    bool opening = wait->opening;
    wait->message = NULL;
    wait->going_on = true;
    if (take_verdict(session, seat, NULL, verdict)) {
        if (opening) {
            walk_open(session, seat + 1);
        } else if (parked != NULL) {
            deliver_parked(session, seat + 1, parked);
        }
    }
    free(parked);
    empty_queue(session, seat);
    connection_hold_input(session->connection, session->waits != NULL);
}

/* --- draining --- */

void session_drained(struct weir_session *session)
{
    const struct weir_request *request = session->request;
    for (unsigned seat = request->walk; seat-- > 0 && session_is_open(session);) {
        const struct chain_link *link = &request->route->chain[seat];
        if (link->ops->on_drain != NULL) {
            link->ops->on_drain(link->self, session, seat);
        }
    }
}
