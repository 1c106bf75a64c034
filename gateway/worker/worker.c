/* A worker's thread: make the loop, start the plugins, accept, run, and at the end leave nothing
 * behind. */
#include "worker/worker.h"

#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "net/listener.h"
#include "pubsub/broker.h"
#include "session/connection.h"
#include "session/worker_state.h"
#include "upstream/worker_part.h"

enum {
    CROWD = 1000, /* connections; fewer leave nothing that is worth giving back */
    TRIM_DELAY_MS = 1000
};

/* One listener of one worker. */
struct gate {
    struct worker *worker;
    const struct listener_setup *setup;
    struct listener *listener;
    int fd; /* until the listener has it; then -1 */
};

struct stop_letter {
    struct mailbox_letter letter;
    uint64_t patience_ms;
};

struct worker {
    struct weir_worker state;
    struct registry *registry;
    struct bus *bus;
    struct mailbox *mailbox;
    struct mailbox *control;
    struct mailbox_letter *stopped;
    struct loop_timer *deadline;
    struct loop_timer *trim;
    size_t peak; /* most connections since memory was last given back */
    struct gate *gates;
    size_t gate_count;
    struct stop_letter stop;
    sem_t ready;
    enum weir_err started;
    pthread_t thread;
};

static void accepted(void *context, int fd, const struct sockaddr_storage *peer,
                     socklen_t peer_size)
{
    const struct gate *gate = context;
    connection_accept(&gate->worker->state, gate->setup, fd, peer, peer_size);
}

static enum weir_err open_gates(struct worker *worker)
{
    for (size_t i = 0; i < worker->gate_count; i++) {
        struct gate *gate = &worker->gates[i];
        int fd = gate->fd;
        gate->fd = -1;
        gate->listener =
            listener_new(worker->state.loop, fd, gate->setup->config->address, accepted, gate);
        if (gate->listener == NULL) {
            return WEIR_ENOMEM;
        }
    }
    return WEIR_OK;
}

static void close_gates(struct worker *worker)
{
    for (size_t i = 0; i < worker->gate_count; i++) {
        listener_free(&worker->gates[i].listener);
        if (worker->gates[i].fd >= 0) {
            close(worker->gates[i].fd);
            worker->gates[i].fd = -1;
        }
    }
}

static void give_back(void *context)
{
    struct worker *worker = context;
    loop_timer_free(&worker->trim);
    worker->peak = worker->state.connection_count;
    malloc_trim(0);
}

/* The allocator keeps what a crowd has left behind; the system would like it back. A moment later,
 * when the rest of the crowd has gone too. */
static void watch_crowd(struct worker *worker)
{
    size_t count = worker->state.connection_count;
    if (count > worker->peak) {
        worker->peak = count;
    }
    if (worker->peak >= CROWD && count < worker->peak / 4 && worker->trim == NULL) {
        worker->trim = loop_timer_new(worker->state.loop, TRIM_DELAY_MS, false, give_back, worker);
    }
}

/* Clients may have gone while their backends are still being told why, by the proxy or by plugins.
 */
static bool is_quiet(const struct worker *worker)
{
    return worker->state.connection_count == 0 && worker->state.holds == 0 &&
           upstream_worker_busy(worker->state.upstreams) == 0;
}

static void turn_end(void *context)
{
    struct worker *worker = context;
    worker_state_turn_end(&worker->state);
    watch_crowd(worker);
    if (worker->state.draining && is_quiet(worker)) {
        loop_stop(worker->state.loop);
    }
}

static void patience_over(void *context)
{
    struct worker *worker = context;
    if (worker->state.connection_count > 0) {
        log_warn("worker", "worker %u cuts %zu connections that did not end in time",
                 worker->state.id, worker->state.connection_count);
    }
    connection_cut_all(&worker->state);
    loop_stop(worker->state.loop);
}

static void stop_received(struct mailbox_letter *letter, void *receiver)
{
    struct worker *worker = ((struct weir_worker *)receiver)->owner;
    const struct stop_letter *stop = (const struct stop_letter *)(const void *)letter;
    if (worker->state.draining) {
        return;
    }
    worker->state.draining = true;
    close_gates(worker);
    connection_drain_all(&worker->state);
    worker->deadline =
        loop_timer_new(worker->state.loop, stop->patience_ms, false, patience_over, worker);
    if (worker->deadline == NULL) {
        patience_over(worker);
    }
}

