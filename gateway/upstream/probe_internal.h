/* What the kinds of probes share; for probe*.c alone. */
#ifndef WEIR_UPSTREAM_PROBE_INTERNAL_H
#define WEIR_UPSTREAM_PROBE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/span.h"
#include "net/stream.h"
#include "proto/ws_client.h"
#include "proto/ws_decoder.h"
#include "upstream/probe.h"

enum {
    PROBE_HEAD_BYTES = 16 * 1024, /* the longest head of an answer; more is bad */
    PROBE_WHY_BYTES = 400
};

/* What one type of health check does once the connection is there, and with each input. */
struct probe_kind {
    void (*begin)(struct probe *probe);
    void (*input)(struct probe *probe); /* probe->in has more; NULL: nothing is expected */
};
extern const struct probe_kind probe_http;
extern const struct probe_kind probe_websocket;

struct probe {
    struct stream stream; /* first: the stream's callback finds the probe by it */
    struct loop_retired retired;
    struct loop *loop;
    struct loop_timer *timer;
    const struct upstream_group *group;
    struct upstream_server *server;
    const struct config_health_check *config;
    const struct probe_kind *kind;
    probe_fn fn;
    void *context;
    enum {
        PROBE_CONNECTING,
        PROBE_HANDSHAKE, /* of TLS */
        PROBE_OPEN,
        PROBE_CLOSING, /* all was good; only the peer's goodbye is missing */
        PROBE_OVER
    } stage;
    struct buffer in;
    size_t scanned;                /* of `in`, for http_response_parse */
    char key[WS_CLIENT_KEY_BYTES]; /* WebSocket: as sent */
    struct ws_decoder decoder;
    bool accepted; /* WebSocket: the 101 was good */
    char why[PROBE_WHY_BYTES];
};

/* The verdict: the probe is over. No use of it after. */
void probe_good(struct probe *probe);
void probe_bad(struct probe *probe, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends bytes; where that fails the probe is over, and the result false. */
bool probe_send(struct probe *probe, struct span bytes);

/* Appends the head's first lines: GET, Host, User-Agent. */
WEIR_MUST enum weir_err probe_write_request(const struct probe *probe, struct buffer *out);

/* Parses the answer's head at the front of `in`, passing over interim ones. WEIR_OK: `*consumed` is
 * its size. WEIR_AGAIN: incomplete. Else the probe is over. */
WEIR_MUST enum weir_err probe_parse(struct probe *probe, struct http_response *response,
                                    size_t *consumed);

#endif
