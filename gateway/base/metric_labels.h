/* What metrics and their labels may be called, and how that is written. For metrics.c. */
#ifndef WEIR_BASE_METRIC_LABELS_H
#define WEIR_BASE_METRIC_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/span.h"

/* [a-zA-Z_:][a-zA-Z0-9_:]*; names of labels have no colons. Any thread. */
bool metric_name_is_valid(struct span name, bool colons);

/* Appends `text` with line feeds and backslashes escaped, and quotes where it will stand between
 * them; what is not UTF-8 becomes U+FFFD. WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err metric_escape(struct buffer *out, struct span text, bool quotes);

/* Writes `a="x",b="y"` into `out`, an empty buffer, in the order of the names. WEIR_EINVAL: a name
 * is not valid, or comes twice; WEIR_ELIMIT: too many, or too long; WEIR_ENOMEM. Any thread. */
WEIR_MUST enum weir_err metric_labels_write(struct buffer *out, enum metric_kind kind,
                                            const struct metric_label *labels, size_t count);

#endif
