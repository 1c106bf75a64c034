/* A buffer with a sticky error, for the code that prints pages and JSON and would else be half
 * error handling. Called by plugin_json.c, reference.c and schema.c. */
#include "config/writer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buffer.h"

static void append(struct writer *w, struct span bytes)
{
    if (w->err == WEIR_OK) {
        w->err = buffer_append(w->out, bytes);
    }
}

void writer_text(struct writer *w, const char *text)
{
    append(w, span_of(text));
}

void writer_print(struct writer *w, const char *format, ...)
{
    char text[2048]; /* longer than any line that this room prints; cut beyond */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    writer_text(w, text);
}

/* RFC 8259, section 7: control characters must be escaped; DEL need not but looks like nothing. */
void writer_json(struct writer *w, const char *text)
{
    writer_text(w, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            writer_print(w, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            writer_print(w, "\\u%04x", c);
        } else {
            append(w, (struct span){(const uint8_t *)text, 1});
        }
    }
    writer_text(w, "\"");
}
