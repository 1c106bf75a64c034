/* The entity tag of a file. */
#ifndef WEIR_HANDLERS_STATIC_ETAG_H
#define WEIR_HANDLERS_STATIC_ETAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
    STATIC_ETAG_BYTES = 48
};

/* Writes the value of ETag, terminated: another one whenever the file was written to, replaced or
 * touched. It is weak (RFC 9110, section 8.8.1) while the file changed less than a second before
 * `now_ms`, milliseconds since 1970-01-01 UTC: it may change again without its time moving on.
 * `is_gzip` sets the compressed twin's tag apart, as section 8.8.3.3 asks. Any thread. */
void static_etag_write(const struct stat *info, bool is_gzip, uint64_t now_ms,
                       char out[STATIC_ETAG_BYTES]);

#endif
