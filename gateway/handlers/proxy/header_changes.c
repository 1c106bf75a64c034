/* Reads a route's list of header changes. Called by request_head.c and response_head.c for each
 * field; lists are short, so they are walked. It never changes a message by itself. */
#include "handlers/proxy/header_changes.h"

#include "proto/http_framing.h"
#include "proto/http_hop.h"

/* These say where a message ends and whose it is; the proxy alone writes them. */
static bool is_reserved(struct span name)
{
    return http_hop_is_local(NULL, 0, name) || span_equal_nocase(name, SPAN("Content-Length")) ||
           span_equal_nocase(name, SPAN("Host"));
}

bool header_changes_hide(const struct header_changes *changes, struct span name)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct header_change *change = &changes->items[i];
        /* With "_" for "-" as well, or a client could bring what is set or taken away under a name
         * that a CGI backend reads as the same. */
        if (change->kind != HEADER_ADD && http_framing_reads_as(name, change->name)) {
            return !is_reserved(name);
        }
    }
    return false;
}

bool header_change_writes(const struct header_change *change)
{
    return change->kind != HEADER_REMOVE && !is_reserved(change->name);
}
