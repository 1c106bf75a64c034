/* An open-addressed table of a worker's sessions. Ids of one worker count upwards, so the id itself
 * spreads well. The table can always be made anew out of the worker's connections: it is made when
 * it is first needed, and given up when it cannot grow. Letters carry what is for the sessions of
 * other workers. Called by plugins' hosts, and by the connection when sessions begin and end. */
#include "session/directory.h"

#include <stdlib.h>
#include <string.h>

#include "net/mail_room.h"
#include "proto/utf8.h"
#include "proto/ws_close.h"
#include "session/session_internal.h"

enum {
    FEWEST_SLOTS = 64
};

/* --- the table --- */

static size_t home_of(const struct directory *directory, uint64_t id)
{
    return (size_t)id & (directory->slot_count - 1);
}

/* The slot of that id, or the empty one where it would stand. */
static size_t find_slot(const struct directory *directory, uint64_t id)
{
    size_t slot = home_of(directory, id);
    while (directory->slots[slot] != NULL && session_id(directory->slots[slot]) != id) {
        slot = (slot + 1) & (directory->slot_count - 1);
    }
    return slot;
}

void directory_forget(struct directory *directory)
{
    free(directory->slots);
    *directory = (struct directory){0};
}

/* A table with room for more than `count` sessions; the old one stays when memory is out. */
static enum weir_err resize(struct directory *directory, size_t count)
{
    struct directory larger = {.slot_count = FEWEST_SLOTS, .count = directory->count};
    while (larger.slot_count / 4 * 3 <= count) {
        larger.slot_count *= 2;
    }
    larger.slots = calloc(larger.slot_count, sizeof(struct weir_session *));
    if (larger.slots == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < directory->slot_count; i++) {
        if (directory->slots[i] != NULL) {
            larger.slots[find_slot(&larger, session_id(directory->slots[i]))] = directory->slots[i];
        }
    }
    free(directory->slots);
    *directory = larger;
    return WEIR_OK;
}

void directory_add(struct weir_worker *worker, struct weir_session *session)
{
    struct directory *directory = &worker->directory;
    if (directory->slots == NULL) {
        return; /* the first look-up enters it */
    }
    if (directory->count >= directory->slot_count / 4 * 3 &&
        resize(directory, directory->count) != WEIR_OK) {
        directory_forget(directory);
        return;
    }
    directory->slots[find_slot(directory, session_id(session))] = session;
    directory->count++;
}

void directory_remove(struct weir_worker *worker, struct weir_session *session)
{
    struct directory *directory = &worker->directory;
    if (directory->slots == NULL) {
        return;
    }
    size_t mask = directory->slot_count - 1;
    size_t hole = find_slot(directory, session_id(session));
    if (directory->slots[hole] == NULL) {
        return;
    }
    directory->slots[hole] = NULL;
    directory->count--;
    /* What was pushed on by the one that goes moves back, so that searches still end at a hole. */
    for (size_t at = (hole + 1) & mask; directory->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = home_of(directory, session_id(directory->slots[at]));
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            directory->slots[hole] = directory->slots[at];
            directory->slots[at] = NULL;
            hole = at;
        }
    }
}

static enum weir_err enter_all(struct weir_worker *worker)
{
    struct directory made = {0};
    enum weir_err err = resize(&made, worker->connection_count);
    if (err != WEIR_OK) {
        return err;
    }
    worker->directory = made;
    for (struct list_node *node = worker->connections.next; node != &worker->connections;
         node = node->next) {
        struct connection *connection = list_item(node, struct connection, node);
        if (connection->session != NULL) {
            directory_add(worker, connection->session);
        }
    }
    return WEIR_OK;
}

enum weir_err directory_find(struct weir_worker *worker, uint64_t id, struct weir_session **out)
{
    if (worker->directory.slots == NULL) {
        enum weir_err err = enter_all(worker);
        if (err != WEIR_OK) {
            return err;
        }
    }
    struct weir_session *found = worker->directory.slots[find_slot(&worker->directory, id)];
    if (found == NULL || !session_is_open(found)) {
        return WEIR_ECLOSED;
    }
    *out = found;
    return WEIR_OK;
}

/* --- letters --- */

struct directory_letter {
    struct mailbox_letter letter;
    uint64_t id;
    enum weir_kind kind;
    uint16_t code; /* 0: a message; else the session is closed with it */
    size_t size;
    uint8_t bytes[]; /* the message, or the close reason */
};

static enum weir_err send_here(struct weir_worker *worker, uint64_t id, enum weir_kind kind,
                               struct span payload)
{
    struct weir_session *session = NULL;
    enum weir_err err = directory_find(worker, id, &session);
    return err == WEIR_OK ? session_send(session, session->request->walk, kind, payload) : err;
}

static enum weir_err close_here(struct weir_worker *worker, uint64_t id, uint16_t code,
                                struct span reason)
{
    struct weir_session *session = NULL;
    enum weir_err err = directory_find(worker, id, &session);
    return err == WEIR_OK ? session_close(session, code, reason) : err;
}

/* A session that has gone, or is too far behind, misses it: nobody is left to tell. */
static void letter_arrives(struct mailbox_letter *letter, void *receiver)
{
    struct weir_worker *worker = receiver;
    const struct directory_letter *sent = (const struct directory_letter *)(const void *)letter;
    struct span bytes = {sent->bytes, sent->size};
    enum weir_err err;
    if (sent->code == 0) {
        err = send_here(worker, sent->id, sent->kind, bytes);
    } else {
        err = close_here(worker, sent->id, sent->code, bytes);
    }
    (void)err;
    free(letter);
}

static enum weir_err post(struct weir_worker *worker, const struct directory_letter *about,
                          struct span bytes)
{
    struct directory_letter *letter = malloc(sizeof *letter + bytes.size);
    if (letter == NULL) {
        return WEIR_ENOMEM;
    }
    *letter = *about;
    letter->letter.deliver = letter_arrives;
    letter->size = bytes.size;
    if (bytes.size > 0) {
        memcpy(letter->bytes, bytes.data, bytes.size);
    }
    unsigned target = (unsigned)(about->id >> DIRECTORY_WORKER_SHIFT);
    if (worker->mail_room == NULL || !mail_room_post(worker->mail_room, target, &letter->letter)) {
        free(letter);
        return WEIR_ECLOSED;
    }
    return WEIR_OK;
}

static bool is_mine(const struct weir_worker *worker, uint64_t id)
{
    return id >> DIRECTORY_WORKER_SHIFT == worker->id;
}

enum weir_err directory_send(struct weir_worker *worker, uint64_t id, enum weir_kind kind,
                             struct span payload)
{
    if (is_mine(worker, id)) {
        return send_here(worker, id, kind, payload);
    }
    if (kind == WEIR_TEXT && !utf8_is_valid(payload.data, payload.size)) {
        return WEIR_EINVAL;
    }
    struct directory_letter about = {.id = id, .kind = kind};
    return post(worker, &about, payload);
}

enum weir_err directory_close(struct weir_worker *worker, uint64_t id, uint16_t code,
                              struct span reason)
{
    if (!ws_close_code_is_sendable(code)) {
        return WEIR_EINVAL;
    }
    if (is_mine(worker, id)) {
        return close_here(worker, id, code, reason);
    }
    struct directory_letter about = {.id = id, .code = code};
    return post(worker, &about, reason);
}
