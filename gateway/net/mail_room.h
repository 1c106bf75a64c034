/* The mailboxes of all workers by their number, for letters between workers. A worker enters when
 * it can take letters and leaves before its mailbox goes; a letter to one that is not there is not
 * taken. */
#ifndef WEIR_NET_MAIL_ROOM_H
#define WEIR_NET_MAIL_ROOM_H

#include <stdbool.h>

#include "net/mailbox.h"

struct mail_room;

/* Given; NULL when memory is out. Freed when no worker is left. Control thread. */
struct mail_room *mail_room_new(unsigned count);
void mail_room_free(struct mail_room **room);

/* `mailbox` is borrowed until mail_room_leave of that number. The worker's thread. */
void mail_room_enter(struct mail_room *room, unsigned id, struct mailbox *mailbox);

/* When it returns, nobody posts to that mailbox any more. The worker's thread. */
void mail_room_leave(struct mail_room *room, unsigned id);

/* Takes `letter`, as mailbox_post; false: there is no such worker (any more), and it was not taken.
 * Any thread. */
bool mail_room_post(struct mail_room *room, unsigned id, struct mailbox_letter *letter);

#endif
