/* One slot with a lock for each worker. The lock is held for the few instructions of a post, so
 * that a worker that stops knows when the last one is over; workers stop at different times. Called
 * by worker/ for entering and leaving, and by whoever sends letters to other workers. */
#include "net/mail_room.h"

#include <pthread.h>
#include <stdlib.h>

struct slot {
    pthread_mutex_t lock;
    struct mailbox *mailbox; /* NULL: nobody is there */
};

struct mail_room {
    unsigned count;
    struct slot slots[];
};

struct mail_room *mail_room_new(unsigned count)
{
    struct mail_room *room = calloc(1, sizeof *room + count * sizeof *room->slots);
    if (room == NULL) {
        return NULL;
    }
    room->count = count;
    for (unsigned id = 0; id < count; id++) {
        pthread_mutex_init(&room->slots[id].lock, NULL);
    }
    return room;
}

void mail_room_free(struct mail_room **room)
{
    for (unsigned id = 0; *room != NULL && id < (*room)->count; id++) {
        pthread_mutex_destroy(&(*room)->slots[id].lock);
    }
    free(*room);
    *room = NULL;
}

static void fill(struct mail_room *room, unsigned id, struct mailbox *mailbox)
{
    struct slot *slot = &room->slots[id];
    pthread_mutex_lock(&slot->lock);
    slot->mailbox = mailbox;
    pthread_mutex_unlock(&slot->lock);
}

void mail_room_enter(struct mail_room *room, unsigned id, struct mailbox *mailbox)
{
    fill(room, id, mailbox);
}

void mail_room_leave(struct mail_room *room, unsigned id)
{
    fill(room, id, NULL);
}

bool mail_room_post(struct mail_room *room, unsigned id, struct mailbox_letter *letter)
{
    if (id >= room->count) {
        return false;
    }
    struct slot *slot = &room->slots[id];
    pthread_mutex_lock(&slot->lock);
    bool is_there = slot->mailbox != NULL;
    if (is_there) {
        mailbox_post(slot->mailbox, letter);
    }
    pthread_mutex_unlock(&slot->lock);
    return is_there;
}
