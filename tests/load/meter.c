/* What is measured and how. CPU time comes from the server's own CPU clock: the kernel's sum for
 * all its threads in nanoseconds, user and system together. Memory is the proportional set size, in
 * which pages shared with other processes count in part. The modes call it; it never writes
 * anything. */
#include "meter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fail.h"

enum {
    METER_SETTLE_TRIES = 40,
    METER_SETTLE_NS = 250000000
};

static uint64_t meter_read_ns(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0) {
        fail_errno("reading a clock; is the server still there?");
    }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t meter_now_ns(void)
{
    return meter_read_ns(CLOCK_MONOTONIC);
}

uint64_t meter_cpu_ns(pid_t pid)
{
    clockid_t clock;
    if (pid == 0) {
        return 0;
    }
    if (clock_getcpuclockid(pid, &clock) != 0) {
        fail("there is no process %d whose CPU clock we could read", (int)pid);
    }
    return meter_read_ns(clock);
}

uint64_t meter_pss_bytes(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fail_errno(path);
    }
    while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "Pss: %llu kB", &kib) != 1) {
    }
    fclose(file);
    if (kib == 0) {
        fail("%s has no Pss line", path);
    }
    return kib * 1024;
}

uint64_t meter_pss_settled_bytes(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = METER_SETTLE_NS};
    uint64_t before = 0;
    uint64_t now = meter_pss_bytes(pid);
    for (unsigned i = 0; i < METER_SETTLE_TRIES && now != before; i++) {
        before = now;
        nanosleep(&pause, NULL);
        now = meter_pss_bytes(pid);
    }
    return now;
}

void meter_add(struct meter_histogram *histogram, uint64_t ns)
{
    unsigned shift = 0;
    uint64_t top = ns;
    if (ns >= 1u << METER_SUB_BITS) {
        shift = 63 - (unsigned)__builtin_clzll(ns) - METER_SUB_BITS;
        top = ns >> shift;
        shift++;
        top -= 1u << METER_SUB_BITS;
    }
    histogram->slots[(shift << METER_SUB_BITS) + top]++;
    histogram->count++;
    histogram->max_ns = ns > histogram->max_ns ? ns : histogram->max_ns;
}

double meter_quantile_us(const struct meter_histogram *histogram, double share)
{
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)(share * (double)histogram->count);
    for (unsigned i = 0; i < METER_SLOTS; i++) {
        seen += histogram->slots[i];
        if (seen > wanted) {
            unsigned shift = i >> METER_SUB_BITS;
            uint64_t top = i & ((1u << METER_SUB_BITS) - 1);
            uint64_t ns = shift == 0 ? top : (top + (1u << METER_SUB_BITS)) << (shift - 1);
            return (double)ns / 1000.0;
        }
    }
    return (double)histogram->max_ns / 1000.0;
}

void meter_run_begin(struct meter_run *run, double warmup_seconds, double seconds, pid_t server)
{
    *run = (struct meter_run){.phase = METER_WARMUP, .server = server};
    run->window_ns = (uint64_t)(seconds * 1e9);
    run->phase_end_ns = meter_now_ns() + (uint64_t)(warmup_seconds * 1e9);
}

static void meter_window_start(struct meter_run *run)
{
    run->phase = METER_MEASURE;
    run->server_cpu_ns = meter_cpu_ns(run->server);
    run->own_cpu_ns = meter_read_ns(CLOCK_PROCESS_CPUTIME_ID);
    run->start_ns = meter_now_ns();
    run->phase_end_ns = run->start_ns + run->window_ns;
}

static void meter_window_end(struct meter_run *run)
{
    uint64_t end_ns = meter_now_ns();
    run->phase = METER_DRAIN;
    run->server_cpu_ns = meter_cpu_ns(run->server) - run->server_cpu_ns;
    run->own_cpu_ns = meter_read_ns(CLOCK_PROCESS_CPUTIME_ID) - run->own_cpu_ns;
    run->seconds = (double)(end_ns - run->start_ns) / 1e9;
}

void meter_run_advance(struct meter_run *run)
{
    if (run->phase == METER_DRAIN || meter_now_ns() < run->phase_end_ns) {
        return;
    }
    if (run->phase == METER_WARMUP) {
        meter_window_start(run);
    } else {
        meter_window_end(run);
    }
}
