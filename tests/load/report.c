/* Prints the figures of a run as flat JSON on one line, so that a shell script can pick them by
 * name. Each mode calls it when its run has succeeded; a run that failed prints nothing here. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

void report_begin(const char *mode)
{
    printf("{\"mode\":\"%s\"", mode);
}

void report_count(const char *key, uint64_t value)
{
    printf(",\"%s\":%" PRIu64, key, value);
}

void report_signed(const char *key, int64_t value)
{
    printf(",\"%s\":%" PRId64, key, value);
}

void report_number(const char *key, double value)
{
    printf(",\"%s\":%.3f", key, value);
}

void report_run(const struct options *options, const struct meter_run *run, const char *unit,
                uint64_t count)
{
    double seconds = run->seconds;
    printf(",\"%ss\":%" PRIu64 ",\"seconds\":%.3f,\"%ss_per_second\":%.0f", unit, count, seconds,
           unit, (double)count / seconds);
    if (options->pid != 0) {
        double cpu_ns = (double)run->server_cpu_ns;
        printf(",\"ns_per_%s\":%.0f,\"server_busy\":%.3f", unit, cpu_ns / (double)count,
               cpu_ns / 1e9 / seconds);
    }
    printf(",\"client_busy\":%.3f", (double)run->own_cpu_ns / 1e9 / seconds);
}

void report_latency(const struct meter_histogram *histogram)
{
    report_number("p50_us", meter_quantile_us(histogram, 0.5));
    report_number("p99_us", meter_quantile_us(histogram, 0.99));
    report_number("max_us", (double)histogram->max_ns / 1000.0);
}

void report_end(void)
{
    printf("}\n");
}
