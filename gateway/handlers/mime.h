/* Media types by the extension of a file's name. */
#ifndef WEIR_HANDLERS_MIME_H
#define WEIR_HANDLERS_MIME_H

#include "base/span.h"

/* The value of Content-Type for a file of that name (a path is fine): by what follows the last dot
 * of its last segment, without regard to case, with charset=utf-8 where the type is text;
 * application/octet-stream for what is not in the table. Static storage. Any thread. */
const char *mime_type(struct span name);

#endif
