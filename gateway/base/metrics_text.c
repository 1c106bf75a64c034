/* Writes one family of metrics in the text format of Prometheus (its documentation, "Exposition
 * formats", version 0.0.4). Called by metrics.c, which holds the lock of the lists; the numbers are
 * read one by one, so two of them need not be of one moment. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics_internal.h"

enum {
    NUMBER_BYTES = 32
};

/* The shortest of two forms that reads back as the same number; names for what is none. */
static const char *number_text(double value, char out[NUMBER_BYTES])
{
    if (value != value) {
        return "NaN";
    }
    if (value - value != 0) {
        return value > 0 ? "+Inf" : "-Inf";
    }
    snprintf(out, NUMBER_BYTES, "%.15g", value);
    if (strtod(out, NULL) != value) {
        snprintf(out, NUMBER_BYTES, "%.17g", value);
    }
    return out;
}

static enum weir_err write_plain(struct buffer *out, const struct metric *metric)
{
    char number[NUMBER_BYTES];
    bool bare = metric->labels[0] == '\0';
    double value = atomic_load_explicit(&metric->value, memory_order_relaxed);
    return buffer_printf(out, "%s%s%s%s %s\n", metric->family->name, bare ? "" : "{",
                         metric->labels, bare ? "" : "}", number_text(value, number));
}

static enum weir_err write_histogram(struct buffer *out, const struct metric *metric)
{
    const struct metric_family *family = metric->family;
    bool bare = metric->labels[0] == '\0';
    uint64_t total = 0;
    char number[NUMBER_BYTES];
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i <= family->bucket_count; i++) {
        const char *bound =
            i < family->bucket_count ? number_text(family->buckets[i], number) : "+Inf";
        total += atomic_load_explicit(&metric->observed[i], memory_order_relaxed);
        err = buffer_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", family->name, metric->labels,
                            bare ? "" : ",", bound, (unsigned long long)total);
    }
    if (err == WEIR_OK) {
        double sum = atomic_load_explicit(&metric->value, memory_order_relaxed);
        err = buffer_printf(out, "%s_sum%s%s%s %s\n", family->name, bare ? "" : "{", metric->labels,
                            bare ? "" : "}", number_text(sum, number));
    }
    if (err == WEIR_OK) {
        err = buffer_printf(out, "%s_count%s%s%s %llu\n", family->name, bare ? "" : "{",
                            metric->labels, bare ? "" : "}", (unsigned long long)total);
    }
    return err;
}

enum weir_err metric_family_write(struct buffer *out, const struct metric_family *family)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    enum weir_err err = buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name,
                                      family->help, family->name, kinds[family->kind]);
    const struct metric *metric = family->first;
    while (err == WEIR_OK && metric != NULL) {
        err = family->kind == METRIC_HISTOGRAM ? write_histogram(out, metric)
                                               : write_plain(out, metric);
        metric = metric->next;
    }
    return err;
}
