/* What plugins' hosts may ask of the worker that they run on. */
#ifndef WEIR_SESSION_WORKER_ACCESS_H
#define WEIR_SESSION_WORKER_ACCESS_H

struct loop;
struct weir_worker;

/* Borrowed for the worker's life. Worker's thread. */
struct loop *worker_loop(struct weir_worker *worker);

/* 0 .. count-1. */
unsigned worker_id(const struct weir_worker *worker);
unsigned worker_count(const struct weir_worker *worker);

#endif
