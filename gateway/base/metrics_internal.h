/* Families and series, for metrics.c and metrics_text.c. */
#ifndef WEIR_BASE_METRICS_INTERNAL_H
#define WEIR_BASE_METRICS_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"

struct metric_family {
    struct metric_family *next;
    char *name;
    char *help; /* escaped */
    enum metric_kind kind;
    size_t bucket_count;
    double *buckets; /* ascending, without +Inf */
    struct metric *first;
    struct metric *last;
};

struct metric {
    struct metric *next;         /* of its family */
    struct metric *next_in_slot; /* of the table */
    struct metric_family *family;
    uint64_t hash;
    char *labels;               /* `a="x",b="y"`, or empty */
    _Atomic double value;       /* the sum, of a histogram */
    _Atomic uint64_t *observed; /* of a histogram: in each bucket alone, the last for +Inf */
};

/* Appends one family with all its series. WEIR_ENOMEM. The lists must not change meanwhile. */
WEIR_MUST enum weir_err metric_family_write(struct buffer *out, const struct metric_family *family);

#endif
