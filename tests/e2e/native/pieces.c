/* For native.test.js: a handler that echoes pieces of messages as they come. */
#include <weir/plugin.h>

static const struct weir_host *host;

static enum weir_verdict on_piece(void *self, struct weir_session *session, unsigned seat,
                                  const struct weir_piece *piece)
{
    (void)self;
    (void)seat;
    struct weir_bytes bytes = {piece->data, piece->size};
    return host->session_send_piece(session, piece->kind, bytes, piece->first, piece->last) ==
                   WEIR_STATUS_OK
               ? WEIR_NEXT
               : WEIR_CLOSE;
}

static const struct weir_plugin_ops ops = {
    .struct_size = sizeof(struct weir_plugin_ops),
    .major = WEIR_ABI_MAJOR,
    .minor = WEIR_ABI_MINOR,
    .on_piece = on_piece,
};

const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)
{
    host = table;
    return &ops;
}
