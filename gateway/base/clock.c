/* Thin names over clock_gettime, and the one date format that HTTP writes. */
#include "base/clock.h"

#include <time.h>

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

void clock_http_date(uint64_t wall_seconds, char out[CLOCK_HTTP_DATE_BYTES])
{
    time_t seconds = (time_t)wall_seconds;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    /* The C locale's names are the ones that the RFC asks for; Weir never calls setlocale. */
    strftime(out, CLOCK_HTTP_DATE_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &utc);
}
