/* Trailers pass only where they cannot be taken for something that frames, routes or authorizes
 * (RFC 9110, section 6.5.1). Called by the exchange for both directions. */
#include "handlers/proxy/trailers.h"

#include "proto/http_fields.h"
#include "proto/http_hop.h"
#include "proto/http_write.h"

static enum weir_err write_lines(struct span lines, struct buffer *out)
{
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_refusal refusal;
    size_t count = 0;
    enum weir_err err = http_fields_parse(lines, HTTP_FIELDS_MAX, fields, &count, &refusal);
    if (err != WEIR_OK) {
        return err == WEIR_ENOMEM ? err : WEIR_EPROTO;
    }
    for (size_t i = 0; i < count && err == WEIR_OK; i++) {
        if (http_hop_may_trail(fields[i].name)) {
            err = http_write_field(out, fields[i].name, fields[i].value);
        }
    }
    return err;
}

enum weir_err trailers_filter(struct span raw, struct buffer *out)
{
    struct buffer lines = {0};
    if (raw.size == 0) {
        return WEIR_OK;
    }
    enum weir_err err = buffer_append(&lines, raw);
    if (err == WEIR_OK) {
        err = buffer_append(&lines, SPAN("\r\n"));
    }
    if (err == WEIR_OK) {
        err = write_lines(buffer_span(&lines), out);
    }
    buffer_free(&lines);
    return err;
}
