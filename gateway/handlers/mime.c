/* A sorted table and a binary search. Browsers are told nosniff, so a type that is missing here
 * shows as a download instead of a guess.
 * Called by handlers/static. It never looks into a file. */
#include "handlers/mime.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *extension;
    const char *type;
};

static const struct row ROWS[] = {
#define X(extension, type) {extension, type},
#include "handlers/mime.tbl"
#undef X
};

enum {
    ROW_COUNT = sizeof(ROWS) / sizeof(ROWS[0]),
    EXTENSION_BYTES = 16 /* longer ones are not in the table */
};

static struct span extension_of(struct span name)
{
    size_t at = name.size;
    while (at > 0 && name.data[at - 1] != '.' && name.data[at - 1] != '/') {
        at--;
    }
    if (at == 0 || name.data[at - 1] == '/') {
        return SPAN("");
    }
    return span_from(name, at);
}

static int compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct row *)row)->extension);
}

const char *mime_type(struct span name)
{
    char lower[EXTENSION_BYTES];
    struct span extension = extension_of(name);
    const struct row *row = NULL;
    if (extension.size < sizeof(lower)) {
        for (size_t i = 0; i < extension.size; i++) {
            uint8_t c = extension.data[i];
            lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        }
        lower[extension.size] = '\0';
        row = bsearch(lower, ROWS, ROW_COUNT, sizeof(ROWS[0]), compare);
    }
    return row != NULL ? row->type : "application/octet-stream";
}
