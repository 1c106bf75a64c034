/* The tag is a hash over what the file system says of the file. The time of its last change of
 * status (ctime) is in it because nobody can set it back: builds that give all files one date would
 * otherwise leave browsers with old scripts. Hashed, the numbers tell nothing about the disk.
 * Called by static_reply. It never reads the file. */
#include "handlers/static_etag.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

enum {
    SETTLED_MS = 1000 /* RFC 9110, section 8.8.2.2, counts a second as safe, too */
};

/* FNV-1a, then a mix so that all bits depend on the last value. */
static uint64_t hash(const uint64_t *values, size_t count)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < count; i++) {
        for (unsigned shift = 0; shift < 64; shift += 8) {
            h = (h ^ ((values[i] >> shift) & 0xff)) * 0x100000001b3U;
        }
    }
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdU;
    return h ^ (h >> 33);
}

static bool is_settled(const struct stat *info, uint64_t now_ms)
{
    int64_t changed_ms =
        (int64_t)info->st_ctim.tv_sec * 1000 + (int64_t)info->st_ctim.tv_nsec / 1000000;
    return changed_ms + SETTLED_MS <= (int64_t)now_ms;
}

void static_etag_write(const struct stat *info, bool is_gzip, uint64_t now_ms,
                       char out[STATIC_ETAG_BYTES])
{
    const uint64_t values[] = {
        (uint64_t)info->st_dev,          (uint64_t)info->st_ino,
        (uint64_t)info->st_size,         (uint64_t)info->st_mtim.tv_sec,
        (uint64_t)info->st_mtim.tv_nsec, (uint64_t)info->st_ctim.tv_sec,
        (uint64_t)info->st_ctim.tv_nsec,
    };
    snprintf(out, STATIC_ETAG_BYTES, "%s\"%016" PRIx64 "-%" PRIx64 "%s\"",
             is_settled(info, now_ms) ? "" : "W/", hash(values, sizeof(values) / sizeof(values[0])),
             (uint64_t)info->st_size, is_gzip ? "-gz" : "");
}
