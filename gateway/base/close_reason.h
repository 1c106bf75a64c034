/* The table of close reasons: the log line, the metric and the close code come from one row. */
#ifndef WEIR_BASE_CLOSE_REASON_H
#define WEIR_BASE_CLOSE_REASON_H

#include <stdint.h>

enum close_reason {
#define X(name, code, by, words) WEIR_CLOSE_##name,
#include "base/close_reason.tbl"
#undef X
    WEIR_CLOSE_COUNT
};

/* The close code to send (RFC 6455, section 7.4.1), or 0 for none. */
uint16_t close_reason_code(enum close_reason reason);

/* Who ended it, as weir/plugin.h has it: "client", "gateway" or "backend"; static storage. */
const char *close_reason_closed_by(enum close_reason reason);

/* Words for people; static storage. */
const char *close_reason_words(enum close_reason reason);

/* A label for metrics, e.g. "SLOW_READER"; static storage. */
const char *close_reason_label(enum close_reason reason);

#endif
