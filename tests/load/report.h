/* The result: one line of JSON on standard output. */
#ifndef WEIR_LOAD_REPORT_H
#define WEIR_LOAD_REPORT_H

#include "meter.h"
#include "options.h"

/* Begins the line with the mode's name. */
void report_begin(const char *mode);

void report_count(const char *key, uint64_t value);
void report_signed(const char *key, int64_t value);
void report_number(const char *key, double value);

/* Of a run that has ended: `UNITs`, `UNITs_per_second`, `seconds`, and with a pid `ns_per_UNIT`
 * (server CPU) and `server_busy`; `client_busy` tells whether this program was the limit. 1.0 is
 * one core. */
void report_run(const struct options *options, const struct meter_run *run, const char *unit,
                uint64_t count);

/* p50_us, p99_us and max_us. */
void report_latency(const struct meter_histogram *histogram);

void report_end(void);

#endif
