/* A request that has switched, for a handler that moves its bytes within the kernel. Called by
 * tunnels and, for reading, by the connection. The bytes are counted here like all others. */
#include "session/output.h"
#include "session/request_internal.h"

struct stream *request_pipe_stream(struct weir_request *request)
{
    struct connection *connection = request->connection;
    struct cork *cork = &connection->worker->cork;
    if (cork->owner == &connection->stream) {
        cork_flush(cork);
    }
    bool has_client = !request->ended && connection->state != CONNECTION_DEAD;
    return has_client && request->switched ? &connection->stream : NULL;
}

void request_pipe_moved(struct weir_request *request, size_t bytes, bool *full)
{
    struct connection *connection = request->connection;
    request->bytes_out += bytes;
    *full = stream_queued(&connection->stream) > 0;
    if (*full) {
        connection_output_grew(connection, true);
    }
}

void request_pull(struct weir_request *request, request_pull_fn pull, void *context)
{
    struct request_extra *extra = request->extra;
    if (extra != NULL) {
        extra->pull = pull;
        extra->pull_context = context;
    }
}

bool request_pulls(struct weir_request *request, enum weir_err *err)
{
    struct request_extra *extra = request->extra;
    size_t got = 0;
    if (!request->switched || extra == NULL || extra->pull == NULL) {
        return false;
    }
    *err = extra->pull(extra->pull_context, &request->connection->stream, &got);
    if (*err == WEIR_OK) {
        request->bytes_in += got;
    }
    return *err != WEIR_AGAIN || extra->pull != NULL;
}
