/* A health check that opens a session, as a browser would, and wants a pong for its ping: what a
 * listening socket and even a page do not tell. Called by probe.c with the connection and its
 * input; it answers nothing that the server says of its own. */
#include <string.h>
#include <sys/random.h>

#include "proto/http_write.h"
#include "proto/ws_close.h"
#include "proto/ws_frame.h"
#include "upstream/probe_internal.h"

enum {
    MESSAGE_MAX = 64 * 1024, /* of what the server says before its pong */
    MASK_BYTES = 4
};

static const char ping_text[] = "weir";

/* Whether the system has given random bytes. */
static bool random_bytes(uint8_t *out, size_t size)
{
    return getrandom(out, size, 0) == (ssize_t)size;
}

static enum weir_err write_handshake(const struct probe *probe, struct buffer *out)
{
    static const struct {
        struct span name;
        struct span value;
    } fields[] = {
        {{(const uint8_t *)"Connection", 10}, {(const uint8_t *)"Upgrade", 7}},
        {{(const uint8_t *)"Upgrade", 7}, {(const uint8_t *)"websocket", 9}},
        {{(const uint8_t *)"Sec-WebSocket-Version", 21}, {(const uint8_t *)"13", 2}},
    };
    enum weir_err err = probe_write_request(probe, out);
    for (size_t i = 0; err == WEIR_OK && i < sizeof fields / sizeof fields[0]; i++) {
        err = http_write_field(out, fields[i].name, fields[i].value);
    }
    if (err == WEIR_OK) {
        err = http_write_field(out, SPAN("Sec-WebSocket-Key"), span_of(probe->key));
    }
    return err == WEIR_OK ? http_write_end(out) : err;
}

static void begin(struct probe *probe)
{
    uint8_t nonce[WS_CLIENT_NONCE_BYTES];
    struct buffer request = {0};
    if (!random_bytes(nonce, sizeof nonce)) {
        probe_bad(probe, "the system has no random bytes");
        return;
    }
    ws_client_key(nonce, probe->key);
    enum weir_err err = write_handshake(probe, &request);
    if (err != WEIR_OK) {
        probe_bad(probe, "the request cannot be written: %s", weir_err_name(err));
    } else {
        probe_send(probe, buffer_span(&request));
    }
    buffer_free(&request);
}

/* RFC 6455, section 5.3: a client masks every frame with a new key. */
static bool send_control(struct probe *probe, enum ws_opcode opcode, const void *payload,
                         size_t size)
{
    uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
    uint8_t mask[MASK_BYTES];
    if (!random_bytes(mask, sizeof mask)) {
        probe_bad(probe, "the system has no random bytes");
        return false;
    }
    size_t head = ws_frame_write_head(frame, (uint8_t)(WS_FIN | (uint8_t)opcode), size, mask);
    for (size_t i = 0; i < size; i++) {
        frame[head + i] = ((const uint8_t *)payload)[i] ^ mask[i % MASK_BYTES];
    }
    return probe_send(probe, (struct span){frame, head + size});
}

/* False: the head is not whole yet, or the probe is over. */
static bool take_head(struct probe *probe)
{
    struct http_response response;
    struct ws_client_wish wish = {.key = probe->key};
    struct ws_deflate_params agreed;
    struct span subprotocol;
    bool deflates = false;
    const char *why = "";
    size_t consumed = 0;
    if (probe_parse(probe, &response, &consumed) != WEIR_OK) {
        return false;
    }
    if (response.status != 101) {
        probe_bad(probe, "it answers the handshake with status %u", response.status);
        return false;
    }
    if (ws_client_check(&response, &wish, &subprotocol, &deflates, &agreed, &why) != WEIR_OK) {
        probe_bad(probe, "it answers the handshake wrongly: %s", why);
        return false;
    }
    buffer_drop(&probe->in, consumed);
    probe->accepted = true;
    return send_control(probe, WS_PING, ping_text, sizeof ping_text - 1);
}

static void take_pong(struct probe *probe)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t size = ws_close_write(payload, 1000, SPAN(""));
    if (send_control(probe, WS_CLOSE, payload, size)) {
        probe->stage = PROBE_CLOSING;
    }
}

static void take_event(struct probe *probe, const struct ws_event *event)
{
    struct span payload = {event->payload, event->payload_size};
    if (event->type != WS_EVENT_CONTROL) {
        return;
    }
    if (event->opcode == WS_CLOSE && probe->stage == PROBE_CLOSING) {
        probe_good(probe);
    } else if (event->opcode == WS_CLOSE) {
        probe_bad(probe, "it closes the session before its pong");
    } else if (event->opcode == WS_PONG && probe->stage == PROBE_OPEN &&
               span_equal(payload, span_of(ping_text))) {
        take_pong(probe);
    }
}

static void input(struct probe *probe)
{
    static const struct ws_decoder_rules rules = {.max_message_size = MESSAGE_MAX};
    if (!probe->accepted && !take_head(probe)) {
        return;
    }
    while (probe->stage == PROBE_OPEN || probe->stage == PROBE_CLOSING) {
        struct ws_event event;
        size_t consumed = 0;
        uint16_t code = 0;
        const char *why = "";
        enum weir_err err = ws_decoder_next(&probe->decoder, &rules, probe->in.data, probe->in.size,
                                            &consumed, &event, &code, &why);
        if (err == WEIR_AGAIN) {
            return;
        }
        if (err != WEIR_OK) {
            probe_bad(probe, "it breaks the protocol: %s", why);
            return;
        }
        take_event(probe, &event);
        if (probe->stage != PROBE_OVER) {
            buffer_drop(&probe->in, consumed);
        }
    }
}

const struct probe_kind probe_websocket = {.begin = begin, .input = input};
