/* The cork and its bypass. Called by session/ for clients and by handlers/ for backends, always on
 * the streams' own thread. It never waits: what the kernel does not take is the stream's to queue,
 * and its owner's to slow down. It is empty before anybody is called back, so that who hears of a
 * hand-over may write again, or cut the stream. */
#include "net/cork.h"

#include <string.h>
#include <sys/uio.h>

enum {
    LARGE_BYTES = 16 * 1024
};

static void take_all(struct cork *cork)
{
    cork->owner = NULL;
    cork->size = 0;
}

void cork_flush(struct cork *cork)
{
    struct stream *owner = cork->owner;
    struct iovec piece = {cork->data, cork->size};
    take_all(cork);
    if (owner != NULL && stream_is_open(owner)) {
        cork->sent(owner, stream_write(owner, &piece, 1));
    }
}

static void gather(struct cork *cork, struct span bytes)
{
    if (bytes.size > 0) {
        memcpy(cork->data + cork->size, bytes.data, bytes.size);
        cork->size += bytes.size;
    }
}

static struct iovec piece_of(struct span bytes)
{
    return (struct iovec){(void *)(uintptr_t)bytes.data, bytes.size};
}

void cork_write(struct cork *cork, struct stream *stream, cork_sent_fn sent, struct span head,
                struct span payload)
{
    while (cork->owner != stream && cork->owner != NULL) {
        cork_flush(cork); /* who hears of it may write to yet another stream */
    }
    if (!stream_is_open(stream) || head.size + payload.size == 0) {
        return;
    }
    /* A large payload that nothing will follow is sent from where it lies: the copy costs more than
     * a call. One that more may follow is copied, since a call for each costs more than the copy.
     */
    bool bypasses = payload.size >= LARGE_BYTES && !cork->more_to_come;
    if (!bypasses && head.size + payload.size <= CORK_BYTES - cork->size) {
        cork->owner = stream;
        cork->sent = sent;
        gather(cork, head);
        gather(cork, payload);
        return;
    }
    struct iovec pieces[3] = {{cork->data, cork->size}, piece_of(head), piece_of(payload)};
    bool corked = cork->size > 0;
    take_all(cork);
    sent(stream, stream_write(stream, corked ? pieces : pieces + 1, corked ? 3 : 2));
}

void cork_forget(struct cork *cork, const struct stream *stream)
{
    if (cork->owner == stream) {
        take_all(cork);
    }
}

size_t cork_waiting(const struct cork *cork, const struct stream *stream)
{
    return cork->owner == stream ? cork->size : 0;
}
