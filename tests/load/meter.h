/* Clocks, the server's memory, and a histogram of latencies. */
#ifndef WEIR_LOAD_METER_H
#define WEIR_LOAD_METER_H

#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds of a clock that never goes back. */
uint64_t meter_now_ns(void);

/* CPU nanoseconds, user and system, of all threads of a process so far; 0 for pid 0. Fails the
 * program when the process has gone. */
uint64_t meter_cpu_ns(pid_t pid);

/* The process's proportional set size in bytes. */
uint64_t meter_pss_bytes(pid_t pid);

/* The same, once it has stopped moving: the first reading that is the same as the one a while
 * before, or the last one after ten seconds. */
uint64_t meter_pss_settled_bytes(pid_t pid);

enum {
    METER_SUB_BITS = 5,
    METER_SLOTS = 64 << METER_SUB_BITS
};

/* Latencies in nanoseconds, each kept to 1/32 of its value. Starts as all zero bytes. */
struct meter_histogram {
    uint64_t slots[METER_SLOTS];
    uint64_t count;
    uint64_t max_ns;
};

void meter_add(struct meter_histogram *histogram, uint64_t ns);

/* The latency that `share` (0..1) of them do not pass, in microseconds; 0 when there are none. */
double meter_quantile_us(const struct meter_histogram *histogram, double share);

/* Warm-up, then the measured window, then a drain in which nothing new is begun. */
enum meter_phase {
    METER_WARMUP,
    METER_MEASURE,
    METER_DRAIN
};

struct meter_run {
    enum meter_phase phase;
    pid_t server;
    uint64_t window_ns; /* its wanted length */
    uint64_t phase_end_ns;
    uint64_t start_ns;
    uint64_t server_cpu_ns; /* its clock at the start; used within the window from the drain on */
    uint64_t own_cpu_ns;    /* the same of this process */
    double seconds;         /* the window's true length, from the drain on */
};

/* Begins the warm-up. `server` is 0 where its CPU is not measured. */
void meter_run_begin(struct meter_run *run, double warmup_seconds, double seconds, pid_t server);

/* Goes on to the next phase when its time has come; call it once in each turn of a loop. */
void meter_run_advance(struct meter_run *run);

#endif