static enum weir_err prepare(struct worker *worker)
{
    worker->state.loop = loop_new();
    if (worker->state.loop == NULL || worker_state_init(&worker->state) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    loop_on_turn_end(worker->state.loop, turn_end, worker);
    worker->mailbox = mailbox_new(worker->state.loop, &worker->state);
    if (worker->mailbox == NULL) {
        return WEIR_ENOMEM;
    }
    mail_room_enter(worker->state.mail_room, worker->state.id, worker->mailbox);
    worker->state.upstreams =
        upstream_worker_new(registry_upstreams(worker->registry), worker->state.loop);
    if (worker->state.upstreams == NULL || broker_start(&worker->state, worker->bus) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    enum weir_err err =
        registry_start_worker(worker->registry, &worker->state, &worker->state.generation);
    return err == WEIR_OK ? open_gates(worker) : err;
}

static void clean_up(struct worker *worker)
{
    close_gates(worker);
    loop_timer_free(&worker->deadline);
    loop_timer_free(&worker->trim);
    if (worker->state.generation != NULL) {
        generation_leave(&worker->state.generation);
    }
    if (worker->state.upstreams != NULL) {
        upstream_worker_free(&worker->state.upstreams);
    }
    broker_stop(&worker->state);
    mail_room_leave(worker->state.mail_room, worker->state.id);
    mailbox_free(&worker->mailbox);
    if (worker->state.loop != NULL) {
        worker_state_destroy(&worker->state);
        loop_free(&worker->state.loop);
    }
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    worker->started = prepare(worker);
    bool serves = worker->started == WEIR_OK;
    sem_post(&worker->ready);
    if (serves) {
        loop_run(worker->state.loop);
    }
    clean_up(worker);
    if (serves) {
        mailbox_post(worker->control, worker->stopped);
    }
    return NULL;
}

/* Signals are the control thread's business: workers inherit a mask that blocks them all. */
static int create_thread(struct worker *worker)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static struct worker *make(struct registry *registry, unsigned id,
                           const struct worker_common *common, const int *fds)
{
    struct worker *worker = calloc(1, sizeof *worker);
    size_t gate_count = 0;
    const struct listener_setup *setups = registry_listeners(registry, &gate_count);
    struct gate *gates = calloc(gate_count + 1, sizeof *gates);
    if (worker == NULL || gates == NULL) {
        for (size_t i = 0; i < gate_count; i++) {
            close(fds[i]);
        }
        free(worker);
        free(gates);
        return NULL;
    }
    worker->registry = registry;
    worker->state.id = id;
    worker->state.count = common->count;
    worker->state.mail_room = common->room;
    worker->bus = common->bus;
    worker->state.owner = worker;
    worker->gates = gates;
    worker->gate_count = gate_count;
    for (size_t i = 0; i < gate_count; i++) {
        gates[i] = (struct gate){.worker = worker, .setup = &setups[i], .fd = fds[i]};
    }
    return worker;
}

enum weir_err worker_start(struct registry *registry, unsigned id,
                           const struct worker_common *common, const int *fds,
                           struct mailbox *control, struct mailbox_letter *stopped,
                           struct worker **out)
{
    struct worker *worker = make(registry, id, common, fds);
    if (worker == NULL) {
        return WEIR_ENOMEM;
    }
    worker->control = control;
    worker->stopped = stopped;
    sem_init(&worker->ready, 0, 0);
    if (create_thread(worker) != 0) {
        close_gates(worker);
        sem_destroy(&worker->ready);
        free(worker->gates);
        free(worker);
        return WEIR_EIO;
    }
    while (sem_wait(&worker->ready) != 0) {
        /* interrupted by a signal: the worker is still on its way */
    }
    enum weir_err err = worker->started;
    if (err != WEIR_OK) {
        worker_join(&worker);
        return err;
    }
    *out = worker;
    return WEIR_OK;
}

void worker_stop(struct worker *worker, uint64_t patience_ms)
{
    worker->stop.letter.deliver = stop_received;
    worker->stop.patience_ms = patience_ms;
    mailbox_post(worker->mailbox, &worker->stop.letter);
}

void worker_join(struct worker **worker)
{
    pthread_join((*worker)->thread, NULL);
    sem_destroy(&(*worker)->ready);
    free((*worker)->gates);
    free(*worker);
    *worker = NULL;
}
