/* The shared things of a worker: made before its loop runs, freed after. */
#include "session/worker_state.h"

#include <stdlib.h>

#include "base/check.h"
#include "net/http_client.h"
#include "session/connection.h"
#include "session/worker_access.h"

enum weir_err worker_state_init(struct weir_worker *worker)
{
    list_init(&worker->connections);
    worker->wheel = wheel_new(worker->loop, connection_timer_fired);
    worker->read_buffer = malloc(WORKER_READ_BYTES);
    worker->cork.data = malloc(CORK_BYTES);
    worker->splicer = (struct splicer){-1, -1};
    worker->traffic = traffic_join();
    if (worker->traffic == NULL || worker->wheel == NULL || worker->read_buffer == NULL ||
        worker->cork.data == NULL) {
        return WEIR_ENOMEM;
    }
    loop_on_turn_end(worker->loop, worker_state_turn_end, worker);
    return WEIR_OK;
}

void worker_state_destroy(struct weir_worker *worker)
{
    http_client_free(&worker->http_client);
    wheel_free(&worker->wheel);
    directory_forget(&worker->directory);
    traffic_leave(&worker->traffic);
    free(worker->read_buffer);
    free(worker->cork.data);
    splicer_close(&worker->splicer);
    buffer_free(&worker->reply);
    compression_scratch_free(&worker->compression);
}

void worker_state_turn_end(void *context)
{
    struct weir_worker *worker = context;
    cork_flush(&worker->cork);
    while (worker->swept != NULL) {
        connection_sweep(worker); /* unwinding may send, and what is sent may end connections */
        cork_flush(&worker->cork);
    }
}

struct loop *worker_loop(struct weir_worker *worker)
{
    return worker->loop;
}

unsigned worker_id(const struct weir_worker *worker)
{
    return worker->id;
}

unsigned worker_count(const struct weir_worker *worker)
{
    return worker->count;
}

bool worker_is_exiting(const struct weir_worker *worker)
{
    return worker->draining;
}

struct mail_room *worker_mail_room(struct weir_worker *worker)
{
    return worker->mail_room;
}

struct cork *worker_cork(struct weir_worker *worker)
{
    return &worker->cork;
}

uint8_t *worker_read_buffer(struct weir_worker *worker, size_t *size)
{
    *size = WORKER_READ_BYTES;
    return worker->read_buffer;
}

struct compression_scratch *worker_compression(struct weir_worker *worker)
{
    return &worker->compression;
}

struct splicer *worker_splicer(struct weir_worker *worker)
{
    return &worker->splicer;
}

struct broker *worker_broker(const struct weir_worker *worker)
{
    return worker->broker;
}

void worker_set_broker(struct weir_worker *worker, struct broker *broker,
                       void (*session_ended)(struct broker *broker, uint32_t tag))
{
    worker->broker = broker;
    worker->session_ended = session_ended;
}

struct upstream_worker *worker_upstreams(struct weir_worker *worker)
{
    return worker->upstreams;
}

struct http_client *worker_http_client(struct weir_worker *worker)
{
    if (worker->http_client == NULL) {
        worker->http_client = http_client_new(worker->loop);
    }
    return worker->http_client;
}

void worker_hold(struct weir_worker *worker)
{
    worker->holds++;
}

void worker_let_go(struct weir_worker *worker)
{
    WEIR_CHECK(worker->holds > 0);
    worker->holds--;
}
