/* Answers a request with an open file: conditions, ranges, fields, body. */
#ifndef WEIR_HANDLERS_STATIC_REPLY_H
#define WEIR_HANDLERS_STATIC_REPLY_H

#include <stdbool.h>

#include <weir/plugin.h>

#include "base/err.h"
#include "handlers/static_plugin.h"

/* The representation that was selected for a GET or HEAD. */
struct static_choice {
    struct static_file file;
    const char *type; /* media type, static storage */
    bool is_gzip;     /* the file is the compressed twin */
    bool varies;      /* there is another representation, by Accept-Encoding */
};

/* Answers with `choice`, whose file is taken. Returns the verdict of on_request. Worker. */
enum weir_verdict static_reply_send(struct static_worker *worker, struct weir_request *request,
                                    unsigned seat, struct static_choice *choice);

/* Sends more of a large body; for on_reply_drain. Worker. */
void static_reply_drain(struct weir_request *request, unsigned seat);

/* Frees what a large body needs; for on_done. Worker. */
void static_reply_done(struct weir_request *request, unsigned seat);

/* The verdict after a reply function has returned `err`: REPLY, or DROP where nothing was sent. */
enum weir_verdict static_reply_verdict(enum weir_err err);

#endif
