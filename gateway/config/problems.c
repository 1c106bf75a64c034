/* Collects problems while the file is read and prints them sorted by place, because the loader
 * walks its key table and not the file.
 *
 * Filled by the tree reader, the expander, the loader and the checks; printed by config.c. It never
 * decides whether something is a problem. */
#include "config/problems.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum {
    WORDS_BYTES = 1024, /* of one problem's words; a longer line is cut */
    KEY_BYTES = 64      /* of one key inside a path */
};

struct problem {
    unsigned line;
    unsigned column;
    size_t order; /* keeps problems of one place in the order they were found */
    char *words;
};

static size_t append_path(struct problems *p, const char *text)
{
    size_t mark = p->path_size;
    size_t room = sizeof(p->path) - 1 - p->path_size;
    size_t size = strlen(text);
    size = size < room ? size : room;
    memcpy(p->path + p->path_size, text, size);
    p->path_size += size;
    p->path[p->path_size] = '\0';
    return mark;
}

size_t problems_enter_key(struct problems *p, const char *key)
{
    char text[KEY_BYTES + 2];
    const char *dot = p->path_size > 0 ? "." : "";
    snprintf(text, sizeof(text), "%s%.*s", dot, KEY_BYTES, key);
    return append_path(p, text);
}

size_t problems_enter_item(struct problems *p, size_t index)
{
    char text[32];
    snprintf(text, sizeof(text), "[%zu]", index);
    return append_path(p, text);
}

void problems_leave(struct problems *p, size_t mark)
{
    p->path_size = mark;
    p->path[mark] = '\0';
}

/* The line as it will be printed: path and words, cut to WORDS_BYTES. */
static char *describe(const struct problems *p, const char *format, va_list args)
{
    char words[WORDS_BYTES];
    int used = 0;
    if (p->path_size > 0) {
        used = snprintf(words, sizeof(words), "%s: ", p->path);
    }
    vsnprintf(words + used, sizeof(words) - (size_t)used, format, args);
    return strdup(words);
}

void problems_add(struct problems *p, unsigned line, unsigned column, const char *format, ...)
{
    p->count++;
    if (p->kept == PROBLEMS_MAX) {
        return;
    }
    struct problem *items = reallocarray(p->items, p->kept + 1, sizeof(*items));
    if (items == NULL) {
        p->exhausted = true;
        return;
    }
    p->items = items;
    va_list args;
    va_start(args, format);
    char *words = describe(p, format, args);
    va_end(args);
    if (words == NULL) {
        p->exhausted = true;
        return;
    }
    items[p->kept] = (struct problem){line, column, p->kept, words};
    p->kept++;
}

static int by_place(const void *left, const void *right)
{
    const struct problem *a = left;
    const struct problem *b = right;
    if (a->line != b->line) {
        return a->line < b->line ? -1 : 1;
    }
    if (a->column != b->column) {
        return a->column < b->column ? -1 : 1;
    }
    return a->order < b->order ? -1 : 1;
}

static enum weir_err append_printable(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool control = c < 0x20 || c == 0x7f;
        enum weir_err err = buffer_printf(out, control ? "\\x%02X" : "%c", c);
        if (err != WEIR_OK) {
            return err;
        }
    }
    return WEIR_OK;
}

static enum weir_err print_one(const struct problems *p, const struct problem *item,
                               struct buffer *out)
{
    enum weir_err err = append_printable(out, p->file);
    if (err == WEIR_OK) {
        err = buffer_printf(out, ":%u:%u: ", item->line, item->column);
    }
    if (err == WEIR_OK) {
        err = append_printable(out, item->words);
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("\n")) : err;
}

enum weir_err problems_print(struct problems *p, struct buffer *out)
{
    if (p->kept > 0) {
        qsort(p->items, p->kept, sizeof(p->items[0]), by_place);
    }
    for (size_t i = 0; i < p->kept; i++) {
        enum weir_err err = print_one(p, &p->items[i], out);
        if (err != WEIR_OK) {
            return err;
        }
    }
    if (p->count > p->kept) {
        return buffer_printf(out, "%s: and %zu more problems\n", p->file, p->count - p->kept);
    }
    return WEIR_OK;
}

void problems_free(struct problems *p)
{
    for (size_t i = 0; i < p->kept; i++) {
        free(p->items[i].words);
    }
    free(p->items);
    *p = (struct problems){.file = p->file};
}
