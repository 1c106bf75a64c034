/* Families of series. A series is found by its text as it is printed, `name{a="x",b="y"}`: the
 * labels are sorted and escaped once, when it is made, and each printing of it is then a copy and a
 * number. One lock guards the tables; the numbers are atomic, so adding never takes it. Nothing is
 * freed while the process lives, which is what lets callers keep a series without counting
 * references. Called by Lua's weir.metrics and by handlers/metrics. */
#include "base/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/metric_labels.h"
#include "base/metrics_internal.h"
#include "base/siphash.h"

enum {
    SLOTS = 16384, /* a power of two above METRIC_SERIES_MAX */
    FAMILIES_MAX = 1000,
    BUCKETS_MAX = 100
};

static struct {
    pthread_mutex_t lock;
    bool has_key;
    struct siphash_key key; /* peers may choose label values */
    struct metric_family *families;
    struct metric_family *last_family;
    size_t family_count;
    size_t series_count;
    struct metric *slots[SLOTS];
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- families --- */

static struct metric_family *find_family(const char *name)
{
    struct metric_family *family = all.families;
    while (family != NULL && strcmp(family->name, name) != 0) {
        family = family->next;
    }
    return family;
}

static char *copy_text(struct span text)
{
    char *copy = malloc(text.size + 1);
    if (copy != NULL && text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    if (copy != NULL) {
        copy[text.size] = '\0';
    }
    return copy;
}

static void free_family(struct metric_family *family)
{
    free(family->name);
    free(family->help);
    free(family->buckets);
    free(family);
}

static bool are_buckets(const double *buckets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* Written so that NaN is refused too. */
        if (!(buckets[i] - buckets[i] == 0) || (i > 0 && !(buckets[i - 1] < buckets[i]))) {
            return false;
        }
    }
    return count <= BUCKETS_MAX;
}

static bool fill_family(struct metric_family *family, const char *name, const char *help,
                        const double *buckets, size_t bucket_count)
{
    struct buffer escaped = {0};
    enum weir_err err = metric_escape(&escaped, span_of(help), false);
    family->name = copy_text(span_of(name));
    family->help = copy_text(buffer_span(&escaped));
    family->buckets = calloc(bucket_count + 1, sizeof(family->buckets[0]));
    buffer_free(&escaped);
    if (err != WEIR_OK || family->name == NULL || family->help == NULL || family->buckets == NULL) {
        return false;
    }
    family->bucket_count = bucket_count;
    if (bucket_count > 0) {
        memcpy(family->buckets, buckets, bucket_count * sizeof buckets[0]);
    }
    return true;
}

static enum weir_err make_family(enum metric_kind kind, const char *name, const char *help,
                                 const double *buckets, size_t bucket_count,
                                 struct metric_family **out)
{
    if (kind != METRIC_HISTOGRAM) {
        bucket_count = 0;
    }
    if (!metric_name_is_valid(span_of(name), true) || !are_buckets(buckets, bucket_count)) {
        return WEIR_EINVAL;
    }
    if (all.family_count >= FAMILIES_MAX) {
        return WEIR_ELIMIT;
    }
    struct metric_family *family = calloc(1, sizeof *family);
    if (family == NULL) {
        return WEIR_ENOMEM;
    }
    family->kind = kind;
    if (!fill_family(family, name, help, buckets, bucket_count)) {
        free_family(family);
        return WEIR_ENOMEM;
    }
    if (all.last_family == NULL) {
        all.families = family;
    } else {
        all.last_family->next = family;
    }
    all.last_family = family;
    all.family_count++;
    *out = family;
    return WEIR_OK;
}

/* --- series --- */

static bool prepare_key(void)
{
    while (!all.has_key) {
        ssize_t got = getrandom(&all.key, sizeof all.key, 0);
        if (got < 0 && errno != EINTR) {
            return false;
        }
        all.has_key = got == (ssize_t)sizeof all.key;
    }
    return true;
}

static struct metric *find_series(const struct metric_family *family, uint64_t hash,
                                  struct span labels)
{
    struct metric *metric = all.slots[hash & (SLOTS - 1)];
    while (metric != NULL && (metric->hash != hash || metric->family != family ||
                              !span_equal(span_of(metric->labels), labels))) {
        metric = metric->next_in_slot;
    }
    return metric;
}

static void free_series(struct metric *metric)
{
    free(metric->labels);
    free(metric->observed);
    free(metric);
}

static enum weir_err make_series(struct metric_family *family, uint64_t hash, struct span labels,
                                 struct metric **out)
{
    struct metric *metric = NULL;
    if (all.series_count >= METRIC_SERIES_MAX) {
        return WEIR_ELIMIT;
    }
    metric = calloc(1, sizeof *metric);
    if (metric == NULL) {
        return WEIR_ENOMEM;
    }
    metric->family = family;
    metric->hash = hash;
    metric->labels = copy_text(labels);
    metric->observed = calloc(family->bucket_count + 1, sizeof(metric->observed[0]));
    if (metric->labels == NULL || metric->observed == NULL) {
        free_series(metric);
        return WEIR_ENOMEM;
    }
    if (family->last == NULL) {
        family->first = metric;
    } else {
        family->last->next = metric;
    }
    family->last = metric;
    metric->next_in_slot = all.slots[hash & (SLOTS - 1)];
    all.slots[hash & (SLOTS - 1)] = metric;
    all.series_count++;
    *out = metric;
    return WEIR_OK;
}

/* With the lock held. */
static enum weir_err series(struct metric_family *family, struct span labels, struct metric **out)
{
    if (!prepare_key()) {
        return WEIR_ENOMEM;
    }
    /* Series of other families with the same labels share a slot; the family's own address makes
     * that rare. */
    uint64_t hash = siphash(&all.key, labels) + ((uintptr_t)family >> 4) * 0x9e3779b97f4a7c15u;
    struct metric *found = find_series(family, hash, labels);
    if (found != NULL) {
        *out = found;
        return WEIR_OK;
    }
    return make_series(family, hash, labels, out);
}

/* With the lock held. */
static enum weir_err family_of(enum metric_kind kind, const char *name, const char *help,
                               const double *buckets, size_t bucket_count,
                               struct metric_family **out)
{
    struct metric_family *family = find_family(name);
    if (family == NULL) {
        return make_family(kind, name, help, buckets, bucket_count, out);
    }
    if (family->kind != kind) {
        return WEIR_EINVAL;
    }
    *out = family;
    return WEIR_OK;
}

enum weir_err metrics_declare(enum metric_kind kind, const char *name, const char *help,
                              const struct metric_label *labels, size_t label_count,
                              const double *buckets, size_t bucket_count)
{
    struct metric_family *family = NULL;
    struct buffer text = {0};
    enum weir_err err = metric_labels_write(&text, kind, labels, label_count);
    buffer_free(&text);
    if (err == WEIR_OK) {
        pthread_mutex_lock(&all.lock);
        err = family_of(kind, name, help, buckets, bucket_count, &family);
        pthread_mutex_unlock(&all.lock);
    }
    return err;
}

enum weir_err metrics_series(enum metric_kind kind, const char *name, const char *help,
                             const struct metric_label *labels, size_t label_count,
                             const double *buckets, size_t bucket_count, struct metric **out)
{
    struct buffer text = {0};
    enum weir_err err = metric_labels_write(&text, kind, labels, label_count);
    if (err == WEIR_OK) {
        pthread_mutex_lock(&all.lock);
        struct metric_family *family = NULL;
        err = family_of(kind, name, help, buckets, bucket_count, &family);
        if (err == WEIR_OK) {
            err = series(family, buffer_span(&text), out);
        }
        pthread_mutex_unlock(&all.lock);
    }
    buffer_free(&text);
    return err;
}

/* --- numbers --- */

static void add(_Atomic double *value, double by)
{
    double old = atomic_load_explicit(value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(value, &old, old + by, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void metric_add(struct metric *metric, double by)
{
    if (metric->family->kind != METRIC_COUNTER || by >= 0) {
        add(&metric->value, by);
    }
}

void metric_set(struct metric *metric, double value)
{
    if (metric->family->kind == METRIC_GAUGE) {
        atomic_store_explicit(&metric->value, value, memory_order_relaxed);
    }
}

void metric_observe(struct metric *metric, double value)
{
    const struct metric_family *family = metric->family;
    size_t bucket = 0;
    if (family->kind != METRIC_HISTOGRAM) {
        return;
    }
    /* NaN is in no bucket but the last. */
    while (bucket < family->bucket_count && !(value <= family->buckets[bucket])) {
        bucket++;
    }
    atomic_fetch_add_explicit(&metric->observed[bucket], 1, memory_order_relaxed);
    add(&metric->value, value);
}

/* --- text --- */

enum weir_err metrics_text(struct buffer *out)
{
    enum weir_err err = WEIR_OK;
    pthread_mutex_lock(&all.lock);
    const struct metric_family *family = all.families;
    while (err == WEIR_OK && family != NULL) {
        err = metric_family_write(out, family);
        family = family->next;
    }
    pthread_mutex_unlock(&all.lock);
    return err;
}

void metrics_reset(void)
{
    pthread_mutex_lock(&all.lock);
    while (all.families != NULL) {
        struct metric_family *family = all.families;
        all.families = family->next;
        while (family->first != NULL) {
            struct metric *metric = family->first;
            family->first = metric->next;
            free_series(metric);
        }
        free_family(family);
    }
    all.last_family = NULL;
    all.family_count = 0;
    all.series_count = 0;
    memset(all.slots, 0, sizeof all.slots);
    pthread_mutex_unlock(&all.lock);
}
