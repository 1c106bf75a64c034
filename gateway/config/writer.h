/* Printing into a buffer with one check at the end: after a failure nothing more is written. */
#ifndef WEIR_CONFIG_WRITER_H
#define WEIR_CONFIG_WRITER_H

#include "base/err.h"

struct buffer;

/* Start with `{.out = buffer}`; the buffer is borrowed. */
struct writer {
    struct buffer *out;
    enum weir_err err; /* the first failure; WEIR_OK so far */
};

/* Appends a string. Any thread, as all of these; a writer belongs to one. */
void writer_text(struct writer *w, const char *text);

/* Appends printf output. */
void writer_print(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a JSON string with its quotes (RFC 8259, section 7); `text` is UTF-8. */
void writer_json(struct writer *w, const char *text);

#endif
