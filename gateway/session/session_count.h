/* Counting of messages, for peer_input.c and peer_output.c. In a header, as it is done for each. */
#ifndef WEIR_SESSION_SESSION_COUNT_H
#define WEIR_SESSION_SESSION_COUNT_H

#include <stddef.h>

#include "base/traffic.h"
#include "session/connection_internal.h"
#include "session/session_internal.h"
#include "session/worker_state.h"

/* Counts what came from the client: `messages` (0 or 1) and bytes of payload. */
static inline void session_count_in(struct weir_session *session, unsigned messages, size_t bytes)
{
    struct traffic *traffic = session->connection->worker->traffic;
    session->messages_in += messages;
    session->request->bytes_in += bytes;
    traffic_add(traffic, TRAFFIC_MESSAGES_IN, messages);
    traffic_add(traffic, TRAFFIC_BYTES_IN, bytes);
}

/* The same of what goes to the client. */
static inline void session_count_out(struct weir_session *session, unsigned messages, size_t bytes)
{
    struct traffic *traffic = session->connection->worker->traffic;
    session->messages_out += messages;
    session->request->bytes_out += bytes;
    traffic_add(traffic, TRAFFIC_MESSAGES_OUT, messages);
    traffic_add(traffic, TRAFFIC_BYTES_OUT, bytes);
}

#endif
