/* A growable byte run; every growth can fail and says so, since peers decide how much there is to
 * keep. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALLEST = 64
};

enum weir_err buffer_reserve(struct buffer *b, size_t extra)
{
    if (extra <= b->capacity - b->size) {
        return WEIR_OK;
    }
    if (extra > SIZE_MAX / 2 - b->size) {
        return WEIR_ENOMEM;
    }
    size_t wanted = b->size + extra;
    size_t capacity = b->capacity + b->capacity / 2;
    if (capacity < wanted) {
        capacity = wanted;
    }
    if (capacity < SMALLEST) {
        capacity = SMALLEST;
    }
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) {
        return WEIR_ENOMEM;
    }
    b->data = data;
    b->capacity = capacity;
    return WEIR_OK;
}

enum weir_err buffer_append(struct buffer *b, struct span bytes)
{
    enum weir_err err = buffer_reserve(b, bytes.size);
    if (err == WEIR_OK && bytes.size > 0) {
        memcpy(b->data + b->size, bytes.data, bytes.size);
        b->size += bytes.size;
    }
    return err;
}

enum weir_err buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        return WEIR_EINVAL;
    }
    enum weir_err err = buffer_reserve(b, (size_t)length + 1);
    if (err != WEIR_OK) {
        return err;
    }
    va_start(args, format);
    vsnprintf((char *)b->data + b->size, (size_t)length + 1, format, args);
    va_end(args);
    b->size += (size_t)length;
    return WEIR_OK;
}

void buffer_drop(struct buffer *b, size_t count)
{
    if (count >= b->size) {
        b->size = 0;
        return;
    }
    memmove(b->data, b->data + count, b->size - count);
    b->size -= count;
}

struct span buffer_span(const struct buffer *b)
{
    return (struct span){b->data, b->size};
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}
