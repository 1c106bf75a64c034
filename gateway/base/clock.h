/* Time as the program uses it. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a clock that never goes back; only differences mean something. Any thread. */
uint64_t clock_monotonic_ms(void);

/* Microseconds of the same clock. Any thread. */
uint64_t clock_monotonic_us(void);

/* Milliseconds since 1970-01-01 UTC. Any thread. */
uint64_t clock_wall_ms(void);

enum {
    CLOCK_HTTP_DATE_BYTES = 30
};

/* Writes an IMF-fixdate (RFC 9110, section 5.6.7), terminated: 29 characters. Any thread. */
void clock_http_date(uint64_t wall_seconds, char out[CLOCK_HTTP_DATE_BYTES]);

#endif
