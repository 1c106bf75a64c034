/* permessage-deflate for sessions (RFC 7692). Without context takeover, all sessions of a worker
 * share one deflater for each window size and one inflater, so that an idle session owns none; with
 * it, a session owns its own. */
#ifndef WEIR_SESSION_COMPRESSION_H
#define WEIR_SESSION_COMPRESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"
#include "proto/ws_deflate.h"

enum {
    COMPRESSION_WINDOWS = 16,
    COMPRESSION_LEVELS = 10
};

/* Shared by the sessions of one worker; all zero is the start. */
struct compression_scratch {
    struct ws_inflater *inflater;
    struct ws_deflater *deflaters[COMPRESSION_WINDOWS][COMPRESSION_LEVELS];
    struct buffer inflated; /* the last message; the next one overwrites it */
    struct buffer deflated;
};

/* Of one session that agreed on permessage-deflate. */
struct compression {
    struct ws_deflate_params agreed;
    uint8_t level;
    struct ws_inflater *inflater; /* with the client's context takeover, after the first message */
    struct ws_deflater *deflater; /* with ours */
};

/* Given; NULL when memory is out. */
struct compression *compression_new(const struct ws_deflate_params *agreed, uint8_t level);
void compression_free(struct compression **compression);
void compression_scratch_free(struct compression_scratch *scratch);

/* Inflates one message; `*out` is borrowed from the scratch until the next call. Errors as
 * ws_inflater_message. */
WEIR_MUST enum weir_err compression_inflate(struct compression *compression,
                                            struct compression_scratch *scratch, struct span in,
                                            uint64_t max_size, struct span *out);

/* Deflates one message; `*out` is borrowed from the scratch until the next call. */
WEIR_MUST enum weir_err compression_deflate(struct compression *compression,
                                            struct compression_scratch *scratch, struct span in,
                                            struct span *out);

#endif
