/* Counters, gauges and histograms with labels, for the whole process. Looking one up takes a lock;
 * adding to one that was looked up is an atomic operation. Any thread. */
#ifndef WEIR_BASE_METRICS_H
#define WEIR_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/span.h"

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM
};

struct metric_label {
    struct span name;
    struct span value;
};

enum {
    METRIC_LABELS_MAX = 8,
    METRIC_SERIES_MAX = 10000 /* of the whole process: labels from peers must not eat the memory */
};

struct metric; /* one series: a name with its labels; lives as long as the process */

/* Makes the family of a name, so that it is known before it has a series, and checks the names of
 * its labels, whose values do not matter here; arguments and results as metrics_series. */
WEIR_MUST enum weir_err metrics_declare(enum metric_kind kind, const char *name, const char *help,
                                        const struct metric_label *labels, size_t label_count,
                                        const double *buckets, size_t bucket_count);

/* Finds or makes a series. Bytes of values and help that are not UTF-8 become U+FFFD. `help` and
 * `buckets` (ascending, of histograms; borrowed) count with the first of a name. WEIR_EINVAL: a
 * name that Prometheus would refuse, or one that exists with another kind; WEIR_ELIMIT: too many
 * series or labels; WEIR_ENOMEM. */
WEIR_MUST enum weir_err metrics_series(enum metric_kind kind, const char *name, const char *help,
                                       const struct metric_label *labels, size_t label_count,
                                       const double *buckets, size_t bucket_count,
                                       struct metric **out);

/* Counters: by >= 0. Gauges: any. Histograms: observes. */
void metric_add(struct metric *metric, double by);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double value);

/* Appends all in the text format of Prometheus (0.0.4). */
WEIR_MUST enum weir_err metrics_text(struct buffer *out);

/* Forgets all; for tests. */
void metrics_reset(void);

#endif
