/* What plugins' hosts may ask of the worker that they run on. */
#ifndef WEIR_SESSION_WORKER_ACCESS_H
#define WEIR_SESSION_WORKER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker;
struct compression_scratch;
struct cork;
struct http_client;
struct loop;
struct mail_room;
struct splicer;
struct upstream_worker;
struct weir_worker;

/* Borrowed for the worker's life. Worker's thread. */
struct loop *worker_loop(struct weir_worker *worker);

/* 0 .. count-1. */
unsigned worker_id(const struct weir_worker *worker);
unsigned worker_count(const struct weir_worker *worker);

/* Whether the gateway is stopping: sessions are being closed with 1001. */
bool worker_is_exiting(const struct weir_worker *worker);

/* For letters to the workers (net/mail_room.h), whose receiver is their struct weir_worker; NULL
 * where there are no others. */
struct mail_room *worker_mail_room(struct weir_worker *worker);

/* For handlers that forward: the cork, the read buffer (nothing stays in it between two callbacks
 * of the loop), the scratch for compression, and the worker's part of the upstreams. */
struct cork *worker_cork(struct weir_worker *worker);
uint8_t *worker_read_buffer(struct weir_worker *worker, size_t *size);
struct compression_scratch *worker_compression(struct weir_worker *worker);
struct splicer *worker_splicer(struct weir_worker *worker);
struct upstream_worker *worker_upstreams(struct weir_worker *worker);

/* The worker's part of pubsub/, NULL without one, and how it hears of the end of sessions that have
 * a session_tag: after on_close, before the session is freed. */
struct broker *worker_broker(const struct weir_worker *worker);
void worker_set_broker(struct weir_worker *worker, struct broker *broker,
                       void (*session_ended)(struct broker *broker, uint32_t tag));

/* For HTTP requests of plugins: made when it is first asked for; NULL when memory is out. */
struct http_client *worker_http_client(struct weir_worker *worker);

/* Something is under way that a stop of the gateway waits for, as it waits for connections; and it
 * is over. */
void worker_hold(struct weir_worker *worker);
void worker_let_go(struct weir_worker *worker);

#endif
