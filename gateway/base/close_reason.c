/* Reads the table of close reasons. */
#include "base/close_reason.h"

#include "base/check.h"

static const struct row {
    uint16_t code;
    bool ours;
    const char *words;
    const char *label;
} rows[] = {
#define X(name, code, ours, words) {code, ours, words, #name},
#include "base/close_reason.tbl"
#undef X
};

static const struct row *row_of(enum close_reason reason)
{
    WEIR_CHECK((unsigned)reason < WEIR_CLOSE_COUNT);
    return &rows[reason];
}

uint16_t close_reason_code(enum close_reason reason)
{
    return row_of(reason)->code;
}

bool close_reason_is_ours(enum close_reason reason)
{
    return row_of(reason)->ours;
}

const char *close_reason_words(enum close_reason reason)
{
    return row_of(reason)->words;
}

const char *close_reason_label(enum close_reason reason)
{
    return row_of(reason)->label;
}
