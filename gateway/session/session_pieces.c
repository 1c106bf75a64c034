/* For handlers that pass messages on piece by piece, in both directions, and stop one side while
 * the other is behind. Called by the proxy's bridge. Nothing here puts pieces together; what comes
 * from the client is peer_input.c's business. */
#include "base/check.h"
#include "session/output.h"
#include "session/session_internal.h"

bool session_sends_whole(const struct weir_session *session, unsigned seat)
{
    const struct route *route = session->request->route;
    if (session->compression != NULL) {
        return true;
    }
    while (route->has_sender && seat-- > 0) {
        if (route->chain[seat].ops->on_send != NULL) {
            return true;
        }
    }
    return false;
}

enum weir_err session_send_piece(struct weir_session *session, enum weir_kind kind,
                                 struct span bytes, bool first, bool last)
{
    if (!session_is_open(session)) {
        return WEIR_ECLOSED;
    }
    WEIR_CHECK(first != session->sends_pieces);
    session->sends_pieces = !last;
    if (last && session->drain_due) {
        connection_sweep_later(session->connection);
    }
    return peer_send_piece(session, kind, bytes, first, last);
}

void session_pieces_over(struct weir_session *session)
{
    if (!session->drain_due || session->sends_pieces) {
        return;
    }
    session->drain_due = false;
    if (!session->connection->was_full) { /* else the drain of the queue is still to come */
        session_drained(session);
    }
}

bool session_is_behind(struct weir_session *session)
{
    struct connection *connection = session->connection;
    if (!session_is_open(session) || connection_keeps_up(connection)) {
        return false;
    }
    connection_output_grew(connection, true);
    return session_is_open(session);
}

void session_pause(struct weir_session *session, bool on)
{
    if (!on && session->connection->paused) {
        session->pinged_ms = 0; /* the pong may lie unread behind what was not taken */
    }
    connection_pause_input(session->connection, on);
}
