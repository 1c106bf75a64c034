/* A byte run behind one pointer; the sizes live with the bytes. Every growth can fail and says so,
 * since peers decide how much there is to keep. */
#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

static size_t grown(size_t capacity, size_t wanted)
{
    size_t larger = capacity + capacity / 2;
    return larger > wanted ? larger : wanted;
}

enum weir_err blob_reserve(struct blob **blob, size_t extra)
{
    size_t size = blob_size(*blob);
    size_t capacity = *blob != NULL ? (*blob)->capacity : 0;
    if (extra > SIZE_MAX / 4 - size) {
        return WEIR_ENOMEM;
    }
    if (*blob != NULL && size + extra <= capacity) {
        return WEIR_OK;
    }
    capacity = grown(capacity, size + extra);
    struct blob *larger = realloc(*blob, sizeof *larger + capacity);
    if (larger == NULL) {
        return WEIR_ENOMEM;
    }
    larger->size = size;
    larger->capacity = capacity;
    *blob = larger;
    return WEIR_OK;
}

enum weir_err blob_append(struct blob **blob, struct span bytes)
{
    enum weir_err err = blob_reserve(blob, bytes.size);
    if (err == WEIR_OK && bytes.size > 0) {
        memcpy((*blob)->bytes + (*blob)->size, bytes.data, bytes.size);
        (*blob)->size += bytes.size;
    }
    return err;
}

struct span blob_span(const struct blob *blob)
{
    return blob != NULL ? (struct span){blob->bytes, blob->size} : (struct span){NULL, 0};
}

size_t blob_size(const struct blob *blob)
{
    return blob != NULL ? blob->size : 0;
}

void blob_free(struct blob **blob)
{
    free(*blob);
    *blob = NULL;
}
