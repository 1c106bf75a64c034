/* Reads the table of close reasons. */
#include "base/close_reason.h"

#include "base/check.h"

static const struct row {
    uint16_t code;
    uint8_t by; /* as the table has it */
    const char *words;
    const char *label;
} rows[] = {
#define X(name, code, by, words) {code, by, words, #name},
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

const char *close_reason_closed_by(enum close_reason reason)
{
    static const char *const who[] = {"client", "gateway", "backend"};
    return who[row_of(reason)->by];
}

const char *close_reason_words(enum close_reason reason)
{
    return row_of(reason)->words;
}

const char *close_reason_label(enum close_reason reason)
{
    return row_of(reason)->label;
}
