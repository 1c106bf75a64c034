/* The names and labels of metrics, checked as Prometheus would and written as it reads them ("Data
 * model" and "Exposition formats", version 0.0.4, of its documentation). Called by metrics.c when a
 * series is asked for; the text is what tells one series from another. */
#include "base/metric_labels.h"

#include <string.h>

enum {
    NAME_MAX_BYTES = 200,
    TEXT_MAX_BYTES = 4096 /* of the labels of one series */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool metric_name_is_valid(struct span name, bool colons)
{
    if (name.size == 0 || name.size > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char c = (char)name.data[i];
        if (!is_letter(c) && !(colons && c == ':') && !(i > 0 && is_digit(c))) {
            return false;
        }
    }
    return true;
}

/* Names that begin with two underscores are Prometheus's own, and `le` is the histogram's. */
static bool is_label_name(struct span name, enum metric_kind kind)
{
    return metric_name_is_valid(name, false) && !span_starts_with(name, SPAN("__")) &&
           !(kind == METRIC_HISTOGRAM && span_equal(name, SPAN("le")));
}

/* How many bytes at the front of `text` are one character of UTF-8 (RFC 3629, section 4); 0: none.
 */
static size_t character(struct span text)
{
    const uint8_t *at = text.data;
    if (at[0] < 0x80) {
        return 1;
    }
    size_t size = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || text.size < size) {
        return 0;
    }
    /* Neither a longer form than needed, nor a surrogate, nor beyond U+10FFFF. */
    uint8_t least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < size; i++) {
        if (at[i] < least || at[i] > most) {
            return 0;
        }
        least = 0x80;
        most = 0xbf;
    }
    return size;
}

static struct span escaped(struct span character, bool quotes)
{
    switch (character.data[0]) {
    case '\n':
        return SPAN("\\n");
    case '\\':
        return SPAN("\\\\");
    case '"':
        return quotes ? SPAN("\\\"") : character;
    default:
        return character;
    }
}

enum weir_err metric_escape(struct buffer *out, struct span text, bool quotes)
{
    enum weir_err err = WEIR_OK;
    while (err == WEIR_OK && text.size > 0) {
        size_t size = character(text);
        /* One byte that is not UTF-8 would spoil the whole page. */
        err = size == 0 ? buffer_append(out, SPAN("\xef\xbf\xbd"))
                        : buffer_append(out, escaped((struct span){text.data, size}, quotes));
        text = span_from(text, size == 0 ? 1 : size);
    }
    return err;
}

static int compare_names(const struct metric_label *a, const struct metric_label *b)
{
    size_t common = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = memcmp(a->name.data, b->name.data, common);
    return order != 0 ? order : (a->name.size > b->name.size) - (a->name.size < b->name.size);
}

/* The same labels in another order are the same series. */
static void sort_labels(struct metric_label *labels, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct metric_label label = labels[i];
        size_t at = i;
        while (at > 0 && compare_names(&labels[at - 1], &label) > 0) {
            labels[at] = labels[at - 1];
            at--;
        }
        labels[at] = label;
    }
}

static enum weir_err write_label(struct buffer *out, const struct metric_label *label)
{
    enum weir_err err = out->size == 0 ? WEIR_OK : buffer_append(out, SPAN(","));
    if (err == WEIR_OK) {
        err = buffer_printf(out, "%.*s=\"", SPAN_ARGS(label->name));
    }
    if (err == WEIR_OK) {
        err = metric_escape(out, label->value, true);
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("\"")) : err;
}

enum weir_err metric_labels_write(struct buffer *out, enum metric_kind kind,
                                  const struct metric_label *labels, size_t count)
{
    struct metric_label sorted[METRIC_LABELS_MAX];
    if (count > METRIC_LABELS_MAX) {
        return WEIR_ELIMIT;
    }
    if (count > 0) {
        memcpy(sorted, labels, count * sizeof sorted[0]);
    }
    sort_labels(sorted, count);
    for (size_t i = 0; i < count; i++) {
        if (!is_label_name(sorted[i].name, kind) ||
            (i > 0 && span_equal(sorted[i].name, sorted[i - 1].name))) {
            return WEIR_EINVAL;
        }
        enum weir_err err = write_label(out, &sorted[i]);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return out->size > TEXT_MAX_BYTES ? WEIR_ELIMIT : WEIR_OK;
}
