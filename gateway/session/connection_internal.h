/* What the connection's files tell each other. */
#ifndef WEIR_SESSION_CONNECTION_INTERNAL_H
#define WEIR_SESSION_CONNECTION_INTERNAL_H

#include "session/connection.h"

/* --- connection.c --- */

uint64_t connection_now_ms(const struct connection *connection);

/* Changes the state and starts its clock. */
void connection_enter(struct connection *connection, enum connection_state state);

/* Whether the state, a waiting plugin and the client's own reading let us read on. */
bool connection_wants_reading(const struct connection *connection);

/* Tells the stream so. */
void connection_update_reading(struct connection *connection);

/* Ends a request that is complete, and goes on to the next one or to the end. */
void connection_settle(struct connection *connection);

/* From here on there is TLS, where the listener says so, and then heads of requests. */
void connection_start_tls(struct connection *connection);

/* --- connection_input.c --- */

/* Reads what is there, within limits of fairness, and uses it. */
void connection_input_read(struct connection *connection);

/* Goes on with what was kept, after whatever held it up. */
void connection_input_kept(struct connection *connection);

/* The client has ended its direction, or the connection is broken. */
void connection_input_ended(struct connection *connection, enum weir_err err);

/* --- connection_proxy.c --- */

/* Takes the PROXY header off the socket when it is complete. */
void connection_read_proxy_header(struct connection *connection);

/* --- connection_pressure.c --- */

/* Whether bytes wait for the client to read. */
bool connection_is_queued(const struct connection *connection);

/* The kernel has taken bytes of the queue. */
void connection_output_moved(struct connection *connection);

#endif
