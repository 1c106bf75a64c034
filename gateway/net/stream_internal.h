/* What the stream's own files tell each other. */
#ifndef WEIR_NET_STREAM_INTERNAL_H
#define WEIR_NET_STREAM_INTERNAL_H

#include "net/stream.h"

/* Asks the loop for what the stream's state waits for. */
void stream_watch(struct stream *stream);

/* Sends what the kernel takes of the queue, and frees an empty one. WEIR_AGAIN while some of it
 * stays; other errors mean that the stream is of no more use. */
WEIR_MUST enum weir_err stream_flush(struct stream *stream);

/* The connection is cut, by `error` (an errno, or 0): the queue goes, nothing can be sent. */
void stream_break(struct stream *stream, int error);

/* The loop says that connect(2) has ended; tells the owner how. */
void stream_finish_connect(struct stream *stream);

#endif
