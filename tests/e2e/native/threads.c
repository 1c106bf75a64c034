/* For native.test.js: a thread for each message does what would block, and hands the answer over to
 * the worker. Meanwhile that session waits and others do not. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <weir/plugin.h>

static const struct weir_host *host;

struct part {
    struct weir_worker *worker;
    struct job *jobs; /* that have not come back */
};

/* The worker's but for `worker`; the thread only reads it. */
struct job {
    struct job *next; /* of its part */
    struct part *part;
    struct weir_worker *worker;
    struct weir_session *session; /* NULL once it has gone */
    unsigned seat;
    pthread_t thread;
};

static int worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                        size_t error_size)
{
    (void)plugin;
    struct part *part = calloc(1, sizeof *part);
    if (part == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    part->worker = worker;
    *self = part;
    return 0;
}

/* Nothing may be posted when this returns, and what was posted and has not run never will. */
static void worker_stop(void *self)
{
    struct part *part = self;
    host->log(WEIR_LOG_INFO, "threads", part->jobs == NULL ? "all came back" : "some are out");
    while (part->jobs != NULL) {
        struct job *job = part->jobs;
        part->jobs = job->next;
        pthread_join(job->thread, NULL);
        free(job);
    }
    free(part);
}

static void take_out(struct job *job)
{
    struct job **place = &job->part->jobs;
    while (*place != job) {
        place = &(*place)->next;
    }
    *place = job->next;
}

/* Back on the worker. */
static void come_back(void *context)
{
    static const char text[] = "done";
    struct job *job = context;
    pthread_join(job->thread, NULL);
    take_out(job);
    if (job->session != NULL) {
        *host->session_seat(job->session, job->seat) = NULL;
        (void)host->session_send(job->session, job->seat, WEIR_TEXT,
                                 (struct weir_bytes){(const uint8_t *)text, sizeof text - 1});
        host->session_resume(job->session, job->seat, WEIR_NEXT);
    } else {
        host->log(WEIR_LOG_INFO, "threads", "for nobody");
    }
    free(job);
}

static void *work(void *context)
{
    struct job *job = context;
    struct timespec while_it_blocks = {.tv_nsec = 20000000};
    nanosleep(&while_it_blocks, NULL);
    (void)host->worker_post(job->worker, come_back, job);
    return NULL;
}

static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    struct part *part = self;
    if (message->payload.size == 0) {
        (void)host->session_send(session, seat, message->kind, message->payload);
        return WEIR_NEXT;
    }
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return WEIR_CLOSE;
    }
    *job = (struct job){.part = part, .worker = part->worker, .session = session, .seat = seat};
    if (pthread_create(&job->thread, NULL, work, job) != 0) {
        free(job);
        return WEIR_CLOSE;
    }
    *host->session_seat(session, seat) = job;
    job->next = part->jobs;
    part->jobs = job;
    return WEIR_WAIT;
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    (void)self;
    (void)ending;
    struct job *job = *host->session_seat(session, seat);
    if (job != NULL) {
        job->session = NULL; /* the thread goes on; nobody waits for it */
    }
}

static const struct weir_plugin_ops ops = {
    .struct_size = sizeof(struct weir_plugin_ops),
    .major = WEIR_ABI_MAJOR,
    .minor = WEIR_ABI_MINOR,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .on_message = on_message,
    .on_close = on_close,
};

const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)
{
    host = table;
    return &ops;
}
